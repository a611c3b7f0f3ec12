/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/dial.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/util.h"
#include "vmm/control.h"

/* From a pod's lock to its socket: the VMM's set-up, milliseconds, on a host however busy. */
#define SOCKET_TIMEOUT_MS 10000
#define SOCKET_POLL_MS	  20
#define ANSWER_TIMEOUT_MS 30000 /* of the VMM's loop, on a host however busy */
#define ANSWER_MAX	  1024	/* bytes: what an app is told of, with the longest token, is 300 */

/* Whether somebody holds the pod's lock. */
static bool pod_runs(void)
{
	cleanup_fd int fd = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd >= 0 && flock(fd, LOCK_SH | LOCK_NB) < 0 && errno == EWOULDBLOCK;
}

int dial_pod(int *ret, struct error *err)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX, .sun_path = CONTROL_PATH};
	uint64_t until = clock_now_ns() + UINT64_C(1000000) * SOCKET_TIMEOUT_MS;

	for (;;) {
		cleanup_fd int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

		if (fd < 0)
			return error_errno(err, "socket");
		if (connect(fd, (struct sockaddr *)&addr, sizeof(addr)) == 0) {
			*ret = take_fd(&fd);
			return 0;
		}
		if (errno != ENOENT && errno != ECONNREFUSED)
			return error_errno(err, CONTROL_PATH);
		if (!pod_runs())
			return error_set(err, -ESRCH, "the pod has ended");
		if (clock_now_ns() > until)
			return error_set(err, -ETIMEDOUT, "the pod has no %s", CONTROL_PATH);
		poll(NULL, 0, SOCKET_POLL_MS);
	}
}

int dial_send(int fd, const char *line, struct error *err)
{
	cleanup_free char *text = xasprintf("%s\n", line);
	size_t len = strlen(text), done = 0;

	while (done < len) {
		ssize_t n = send(fd, text + done, len - done, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return error_errno(err, "asking the pod");
		done += (size_t)n;
	}
	return 0;
}

int dial_receive(int fd, char *buf, size_t size, int timeout_ms, struct error *err)
{
	uint64_t until = clock_now_ns() + UINT64_C(1000000) * (uint64_t)MAX(timeout_ms, 0);
	struct pollfd ready = {.fd = fd, .events = POLLIN};
	size_t len = 0;

	while (len < size) {
		uint64_t now = clock_now_ns();
		int left = timeout_ms < 0 ? -1
			   : until > now  ? (int)((until - now) / 1000000) + 1
					  : 0;
		ssize_t n;

		if (poll(&ready, 1, left) == 0)
			return error_set(err, -ETIMEDOUT, "the pod does not answer");
		n = recv(fd, buf + len, 1, 0); /* what follows the line is not ours to take */
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return error_set(err, -EPIPE, "the pod has ended");
		if (buf[len] == '\n') {
			buf[len] = '\0';
			return 0;
		}
		len++;
	}
	return error_set(err, -EMSGSIZE, "the pod's answer is too long");
}

int dial_ask(const char *verb, int *ret_fd, struct json_object **ret, struct error *err)
{
	cleanup_json struct json_object *json = NULL;
	char line[ANSWER_MAX];
	const char *refusal = NULL;
	cleanup_fd int fd = -1;
	int r = dial_pod(&fd, err);

	if (r == 0)
		r = dial_send(fd, verb, err);
	if (r == 0)
		r = dial_receive(fd, line, sizeof(line), ANSWER_TIMEOUT_MS, err);
	if (r == 0)
		r = json_parse(line, strlen(line), "the pod's answer", &json, err);
	if (r == 0)
		r = json_get_string(json, "error", &refusal, err);
	if (r == 0 && refusal)
		r = error_set(err, -EBUSY, "the pod refuses: %s", refusal);
	if (r == 0) {
		*ret_fd = take_fd(&fd);
		*ret = take_ptr(json);
	}
	return r;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "stage0/pod_control.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/util.h"

static int connect_pod(const struct pod *pod, int *ret_fd, struct error *err)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	cleanup_fd int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return error_errno(err, "socket");
	/* a pod directory's path may be longer than a socket address */
	snprintf(addr.sun_path, sizeof(addr.sun_path), "/proc/self/fd/%d/control.sock", pod->fd);
	if (connect(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0)
		return errno == ENOENT || errno == ECONNREFUSED
			       ? error_set(err, -errno, "pod %s is not running", pod->uuid)
			       : error_errno(err, "pod %s: control.sock", pod->uuid);
	*ret_fd = take_fd(&fd);
	return 0;
}

/* Read up to and without the first newline. */
static int read_line(int fd, int timeout_ms, struct str *line, struct error *err)
{
	int64_t deadline = (int64_t)(clock_now_ns() / 1000000) + timeout_ms;
	char bytes[4096];

	for (;;) {
		int64_t left = deadline - (int64_t)(clock_now_ns() / 1000000);
		struct pollfd pfd = {.fd = fd, .events = POLLIN};
		const char *end;
		ssize_t n;

		if (left <= 0 || poll(&pfd, 1, (int)left) == 0)
			return error_set(err, -ETIMEDOUT, "no answer");
		n = recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			continue;
		if (n <= 0)
			return error_set(err, -EPIPE, "it ended before it answered");
		end = memchr(bytes, '\n', (size_t)n);
		str_addn(line, bytes, end ? (size_t)(end - bytes) : (size_t)n);
		if (end)
			return 0;
		if (line->len > POD_CONTROL_REPLY_MAX)
			return error_set(err, -EFBIG, "an answer of more than %d bytes",
					 POD_CONTROL_REPLY_MAX);
	}
}

/* What the pod says is wrong, made fit for a terminal. */
static int said(const char *text, struct error *err)
{
	cleanup_str struct str shown = STR_INIT;

	str_add_escaped(&shown, text, strlen(text));
	return error_set(err, -EREMOTEIO, "%s", str_get(&shown));
}

int pod_control(const struct pod *pod, const char *request, int timeout_ms,
		struct json_object **ret, struct error *err)
{
	cleanup_free char *line = xasprintf("%s\n", request);
	cleanup_json struct json_object *doc = NULL;
	cleanup_str struct str answer = STR_INIT;
	cleanup_fd int fd = -1;
	const char *wrong = NULL;
	int r = connect_pod(pod, &fd, err);

	if (r < 0)
		return r;
	if (send(fd, line, strlen(line), MSG_NOSIGNAL) != (ssize_t)strlen(line))
		r = error_errno(err, "control.sock");
	if (r == 0)
		r = read_line(fd, timeout_ms, &answer, err);
	if (r == 0)
		r = json_parse(str_get(&answer), answer.len, "answer", &doc, err);
	if (r == 0)
		r = json_get_string(doc, "error", &wrong, err);
	if (r == 0 && wrong)
		r = said(wrong, err);
	if (r < 0)
		return error_wrap(err, "pod %s", pod->uuid);
	*ret = take_ptr(doc);
	return 0;
}

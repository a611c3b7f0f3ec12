/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/stop.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/util.h"
#include "vmm/control.h"
#include "vmm/dial.h"
#include "vmm/podrun.h"

/* Longer than the apps are given, and than the VMM then takes. */
#define STOP_TIMEOUT_MS (POD_STOP_DEADLINE_MS + POD_STREAMS_DEADLINE_MS + STOP_KILL_TIMEOUT_MS)

/* Wait until the VMM closes the connection. -ETIMEDOUT: it does not. */
static int wait_end(int fd, int timeout_ms, struct error *err)
{
	char line[CONTROL_LINE_MAX];
	int r;

	do
		r = dial_receive(fd, line, sizeof(line), timeout_ms, err);
	while (r == 0);
	return r == -EPIPE ? 0 : r;
}

/* A VMM that does not answer is killed by its pid, which the socket tells. */
static int kill_vmm(int fd, struct error *err)
{
	struct pollfd closed = {.fd = fd};
	struct ucred peer;
	socklen_t len = sizeof(peer);
	cleanup_fd int pidfd = -1;

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0)
		return error_errno(err, "SO_PEERCRED");
	pidfd = (int)syscall(SYS_pidfd_open, peer.pid, 0);
	/* as long as the connection stands, the pid is still that process's */
	if (poll(&closed, 1, 0) != 0 || (pidfd < 0 && errno == ESRCH))
		return 0;
	if (pidfd < 0 ||
	    (syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0) < 0 && errno != ESRCH))
		return error_errno(err, "killing process %d", (int)peer.pid);
	return wait_end(fd, STOP_KILL_TIMEOUT_MS, err);
}

int stop_pod(int argc, char *const *argv, struct error *err)
{
	bool force = argc > 1 && strcmp(argv[1], "--force") == 0;
	cleanup_fd int fd = -1;
	int r;

	if (argc != 2 + force)
		return error_set(err, -EINVAL, "usage: %s [--force] UUID", argv[0]);
	r = dial_pod(&fd, err);
	if (r == 0)
		r = dial_send(fd, force ? "kill" : "stop", err);
	if (r == 0)
		r = wait_end(fd, force ? STOP_KILL_TIMEOUT_MS : STOP_TIMEOUT_MS, err);
	if (r == -ETIMEDOUT && force && fd >= 0)
		r = kill_vmm(fd, err);
	return r == -ESRCH || r == -EPIPE ? 0 : r;
}

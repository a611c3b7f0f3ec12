/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fork and exec by hand rather than posix_spawn(): parent-death signal, directory descriptor and
 * exact descriptor passing are not in its vocabulary. The exec's errno comes back over a
 * close-on-exec pipe, so a missing program is the caller's error, not a child's exit code.
 */
#include "common/spawn.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/util.h"

#define SPAWN_FDS_MAX 16  /* descriptors handed to one child */
#define FD_PARKING    256 /* descriptors are moved here first, so that targets can not collide */

/* Put the given descriptors in place; everything else above 2 closes on exec. */
static int place_fds(const struct spawn_args *args, int *status_fd)
{
	int parked[SPAWN_FDS_MAX];
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	*status_fd = fcntl(*status_fd, F_DUPFD_CLOEXEC, FD_PARKING);
	if (null < 0 || *status_fd < 0)
		return -1;
	for (size_t i = 0; i < args->nfds; i++) {
		parked[i] = fcntl(args->fds[i].parent, F_DUPFD_CLOEXEC, FD_PARKING);
		if (parked[i] < 0)
			return -1;
	}
	null = fcntl(null, F_DUPFD_CLOEXEC, FD_PARKING);
	for (int fd = 0; fd <= 2; fd++)
		if (null < 0 || dup2(null, fd) < 0)
			return -1;
	if (syscall(SYS_close_range, 3, ~0U, CLOSE_RANGE_CLOEXEC) < 0)
		return -1;
	for (size_t i = 0; i < args->nfds; i++)
		if (dup2(parked[i], args->fds[i].child) < 0)
			return -1;
	return 0;
}

static void __attribute__((noreturn))
child(const struct spawn_args *args, pid_t parent, int status_fd)
{
	sigset_t none;
	int e;

	sigemptyset(&none);
	for (int sig = 1; sig < NSIG; sig++)
		signal(sig, SIG_DFL);
	sigprocmask(SIG_SETMASK, &none, NULL);
	/* the directory first: its number may be wanted for another descriptor */
	if ((args->cwd >= 0 && fchdir(args->cwd) < 0) || place_fds(args, &status_fd) < 0 ||
	    prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
		goto fail;
	if (getppid() != parent) /* it died before the request above */
		_exit(127);
	execvpe(args->path, args->argv, args->envp ? args->envp : environ);
fail:
	e = errno;
	(void)!write(status_fd, &e, sizeof(e));
	_exit(127);
}

int spawn(const struct spawn_args *args, pid_t *ret_pid, int *ret_pidfd, struct error *err)
{
	int status[2];
	cleanup_fd int rd = -1, wr = -1, pidfd = -1;
	pid_t parent = getpid(), pid;
	int child_errno;
	ssize_t n;

	if (args->nfds > SPAWN_FDS_MAX)
		return error_set(err, -E2BIG, "%s: too many descriptors", args->path);
	for (size_t i = 0; i < args->nfds; i++)
		assert(args->fds[i].child >= 0 && args->fds[i].child < FD_PARKING);
	if (pipe2(status, O_CLOEXEC) < 0)
		return error_errno(err, "starting %s", args->path);
	rd = status[0];
	wr = status[1];
	pid = fork();
	if (pid < 0)
		return error_errno(err, "starting %s", args->path);
	if (pid == 0)
		child(args, parent, wr);
	close_fd(&wr);
	do
		n = read(rd, &child_errno, sizeof(child_errno));
	while (n < 0 && errno == EINTR);
	if (n == sizeof(child_errno)) {
		while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
			;
		return error_set(err, -child_errno, "starting %s: %s", args->path,
				 strerror(child_errno));
	}
	pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (pidfd < 0) {
		int r = error_errno(err, "starting %s", args->path);

		spawn_kill(pid, -1);
		return r;
	}
	*ret_pid = pid;
	*ret_pidfd = take_fd(&pidfd);
	return 0;
}

static int64_t clock_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int spawn_wait(pid_t pid, int pidfd, int timeout_ms, int *ret_status, struct error *err)
{
	struct pollfd pfd = {.fd = pidfd, .events = POLLIN};
	int64_t deadline = clock_ms() + timeout_ms;
	int left = timeout_ms, status, n;

	while ((n = poll(&pfd, 1, left)) < 0 && errno == EINTR)
		if (timeout_ms >= 0)
			left = (int)MAX(deadline - clock_ms(), 0);
	if (n < 0)
		return error_errno(err, "waiting for process %d", (int)pid);
	if (n == 0)
		return error_set(err, -ETIMEDOUT, "process %d still runs after %d ms", (int)pid,
				 timeout_ms);
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return error_errno(err, "waiting for process %d", (int)pid);
	*ret_status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
	return 0;
}

void spawn_kill(pid_t pid, int pidfd)
{
	if (pidfd >= 0)
		syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0);
	else
		kill(pid, SIGKILL);
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fork and exec by hand rather than posix_spawn(): parent-death signal, directory descriptor and
 * exact descriptor passing are not in its vocabulary. The exec's errno comes back over a
 * close-on-exec socket, so a missing program is the caller's error, not a child's exit code.
 *
 * Over the same socket the child asks, once its parent-death signal is set, whether it still has the
 * parent that is meant, and goes on only when the very thread that forked it answers. Asking
 * getppid() would not do: when a process is killed, its threads end one by one, and a child whose
 * parent thread ended before the request has another thread of it for a parent, with the same
 * number. That one may not be allowed to signal the child: the kernel asks for the right to.
 */
#include "common/spawn.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/str.h"
#include "common/util.h"

#define SPAWN_FDS_MAX 96 /* descriptors handed to one child: a file for each of 64 apps, and some */
#define FD_PARKING    256 /* descriptors are moved here first, so that targets can not collide */
#define ARMED	      0	  /* what the child asks with, where else an errno comes */
#define ORPHAN_MS     20  /* a child that gets no answer looks this often whether it is an orphan */

char *spawn_find(const char *name, const char *dirs)
{
	cleanup_strv struct strv list = STRV_INIT;

	strv_split(&list, dirs, ':');
	for (size_t i = 0; i < list.n; i++) {
		cleanup_free char *file = xasprintf("%s/%s", list.v[i], name);

		if (list.v[i][0] == '/' && access(file, X_OK) == 0)
			return take_ptr(file);
	}
	return NULL;
}

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

/* The parent-death signal is set: does the thread it is about still live? parent: as seen here. */
static bool parent_lives(int status_fd, pid_t parent)
{
	struct pollfd pfd = {.fd = status_fd, .events = POLLIN};
	int message = ARMED;
	ssize_t n;

	if (send(status_fd, &message, sizeof(message), MSG_NOSIGNAL) != sizeof(message))
		return false;
	do {
		/* a fork of another thread may hold the other end open a while: do not count on EOF */
		poll(&pfd, 1, ORPHAN_MS);
		if (getppid() != parent)
			return false;
		n = recv(status_fd, &message, sizeof(message), MSG_DONTWAIT);
	} while (n < 0 && (errno == EAGAIN || errno == EINTR));
	return n == sizeof(message);
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
	if (args->prepare) {
		int r = args->prepare(args->ctx);

		if (r < 0) {
			e = -r;
			goto fail;
		}
	}
	/* the directory first: its number may be wanted for another descriptor */
	if ((args->cwd >= 0 && fchdir(args->cwd) < 0) || place_fds(args, &status_fd) < 0 ||
	    prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
		goto fail_errno;
	if (!parent_lives(status_fd, args->namespaces & CLONE_NEWPID ? 0 : parent))
		_exit(127);
	execvpe(args->path, args->argv, args->envp ? args->envp : environ);
fail_errno:
	e = errno;
fail:
	(void)!send(status_fd, &e, sizeof(e), MSG_NOSIGNAL);
	_exit(127);
}

/* Answer the child, and wait until it has executed the program. What it failed with, or 0. */
static int see_it_start(int status_fd)
{
	int message;
	ssize_t n;

	for (;;) {
		n = recv(status_fd, &message, sizeof(message), 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n != sizeof(message))
			return 0;
		if (message != ARMED)
			return message;
		(void)!send(status_fd, &message, sizeof(message), MSG_NOSIGNAL);
	}
}

int spawn(const struct spawn_args *args, pid_t *ret_pid, int *ret_pidfd, struct error *err)
{
	int status[2];
	cleanup_fd int ours = -1, theirs = -1, pidfd = -1;
	pid_t parent = getpid(), pid;
	int child_errno;

	if (args->nfds > SPAWN_FDS_MAX)
		return error_set(err, -E2BIG, "%s: too many descriptors", args->path);
	for (size_t i = 0; i < args->nfds; i++)
		assert(args->fds[i].child >= 0 && args->fds[i].child < FD_PARKING);
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, status) < 0)
		return error_errno(err, "starting %s", args->path);
	ours = status[0];
	theirs = status[1];
	pid = args->namespaces ? (pid_t)syscall(SYS_clone, args->namespaces | SIGCHLD, NULL, NULL,
						NULL, NULL)
			       : fork();
	if (pid < 0)
		return error_errno(err, "starting %s", args->path);
	if (pid == 0) {
		close(ours);
		child(args, parent, theirs);
	}
	close_fd(&theirs);
	child_errno = see_it_start(ours);
	if (child_errno != 0) {
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

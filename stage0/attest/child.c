/* SPDX-License-Identifier: Apache-2.0 */
#include "stage0/attest/child.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/file.h"
#include "common/util.h"

/* The child's part. Its error goes through the pipe, at once: it is shorter than PIPE_BUF. */
static void __attribute__((noreturn))
be_child(int (*fn)(const void *arg, struct str *out, struct error *err), const void *arg,
	 pid_t parent, int out, int wr)
{
	struct error err = ERROR_INIT;
	struct str text = STR_INIT;
	int r;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent) /* it died before we asked to be told */
		_exit(1);
	r = fn(arg, &text, &err);
	if (r == 0 && text.len > 0)
		r = write_all(out, text.s, text.len);
	if (r < 0 && err.code == 0)
		error_set(&err, r, "%s", strerror(-r));
	_exit(write_all(wr, &err, sizeof(err)) < 0 ? 1 : 0);
}

/* Wait for the child's error and read it. -ETIMEDOUT, -EPROTO: there is none. */
static int read_error(int fd, int timeout_ms, struct error *ret)
{
	int64_t deadline = (int64_t)(clock_now_ns() / 1000000) + timeout_ms;

	for (;;) {
		int64_t left = deadline - (int64_t)(clock_now_ns() / 1000000);
		struct pollfd pfd = {.fd = fd, .events = POLLIN};

		if (left <= 0 || poll(&pfd, 1, (int)left) == 0)
			return -ETIMEDOUT;
		if (pfd.revents)
			return read(fd, ret, sizeof(*ret)) == (ssize_t)sizeof(*ret) ? 0 : -EPROTO;
	}
}

static int read_output(int fd, struct str *ret)
{
	cleanup_free char *text = NULL;
	struct stat st;
	int r = fstat(fd, &st) < 0 ? -errno : 0;

	if (r < 0)
		return r;
	text = xcalloc(1, (size_t)st.st_size + 1);
	r = pread_all(fd, text, (size_t)st.st_size, 0);
	if (r == 0)
		str_addn(ret, text, (size_t)st.st_size);
	return r;
}

int child_call(int (*fn)(const void *arg, struct str *out, struct error *err), const void *arg,
	       const char *what, int timeout_ms, struct str *ret, struct error *err)
{
	cleanup_fd int out = memfd_create("output", MFD_CLOEXEC), rd = -1, wr = -1;
	struct error theirs = ERROR_INIT;
	pid_t self = getpid(), pid;
	int pipe_fds[2], r;

	if (out < 0 || pipe2(pipe_fds, O_CLOEXEC) < 0)
		return error_errno(err, "%s", what);
	rd = pipe_fds[0];
	wr = pipe_fds[1];
	pid = fork();
	if (pid < 0)
		return error_errno(err, "%s", what);
	if (pid == 0)
		be_child(fn, arg, self, out, wr);
	close_fd(&wr);
	r = read_error(rd, timeout_ms, &theirs);
	kill(pid, SIGKILL); /* it has nothing more to do */
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	if (r == -ETIMEDOUT)
		return error_set(err, r, "%s: no answer within %d s", what, timeout_ms / 1000);
	if (r < 0)
		return error_set(err, r, "%s: the process that asked it died", what);
	if (theirs.code < 0) {
		theirs.msg[sizeof(theirs.msg) - 1] = '\0';
		return error_set(err, theirs.code, "%s", theirs.msg);
	}
	r = read_output(out, ret);
	return r < 0 ? error_set(err, r, "%s: %s", what, strerror(-r)) : 0;
}

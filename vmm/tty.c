/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/tty.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/util.h"

/*
 * The guard: wait for a byte (all is well) or the end of the pipe (the VMM is dead). It holds the
 * terminal and the pipe and nothing else, the pod's lock least of all, and survives what is sent to
 * the whole process group.
 */
static void __attribute__((noreturn)) guard(const struct tty *tty, int pipe_fd)
{
	char byte;
	ssize_t n;

	for (int sig = 1; sig < NSIG; sig++)
		signal(sig, SIG_IGN);
	if (dup2(tty->fd, 0) < 0 || dup2(pipe_fd, 1) < 0 || syscall(SYS_close_range, 2, ~0U, 0) < 0)
		_exit(1);
	do {
		n = read(1, &byte, 1);
	} while (n < 0 && errno == EINTR);
	if (n == 0)
		tcsetattr(0, TCSANOW, &tty->saved);
	_exit(0);
}

int tty_raw(struct tty *tty, int fd, struct error *err)
{
	struct termios raw;
	int pipe_fds[2];

	if (tcgetattr(fd, &tty->saved) < 0)
		return error_errno(err, "terminal settings");
	if (pipe2(pipe_fds, O_CLOEXEC) < 0)
		return error_errno(err, "pipe");
	tty->fd = fd;
	tty->guard = fork();
	if (tty->guard == 0) {
		close(pipe_fds[1]);
		guard(tty, pipe_fds[0]);
	}
	close(pipe_fds[0]);
	tty->guard_pipe = pipe_fds[1];
	raw = tty->saved;
	cfmakeraw(&raw);
	if (tty->guard < 0 || tcsetattr(fd, TCSANOW, &raw) < 0) {
		error_errno(err, "making the terminal raw");
		tty_restore(tty);
		return err->code;
	}
	return 0;
}

void tty_restore(struct tty *tty)
{
	char byte = 0;

	if (tty->fd < 0)
		return;
	tcsetattr(tty->fd, TCSANOW, &tty->saved);
	(void)!write(tty->guard_pipe, &byte, 1);
	close_fd(&tty->guard_pipe);
	if (tty->guard > 0)
		while (waitpid(tty->guard, NULL, 0) < 0 && errno == EINTR)
			;
	tty->guard = -1;
	tty->fd = -1;
}

void tty_size(int fd, uint16_t *ret_rows, uint16_t *ret_columns)
{
	struct winsize ws = {0};
	bool known = ioctl(fd, TIOCGWINSZ, &ws) == 0 && ws.ws_row && ws.ws_col;

	*ret_rows = known ? ws.ws_row : 24;
	*ret_columns = known ? ws.ws_col : 80;
}

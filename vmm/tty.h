/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMM_TTY_H
#define VMM_TTY_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <termios.h>

#include "common/error.h"

/*
 * The caller's terminal under --interactive: raw while the pod runs, as it was afterwards, however
 * the VMM ends. A small child waits at a pipe for that: it restores the terminal when the VMM is
 * killed, and just leaves when the VMM has done it itself.
 */

struct tty {
	int fd; /* borrowed; -1: there is no terminal */
	struct termios saved;
	pid_t guard;
	int guard_pipe; /* owned; closing it without a word makes the guard restore */
};

#define TTY_INIT                                                                                   \
	{                                                                                          \
		.fd = -1, .guard = -1, .guard_pipe = -1                                            \
	}

/* Make fd, a terminal, raw. Call while there is one thread. */
int tty_raw(struct tty *tty, int fd, struct error *err) __attribute__((nonnull));
/* Put it back and end the guard. Harmless when there is nothing to do. */
void tty_restore(struct tty *tty) __attribute__((nonnull));

/* The terminal's size; 24 by 80 when it does not tell. */
void tty_size(int fd, uint16_t *ret_rows, uint16_t *ret_columns) __attribute__((nonnull));

#endif

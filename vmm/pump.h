/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMM_PUMP_H
#define VMM_PUMP_H

#include <limits.h>
#include <poll.h>
#include <stdbool.h>
#include <stddef.h>

/*
 * For the clients of a pod: one direction between a descriptor of ours and a socket of the pod's,
 * through a small buffer. A write follows a poll(2) that said that there is room, of at most PIPE_BUF
 * bytes, so that a pipe nobody reads does not keep the others waiting.
 */

struct pump {
	int from, to; /* borrowed; -1: ended */
	bool to_pod;
	size_t off, len;
	char buf[PIPE_BUF];
};

#define PUMP_NONE                                                                                  \
	{                                                                                          \
		.from = -1, .to = -1                                                               \
	}

/* What the pump waits for; nothing when it has ended. */
struct pollfd pump_poll(const struct pump *pump) __attribute__((nonnull));
/* That has happened: fill the buffer, or empty it. */
void pump_turn(struct pump *pump) __attribute__((nonnull));

#endif

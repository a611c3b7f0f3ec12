/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMM_NOTIFY_H
#define VMM_NOTIFY_H

#include <stdint.h>

#include "common/error.h"

/*
 * What a service manager is told (sd_notify(3)): the environment names a socket and maybe how often it
 * wants to hear that we live.
 */

struct notify {
	int fd;		    /* owned, -1: nobody wants to know */
	uint64_t period_ns; /* of the watchdog, half of what it allows; 0: there is none */
	uint64_t next_ns;   /* when it is to be told again */
};

#define NOTIFY_INIT                                                                                \
	{                                                                                          \
		.fd = -1                                                                           \
	}

/*
 * Take NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID out of the environment, so that no program we
 * start speaks for us, and connect. An address nobody can use is an error.
 */
int notify_open(struct notify *notify, struct error *err) __attribute__((nonnull));
void notify_close(struct notify *notify) __attribute__((nonnull));

/*
 * Send assignments that the manager acts on, "READY=1" or "STOPPING=1". One that does not read is waited
 * for a few seconds.
 */
void notify_state(const struct notify *notify, const char *text) __attribute__((nonnull));

/* Send assignments that may get lost: nobody waits for a manager that does not read. */
void notify_send(const struct notify *notify, const char *text) __attribute__((nonnull));

/* Tell the watchdog when it is time; now is CLOCK_MONOTONIC. */
void notify_watchdog(struct notify *notify, uint64_t now_ns) __attribute__((nonnull));

#endif

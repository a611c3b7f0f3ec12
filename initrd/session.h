/* SPDX-License-Identifier: Apache-2.0 */
#ifndef INITRD_SESSION_H
#define INITRD_SESSION_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "initrd/app.h"

/*
 * Sessions (vmm/agent_proto.h): commands executed beside an app for somebody on the host. Nothing of
 * this costs anything before the first.
 */

/* What epoll reports for a session: the kind is init's, a session and one of its streams. */
#define INIT_SESSION_CONTROL INIT_APP_STREAMS /* the stream that is none */

struct init_session_host {
	int epfd;
	uint64_t key; /* to which session << 8 | stream is added */
	const struct init_app *apps;
	unsigned napps;
};

/* Dial back for the session the host has asked for. What goes wrong ends that session only. */
void init_session_open(const struct init_session_host *host, unsigned n, uint64_t cookie)
	__attribute__((nonnull));

/* There is something on a stream of the session. True: there is more, but it is others' turn. */
bool init_session_event(const struct init_session_host *host, unsigned n, unsigned stream)
	__attribute__((nonnull));

/* Go on with all streams that gave way; true as above. */
bool init_session_pump_all(void);

/* A process has ended. False: it was no session's. */
bool init_session_reaped(pid_t pid, int status);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMM_AGENT_H
#define VMM_AGENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "vmm/agent_proto.h"
#include "vmm/notice.h"
#include "vmm/vsock.h"

/*
 * The conversation with init over its control connection (vmm/agent_proto.h). The agent only keeps
 * what was said; the pod's loop looks at the apps' states and at failure after each event and acts.
 * All functions want the vsock's lock.
 */

enum agent_state {
	AGENT_UNCONNECTED,
	AGENT_CONNECTED, /* HELLO is awaited */
	AGENT_TALKING,	 /* the plan is on its way or there */
	AGENT_DEAD,	 /* failure says why */
};

enum agent_app_state {
	AGENT_APP_PENDING,
	AGENT_APP_RUNNING,
	AGENT_APP_FAILED, /* could not be started: code and text */
	AGENT_APP_EXITED, /* wait_status */
	/* of a mutable pod: */
	AGENT_APP_ABSENT,
	AGENT_APP_ADDING,
	AGENT_APP_ADDED, /* it can be started */
	AGENT_APP_REMOVING,
	AGENT_APP_STUCK, /* it could not be removed: code and text */
};

struct agent_app {
	enum agent_app_state state;
	uint32_t code; /* AGENT_APP_FAILED: 1..255; AGENT_APP_ABSENT: it could not be added */
	uint32_t wait_status; /* AGENT_APP_EXITED */
	struct notice notice; /* what it said since the reader cleared it */
	char text[AGENT_TEXT_MAX + 1];
};

#define AGENT_OUT_MAX	  4096 /* signals and sizes not yet taken by the guest; more are dropped */
#define AGENT_FAILURE_MAX (AGENT_TEXT_MAX + 128)

struct agent {
	struct vsock *vs;
	enum agent_state state;
	unsigned conn;
	char failure[AGENT_FAILURE_MAX];

	unsigned napps;
	struct agent_app *apps;

	const uint8_t *plan; /* borrowed; later what an app to be added is */
	bool held;	     /* the plan must wait */
	size_t plan_len;
	struct agent_hdr plan_hdr;
	size_t plan_sent; /* header included */
	uint8_t out[AGENT_OUT_MAX];
	size_t out_len;

	/* the message that is coming in */
	uint8_t in[sizeof(struct agent_hdr) + AGENT_TEXT_MAX];
	size_t in_len;
};

/* plan stays the caller's and must live as long. */
void agent_init(struct agent *agent, struct vsock *vs, const uint8_t *plan, size_t plan_len,
		unsigned napps) __attribute__((nonnull));
void agent_free(struct agent *agent) __attribute__((nonnull));

/* The endpoint's side (struct vsock_ops) for AGENT_PORT_CONTROL. */
bool agent_accept(struct agent *agent, unsigned conn) __attribute__((nonnull));
bool agent_owns(const struct agent *agent, unsigned conn) __attribute__((nonnull));
size_t agent_data(struct agent *agent, const struct iovec *iov, unsigned n, size_t len)
	__attribute__((nonnull));
void agent_writable(struct agent *agent) __attribute__((nonnull));
void agent_gone(struct agent *agent) __attribute__((nonnull));

/* Keep the plan back, whatever init says, until it is released. */
void agent_hold(struct agent *agent) __attribute__((nonnull));
void agent_release(struct agent *agent) __attribute__((nonnull));

/*
 * To an app that runs or is being started, or AGENT_ALL_APPS. Dropped (false) for another app, before the
 * plan, or when init is deaf.
 */
bool agent_signal(struct agent *agent, uint16_t app, uint32_t signal) __attribute__((nonnull));
bool agent_winsize(struct agent *agent, uint16_t app, uint16_t rows, uint16_t columns)
	__attribute__((nonnull));

/*
 * Of a mutable pod, whose apps are absent at first (agent_all_absent()). add: an app that is absent;
 * data, at most AGENT_ADD_MAX bytes, stays the caller's and must live until agent_add_sent(), before
 * which no other is added. start: one that was added, or has ended. remove: likewise. False: not now.
 */
void agent_all_absent(struct agent *agent) __attribute__((nonnull));
bool agent_add(struct agent *agent, uint16_t app, const uint8_t *data, size_t len)
	__attribute__((nonnull));
bool agent_add_sent(const struct agent *agent) __attribute__((nonnull));
bool agent_start(struct agent *agent, uint16_t app) __attribute__((nonnull));
bool agent_remove(struct agent *agent, uint16_t app) __attribute__((nonnull));

/* Ask init to dial back for a session. */
bool agent_session(struct agent *agent, uint16_t session, uint64_t cookie) __attribute__((nonnull));

/* Whether every app has been started (or could not be), and whether every app has ended. */
bool agent_all_started(const struct agent *agent) __attribute__((nonnull));
bool agent_all_ended(const struct agent *agent) __attribute__((nonnull));

#endif

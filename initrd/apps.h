/* SPDX-License-Identifier: Apache-2.0 */
#ifndef INITRD_APPS_H
#define INITRD_APPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "initrd/app.h"
#include "initrd/control.h"
#include "initrd/plan.h"

/* The pod's apps: what becomes of each from its start to its end, and what the host is told of it. */

struct init_apps {
	struct init_control *control;
	const struct init_plan *pod;
	int epfd;
	/* what epoll reports: to these, app << 8 is added, and for a stream its number */
	uint64_t stream_key, notify_key;
	bool more; /* a stream gave way to others: go on with init_apps_pump_all() */
	unsigned n;
	struct init_app app[PLAN_APPS_MAX];
};

/* Start all apps of the plan, in its order. control, pod, epfd and the keys are set. */
void init_apps_start(struct init_apps *apps) __attribute__((nonnull));

/*
 * Of a mutable pod (mutable.h): make the root of an app that is prepared, in the pod as it is told of
 * it, and do not start it; 0 or the code it failed with. Start it, again if it has run: 0 or -EPROTO.
 */
int init_apps_add(struct init_apps *apps, unsigned n, const struct init_plan *pod,
		  struct init_text *why) __attribute__((nonnull));
int init_apps_again(struct init_apps *apps, unsigned n) __attribute__((nonnull));

/* A process has ended. False: it was no app's. Then, when all were taken, end what has ended. */
bool init_apps_reaped(struct init_apps *apps, pid_t pid, int status) __attribute__((nonnull));
void init_apps_end(struct init_apps *apps) __attribute__((nonnull));

/* There is something on a stream of an app; on its notification socket. */
void init_apps_pump(struct init_apps *apps, unsigned app, unsigned stream) __attribute__((nonnull));
void init_apps_notified(struct init_apps *apps, unsigned app) __attribute__((nonnull));

/* Go on with the streams that gave way. */
void init_apps_pump_all(struct init_apps *apps) __attribute__((nonnull));

/* A message of the host's about one app. */
void init_apps_signal(struct init_apps *apps, unsigned n, int sig) __attribute__((nonnull));
void init_apps_resize(struct init_apps *apps, unsigned n, const uint8_t *payload)
	__attribute__((nonnull));

#endif

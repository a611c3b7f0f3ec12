/* SPDX-License-Identifier: Apache-2.0 */
#ifndef INITRD_VOLUME_H
#define INITRD_VOLUME_H

#include "initrd/plan.h"
#include "initrd/text.h"

/* The pod's volumes (rkt-behaviour.md section 7.6): made once, mounted by each app that has them. */

/*
 * Make the directories of the empty ones, where the pod's writable file system is, and mount the
 * host's. Before any app is started. 0, or a negative errno and why.
 */
int init_volume_make(const struct init_plan *pod, struct init_text *why) __attribute__((nonnull));

/* Where init has a volume. */
void init_volume_path(struct init_text *text, const struct init_plan *pod, unsigned n)
	__attribute__((nonnull));

/*
 * Mount what the app has of them in its root, which is at /root with all that init puts there, and
 * its image at /lower. What the targets lack is made. In the app's own mount namespace, with umask 0.
 */
int init_volume_mount(const struct init_plan_app *app, const struct init_plan *pod,
		      struct init_text *why) __attribute__((nonnull));

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef INITRD_SHARE_H
#define INITRD_SHARE_H

#include "initrd/plan.h"
#include "initrd/text.h"

/*
 * The devices of an added app's host volumes (PLAN_VOLUME_SLOT): they are there when the app comes, and
 * have no driver before.
 */

/* Bind the drivers, before the volumes are made. 0, or a negative errno and why. */
int init_share_bind(const struct init_plan *pod, struct init_text *why) __attribute__((nonnull));

/*
 * Nobody has the volumes any more: write out what is not yet, unmount them, and unbind the drivers.
 * Also of those that were not bound or mounted. -ETIMEDOUT: the host does not take what is written.
 */
int init_share_unbind(const struct init_plan *pod, struct init_text *why) __attribute__((nonnull));

#endif

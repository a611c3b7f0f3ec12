/* SPDX-License-Identifier: Apache-2.0 */
#ifndef INITRD_LIMIT_H
#define INITRD_LIMIT_H

#include <stdbool.h>

#include "initrd/plan.h"
#include "initrd/text.h"

/* Limits of memory and processor time: a control group for each app. */

/*
 * Make what groups need, if any app of the plan has limits or apps come later. Before the first app
 * starts.
 */
int init_limit_prepare(const struct init_plan *plan, struct init_text *why)
	__attribute__((nonnull));

/* Make the app's group, if there are groups. */
int init_limit_make(const struct init_plan_app *app, struct init_text *why)
	__attribute__((nonnull));

/*
 * Have the calling process belong to the app's group, if there are groups, and see nothing of others.
 */
int init_limit_join(const struct init_plan_app *app, struct init_text *why)
	__attribute__((nonnull));

/* Remove the app's group, whose processes are all gone. */
void init_limit_remove(const struct init_plan_app *app) __attribute__((nonnull));

#endif

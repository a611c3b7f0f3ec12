/* SPDX-License-Identifier: Apache-2.0 */
#ifndef INITRD_LIMIT_H
#define INITRD_LIMIT_H

#include <stdbool.h>

#include "initrd/plan.h"
#include "initrd/text.h"

/* Limits of memory and processor time: a control group for each app that has some. */

/* Make the app's group; the first brings what all need. An app without limits needs none. */
int init_limit_make(const struct init_plan_app *app, struct init_text *why)
	__attribute__((nonnull));

/* Have the calling process, which still sees init's root, belong to the app's group. */
int init_limit_join(const struct init_plan_app *app, struct init_text *why)
	__attribute__((nonnull));

/* Remove the app's group, whose processes are all gone. */
void init_limit_remove(const struct init_plan_app *app) __attribute__((nonnull));

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef INITRD_ULIMIT_H
#define INITRD_ULIMIT_H

#include "initrd/plan.h"
#include "initrd/text.h"

/* Give the calling process the limits of the plan. 0, or a negative errno and why. */
int init_ulimit_set(const struct init_plan_app *app, struct init_text *why)
	__attribute__((nonnull));

#endif

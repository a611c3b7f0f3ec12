/* SPDX-License-Identifier: Apache-2.0 */
#ifndef INITRD_SYSCTL_H
#define INITRD_SYSCTL_H

#include "initrd/plan.h"
#include "initrd/text.h"

/* Set the parameters of the kernel that the plan names. 0, or a negative errno and why. */
int init_sysctl_set(const struct init_plan *plan, struct init_text *why) __attribute__((nonnull));

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef INITRD_NET_H
#define INITRD_NET_H

#include "initrd/plan.h"
#include "initrd/text.h"

/*
 * Bring the plan's NICs up: MTU, addresses and routes, by rtnetlink. 0, or a negative errno and
 * why.
 */
int init_net_up(const struct init_plan *plan, struct init_text *why) __attribute__((nonnull));

#endif

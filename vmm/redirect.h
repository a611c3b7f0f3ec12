/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMM_REDIRECT_H
#define VMM_REDIRECT_H

#include <linux/filter.h>
#include <stdint.h>

#include "common/error.h"

/*
 * Have every frame that comes to either of two interfaces leave by the other, by traffic control
 * (rtnetlink: an ingress queueing discipline and a filter that matches everything on each).
 */
int redirect_both(unsigned a, unsigned b, struct error *err) __attribute__((nonnull));

/*
 * Have a program look at the frames that come to an interface of redirect_both(), before they are
 * redirected: they are when it ends with REDIRECT_PASS, and dropped when with REDIRECT_DROP.
 */
#define REDIRECT_PASS UINT32_MAX /* TC_ACT_UNSPEC: the next filter */
#define REDIRECT_DROP 2		 /* TC_ACT_SHOT */
int redirect_guard(unsigned ifindex, const struct sock_filter *program, unsigned n,
		   struct error *err) __attribute__((nonnull));

#endif

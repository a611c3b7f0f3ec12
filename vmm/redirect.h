/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMM_REDIRECT_H
#define VMM_REDIRECT_H

#include "common/error.h"

/*
 * Have every frame that comes to either of two interfaces leave by the other, by traffic control
 * (rtnetlink: an ingress queueing discipline and a filter that matches everything on each).
 */
int redirect_both(unsigned a, unsigned b, struct error *err) __attribute__((nonnull));

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef INITRD_LAYER_H
#define INITRD_LAYER_H

#include "initrd/plan.h"
#include "initrd/text.h"

/*
 * Make the layer that goes above an app's image, in directory root of the working directory; the
 * image is at /lower. What every app must find and the image lacks is put into it, and what the
 * plan says of /etc. dev, proc and sys
 * of the two together are directories afterwards, no links. umask is 0.
 */
int init_layer_make(const struct init_plan *pod, struct init_text *why) __attribute__((nonnull));

#endif

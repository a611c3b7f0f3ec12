/* SPDX-License-Identifier: Apache-2.0 */
#ifndef INITRD_LAYER_H
#define INITRD_LAYER_H

#include "initrd/text.h"

/*
 * Make the layer that goes above an app's image, in directory root of the working directory; the
 * image is at /lower. What every app must find and the image lacks is put into it. dev, proc and sys
 * of the two together are directories afterwards, no links. umask is 0. hostname may be NULL.
 */
int init_layer_make(const char *hostname, struct init_text *why) __attribute__((nonnull(2)));

#endif

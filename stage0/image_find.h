/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE0_IMAGE_FIND_H
#define STAGE0_IMAGE_FIND_H

#include "common/error.h"
#include "stage0/image/store.h"

/*
 * The image of the store that the image commands' argument means (rkt-behaviour 2.14): an ID, or
 * NAME[:VERSION][,LABEL=VALUE...]. -EINVAL: the argument is neither; -ENOENT: there is none;
 * -ENOTUNIQ: the ID's beginning is that of several.
 */
int image_find(struct store *store, const char *text, char ret_key[IMAGE_KEY_LEN + 1],
	       struct error *err) __attribute__((nonnull));

#endif

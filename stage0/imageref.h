/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE0_IMAGEREF_H
#define STAGE0_IMAGEREF_H

#include "common/error.h"
#include "stage0/image/store.h"

/* From what a user calls an image to its key in the store. */

/*
 * The path of the local file that a reference means (images.md 12.1), or an error that names the
 * reference when it means something else. The caller frees *ret.
 */
int imageref_path(const char *ref, char **ret, struct error *err) __attribute__((nonnull));

/* The store key of the image in the file at path, imported unless the store knows the file. */
int imageref_import(struct store *store, const char *path, char ret_key[IMAGE_KEY_LEN + 1],
		    struct error *err) __attribute__((nonnull));

#endif

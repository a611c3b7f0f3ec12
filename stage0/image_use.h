/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE0_IMAGE_USE_H
#define STAGE0_IMAGE_USE_H

#include "common/error.h"
#include "common/str.h"
#include "stage0/image/store.h"
#include "stage0/pod.h"

/* What the pods there are use of the store. */
struct image_use {
	struct strv trees;  /* IDs of trees any pod refers to */
	struct strv images; /* keys, of pods that are being prepared, are prepared, or run */
};

#define IMAGE_USE_INIT                                                                             \
	{                                                                                          \
		.trees = STRV_INIT, .images = STRV_INIT                                            \
	}

/* Complete as long as no pod is being prepared (prepare_lock()). */
int image_use_read(const struct pods *pods, struct store *store, struct image_use *ret,
		   struct error *err) __attribute__((nonnull));
void image_use_free(struct image_use *use) __attribute__((nonnull));
#define cleanup_image_use cleanup(image_use_free)

#endif

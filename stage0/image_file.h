/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE0_IMAGE_FILE_H
#define STAGE0_IMAGE_FILE_H

#include <stdbool.h>

#include "common/error.h"

/*
 * A file that is written as a whole or not at all: fill() writes to a file beside path, which gets its
 * name when it is complete. -EEXIST, and how to replace it: path is there and overwrite is not wanted.
 */
int image_file_write(const char *path, bool overwrite,
		     int (*fill)(void *ctx, int fd, struct error *err), void *ctx,
		     struct error *err) __attribute__((nonnull(1, 3, 5)));

#endif

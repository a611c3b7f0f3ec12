/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE0_IMAGE_EROFS_H
#define STAGE0_IMAGE_EROFS_H

#include <stdint.h>

#include "common/error.h"
#include "stage0/image/tree.h"

/*
 * Write the metadata of an uncompressed EROFS file system for a finished tree to fd, an empty file
 * that stays the caller's. The file system is that file, padded to IMAGE_BLOCK by this function,
 * followed by the data of every layer, layer_blocks[i] blocks each; files refer to their content
 * there. Linux 6.1 and later can mount it.
 *
 * The result depends on the tree and seed only. seed stands for the content of the layers (their
 * keys, say), so that file systems that differ have different UUIDs. Sets the inodes' marks.
 */
int erofs_write(struct tree *tree, const uint64_t *layer_blocks, size_t nlayers, const char *seed,
		int fd, struct error *err) __attribute__((nonnull(1, 4, 6)));

#endif

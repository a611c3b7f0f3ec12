/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE0_IMAGE_EXTRACT_H
#define STAGE0_IMAGE_EXTRACT_H

#include <stdbool.h>

#include "common/digestcache.h"
#include "common/error.h"
#include "stage0/image/tree.h"

/* Where the extractor gets regular files from. */
struct extract_source {
	const int *data; /* the layers' data files, by the inodes' layer */
	int link_from; /* or, when not -1: a directory with the same tree, to make hard links to */
	const struct digestcache *digests; /* with link_from: keeps entries of linked files */
};

/*
 * Make a finished tree as loose files in the new directory dirfd/path, which only its owner can
 * enter until everything is in place; its own mode is then the tree's root's. Devices become empty
 * files. Owners, set-id bits and capabilities are kept only when root extracts. Sets the inodes'
 * marks. durable: what is made is on the disk when this returns. On failure the caller removes path.
 */
int extract_tree(struct tree *tree, const struct extract_source *source, int dirfd,
		 const char *path, bool durable, struct error *err) __attribute__((nonnull));

#endif

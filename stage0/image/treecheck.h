/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE0_IMAGE_TREECHECK_H
#define STAGE0_IMAGE_TREECHECK_H

#include "common/error.h"
#include "stage0/image/tree.h"

/*
 * Whether the directory dirfd is what extract_tree() makes of the finished tree: the same names,
 * kinds, attributes and contents, and nothing besides. data: the layers' data files, by the inodes'
 * layer. -EBADMSG: it is not, with the first difference in the message.
 */
int treecheck(const struct tree *tree, const int *data, int dirfd, struct error *err)
	__attribute__((nonnull));

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE0_IMAGE_TREE_PRIV_H
#define STAGE0_IMAGE_TREE_PRIV_H

#include "stage0/image/tree.h"

/* Between tree.c and the files that hold its rules. */

#define TREE_BYTES_MAX (1 * GIB) /* names, targets, attributes: far beyond any real image */

/* Make a node below dir naming inode; its name must not be there. Counts the link. */
int tree_link(struct tree *tree, uint32_t dir, const char *name, uint32_t inode, uint32_t *ret,
	      struct error *err) __attribute__((nonnull));
/* Take top and all below it out of the tree. */
void tree_unlink(struct tree *tree, uint32_t top) __attribute__((nonnull));
/* Make an inode of the entry's attributes. */
int tree_inode_new(struct tree *tree, const struct entry *entry, uint32_t *ret, struct error *err)
	__attribute__((nonnull));
/* Make an inode of a directory that is only somebody's parent. */
int tree_inode_implicit(struct tree *tree, uint32_t *ret, struct error *err)
	__attribute__((nonnull));
/* Whether node is dir or below it. */
bool tree_is_below(const struct tree *tree, uint32_t node, uint32_t dir) __attribute__((nonnull));

int tree_add_oci(struct tree *tree, const struct entry *entry, struct error *err)
	__attribute__((nonnull));

/* Put the entry at dir/name, where its parents are sorted out. Both rules share it. */
int tree_place(struct tree *tree, uint32_t dir, const char *name, const struct entry *entry,
	       struct error *err) __attribute__((nonnull));

int tree_reject(const struct entry *entry, struct error *err, const char *why)
	__attribute__((nonnull));

#endif

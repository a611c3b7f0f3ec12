/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_UNIT_EROFS_MODEL_H
#define TESTS_UNIT_EROFS_MODEL_H

/* Compare an EROFS image with the tree it was written from, everything but file content. */
#include <stdlib.h>

#include "stage0/image/tree.h"
#include "tests/unit/erofs_read.h"

struct em_walk {
	const struct er_image *im;
	const struct tree *tree;
	const uint64_t *base; /* first block of each layer */
	uint32_t dir, child;  /* in the tree; the next child to meet */
	uint32_t subdirs;
	uint64_t *nid; /* by inode: where it was met, 0 before */
	uint64_t inodes;
};

static inline const char *em_xattrs(const struct em_walk *walk, const struct er_inode *in,
				    const struct tree_inode *inode)
{
	const char *name, *wrong;
	const uint8_t *value;
	size_t name_len, len;
	unsigned prefix, i;

	for (i = 0; er_xattr(walk->im, in, i, &prefix, &name, &name_len, &value, &len, &wrong);
	     i++) {
		const struct entry_xattr *want = &inode->xattr[i];
		struct xattr_kind kind;

		if (i >= inode->nxattr || !xattr_allowed(want->name, &kind))
			return "an attribute too many";
		if (kind.prefix != prefix || strlen(kind.suffix) != name_len ||
		    memcmp(kind.suffix, name, name_len) != 0 || want->len != len ||
		    memcmp(want->value, value, len) != 0)
			return "another attribute";
	}
	return wrong ? wrong : i != inode->nxattr ? "an attribute is missing" : NULL;
}

static inline const char *em_inode(struct em_walk *walk, uint64_t nid, uint32_t node,
				   struct er_inode *in)
{
	const struct tree_inode *inode = tree_inode(walk->tree, node);
	uint64_t *known = &walk->nid[walk->tree->node[node].inode];
	const char *wrong = er_inode(walk->im, nid, in);
	const uint8_t *link;
	uint32_t dev;

	if (wrong)
		return wrong;
	if (*known && *known != nid)
		return "two inodes for one file";
	walk->inodes += !*known;
	*known = nid;
	if ((in->mode & 07777) != inode->perm || in->uid != inode->uid || in->gid != inode->gid ||
	    in->mtime != inode->mtime || in->mtime_ns != inode->mtime_ns)
		return "other attributes";
	if (inode->type != ENTRY_DIR && in->nlink != inode->nlink)
		return "another link count";
	dev = (inode->minor & 0xff) | inode->major << 8 | (inode->minor >> 8) << 20;
	switch (inode->type) {
	case ENTRY_REG:
		if (!S_ISREG(in->mode) || in->size != inode->size || in->layout != 0)
			return "not the file it was";
		if (in->size && in->raw != walk->base[inode->layer] + inode->data / ER_BLOCK)
			return "content elsewhere";
		break;
	case ENTRY_SYMLINK:
		if (!S_ISLNK(in->mode) || in->size != strlen(inode->link))
			return "not the link it was";
		wrong = er_bytes(walk->im, in, 0, in->size, &link);
		if (wrong)
			return wrong;
		if (memcmp(link, inode->link, in->size) != 0)
			return "another link target";
		break;
	case ENTRY_CHR:
	case ENTRY_BLK:
		if (in->raw != dev || er_type(in->mode) != (inode->type == ENTRY_CHR ? 3 : 4))
			return "another device";
		break;
	case ENTRY_FIFO:
		if (!S_ISFIFO(in->mode))
			return "no FIFO";
		break;
	default:
		if (!S_ISDIR(in->mode))
			return "no directory";
	}
	return em_xattrs(walk, in, inode);
}

static inline const char *em_entry(void *ctx, const char *name, size_t len, uint64_t nid,
				   unsigned type)
{
	struct em_walk *walk = ctx;
	const struct tree_node *want;
	struct er_inode in;
	const char *wrong;

	if (walk->child == TREE_NONE)
		return "an entry too many";
	want = &walk->tree->node[walk->child];
	if (strlen(want->name) != len || memcmp(want->name, name, len) != 0)
		return "another name";
	wrong = em_inode(walk, nid, walk->child, &in);
	if (wrong)
		return wrong;
	if (type != er_type(in.mode))
		return "the entry's type is not the inode's";
	walk->subdirs += S_ISDIR(in.mode);
	walk->child = want->next;
	return NULL;
}

/* NULL, or the first difference. */
static inline const char *em_compare(const uint8_t *p, uint64_t len, const struct tree *tree,
				     const uint64_t *layer_blocks, size_t nlayers)
{
	uint64_t base[16], blocks = len / ER_BLOCK;
	struct em_walk walk = {.tree = tree, .base = base};
	struct er_image im;
	struct er_inode in;
	const char *wrong = er_open(&im, p, len);

	for (size_t i = 0; i < nlayers; i++) {
		base[i] = blocks;
		blocks += layer_blocks[i];
	}
	if (!wrong && im.blocks != blocks)
		wrong = "another number of blocks";
	if (wrong)
		return wrong;
	walk.im = &im;
	walk.nid = calloc(tree->ninodes, sizeof(*walk.nid));
	if (!walk.nid)
		return "no memory";
	wrong = em_inode(&walk, im.root, 0, &in);
	for (uint32_t node = 0; !wrong && node != TREE_NONE; node = tree_next(tree, node, false)) {
		if (!tree_is_dir(tree, node))
			continue;
		walk.child = tree->node[node].child;
		walk.subdirs = 0;
		wrong = er_inode(&im, walk.nid[tree->node[node].inode], &in);
		if (!wrong)
			wrong = er_dir(&im, &in, em_entry, &walk);
		if (!wrong && walk.child != TREE_NONE)
			wrong = "an entry is missing";
		if (!wrong && in.nlink != walk.subdirs + 2)
			wrong = "another link count of a directory";
	}
	if (!wrong && walk.inodes != im.inodes)
		wrong = "another number of inodes";
	free(walk.nid);
	return wrong;
}

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One image over another, by the appc rules (spec/images.md 4): a directory over a directory merges
 * and takes the upper attributes, anything else replaces what is there. The upper image comes as a
 * tree of its own, so that a file whose first name is filtered out lives on under its other names.
 */
#include <errno.h>
#include <string.h>

#include "common/str.h"
#include "common/util.h"
#include "stage0/image/tree_priv.h"

struct merge {
	struct tree *tree;
	const struct tree *top;
	uint32_t *inode; /* of tree, by the inode of top; TREE_NONE: not there yet */
};

/* The inode of tree that stands for a node of top, made at its first name. */
static int inode_for(struct merge *merge, uint32_t node, uint32_t *ret, struct error *err)
{
	const struct tree_inode *from = tree_inode(merge->top, node);
	uint32_t *known = &merge->inode[merge->top->node[node].inode];
	struct entry entry = {
		.type = from->type,
		.perm = from->perm,
		.uid = from->uid,
		.gid = from->gid,
		.mtime = from->mtime,
		.mtime_ns = from->mtime_ns,
		.size = from->size,
		.data = from->data,
		.major = from->major,
		.minor = from->minor,
		.path = "",
		.link = from->link ? from->link : "",
		.xattr = from->xattr,
		.nxattr = from->nxattr,
	};
	int r = 0;

	if (*known == TREE_NONE) {
		r = tree_inode_new(merge->tree, &entry, known, err);
		if (r == 0)
			merge->tree->inode[*known].layer = from->layer;
	}
	*ret = *known;
	return r;
}

/* The directory of tree at a path, made when it is not there. path is cut while it is walked. */
static int parent_dir(struct tree *tree, char *path, uint32_t *ret, struct error *err)
{
	uint32_t dir = 0;
	char *slash;

	for (; (slash = strchr(path, '/')); path = slash + 1) {
		uint32_t node, inode;
		int r = 0;

		*slash = '\0';
		node = tree_lookup(tree, dir, path);
		if (node != TREE_NONE && !tree_is_dir(tree, node)) {
			tree_unlink(tree, node);
			node = TREE_NONE;
		}
		if (node == TREE_NONE) {
			r = tree_inode_implicit(tree, &inode, err);
			if (r == 0)
				r = tree_link(tree, dir, path, inode, &node, err);
		}
		*slash = '/';
		if (r < 0)
			return r;
		dir = node;
	}
	*ret = dir;
	return 0;
}

/* Put a node of top at its path in tree. */
static int put_node(struct merge *merge, uint32_t from, char *path, struct error *err)
{
	struct tree *tree = merge->tree;
	uint32_t dir, old, inode, node;
	int r = parent_dir(tree, path, &dir, err);

	if (r == 0)
		r = inode_for(merge, from, &inode, err);
	if (r < 0)
		return r;
	old = from == 0 ? 0 : tree_lookup(tree, dir, merge->top->node[from].name);
	if (old != TREE_NONE && tree_is_dir(tree, old) && tree_is_dir(merge->top, from)) {
		if (!merge->top->node[from].is_explicit)
			return 0; /* somebody's parent only: the lower attributes stay */
		tree->inode[tree->node[old].inode].nlink--;
		tree->inode[inode].nlink++;
		tree->node[old].inode = inode;
		return 0;
	}
	if (old != TREE_NONE)
		tree_unlink(tree, old);
	r = tree_link(tree, dir, merge->top->node[from].name, inode, &node, err);
	if (r == 0)
		tree->node[node].is_explicit = merge->top->node[from].is_explicit;
	return r;
}

static void path_of(const struct tree *tree, uint32_t node, struct str *path)
{
	uint32_t chain[ENTRY_DEPTH_MAX + 1];
	size_t n = 0;

	for (; node != 0 && n < ARRAY_SIZE(chain); node = tree->node[node].parent)
		chain[n++] = node;
	path->len = 0;
	str_add(path, "");
	while (n > 0) {
		str_add(path, tree->node[chain[--n]].name);
		if (n > 0)
			str_add(path, "/");
	}
}

int tree_merge(struct tree *tree, const struct tree *top,
	       bool (*keep)(void *ctx, const char *path, bool is_dir), void *ctx, struct error *err)
{
	struct merge merge = {.tree = tree, .top = top};
	cleanup_str struct str path = STR_INIT;
	int r = 0;

	merge.inode = malloc((size_t)top->ninodes * sizeof(*merge.inode));
	if (!merge.inode)
		return error_set(err, -ENOMEM, "out of memory");
	memset(merge.inode, 0xff, (size_t)top->ninodes * sizeof(*merge.inode));
	for (uint32_t node = 0; r == 0 && node != TREE_NONE; node = tree_next(top, node, false)) {
		path_of(top, node, &path);
		if (node != 0 && keep && !keep(ctx, str_get(&path), tree_is_dir(top, node)))
			continue;
		r = put_node(&merge, node, path.s, err);
	}
	free(merge.inode);
	return r;
}

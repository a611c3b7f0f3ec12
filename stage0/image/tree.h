/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE0_IMAGE_TREE_H
#define STAGE0_IMAGE_TREE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/error.h"
#include "stage0/image/entry.h"

/*
 * A root file system in memory: what the entries of one or more layers add up to. No path of an
 * archive is ever created on the host on the way to a disk.
 *
 * Nodes are names, inodes are what they name; both are numbers into arrays. 0 is the root's node,
 * and TREE_NONE is none.
 */

#define TREE_NONE UINT32_MAX

/* How entries of a layer meet what is there (spec/images.md 3, 4 and 18). */
enum tree_rules {
	/* No entry twice; an object of another kind replaces what is there, links included. */
	TREE_APPC,
	/*
	 * Whiteouts and opaque markers hide what lower layers brought; parents that are symbolic links
	 * are followed inside the root; the last of equal entries wins.
	 */
	TREE_OCI,
};

struct tree_inode {
	enum entry_type type; /* never ENTRY_HARDLINK */
	uint16_t perm;
	uint16_t layer; /* whose data holds the content */
	uint32_t uid, gid;
	uint32_t mtime_ns;
	int64_t mtime;
	uint64_t size;
	uint64_t data;	/* offset in the layer's data */
	uint32_t nlink; /* names in the tree; 0: gone */
	uint32_t mark;	/* for who walks the finished tree; 0 before */
	uint32_t major, minor;
	const char *link; /* of a symbolic link */
	const struct entry_xattr *xattr;
	unsigned nxattr;
};

struct tree_node {
	const char *name;
	uint32_t inode;
	uint32_t parent; /* the root's is the root */
	uint32_t child, next, prev;
	uint32_t hash, chain;
	uint16_t layer;	  /* that said so last */
	bool is_explicit; /* an entry of its own, not only somebody's parent */
};

struct tree {
	enum tree_rules rules;
	struct tree_node *node;
	struct tree_inode *inode;
	uint32_t nnodes, ninodes; /* used, those gone included */
	uint32_t live;		  /* nodes with a name */
	uint16_t layer;		  /* the one being added */
	uint32_t cap_nodes, cap_inodes;
	uint32_t *bucket;
	uint32_t nbuckets;
	uint64_t key[2];
	struct tree_chunk *chunks;
	uint64_t bytes; /* of names, link targets and attributes */
};

struct tree *tree_new(enum tree_rules rules) __attribute__((returns_nonnull));
void tree_free(struct tree *tree); /* NULL is fine */
static inline void tree_freep(struct tree **tree)
{
	tree_free(*tree);
}
#define cleanup_tree cleanup(tree_freep)

/* What is added from now on belongs to this layer: 0, 1, 2 ... base first. */
void tree_set_layer(struct tree *tree, uint16_t layer) __attribute__((nonnull));

/* Add an entry; paths are relative to the tree's root. -EBADMSG: the layer breaks its rules. */
int tree_add(struct tree *tree, const struct entry *entry, struct error *err)
	__attribute__((nonnull));

/*
 * Lay a whole tree over another, by the appc rules. keep decides which paths come along: it gets
 * the node of top and its path; NULL keeps all. The inodes' layers stay what they are in top.
 */
int tree_merge(struct tree *tree, const struct tree *top,
	       bool (*keep)(void *ctx, const char *path, bool is_dir), void *ctx, struct error *err)
	__attribute__((nonnull(1, 2, 5)));

/*
 * The last step: every directory's children in order of their bytes, and the places the guest mounts
 * over are directories. -EBADMSG: /dev, /proc or /sys is something else.
 */
int tree_finish(struct tree *tree, struct error *err) __attribute__((nonnull));

/* The node of that name in a directory, or TREE_NONE. */
uint32_t tree_lookup(const struct tree *tree, uint32_t dir, const char *name)
	__attribute__((nonnull));
/* The node at a path, no link followed, or TREE_NONE. */
uint32_t tree_find(const struct tree *tree, const char *path) __attribute__((nonnull));

static inline struct tree_inode *tree_inode(const struct tree *tree, uint32_t node)
{
	return &tree->inode[tree->node[node].inode];
}

static inline bool tree_is_dir(const struct tree *tree, uint32_t node)
{
	return tree_inode(tree, node)->type == ENTRY_DIR;
}

/*
 * The node after this one in a walk of the finished tree, parents before children, or TREE_NONE.
 * Start with the root. skip: leave out what is below node.
 */
uint32_t tree_next(const struct tree *tree, uint32_t node, bool skip) __attribute__((nonnull));

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How the layers of an OCI or Docker image add up (spec/images.md 18).
 *
 * Theory of operation: every node knows the layer that set it last. A whiteout takes away only what
 * lower layers brought, so it does not matter where in its layer it comes. Parents are resolved
 * inside the tree: a link is followed as the root directory of a process would confine it, never to
 * the host. All layers must be added base first, each after tree_set_layer().
 */
#include <errno.h>
#include <string.h>

#include "common/str.h"
#include "common/util.h"
#include "stage0/image/tree_priv.h"

#define WHITEOUT	".wh."
#define WHITEOUT_OPAQUE ".wh..wh..opq"
#define WHITEOUT_AUFS	".wh..wh." /* AUFS's own files: of no meaning in an image */

#define LINKS_MAX 40 /* followed on the way to a parent, as in a kernel */

/* A path being resolved: what is still to go, to which link targets are put in front. */
struct resolve {
	char *rest;
	uint32_t dir;
	unsigned links;
};

/*
 * The next component of what is left: false when there is none. name holds
 * ENTRY_COMPONENT_MAX + 1 bytes; a longer one is cut, which then is found nowhere.
 */
static bool next_component(struct resolve *resolve, char *name)
{
	char *p = resolve->rest;
	size_t len;

	p += strspn(p, "/");
	len = strcspn(p, "/");
	if (len == 0)
		return false;
	memcpy(name, p, MIN(len, (size_t)ENTRY_COMPONENT_MAX));
	name[MIN(len, (size_t)ENTRY_COMPONENT_MAX)] = '\0';
	memmove(resolve->rest, p + len, strlen(p + len) + 1);
	return true;
}

static int follow(struct resolve *resolve, const char *target, const struct entry *entry,
		  struct error *err)
{
	char *rest;

	if (++resolve->links > LINKS_MAX)
		return tree_reject(entry, err, "too many symbolic links on the way to it");
	rest = xasprintf("%s/%s", target, resolve->rest);
	free(resolve->rest);
	resolve->rest = rest;
	if (strlen(rest) > (size_t)4 * ENTRY_PATH_MAX)
		return tree_reject(entry, err, "the symbolic links on the way to it are too long");
	if (target[0] == '/')
		resolve->dir = 0;
	return 0;
}

static int resolve_step(struct tree *tree, struct resolve *resolve, const char *name, bool create,
			const struct entry *entry, struct error *err)
{
	uint32_t node, inode;
	int r;

	if (strcmp(name, ".") == 0)
		return 0;
	if (strcmp(name, "..") == 0) {
		resolve->dir = tree->node[resolve->dir].parent;
		return 0;
	}
	node = tree_lookup(tree, resolve->dir, name);
	if (node != TREE_NONE && tree_inode(tree, node)->type == ENTRY_SYMLINK)
		return follow(resolve, tree_inode(tree, node)->link, entry, err);
	if (node != TREE_NONE && !tree_is_dir(tree, node))
		return tree_reject(entry, err, "a parent of it is not a directory");
	if (node == TREE_NONE && !create)
		return -ENOENT;
	if (node == TREE_NONE) {
		r = tree_inode_implicit(tree, &inode, err);
		if (r == 0)
			r = tree_link(tree, resolve->dir, name, inode, &node, err);
		if (r < 0)
			return r;
	}
	resolve->dir = node;
	return 0;
}

/*
 * The directory a path is in, links followed inside the root, missing directories made on demand.
 * -ENOENT, without a message, when it is not there and create is not set.
 */
static int resolve_parent(struct tree *tree, const char *path, bool create,
			  const struct entry *entry, uint32_t *ret_dir, struct error *err)
{
	const char *slash = strrchr(path, '/');
	struct resolve resolve = {.rest = xstrndup(path, slash ? (size_t)(slash - path) : 0)};
	char name[ENTRY_COMPONENT_MAX + 1];
	int r = 0;

	while (r == 0 && next_component(&resolve, name))
		r = resolve_step(tree, &resolve, name, create, entry, err);
	free(resolve.rest);
	if (r == 0)
		*ret_dir = resolve.dir;
	return r;
}

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

/* What a directory is when only newer entries below it keep it: nobody's but a parent. */
static int make_implicit(struct tree *tree, uint32_t node, struct error *err)
{
	uint32_t inode;
	int r = tree_inode_implicit(tree, &inode, err);

	if (r < 0)
		return r;
	tree->inode[tree->node[node].inode].nlink--;
	tree->inode[inode].nlink++;
	tree->node[node].inode = inode;
	tree->node[node].layer = tree->layer;
	tree->node[node].is_explicit = false;
	return 0;
}

/* Take away what lower layers brought at and below top; with keep_top, only below. */
static int hide(struct tree *tree, uint32_t top, bool keep_top, struct error *err)
{
	uint32_t node = top, next;
	int r = 0;

	/* down to the first leaf, then every node after its children */
	while (tree->node[node].child != TREE_NONE)
		node = tree->node[node].child;
	for (; r == 0; node = next) {
		bool is_top = node == top;

		next = tree->node[node].next;
		if (next == TREE_NONE)
			next = tree->node[node].parent;
		else
			while (tree->node[next].child != TREE_NONE)
				next = tree->node[next].child;
		if (!(is_top && keep_top) && tree->node[node].layer < tree->layer) {
			if (tree->node[node].child == TREE_NONE)
				tree_unlink(tree, node);
			else
				r = make_implicit(tree, node, err);
		}
		if (is_top)
			break;
	}
	return r;
}

static int whiteout(struct tree *tree, const struct entry *entry, const char *name,
		    struct error *err)
{
	uint32_t dir, node;
	int r = resolve_parent(tree, entry->path, false, entry, &dir, err);

	if (r == -ENOENT)
		return 0; /* nothing there to hide */
	if (r < 0)
		return r;
	if (strcmp(name, WHITEOUT_OPAQUE) == 0)
		return hide(tree, dir, true, err);
	name += strlen(WHITEOUT);
	if (!name[0] || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return tree_reject(entry, err, "a whiteout of nothing");
	node = tree_lookup(tree, dir, name);
	return node == TREE_NONE ? 0 : hide(tree, node, false, err);
}

/* A hard link's target with its parents' links resolved, as a path the tree finds plainly. */
static int resolve_target(struct tree *tree, const struct entry *entry, char **ret,
			  struct error *err)
{
	uint32_t dir;
	int r = resolve_parent(tree, entry->link, false, entry, &dir, err);
	cleanup_str struct str path = STR_INIT;
	uint32_t chain[2 * ENTRY_DEPTH_MAX];
	size_t n = 0;

	if (r == -ENOENT)
		return tree_reject(entry, err, "the hard link's target is not in the image");
	if (r < 0)
		return r;
	for (; dir != 0; dir = tree->node[dir].parent) {
		if (n == ARRAY_SIZE(chain))
			return tree_reject(entry, err, "its target is too deep");
		chain[n++] = dir;
	}
	while (n > 0) {
		str_add(&path, tree->node[chain[--n]].name);
		str_add(&path, "/");
	}
	str_add(&path, base_name(entry->link));
	*ret = str_take(&path);
	return 0;
}

int tree_add_oci(struct tree *tree, const struct entry *entry, struct error *err)
{
	const char *name = base_name(entry->path);
	cleanup_free char *link = NULL;
	struct entry copy = *entry;
	uint32_t dir;
	int r;

	if (str_starts_with(name, WHITEOUT_AUFS) && strcmp(name, WHITEOUT_OPAQUE) != 0)
		return 0;
	if (str_starts_with(name, WHITEOUT))
		return whiteout(tree, entry, name, err);
	if (entry->type == ENTRY_HARDLINK) {
		r = resolve_target(tree, entry, &link, err);
		if (r < 0)
			return r;
		copy.link = link;
	}
	r = resolve_parent(tree, entry->path, true, entry, &dir, err);
	return r < 0 ? r : tree_place(tree, dir, name, &copy, err);
}

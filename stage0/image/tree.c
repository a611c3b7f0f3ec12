/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tree of a root file system.
 *
 * Theory of operation: two growing arrays, nodes (names) and inodes, linked by index. A directory's
 * children are a doubly linked list; all names are also in one hash table keyed by (directory, name)
 * under a random key, so neither a million entries in one directory nor names made to collide cost
 * more than their number. Strings live in chunks that are freed with the tree.
 *
 * Removing an entry takes its nodes off the lists and leaves holes in the arrays; what is in the
 * arrays is bounded by the number of entries added. Nothing recurses: walks go by parent pointers.
 */
#include "stage0/image/tree.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>

#include "common/util.h"
#include "stage0/image/siphash.h"
#include "stage0/image/tree_priv.h"

#define CHUNK_SIZE (64 * KIB - 64)	   /* strings are allocated this much at a time */
#define NODES_MAX  (2 * IMAGE_ENTRIES_MAX) /* entries and the parents they imply */

struct tree_chunk {
	struct tree_chunk *next;
	size_t used, size;
	_Alignas(16) char bytes[];
};

int tree_reject(const struct entry *entry, struct error *err, const char *why)
{
	cleanup_free char *name = entry_name(entry->path);

	return error_set(err, -EBADMSG, "entry \"%.200s\": %s", name, why);
}

static int no_memory(struct error *err)
{
	return error_set(err, -ENOMEM, "the image has too many files for this machine's memory");
}

/* len bytes that live as long as the tree. */
static int arena(struct tree *tree, size_t len, void **ret, struct error *err)
{
	struct tree_chunk *chunk = tree->chunks;

	len = ALIGN_UP(len, 8);
	if (tree->bytes + len > TREE_BYTES_MAX)
		return error_set(err, -EFBIG, "the image's names and attributes are too large");
	if (!chunk || chunk->size - chunk->used < len) {
		size_t size = MAX(len, (size_t)CHUNK_SIZE);

		chunk = malloc(sizeof(*chunk) + size);
		if (!chunk)
			return no_memory(err);
		*chunk = (struct tree_chunk){.next = tree->chunks, .size = size};
		tree->chunks = chunk;
	}
	*ret = chunk->bytes + chunk->used;
	chunk->used += len;
	tree->bytes += len;
	return 0;
}

static int arena_bytes(struct tree *tree, const void *bytes, size_t len, const void **ret,
		       struct error *err)
{
	void *copy;
	int r = arena(tree, len + 1, &copy, err);

	if (r < 0)
		return r;
	if (len > 0)
		memcpy(copy, bytes, len);
	((char *)copy)[len] = '\0';
	*ret = copy;
	return 0;
}

static int arena_string(struct tree *tree, const char *s, const char **ret, struct error *err)
{
	return arena_bytes(tree, s, strlen(s), (const void **)ret, err);
}

/* Room for one more element of an array that doubles. */
static int grow(void **array, uint32_t used, uint32_t *cap, size_t size, struct error *err)
{
	uint32_t bigger = *cap ? *cap * 2 : 256;
	void *p;

	if (used < *cap)
		return 0;
	if (used >= NODES_MAX)
		return error_set(err, -EFBIG, "the image has too many files");
	p = reallocarray(*array, bigger, size);
	if (!p)
		return no_memory(err);
	*array = p;
	*cap = bigger;
	return 0;
}

static uint32_t name_hash(const struct tree *tree, uint32_t dir, const char *name)
{
	char bytes[sizeof(dir) + ENTRY_COMPONENT_MAX + 1];
	size_t len = strnlen(name, ENTRY_COMPONENT_MAX);

	memcpy(bytes, &dir, sizeof(dir));
	memcpy(bytes + sizeof(dir), name, len);
	return (uint32_t)siphash(tree->key, bytes, sizeof(dir) + len);
}

static int rehash(struct tree *tree, struct error *err)
{
	uint32_t n = tree->nbuckets ? tree->nbuckets * 2 : 1024;
	uint32_t *bucket;

	if (tree->live < tree->nbuckets)
		return 0;
	bucket = malloc((size_t)n * sizeof(*bucket));
	if (!bucket)
		return no_memory(err);
	memset(bucket, 0xff, (size_t)n * sizeof(*bucket));
	for (uint32_t i = 0; i < tree->nbuckets; i++) {
		uint32_t next;

		for (uint32_t node = tree->bucket[i]; node != TREE_NONE; node = next) {
			uint32_t *head = &bucket[tree->node[node].hash & (n - 1)];

			next = tree->node[node].chain;
			tree->node[node].chain = *head;
			*head = node;
		}
	}
	free(tree->bucket);
	tree->bucket = bucket;
	tree->nbuckets = n;
	return 0;
}

uint32_t tree_lookup(const struct tree *tree, uint32_t dir, const char *name)
{
	uint32_t hash = name_hash(tree, dir, name);
	uint32_t node = tree->bucket[hash & (tree->nbuckets - 1)];

	for (; node != TREE_NONE; node = tree->node[node].chain) {
		const struct tree_node *n = &tree->node[node];

		if (n->hash == hash && n->parent == dir && strcmp(n->name, name) == 0)
			return node;
	}
	return TREE_NONE;
}

uint32_t tree_find(const struct tree *tree, const char *path)
{
	char name[ENTRY_COMPONENT_MAX + 1];
	uint32_t node = 0;

	while (*path && node != TREE_NONE) {
		size_t len = strcspn(path, "/");

		if (len > ENTRY_COMPONENT_MAX || !tree_is_dir(tree, node))
			return TREE_NONE;
		memcpy(name, path, len);
		name[len] = '\0';
		if (len > 0)
			node = tree_lookup(tree, node, name);
		path += len + (path[len] == '/');
	}
	return node;
}

static int inode_alloc(struct tree *tree, uint32_t *ret, struct error *err)
{
	int r = grow((void **)&tree->inode, tree->ninodes, &tree->cap_inodes, sizeof(*tree->inode),
		     err);

	if (r < 0)
		return r;
	*ret = tree->ninodes++;
	tree->inode[*ret] = (struct tree_inode){.layer = tree->layer};
	return 0;
}

int tree_inode_implicit(struct tree *tree, uint32_t *ret, struct error *err)
{
	int r = inode_alloc(tree, ret, err);

	if (r < 0)
		return r;
	tree->inode[*ret].type = ENTRY_DIR;
	tree->inode[*ret].perm = 0755;
	return 0;
}

static int copy_xattrs(struct tree *tree, const struct entry_xattr *from, unsigned n,
		       const struct entry_xattr **ret, struct error *err)
{
	void *p;
	struct entry_xattr *xattr;
	int r;

	if (n == 0)
		return 0;
	r = arena(tree, n * sizeof(*xattr), &p, err);
	xattr = p;
	for (unsigned i = 0; r == 0 && i < n; i++) {
		xattr[i].len = from[i].len;
		r = arena_string(tree, from[i].name, &xattr[i].name, err);
		if (r == 0)
			r = arena_bytes(tree, from[i].value, from[i].len, &xattr[i].value, err);
	}
	if (r == 0)
		*ret = xattr;
	return r;
}

int tree_inode_new(struct tree *tree, const struct entry *entry, uint32_t *ret, struct error *err)
{
	struct tree_inode *inode;
	int r = inode_alloc(tree, ret, err);

	if (r < 0)
		return r;
	inode = &tree->inode[*ret];
	inode->type = entry->type;
	/* Linux gives symbolic links no other mode, whatever the archive says */
	inode->perm = entry->type == ENTRY_SYMLINK ? 0777 : (uint16_t)entry->perm;
	inode->uid = entry->uid;
	inode->gid = entry->gid;
	inode->mtime = entry->mtime;
	inode->mtime_ns = entry->mtime_ns;
	inode->size = entry->size;
	inode->data = entry->data;
	inode->major = entry->major;
	inode->minor = entry->minor;
	if (entry->type == ENTRY_SYMLINK)
		r = arena_string(tree, entry->link, &inode->link, err);
	if (r == 0)
		r = copy_xattrs(tree, entry->xattr, entry->nxattr, &inode->xattr, err);
	if (r == 0)
		inode->nxattr = entry->nxattr;
	return r;
}

int tree_link(struct tree *tree, uint32_t dir, const char *name, uint32_t inode, uint32_t *ret,
	      struct error *err)
{
	struct tree_node *node;
	uint32_t id, hash;
	int r = grow((void **)&tree->node, tree->nnodes, &tree->cap_nodes, sizeof(*tree->node),
		     err);

	if (r == 0)
		r = rehash(tree, err);
	if (r < 0)
		return r;
	id = tree->nnodes;
	node = &tree->node[id];
	*node = (struct tree_node){
		.inode = inode,
		.parent = dir,
		.child = TREE_NONE,
		.next = TREE_NONE,
		.prev = TREE_NONE,
		.layer = tree->layer,
	};
	r = arena_string(tree, name, &node->name, err);
	if (r < 0)
		return r;
	hash = name_hash(tree, dir, name);
	node->hash = hash;
	node->chain = tree->bucket[hash & (tree->nbuckets - 1)];
	tree->bucket[hash & (tree->nbuckets - 1)] = id;
	if (id != dir) {
		node->next = tree->node[dir].child;
		if (node->next != TREE_NONE)
			tree->node[node->next].prev = id;
		tree->node[dir].child = id;
	}
	tree->inode[inode].nlink++;
	tree->nnodes++;
	tree->live++;
	*ret = id;
	return 0;
}

/* Take one node without children off the lists. */
static void unlink_one(struct tree *tree, uint32_t id)
{
	struct tree_node *node = &tree->node[id];
	uint32_t *p = &tree->bucket[node->hash & (tree->nbuckets - 1)];

	while (*p != id)
		p = &tree->node[*p].chain;
	*p = node->chain;
	if (node->next != TREE_NONE)
		tree->node[node->next].prev = node->prev;
	if (node->prev != TREE_NONE)
		tree->node[node->prev].next = node->next;
	else
		tree->node[node->parent].child = node->next;
	tree->inode[node->inode].nlink--;
	tree->live--;
}

void tree_unlink(struct tree *tree, uint32_t top)
{
	uint32_t node = top;

	for (;;) {
		uint32_t parent = tree->node[node].parent;

		if (tree->node[node].child != TREE_NONE) {
			node = tree->node[node].child;
			continue;
		}
		unlink_one(tree, node);
		if (node == top)
			return;
		node = parent;
	}
}

bool tree_is_below(const struct tree *tree, uint32_t node, uint32_t dir)
{
	while (node != dir && node != 0)
		node = tree->node[node].parent;
	return node == dir;
}

struct tree *tree_new(enum tree_rules rules)
{
	struct tree *tree = xcalloc(1, sizeof(*tree));
	struct error err = ERROR_INIT;
	uint32_t inode, node;

	tree->rules = rules;
	/* without a key collisions can be made; without randomness nothing here is safe */
	if (getrandom(tree->key, sizeof(tree->key), 0) != sizeof(tree->key) ||
	    tree_inode_implicit(tree, &inode, &err) < 0 ||
	    tree_link(tree, 0, "", inode, &node, &err) < 0)
		abort();
	return tree;
}

void tree_free(struct tree *tree)
{
	struct tree_chunk *next;

	if (!tree)
		return;
	for (struct tree_chunk *chunk = tree->chunks; chunk; chunk = next) {
		next = chunk->next;
		free(chunk);
	}
	free(tree->bucket);
	free(tree->node);
	free(tree->inode);
	free(tree);
}

void tree_set_layer(struct tree *tree, uint16_t layer)
{
	tree->layer = layer;
}

/* A directory entry for a directory that is there: new attributes, same children. */
static int replace_dir(struct tree *tree, uint32_t node, const struct entry *entry,
		       struct error *err)
{
	uint32_t inode;
	int r = tree_inode_new(tree, entry, &inode, err);

	if (r < 0)
		return r;
	tree->inode[tree->node[node].inode].nlink--;
	tree->inode[inode].nlink++;
	tree->node[node].inode = inode;
	tree->node[node].layer = tree->layer;
	tree->node[node].is_explicit = true;
	return 0;
}

/* The inode a hard link at old's place (or TREE_NONE) names. *ret_same: old is that name already. */
static int hardlink_inode(const struct tree *tree, uint32_t old, const struct entry *entry,
			  uint32_t *ret, bool *ret_same, struct error *err)
{
	uint32_t target = tree_find(tree, entry->link);

	if (target == TREE_NONE)
		return tree_reject(entry, err, "the hard link's target is not in the image");
	if (tree_is_dir(tree, target))
		return tree_reject(entry, err, "the hard link's target is a directory");
	if (old != TREE_NONE && target != old && tree_is_below(tree, target, old))
		return tree_reject(entry, err, "the hard link replaces its own target");
	*ret_same = target == old;
	*ret = tree->node[target].inode;
	return 0;
}

int tree_place(struct tree *tree, uint32_t dir, const char *name, const struct entry *entry,
	       struct error *err)
{
	uint32_t old = tree_lookup(tree, dir, name), inode = 0, node;
	bool dir_over_dir = old != TREE_NONE && entry->type == ENTRY_DIR && tree_is_dir(tree, old);
	bool same = false;
	int r;

	if (tree->rules == TREE_APPC && old != TREE_NONE && tree->node[old].layer == tree->layer &&
	    (tree->node[old].is_explicit || !dir_over_dir))
		return tree_reject(entry, err, "it is in the archive twice");
	if (dir_over_dir)
		return replace_dir(tree, old, entry, err);
	r = entry->type == ENTRY_HARDLINK ? hardlink_inode(tree, old, entry, &inode, &same, err)
					  : tree_inode_new(tree, entry, &inode, err);
	if (r < 0 || same)
		return r;
	if (old != TREE_NONE)
		tree_unlink(tree, old);
	r = tree_link(tree, dir, name, inode, &node, err);
	if (r == 0)
		tree->node[node].is_explicit = true;
	return r;
}

/* The directory the appc rules put an entry's next component in, made when it is not there. */
static int appc_parent(struct tree *tree, uint32_t dir, const char *name, const struct entry *entry,
		       uint32_t *ret, struct error *err)
{
	uint32_t node = tree_lookup(tree, dir, name), inode;
	int r;

	if (node != TREE_NONE && tree_is_dir(tree, node)) {
		*ret = node;
		return 0;
	}
	if (node != TREE_NONE && tree->node[node].layer == tree->layer)
		return tree_reject(entry, err, "a parent of it is not a directory");
	if (node != TREE_NONE)
		tree_unlink(tree, node);
	r = tree_inode_implicit(tree, &inode, err);
	return r < 0 ? r : tree_link(tree, dir, name, inode, ret, err);
}

static int add_appc(struct tree *tree, const struct entry *entry, struct error *err)
{
	char name[ENTRY_COMPONENT_MAX + 1];
	const char *path = entry->path;
	uint32_t dir = 0;

	for (;;) {
		size_t len = strcspn(path, "/");
		int r;

		memcpy(name, path, len);
		name[len] = '\0';
		if (!path[len])
			return tree_place(tree, dir, name, entry, err);
		r = appc_parent(tree, dir, name, entry, &dir, err);
		if (r < 0)
			return r;
		path += len + 1;
	}
}

int tree_add(struct tree *tree, const struct entry *entry, struct error *err)
{
	int r = entry_check(entry, err); /* names fit, so the copies above do */

	if (r < 0)
		return r;
	if (!entry->path[0]) {
		if (tree->rules == TREE_APPC && tree->node[0].layer == tree->layer &&
		    tree->node[0].is_explicit)
			return tree_reject(entry, err, "the root is in the archive twice");
		return replace_dir(tree, 0, entry, err);
	}
	return tree->rules == TREE_OCI ? tree_add_oci(tree, entry, err)
				       : add_appc(tree, entry, err);
}

uint32_t tree_next(const struct tree *tree, uint32_t node, bool skip)
{
	if (!skip && tree->node[node].child != TREE_NONE)
		return tree->node[node].child;
	while (node != 0 && tree->node[node].next == TREE_NONE)
		node = tree->node[node].parent;
	return node == 0 ? TREE_NONE : tree->node[node].next;
}

static int compare_names(const void *pa, const void *pb, void *arg)
{
	const struct tree *tree = arg;

	return strcmp(tree->node[*(const uint32_t *)pa].name,
		      tree->node[*(const uint32_t *)pb].name);
}

/* Bring a directory's children into order. list has room for all of them. */
static void sort_children(struct tree *tree, uint32_t dir, uint32_t *list)
{
	size_t n = 0;

	for (uint32_t c = tree->node[dir].child; c != TREE_NONE; c = tree->node[c].next)
		list[n++] = c;
	if (n < 2)
		return;
	qsort_r(list, n, sizeof(*list), compare_names, tree);
	tree->node[dir].child = list[0];
	for (size_t i = 0; i < n; i++) {
		tree->node[list[i]].prev = i ? list[i - 1] : TREE_NONE;
		tree->node[list[i]].next = i + 1 < n ? list[i + 1] : TREE_NONE;
	}
}

int tree_finish(struct tree *tree, struct error *err)
{
	static const char *const mount_points[] = {"dev", "proc", "sys"};
	cleanup_free uint32_t *list = malloc((size_t)tree->live * sizeof(*list));

	if (!list)
		return no_memory(err);
	for (size_t i = 0; i < ARRAY_SIZE(mount_points); i++) {
		uint32_t node = tree_lookup(tree, 0, mount_points[i]);

		if (node != TREE_NONE && !tree_is_dir(tree, node))
			return error_set(err, -EBADMSG, "/%s of the image is not a directory",
					 mount_points[i]);
	}
	for (uint32_t node = 0; node != TREE_NONE; node = tree_next(tree, node, false))
		if (tree_is_dir(tree, node))
			sort_children(tree, node, list);
	return 0;
}

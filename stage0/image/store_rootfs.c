/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an image is made of.
 *
 * Theory of operation: an image's dependencies are laid down before it, in the order it lists them,
 * each with its own dependencies before it (spec/images.md 4); one that is used twice is laid down
 * twice. So the list of parts is the graph's walk, children first. Each part is filtered by its own
 * whitelist (files only) and by those of all images above it (everything). The list decides the tree
 * ID. To make the tree, each part's index is read into a tree of its own and merged over what is
 * there; an image that is alone and unfiltered is read straight.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/file.h"
#include "common/json.h"
#include "stage0/image/index.h"
#include "stage0/image/layer.h"
#include "stage0/image/limits.h"
#include "stage0/image/store.h"
#include "stage0/image/store_priv.h"

/* Part of every tree ID: another writer makes another tree. */
#define RENDER_VERSION "tripod-erofs-2"

/* An image whose dependencies are being walked. */
struct frame {
	struct store_part *part;
	struct json_object *manifest;
	struct json_object *dependencies; /* the manifest's, or NULL */
	size_t next;
};

struct resolve {
	struct store *store;
	struct store_rootfs *rootfs;
	struct frame frame[IMAGE_DEPTH_MAX];
	size_t depth;
	size_t images; /* met, those still on the stack included */
};

static int compare_strings(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The manifest's pathWhitelist, normalised and sorted. */
static int read_whitelist(struct json_object *manifest, struct strv *ret, struct error *err)
{
	struct json_object *list = NULL;
	char path[ENTRY_PATH_MAX + 1];
	int r = json_get_array(manifest, "pathWhitelist", &list, err);

	if (r < 0 || !list)
		return r;
	for (size_t i = 0; i < json_object_array_length(list); i++) {
		struct json_object *item = json_object_array_get_idx(list, i);
		const char *text = json_object_get_string(item), *problem;

		if (!json_object_is_type(item, json_type_string))
			return error_set(err, -EBADMSG, "pathWhitelist: an entry is no string");
		problem = entry_path_normalise(text, path);
		if (problem)
			return error_set(err, -EBADMSG, "pathWhitelist: a path %s", problem);
		strv_add(ret, path);
	}
	if (ret->n > 0)
		qsort(ret->v, ret->n, sizeof(*ret->v), compare_strings);
	return 0;
}

static void part_free(struct store_part *part)
{
	if (!part)
		return;
	strv_free(&part->whitelist);
	free(part);
}

void store_rootfs_free(struct store_rootfs *rootfs)
{
	for (size_t i = 0; rootfs->data && i < rootfs->nlayers; i++)
		close_fd(&rootfs->data[i]);
	for (size_t i = 0; i < rootfs->nparts; i++)
		part_free(rootfs->part[i]);
	tree_free(rootfs->tree);
	free(rootfs->part);
	free(rootfs->data);
	free(rootfs->blocks);
	free(rootfs->key);
	free(rootfs->tree_id);
	*rootfs = (struct store_rootfs)STORE_ROOTFS_INIT;
}

static bool is_being_walked(const struct resolve *resolve, const char *key)
{
	for (size_t i = 0; i < resolve->depth; i++)
		if (strcmp(resolve->frame[i].part->key, key) == 0)
			return true;
	return false;
}

/* Begin with an image: its dependencies come first. */
static int push(struct resolve *resolve, const char *key, struct error *err)
{
	struct store_part *user = resolve->depth ? resolve->frame[resolve->depth - 1].part : NULL;
	struct frame *frame = &resolve->frame[resolve->depth];
	int r;

	if (is_being_walked(resolve, key))
		return error_set(err, -ELOOP, "image %s depends on itself", key);
	if (resolve->depth == IMAGE_DEPTH_MAX || ++resolve->images > IMAGE_LAYERS_MAX)
		return error_set(err, -EFBIG, "the image has too many dependencies");
	*frame = (struct frame){.part = xcalloc(1, sizeof(*frame->part))};
	resolve->depth++;
	snprintf(frame->part->key, sizeof(frame->part->key), "%s", key);
	frame->part->user = user;
	r = store_hold(resolve->store, key, err);
	if (r == 0)
		r = store_manifest(resolve->store, key, &frame->manifest, err);
	if (resolve->rootfs->alone)
		return r;
	if (r == 0)
		r = json_get_array(frame->manifest, "dependencies", &frame->dependencies, err);
	if (r == 0)
		r = read_whitelist(frame->manifest, &frame->part->whitelist, err);
	return r;
}

static int add_layer(struct store_rootfs *rootfs, const char *key, size_t *ret, struct error *err)
{
	if (rootfs->nlayers == IMAGE_LAYERS_MAX)
		return error_set(err, -EFBIG, "the image has more than %d layers",
				 IMAGE_LAYERS_MAX);
	rootfs->key = xrealloc(rootfs->key, rootfs->nlayers + 1, sizeof(*rootfs->key));
	memcpy(rootfs->key[rootfs->nlayers], key, sizeof(*rootfs->key));
	*ret = rootfs->nlayers++;
	return 0;
}

/* An image that is one layer: the same wherever it is used. */
static int own_layer(struct store_rootfs *rootfs, struct store_part *part, struct error *err)
{
	part->nlayers = 1;
	part->rules = TREE_APPC;
	for (size_t i = 0; i < rootfs->nlayers; i++) {
		if (strcmp(rootfs->key[i], part->key) == 0) {
			part->layer = i;
			return 0;
		}
	}
	return add_layer(rootfs, part->key, &part->layer, err);
}

/* An image of several layers has a list of them. They are numbered in order, once for each use. */
static int find_layers(struct store *store, struct store_rootfs *rootfs, struct store_part *part,
		       struct error *err)
{
	cleanup_strv struct strv layers = STRV_INIT;
	int r = store_layers(store, part->key, &layers, err);
	size_t last;

	if (r < 0)
		return r;
	if (r == 0)
		return own_layer(rootfs, part, err);
	r = 0;
	part->rules = TREE_OCI;
	part->layer = rootfs->nlayers;
	part->nlayers = layers.n;
	for (size_t i = 0; r == 0 && i < layers.n; i++)
		r = add_layer(rootfs, layers.v[i], &last, err);
	return r;
}

/* All its dependencies are laid down: now the image. */
static int pop(struct resolve *resolve, struct error *err)
{
	struct store_rootfs *rootfs = resolve->rootfs;
	struct frame *frame = &resolve->frame[resolve->depth - 1];
	int r = find_layers(resolve->store, rootfs, frame->part, err);

	if (r < 0)
		return r;
	resolve->depth--;
	rootfs->part = xrealloc(rootfs->part, rootfs->nparts + 1, sizeof(struct store_part *));
	rootfs->part[rootfs->nparts++] = frame->part;
	json_object_put(frame->manifest);
	return 0;
}

/* The image a dependency means: by its ID, or by name and labels. */
static int find_dependency(struct resolve *resolve, struct json_object *dependency,
			   char ret_key[IMAGE_KEY_LEN + 1], struct error *err)
{
	const char *id = NULL, *name = NULL;
	struct json_object *labels = NULL;
	int r = json_object_is_type(dependency, json_type_object)
			? 0
			: error_set(err, -EBADMSG, "dependencies: an entry is no object");

	if (r == 0)
		r = json_get_string(dependency, "imageID", &id, err);
	if (r == 0)
		r = json_get_string(dependency, "imageName", &name, err);
	if (r == 0)
		r = json_get_array(dependency, "labels", &labels, err);
	if (r < 0)
		return r;
	if (!id)
		return name ? store_find(resolve->store, name, labels, ret_key, err)
			    : error_set(err, -EBADMSG, "dependencies: an entry has no imageName");
	snprintf(ret_key, IMAGE_KEY_LEN + 1, "%s", id);
	if (!store_key_valid(ret_key) || !store_has_image(resolve->store, ret_key))
		return error_set(err, -ENOENT, "%.100s (%.100s) is not in the store",
				 name ? name : "an image", id);
	return 0;
}

static int walk(struct resolve *resolve, const char *key, struct error *err)
{
	int r = push(resolve, key, err);

	while (r == 0 && resolve->depth > 0) {
		struct frame *frame = &resolve->frame[resolve->depth - 1];
		char next[IMAGE_KEY_LEN + 1];

		if (!frame->dependencies ||
		    frame->next == json_object_array_length(frame->dependencies)) {
			r = pop(resolve, err);
			continue;
		}
		r = find_dependency(resolve,
				    json_object_array_get_idx(frame->dependencies, frame->next++),
				    next, err);
		if (r < 0)
			return error_wrap(err, "a dependency of image %s", frame->part->key);
		r = push(resolve, next, err);
	}
	return r;
}

static char *tree_id(const struct store_rootfs *rootfs)
{
	cleanup_hash struct hash *hash = hash_new(HASH_SHA512);
	uint8_t digest[HASH_MAX_SIZE];
	char key[IMAGE_KEY_LEN + 1];

	hash_update(hash, RENDER_VERSION, strlen(RENDER_VERSION));
	for (size_t i = 0; i < rootfs->nparts; i++) {
		hash_update(hash, ",", 1);
		hash_update(hash, rootfs->part[i]->key, IMAGE_KEY_LEN);
	}
	hash_final(hash, digest);
	store_key(HASH_SHA512, digest, key);
	return xasprintf("deps-%s", key);
}

int store_rootfs_resolve(struct store *store, const char *key, struct store_rootfs *ret,
			 struct error *err)
{
	cleanup_free struct resolve *resolve = xcalloc(1, sizeof(*resolve));
	int r;

	resolve->store = store;
	resolve->rootfs = ret;
	r = walk(resolve, key, err);
	while (resolve->depth > 0) {
		struct frame *frame = &resolve->frame[--resolve->depth];

		part_free(frame->part);
		json_object_put(frame->manifest);
	}
	if (r == 0)
		ret->tree_id = tree_id(ret);
	return r;
}

static int load_index(int dir, struct tree *tree, uint64_t data_size, struct error *err)
{
	cleanup_fd int fd = openat(dir, LAYER_INDEX, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	cleanup_index_reader struct index_reader *reader = NULL;
	int r;

	if (fd < 0)
		return error_errno(err, "opening the image's index");
	r = index_reader_new(fd, &reader, err);
	if (r < 0)
		return r;
	if (index_reader_data_size(reader) != data_size)
		return error_set(err, -EBADMSG, "the store's data of an image is damaged");
	for (;;) {
		struct entry entry;

		r = index_reader_next(reader, &entry, err);
		if (r <= 0)
			return r;
		r = tree_add(tree, &entry, err);
		if (r < 0)
			return r;
	}
}

static int load_layer(struct store *store, struct store_rootfs *rootfs, size_t i, struct tree *tree,
		      struct error *err)
{
	char path[STORE_PATH_MAX];
	cleanup_fd int dir = -1;
	struct stat st;

	snprintf(path, sizeof(path), "layer/%s", rootfs->key[i]);
	dir = openat(store->cas, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return error_errno(err, "opening image %s", rootfs->key[i]);
	if (rootfs->data[i] < 0)
		rootfs->data[i] = openat(dir, LAYER_DATA, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (rootfs->data[i] < 0 || fstat(rootfs->data[i], &st) < 0)
		return error_errno(err, "opening the data of image %s", rootfs->key[i]);
	rootfs->blocks[i] = (uint64_t)st.st_size / IMAGE_BLOCK;
	if (rootfs->no_data)
		close_fd(&rootfs->data[i]);
	tree_set_layer(tree, (uint16_t)i);
	return load_index(dir, tree, (uint64_t)st.st_size, err);
}

static bool is_listed(const struct strv *whitelist, const char *path)
{
	return whitelist->n == 0 ||
	       bsearch(&path, whitelist->v, whitelist->n, sizeof(*whitelist->v), compare_strings);
}

/* Whether a path of a part gets through all the whitelists that apply to it. */
static bool is_kept(void *ctx, const char *path, bool is_dir)
{
	const struct store_part *part = ctx;

	if (!is_dir && !is_listed(&part->whitelist, path))
		return false;
	for (part = part->user; part; part = part->user)
		if (!is_listed(&part->whitelist, path))
			return false;
	return true;
}

static int load_part(struct store *store, struct store_rootfs *rootfs,
		     const struct store_part *part, struct tree *tree, struct error *err)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < part->nlayers; i++)
		r = load_layer(store, rootfs, part->layer + i, tree, err);
	return r;
}

static int merge_part(struct store *store, struct store_rootfs *rootfs, struct store_part *part,
		      struct error *err)
{
	cleanup_tree struct tree *tree = tree_new(part->rules);
	int r = load_part(store, rootfs, part, tree, err);

	return r < 0 ? r : tree_merge(rootfs->tree, tree, is_kept, part, err);
}

int store_rootfs_load(struct store *store, struct store_rootfs *rootfs, struct error *err)
{
	bool plain = rootfs->nparts == 1 && rootfs->part[0]->whitelist.n == 0;
	int r = 0;

	rootfs->tree = tree_new(plain ? rootfs->part[0]->rules : TREE_APPC);
	rootfs->data = xcalloc(rootfs->nlayers, sizeof(*rootfs->data));
	rootfs->blocks = xcalloc(rootfs->nlayers, sizeof(*rootfs->blocks));
	for (size_t i = 0; i < rootfs->nlayers; i++)
		rootfs->data[i] = -1;
	if (plain)
		r = load_part(store, rootfs, rootfs->part[0], rootfs->tree, err);
	else
		for (size_t i = 0; r == 0 && i < rootfs->nparts; i++)
			r = merge_part(store, rootfs, rootfs->part[i], err);
	return r < 0 ? r : tree_finish(rootfs->tree, err);
}

int store_check_layers(struct store *store, const struct strv *keys, struct error *err)
{
	struct store_part part = {.nlayers = keys->n, .rules = TREE_OCI}, *parts = &part;
	struct store_rootfs rootfs = {.no_data = true, .part = &parts, .nparts = 1};
	size_t last;
	int r = 0;

	for (size_t i = 0; r == 0 && i < keys->n; i++)
		r = add_layer(&rootfs, keys->v[i], &last, err);
	if (r == 0)
		r = store_rootfs_load(store, &rootfs, err);
	rootfs.nparts = 0; /* not the rootfs's own */
	rootfs.part = NULL;
	store_rootfs_free(&rootfs);
	return r;
}

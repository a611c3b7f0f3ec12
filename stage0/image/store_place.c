/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From images to what pods use: disks and trees.
 *
 * Theory of operation: an image resolves to the list of its parts (store_rootfs.c), and the list to a
 * tree ID. What is rendered for an ID is kept in cas/tree/ID and only ever linked to. Rendering happens under the
 * ID's exclusive lock, in cas/tmp, and ends with a rename; placing holds the lock shared, so that
 * nobody sweeps a tree away between the look and the links.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/file.h"
#include "common/json.h"
#include "common/str.h"
#include "stage0/image/erofs.h"
#include "stage0/image/extract.h"
#include "stage0/image/index.h"
#include "stage0/image/layer.h"
#include "stage0/image/limits.h"
#include "stage0/image/store.h"
#include "stage0/image/store_priv.h"

/* File 0 of a disk: the metadata. */
static int write_metadata(int dir, struct store_rootfs *rootfs, struct error *err)
{
	cleanup_fd int fd =
		openat(dir, "0", O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0444);
	int r;

	if (fd < 0)
		return error_errno(err, "creating the disk");
	r = erofs_write(rootfs->tree, rootfs->blocks, rootfs->nlayers, rootfs->tree_id, fd, err);
	if (r == 0 && fdatasync(fd) < 0)
		r = error_errno(err, "writing the disk");
	return r;
}

static int render_disk(struct store *store, struct store_rootfs *rootfs, struct store_tmp *tmp,
		       struct error *err)
{
	unsigned n = 1;
	int r = store_rootfs_load(store, rootfs, err);

	if (r == 0)
		r = write_metadata(tmp->fd, rootfs, err);
	for (size_t i = 0; r == 0 && i < rootfs->nlayers; i++) {
		char from[STORE_PATH_MAX], to[16];

		if (rootfs->blocks[i] == 0)
			continue;
		snprintf(from, sizeof(from), "layer/%s/" LAYER_DATA, rootfs->key[i]);
		snprintf(to, sizeof(to), "%u", n++);
		if (linkat(store->cas, from, tmp->fd, to, 0) < 0)
			r = error_errno(err, "creating the disk");
	}
	if (r == 0 && fsync(tmp->fd) < 0)
		r = error_errno(err, "writing the disk");
	return r;
}

/* What the loose files take, for who asks. */
static int write_size(struct store *store, const struct store_rootfs *rootfs, struct error *err)
{
	char path[STORE_PATH_MAX], text[32];
	uint64_t size = 0;

	for (uint32_t i = 0; i < rootfs->tree->ninodes; i++)
		if (rootfs->tree->inode[i].nlink && rootfs->tree->inode[i].type == ENTRY_REG)
			size += rootfs->tree->inode[i].size;
	snprintf(text, sizeof(text), "%llu", (unsigned long long)size);
	snprintf(path, sizeof(path), "tree/%s/" TREE_ROOTFS_SIZE, rootfs->tree_id);
	return file_write(store->cas, path, text, strlen(text), 0640, err);
}

static int render_tree(struct store *store, struct store_rootfs *rootfs, struct store_tmp *tmp,
		       struct error *err)
{
	struct extract_source source = {.link_from = -1};
	int r = store_rootfs_load(store, rootfs, err);

	if (r < 0)
		return r;
	source.data = rootfs->data;
	r = extract_tree(rootfs->tree, &source, tmp->fd, "rootfs", true, err);
	return r < 0 ? r : write_size(store, rootfs, err);
}

typedef int (*render_fn)(struct store *store, struct store_rootfs *rootfs, struct store_tmp *tmp,
			 struct error *err);

static int render_locked(struct store *store, struct store_rootfs *rootfs, render_fn render,
			 const char *from, const char *path, struct error *err)
{
	struct store_tmp tmp = STORE_TMP_INIT;
	char dir[STORE_PATH_MAX], source[STORE_PATH_MAX + 16];
	int r;

	snprintf(dir, sizeof(dir), "tree/%s", rootfs->tree_id);
	if (mkdirat(store->cas, dir, 0700) < 0 && errno != EEXIST)
		return error_errno(err, "%s", dir);
	snprintf(source, sizeof(source), "%s/" TREE_IMAGE, dir);
	/* the image itself is the last of its parts */
	r = file_write(store->cas, source, rootfs->part[rootfs->nparts - 1]->key, IMAGE_KEY_LEN,
		       0640, err);
	if (r < 0)
		return r;
	r = store_tmp_new(store, &tmp, err);
	if (r < 0)
		return r;
	r = render(store, rootfs, &tmp, err);
	if (r == 0) {
		/* the lock is held: nobody else puts it there */
		snprintf(source, sizeof(source), "%s%s", tmp.path, from);
		if (renameat(store->cas, source, store->cas, path) < 0)
			r = error_errno(err, "putting %s into the store", path);
		else if (!from[0])
			tmp.path[0] = '\0';
	}
	store_tmp_end(store, &tmp);
	return r;
}

/*
 * Have cas/tree/ID/WHAT, and hold the ID's lock shared: *ret_lock. from is what render made below
 * the temporary directory: "" for the directory itself.
 */
static int ensure(struct store *store, struct store_rootfs *rootfs, const char *what,
		  render_fn render, const char *from, int *ret_lock, struct error *err)
{
	char path[STORE_PATH_MAX];

	snprintf(path, sizeof(path), "tree/%s/%s", rootfs->tree_id, what);
	for (;;) {
		cleanup_fd int shared =
			store_lock(store, "treestorelocks", rootfs->tree_id, false, err);
		cleanup_fd int exclusive = -1;
		int r;

		if (shared < 0)
			return shared;
		if (faccessat(store->cas, path, F_OK, 0) == 0) {
			*ret_lock = take_fd(&shared);
			return 0;
		}
		close_fd(&shared);
		exclusive = store_lock(store, "treestorelocks", rootfs->tree_id, true, err);
		if (exclusive < 0)
			return exclusive;
		if (faccessat(store->cas, path, F_OK, 0) == 0)
			continue;
		r = render_locked(store, rootfs, render, from, path, err);
		if (r < 0)
			return r;
	}
}

int store_render(struct store *store, struct store_rootfs *rootfs, int *ret_lock, struct error *err)
{
	return ensure(store, rootfs, "disk", render_disk, "", ret_lock, err);
}

int store_render_image(struct store *store, const char *key, struct error *err)
{
	struct store_rootfs rootfs = STORE_ROOTFS_INIT;
	cleanup_fd int lock = -1;
	int r = store_rootfs_resolve(store, key, &rootfs, err);

	if (r == 0)
		r = store_render(store, &rootfs, &lock, err);
	store_rootfs_free(&rootfs);
	return r;
}

/* Link a file; copy it where it can not be linked to: another file system, too many links. */
static int link_or_copy(const struct store *store, int from, int to, const char *name,
			struct error *err)
{
	cleanup_fd int in = -1, out = -1;
	struct stat st;
	off_t pos = 0;

	errno = -digestcache_link(&store->digests, from, name, to, name);
	if (errno == 0)
		return 0;
	if (errno != EXDEV && errno != EMLINK && errno != EPERM)
		return error_errno(err, "linking the disk");
	in = openat(from, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	out = openat(to, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0444);
	if (in < 0 || out < 0 || fstat(in, &st) < 0)
		return error_errno(err, "copying the disk");
	while (pos < st.st_size) {
		ssize_t n = copy_file_range(in, NULL, out, NULL, (size_t)(st.st_size - pos), 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return error_errno(err, "copying the disk");
		pos += n;
	}
	return 0;
}

static int place_disk(struct store *store, const struct store_rootfs *rootfs, int dirfd,
		      const char *path, struct error *err)
{
	char from_path[STORE_PATH_MAX];
	cleanup_fd int from = -1, to = -1;
	int r = 0;

	snprintf(from_path, sizeof(from_path), "tree/%s/disk", rootfs->tree_id);
	from = openat(store->cas, from_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (from < 0)
		return error_errno(err, "%s", from_path);
	if (mkdirat(dirfd, path, 0750) < 0)
		return error_errno(err, "creating %s", path);
	to = openat(dirfd, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (to < 0)
		return error_errno(err, "opening %s", path);
	for (unsigned i = 0; r == 0 && i <= IMAGE_LAYERS_MAX; i++) {
		char name[16];

		snprintf(name, sizeof(name), "%u", i);
		if (faccessat(from, name, F_OK, 0) < 0)
			break;
		r = link_or_copy(store, from, to, name, err);
	}
	return r;
}

/* Everything the image is made of is in use. */
static void mark_used(struct store *store, const struct store_rootfs *rootfs)
{
	for (size_t i = 0; i < rootfs->nparts; i++)
		store_image_used(store, rootfs->part[i]->key);
}

int store_place_disk(struct store *store, const char *key, int dirfd, const char *path,
		     char **ret_tree_id, struct error *err)
{
	struct store_rootfs rootfs = STORE_ROOTFS_INIT;
	cleanup_fd int lock = -1;
	int r = store_rootfs_resolve(store, key, &rootfs, err);

	if (r == 0)
		r = store_render(store, &rootfs, &lock, err);
	if (r == 0)
		r = place_disk(store, &rootfs, dirfd, path, err);
	if (r == 0)
		mark_used(store, &rootfs);
	if (r == 0 && ret_tree_id)
		*ret_tree_id = take_ptr(rootfs.tree_id);
	store_rootfs_free(&rootfs);
	return r;
}

static int place_links(struct store *store, struct store_rootfs *rootfs, int dirfd,
		       const char *path, struct error *err)
{
	struct extract_source source = {.link_from = -1};
	char from_path[STORE_PATH_MAX];
	cleanup_fd int from = -1;
	int r;

	if (!rootfs->tree) {
		r = store_rootfs_load(store, rootfs, err);
		if (r < 0)
			return r;
	}
	snprintf(from_path, sizeof(from_path), "tree/%s/rootfs", rootfs->tree_id);
	from = openat(store->cas, from_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (from < 0)
		return error_errno(err, "%s", from_path);
	source.data = rootfs->data;
	source.link_from = from;
	source.digests = &store->digests;
	return extract_tree(rootfs->tree, &source, dirfd, path, false, err);
}

int store_place_tree(struct store *store, const char *key, int dirfd, const char *path,
		     enum store_place how, char **ret_tree_id, struct error *err)
{
	struct store_rootfs rootfs = STORE_ROOTFS_INIT;
	struct extract_source source = {.link_from = -1};
	cleanup_fd int lock = -1;
	int r = store_rootfs_resolve(store, key, &rootfs, err);

	if (r == 0 && how == STORE_LINK) {
		r = ensure(store, &rootfs, "rootfs", render_tree, "/rootfs", &lock, err);
		if (r == 0)
			r = place_links(store, &rootfs, dirfd, path, err);
	} else if (r == 0) {
		r = store_rootfs_load(store, &rootfs, err);
		source.data = rootfs.data;
		if (r == 0)
			r = extract_tree(rootfs.tree, &source, dirfd, path, false, err);
	}
	if (r == 0)
		mark_used(store, &rootfs);
	if (r == 0 && ret_tree_id)
		*ret_tree_id = take_ptr(rootfs.tree_id);
	store_rootfs_free(&rootfs);
	return r;
}

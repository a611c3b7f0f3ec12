/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Images as loose files for their users: image extract and image render.
 *
 * Theory of operation: the tree is the one disks are made of, checked and merged in memory, so what an
 * archive says of paths is history when the first file is made (extract.c). What is made here is
 * 0700 until all of it is there.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/file.h"
#include "common/json.h"
#include "stage0/image/extract.h"
#include "stage0/image/store.h"
#include "stage0/image/store_priv.h"

static void add_warnings(const struct tree *tree, struct strv *warnings)
{
	size_t devices = 0, owned = 0;

	for (uint32_t i = 0; i < tree->ninodes; i++) {
		const struct tree_inode *inode = &tree->inode[i];

		if (inode->nlink == 0)
			continue;
		devices += inode->type == ENTRY_CHR || inode->type == ENTRY_BLK;
		owned += inode->uid != geteuid() || inode->gid != getegid();
	}
	if (devices)
		strv_add_owned(warnings,
			       xasprintf("%zu device(s) were made as empty files", devices));
	if (owned && geteuid() != 0)
		strv_add_owned(
			warnings,
			xasprintf("the owners of %zu file(s) were not kept: not root", owned));
}

static int extract_rootfs(struct store_rootfs *rootfs, int dirfd, const char *path,
			  struct error *err)
{
	struct extract_source source = {.data = rootfs->data, .link_from = -1};

	return extract_tree(rootfs->tree, &source, dirfd, path, false, err);
}

/* manifest and rootfs in a directory of their own. */
static int unpack_image(struct store *store, const char *key, struct store_rootfs *rootfs,
			int dirfd, const char *path, struct error *err)
{
	cleanup_json struct json_object *manifest = NULL;
	cleanup_fd int dir = -1;
	const char *text;
	int r = store_manifest(store, key, &manifest, err);

	if (r < 0)
		return r;
	if (mkdirat(dirfd, path, 0700) < 0)
		return error_errno(err, "creating %s", path);
	dir = openat(dirfd, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (dir < 0)
		return error_errno(err, "opening %s", path);
	text = json_text(manifest);
	r = file_write(dir, "manifest", text, strlen(text), 0644, err);
	if (r == 0)
		r = extract_rootfs(rootfs, dir, "rootfs", err);
	if (r == 0 && fchmod(dir, 0755) < 0)
		r = error_errno(err, "%s", path);
	return r;
}

int store_unpack(struct store *store, const char *key, const struct store_unpack *how, int dirfd,
		 const char *path, struct strv *warnings, struct error *err)
{
	struct store_rootfs rootfs = STORE_ROOTFS_INIT;
	struct error ignored = ERROR_INIT;
	struct stat st;
	int r;

	/* what is removed on failure must be ours */
	if (fstatat(dirfd, path, &st, AT_SYMLINK_NOFOLLOW) == 0)
		return error_set(err, -EEXIST, "%s is there already", path);
	rootfs.alone = !how->dependencies;
	r = store_rootfs_resolve(store, key, &rootfs, err);
	if (r == 0)
		r = store_rootfs_load(store, &rootfs, err);
	if (r == 0) {
		r = how->rootfs_only ? extract_rootfs(&rootfs, dirfd, path, err)
				     : unpack_image(store, key, &rootfs, dirfd, path, err);
		if (r < 0)
			remove_tree(dirfd, path, &ignored);
	}
	if (r == 0) {
		add_warnings(rootfs.tree, warnings);
		store_image_used(store, key);
	}
	store_rootfs_free(&rootfs);
	return r;
}

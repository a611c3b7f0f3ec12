/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether what the store has of an image is what was imported.
 *
 * Theory of operation: every layer's archive is put together again from its skeleton and its data, and
 * its digest must be the layer's name; the layer's index, which the archive does not cover, must have
 * the digest it had when it was made. What was rendered is a function of the indexes: a disk's
 * metadata is written once more and compared, its other parts must be the layers' own files; loose
 * files are compared with the tree one by one.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/file.h"
#include "common/json.h"
#include "stage0/image/erofs.h"
#include "stage0/image/layer.h"
#include "stage0/image/limits.h"
#include "stage0/image/store.h"
#include "stage0/image/store_priv.h"
#include "stage0/image/treecheck.h"

#define COMPARE_SIZE (64 * KIB)

/* The digest of the index, as it was when the layer was made. */
static int recorded_index(int dir, char ret[HASH_HEX_MAX], struct error *err)
{
	cleanup_json struct json_object *info = NULL;
	cleanup_free char *text = NULL;
	const char *digest = NULL;
	size_t len;
	int r = file_read(dir, LAYER_INFO, JSON_SIZE_MAX, &text, &len, err);

	if (r == 0)
		r = json_parse(text, len, LAYER_INFO, &info, err);
	if (r == 0)
		r = json_get_string(info, "index", &digest, err);
	if (r == 0)
		snprintf(ret, HASH_HEX_MAX, "%.128s", digest ? digest : "");
	return r;
}

int store_verify_layer(struct store *store, const char *key, struct error *err)
{
	enum hash_alg alg = str_starts_with(key, "sha256-") ? HASH_SHA256 : HASH_SHA512;
	cleanup_fd int nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC), dir = -1;
	char path[STORE_PATH_MAX], got[IMAGE_KEY_LEN + 1];
	char was[HASH_HEX_MAX], is[HASH_HEX_MAX];
	uint8_t id[HASH_MAX_SIZE];
	int r;

	snprintf(path, sizeof(path), "layer/%s", key);
	dir = openat(store->cas, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0 || nowhere < 0)
		return error_errno(err, "opening %s", key);
	r = layer_export(dir, alg, nowhere, id, err);
	if (r < 0)
		return r;
	store_key(alg, id, got);
	if (strcmp(got, key) != 0)
		return error_set(err, -EBADMSG, "the store's copy of %s is damaged", key);
	r = recorded_index(dir, was, err);
	if (r == 0)
		r = layer_index_digest(dir, is, err);
	if (r == 0 && strcmp(was, is) != 0)
		r = error_set(err, -EBADMSG, "the store's index of %s is damaged", key);
	return r;
}

static int same_bytes(int a, int b, struct error *err)
{
	cleanup_free uint8_t *buffer = xcalloc(2, COMPARE_SIZE);
	struct stat sa, sb;

	if (fstat(a, &sa) < 0 || fstat(b, &sb) < 0)
		return error_errno(err, "reading the disk");
	if (sa.st_size != sb.st_size)
		return error_set(err, -EBADMSG, "the disk's metadata is damaged");
	for (off_t at = 0; at < sa.st_size;) {
		size_t n = (size_t)MIN((uint64_t)(sa.st_size - at), COMPARE_SIZE);

		if (pread_all(a, buffer, n, at) < 0 ||
		    pread_all(b, buffer + COMPARE_SIZE, n, at) < 0 ||
		    memcmp(buffer, buffer + COMPARE_SIZE, n) != 0)
			return error_set(err, -EBADMSG, "the disk's metadata is damaged");
		at += (off_t)n;
	}
	return 0;
}

/* Write the metadata again and compare. */
static int verify_metadata(struct store *store, struct store_rootfs *rootfs, int disk,
			   struct error *err)
{
	cleanup_fd int was = openat(disk, "0", O_RDONLY | O_CLOEXEC | O_NOFOLLOW), is = -1;
	struct store_tmp tmp = STORE_TMP_INIT;
	int r;

	if (was < 0)
		return error_errno(err, "opening the disk");
	r = store_tmp_new(store, &tmp, err);
	if (r < 0)
		return r;
	is = openat(tmp.fd, "0", O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0400);
	r = is < 0 ? error_errno(err, "writing the disk")
		   : erofs_write(rootfs->tree, rootfs->blocks, rootfs->nlayers, rootfs->tree_id, is,
				 err);
	if (r == 0)
		r = same_bytes(was, is, err);
	store_tmp_end(store, &tmp);
	return r;
}

/*
 * The parts of a disk but the first are the layers' data, those that have any, in their order: links
 * to it, or to the copy there was before the image was removed and came again.
 */
static int verify_parts(const struct store_rootfs *rootfs, int disk, struct error *err)
{
	unsigned n = 1;

	for (size_t i = 0; i < rootfs->nlayers; i++) {
		cleanup_fd int part = -1;
		struct stat linked, data;
		char name[16];

		if (rootfs->blocks[i] == 0)
			continue;
		snprintf(name, sizeof(name), "%u", n++);
		part = openat(disk, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
		if (part < 0 || fstat(part, &linked) < 0 || fstat(rootfs->data[i], &data) < 0)
			return error_set(err, -EBADMSG, "the disk's part %s can not be opened",
					 name);
		if (linked.st_ino == data.st_ino && linked.st_dev == data.st_dev)
			continue;
		if (same_bytes(part, rootfs->data[i], err) < 0)
			return error_set(err, -EBADMSG, "the disk's part %s is not the layer's",
					 name);
	}
	return 0;
}

static int verify_disk(struct store *store, struct store_rootfs *rootfs, struct error *err)
{
	char path[STORE_PATH_MAX];
	cleanup_fd int disk = -1;
	int r;

	snprintf(path, sizeof(path), "tree/%s/disk", rootfs->tree_id);
	disk = openat(store->cas, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (disk < 0)
		return error_errno(err, "opening the disk");
	r = verify_metadata(store, rootfs, disk, err);
	return r < 0 ? r : verify_parts(rootfs, disk, err);
}

/* Loose files are there for stage1 images alone. */
static int verify_files(struct store *store, struct store_rootfs *rootfs, struct error *err)
{
	char path[STORE_PATH_MAX];
	cleanup_fd int dir = -1;

	snprintf(path, sizeof(path), "tree/%s/rootfs", rootfs->tree_id);
	dir = openat(store->cas, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return errno == ENOENT ? 0 : error_errno(err, "opening the tree");
	return treecheck(rootfs->tree, rootfs->data, dir, err);
}

static int verify(struct store *store, struct store_rootfs *rootfs, struct error *err)
{
	cleanup_fd int lock = -1;
	int r = store_render(store, rootfs, &lock, err);

	if (r == 0 && !rootfs->tree)
		r = store_rootfs_load(store, rootfs, err);
	if (r == 0)
		r = verify_files(store, rootfs, err);
	if (r == 0)
		r = verify_disk(store, rootfs, err);
	return r;
}

int store_verify(struct store *store, const char *key, struct error *err)
{
	struct store_rootfs rootfs = STORE_ROOTFS_INIT;
	int r = store_rootfs_resolve(store, key, &rootfs, err);

	for (size_t i = 0; r == 0 && i < rootfs.nlayers; i++)
		r = store_verify_layer(store, rootfs.key[i], err);
	if (r == 0)
		r = verify(store, &rootfs, err);
	store_rootfs_free(&rootfs);
	return r;
}

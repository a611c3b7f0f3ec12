/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Images as ACIs.
 *
 * Theory of operation: an ACI's layer gives its archive back byte for byte. An image of several layers
 * never was one archive: one is made, of the manifest its config was converted to and of the merged
 * tree, in the tree's order and with nothing that depends on the time or the place, so the same image
 * gives the same bytes. Names go into it as they are, whatever the locale. The layers' digests are
 * checked first, as nothing tells afterwards whether the bytes are the right ones.
 */
#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/file.h"
#include "common/json.h"
#include "stage0/image/layer.h"
#include "stage0/image/store.h"
#include "stage0/image/store_priv.h"

#define COPY_SIZE  (128 * KIB)
#define EXTENT_MAX 65536 /* pieces of a sparse file, as many as are read */

struct aci_writer {
	struct archive *archive;
	const struct store_rootfs *rootfs;
	struct archive_entry *entry;
	char **name; /* of inodes met, by number: what a hard link names */
	uint8_t *buffer;
};

static int fail(struct aci_writer *writer, struct error *err)
{
	return error_set(err, -EIO, "writing the archive: %s",
			 archive_error_string(writer->archive));
}

static int write_bytes(struct aci_writer *writer, const void *bytes, size_t len, struct error *err)
{
	return archive_write_data(writer->archive, bytes, len) == (la_ssize_t)len
		       ? 0
		       : fail(writer, err);
}

static int write_manifest(struct aci_writer *writer, const char *text, struct error *err)
{
	struct archive_entry *entry = writer->entry;

	archive_entry_clear(entry);
	archive_entry_set_pathname(entry, "manifest");
	archive_entry_set_filetype(entry, AE_IFREG);
	archive_entry_set_perm(entry, 0644);
	archive_entry_set_size(entry, (la_int64_t)strlen(text));
	archive_entry_set_mtime(entry, 0, 0);
	if (archive_write_header(writer->archive, entry) != ARCHIVE_OK)
		return fail(writer, err);
	return write_bytes(writer, text, strlen(text), err);
}

/* The path in the archive of a node. The caller frees it. */
static char *path_of(const struct tree *tree, uint32_t node)
{
	cleanup_strv struct strv names = STRV_INIT;
	struct str path = STR_INIT;

	for (; node != 0; node = tree->node[node].parent)
		strv_add(&names, tree->node[node].name);
	str_add(&path, "rootfs");
	while (names.n > 0) {
		str_add(&path, "/");
		str_add(&path, names.v[names.n - 1]);
		free(names.v[--names.n]);
	}
	return str_take(&path);
}

static unsigned filetype_of(enum entry_type type)
{
	static const unsigned types[] = {
		[ENTRY_REG] = AE_IFREG, [ENTRY_DIR] = AE_IFDIR, [ENTRY_SYMLINK] = AE_IFLNK,
		[ENTRY_CHR] = AE_IFCHR, [ENTRY_BLK] = AE_IFBLK, [ENTRY_FIFO] = AE_IFIFO,
	};

	return types[type];
}

/* What of a file is there, when it has holes; without, it is written as it is. */
static int add_extents(struct aci_writer *writer, const struct tree_inode *inode, struct error *err)
{
	int data = writer->rootfs->data[inode->layer];
	off_t start = (off_t)inode->data, end = start + (off_t)inode->size, pos = start;
	unsigned n = 0;

	/* looking for a hole may take as long as the whole layer is: not for what can have none */
	if (inode->size < IMAGE_HOLE_MIN)
		return 0;
	while (pos < end && n++ < EXTENT_MAX) {
		off_t from = lseek(data, pos, SEEK_DATA), to;

		if (from < 0 && errno != ENXIO)
			return error_errno(err, "reading the image's data");
		if (from < 0 || from >= end)
			break;
		to = lseek(data, from, SEEK_HOLE);
		if (to < 0)
			return error_errno(err, "reading the image's data");
		pos = n == EXTENT_MAX ? end : MIN(to, end);
		if (from == start && pos == end)
			return 0;
		archive_entry_sparse_add_entry(writer->entry, from - start, pos - from);
	}
	/* nothing but a hole */
	if (archive_entry_sparse_count(writer->entry) == 0)
		archive_entry_sparse_add_entry(writer->entry, (la_int64_t)inode->size, 0);
	return 0;
}

static int write_range(struct aci_writer *writer, int data, off_t pos, uint64_t len,
		       struct error *err)
{
	while (len > 0) {
		size_t n = (size_t)MIN(len, COPY_SIZE);
		int r = pread_all(data, writer->buffer, n, pos);

		if (r < 0)
			return error_set(err, r, "reading the image's data: %s", strerror(-r));
		r = write_bytes(writer, writer->buffer, n, err);
		if (r < 0)
			return r;
		pos += (off_t)n;
		len -= n;
	}
	return 0;
}

static void set_attributes(struct archive_entry *entry, const struct tree_inode *inode)
{
	archive_entry_set_filetype(entry, filetype_of(inode->type));
	archive_entry_set_perm(entry, inode->perm);
	archive_entry_set_uid(entry, inode->uid);
	archive_entry_set_gid(entry, inode->gid);
	archive_entry_set_mtime(entry, inode->mtime, inode->mtime_ns);
	archive_entry_set_size(entry, inode->type == ENTRY_REG ? (la_int64_t)inode->size : 0);
	if (inode->type == ENTRY_SYMLINK)
		archive_entry_set_symlink(entry, inode->link);
	if (inode->type == ENTRY_CHR || inode->type == ENTRY_BLK) {
		archive_entry_set_rdevmajor(entry, inode->major);
		archive_entry_set_rdevminor(entry, inode->minor);
	}
	for (unsigned i = 0; i < inode->nxattr; i++)
		archive_entry_xattr_add_entry(entry, inode->xattr[i].name, inode->xattr[i].value,
					      inode->xattr[i].len);
}

static int write_node(struct aci_writer *writer, uint32_t node, struct error *err)
{
	const struct tree *tree = writer->rootfs->tree;
	const struct tree_inode *inode = tree_inode(tree, node);
	char **first = &writer->name[tree->node[node].inode];
	cleanup_free char *path = path_of(tree, node);
	bool file = inode->type == ENTRY_REG && inode->size > 0 && !*first;
	int r = 0;

	archive_entry_clear(writer->entry);
	archive_entry_set_pathname(writer->entry, path);
	set_attributes(writer->entry, inode);
	if (*first) {
		archive_entry_set_hardlink(writer->entry, *first);
		archive_entry_set_size(writer->entry, 0);
	} else if (inode->nlink > 1 && inode->type != ENTRY_DIR) {
		*first = xstrdup(path);
	}
	if (file)
		r = add_extents(writer, inode, err);
	if (r < 0)
		return r;
	if (archive_write_header(writer->archive, writer->entry) != ARCHIVE_OK)
		return fail(writer, err);
	/* the writer leaves out what is not in the extents */
	return file ? write_range(writer, writer->rootfs->data[inode->layer], (off_t)inode->data,
				  inode->size, err)
		    : 0;
}

static int write_all_nodes(struct aci_writer *writer, struct error *err)
{
	const struct tree *tree = writer->rootfs->tree;
	int r = write_node(writer, 0, err);

	for (uint32_t node = tree_next(tree, 0, false); r == 0 && node != TREE_NONE;
	     node = tree_next(tree, node, false))
		r = write_node(writer, node, err);
	return r;
}

static la_ssize_t on_write(struct archive *archive, void *ctx, const void *bytes, size_t len)
{
	int r = write_all(*(const int *)ctx, bytes, len);

	if (r == 0)
		return (la_ssize_t)len;
	archive_set_error(archive, -r, "%s", strerror(-r));
	return -1;
}

static int write_archive(const struct store_rootfs *rootfs, const char *manifest, int fd,
			 struct error *err)
{
	struct aci_writer writer = {.rootfs = rootfs};
	int r;

	writer.archive = archive_write_new();
	writer.entry = archive_entry_new();
	writer.name = xcalloc(rootfs->tree->ninodes, sizeof(*writer.name));
	writer.buffer = xcalloc(1, COPY_SIZE);
	if (!writer.archive || !writer.entry)
		r = error_set(err, -ENOMEM, "writing the archive: out of memory");
	else if (archive_write_set_format_pax_restricted(writer.archive) != ARCHIVE_OK ||
		 archive_write_set_options(writer.archive,
					   "hdrcharset=BINARY,xattrheader=SCHILY") != ARCHIVE_OK ||
		 archive_write_open(writer.archive, &fd, NULL, on_write, NULL) != ARCHIVE_OK)
		r = fail(&writer, err);
	else
		r = write_manifest(&writer, manifest, err);
	if (r == 0)
		r = write_all_nodes(&writer, err);
	if (r == 0 && archive_write_close(writer.archive) != ARCHIVE_OK)
		r = fail(&writer, err);
	for (uint32_t i = 0; i < rootfs->tree->ninodes; i++)
		free(writer.name[i]);
	free(writer.name);
	free(writer.buffer);
	archive_entry_free(writer.entry);
	archive_write_free(writer.archive);
	return r;
}

static int export_layers(struct store *store, const char *key, int fd, struct error *err)
{
	cleanup_json struct json_object *manifest = NULL;
	struct store_rootfs rootfs = STORE_ROOTFS_INIT;
	int r = store_manifest(store, key, &manifest, err);

	rootfs.alone = true;
	if (r == 0)
		r = store_rootfs_resolve(store, key, &rootfs, err);
	for (size_t i = 0; r == 0 && i < rootfs.nlayers; i++)
		r = store_verify_layer(store, rootfs.key[i], err);
	if (r == 0)
		r = store_rootfs_load(store, &rootfs, err);
	if (r == 0)
		r = write_archive(&rootfs, json_text(manifest), fd, err);
	store_rootfs_free(&rootfs);
	return r;
}

int store_export_aci(struct store *store, const char *key, int fd, struct error *err)
{
	char path[STORE_PATH_MAX], got[IMAGE_KEY_LEN + 1];
	uint8_t id[HASH_MAX_SIZE];
	cleanup_fd int dir = -1;
	int r;

	if (!store_key_valid(key) || !store_has_image(store, key))
		return error_set(err, -ENOENT, "image %.100s is not in the store", key);
	snprintf(path, sizeof(path), "layer/%s", key);
	dir = openat(store->cas, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return error_errno(err, "opening image %s", key);
	if (faccessat(dir, LAYER_LIST, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
		return export_layers(store, key, fd, err);
	r = layer_export(dir, HASH_SHA512, fd, id, err);
	if (r < 0)
		return r;
	store_key(HASH_SHA512, id, got);
	if (strcmp(got, key) != 0)
		return error_set(err, -EBADMSG, "the store's copy of image %s is damaged", key);
	return 0;
}

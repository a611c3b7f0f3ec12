/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation: the entries are written in the tree's order and with nothing that depends on
 * the time or the place, so the same tree gives the same bytes. Names go into the archive as they are,
 * whatever the locale. A file with holes is written as a sparse one.
 */
#include "stage0/image/aci_write.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "common/file.h"
#include "common/str.h"
#include "common/util.h"

#define COPY_SIZE  (128 * KIB)
#define EXTENT_MAX 65536 /* pieces of a sparse file, as many as are read */

struct aci_writer {
	struct archive *archive;
	const struct aci_image *image;
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
	int data = writer->image->data[inode->layer];
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

static bool is_foreign(const struct aci_writer *writer, const struct tree_inode *inode)
{
	return writer->image->content && inode->layer == writer->image->content->layer;
}

/* The same of a file that is in no layer. */
static int add_pieces(struct aci_writer *writer, const struct tree_inode *inode, struct error *err)
{
	const struct aci_content *content = writer->image->content;
	cleanup_free struct aci_piece *piece = NULL;
	size_t n = 0;
	int r = content->pieces(content->ctx, inode, &piece, &n, err);

	if (r < 0 || (n == 1 && piece[0].start == 0 && piece[0].len == inode->size))
		return r;
	for (size_t i = 0; i < n; i++)
		archive_entry_sparse_add_entry(writer->entry, (la_int64_t)piece[i].start,
					       (la_int64_t)piece[i].len);
	if (n == 0)
		archive_entry_sparse_add_entry(writer->entry, (la_int64_t)inode->size, 0);
	return 0;
}

static int write_foreign(struct aci_writer *writer, const struct tree_inode *inode,
			 struct error *err)
{
	const struct aci_content *content = writer->image->content;
	uint64_t pos = 0;
	int r = 0;

	while (r == 0 && pos < inode->size) {
		size_t n = (size_t)MIN(inode->size - pos, COPY_SIZE);

		r = content->read(content->ctx, inode, pos, writer->buffer, n, err);
		if (r == 0)
			r = write_bytes(writer, writer->buffer, n, err);
		pos += n;
	}
	return r;
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
	const struct tree *tree = writer->image->tree;
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
		r = is_foreign(writer, inode) ? add_pieces(writer, inode, err)
					      : add_extents(writer, inode, err);
	if (r < 0)
		return r;
	if (archive_write_header(writer->archive, writer->entry) != ARCHIVE_OK)
		return fail(writer, err);
	/* the writer leaves out what is not in the extents */
	if (file && is_foreign(writer, inode))
		return write_foreign(writer, inode, err);
	return file ? write_range(writer, writer->image->data[inode->layer], (off_t)inode->data,
				  inode->size, err)
		    : 0;
}

static int write_all_nodes(struct aci_writer *writer, struct error *err)
{
	const struct tree *tree = writer->image->tree;
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

static bool is_ascii(const char *text)
{
	while (*text && !(*text & 0x80))
		text++;
	return !*text;
}

/* Whether some name is of bytes that mean nothing without a character set. */
static bool has_foreign_names(const struct tree *tree)
{
	uint32_t node = 0;

	while ((node = tree_next(tree, node, false)) != TREE_NONE) {
		const struct tree_inode *inode = tree_inode(tree, node);

		if (!is_ascii(tree->node[node].name) ||
		    (inode->type == ENTRY_SYMLINK && !is_ascii(inode->link)))
			return true;
	}
	return false;
}

static int open_archive(struct aci_writer *writer, int *fd, struct error *err)
{
	struct archive *archive = writer->archive;

	if (archive_write_set_format_pax(archive) != ARCHIVE_OK ||
	    archive_write_set_format_option(archive, NULL, "xattrheader", "SCHILY") != ARCHIVE_OK ||
	    /* a header of its own for each entry, that GNU tar complains of */
	    (has_foreign_names(writer->image->tree) &&
	     archive_write_set_format_option(archive, NULL, "hdrcharset", "BINARY") !=
		     ARCHIVE_OK) ||
	    (writer->image->gzip &&
	     (archive_write_add_filter_gzip(archive) != ARCHIVE_OK ||
	      archive_write_set_filter_option(archive, NULL, "timestamp", NULL) != ARCHIVE_OK)) ||
	    archive_write_open(archive, fd, NULL, on_write, NULL) != ARCHIVE_OK)
		return fail(writer, err);
	return 0;
}

int aci_write(const struct aci_image *image, int fd, struct error *err)
{
	struct aci_writer writer = {.image = image};
	int r;

	writer.archive = archive_write_new();
	writer.entry = archive_entry_new();
	writer.name = xcalloc(image->tree->ninodes, sizeof(*writer.name));
	writer.buffer = xcalloc(1, COPY_SIZE);
	if (!writer.archive || !writer.entry)
		r = error_set(err, -ENOMEM, "writing the archive: out of memory");
	else
		r = open_archive(&writer, &fd, err);
	if (r == 0 && !image->manifest_last)
		r = write_manifest(&writer, image->manifest, err);
	if (r == 0)
		r = write_all_nodes(&writer, err);
	if (r == 0 && image->manifest_last)
		r = write_manifest(&writer, image->manifest, err);
	if (r == 0 && archive_write_close(writer.archive) != ARCHIVE_OK)
		r = fail(&writer, err);
	for (uint32_t i = 0; i < image->tree->ninodes; i++)
		free(writer.name[i]);
	free(writer.name);
	free(writer.buffer);
	archive_entry_free(writer.entry);
	archive_write_free(writer.archive);
	return r;
}

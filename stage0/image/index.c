/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The index of a layer: writer and reader (format: index.h).
 *
 * Theory of operation: the writer assembles records in a buffer and flushes it when it is full; the
 * header, which holds the totals, is written last, so an index cut short has none. The reader holds
 * one record at a time, of bounded size, reads its fields through a struct buf, and lets only
 * entries pass that entry_check() accepts and whose content lies within the data file.
 */
#include "stage0/image/index.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/file.h"
#include "common/util.h"

#define INDEX_MAGIC   "TPDINDEX"
#define INDEX_VERSION 1
#define HEADER_SIZE   32
#define FIXED_SIZE    54 /* of a record's fields before the path */
#define XATTR_FIXED   7	 /* of an attribute, with its name's NUL */
#define RECORD_MAX                                                                                 \
	(FIXED_SIZE + 2 * (ENTRY_PATH_MAX + 1) + ENTRY_XATTR_BYTES + ENTRY_XATTRS_MAX * XATTR_FIXED)
#define BUFFER_SIZE (256 * KIB) /* a write; must hold a record */

_Static_assert(BUFFER_SIZE > RECORD_MAX + 4, "a record fits the buffer");

struct index_writer {
	int fd;
	uint64_t entries;
	size_t used;
	uint8_t buffer[BUFFER_SIZE];
};

struct index_reader {
	int fd;
	uint64_t entries_left;
	uint64_t data_size;
	size_t start, end; /* bytes of buffer not yet used */
	struct entry_xattr xattr[ENTRY_XATTRS_MAX];
	uint8_t buffer[BUFFER_SIZE];
};

static void put(struct index_writer *writer, uint64_t value, unsigned bytes)
{
	for (unsigned i = 0; i < bytes; i++, value >>= 8)
		writer->buffer[writer->used++] = (uint8_t)value;
}

static void put_bytes(struct index_writer *writer, const void *bytes, size_t len)
{
	if (len > 0)
		memcpy(writer->buffer + writer->used, bytes, len);
	writer->used += len;
}

struct index_writer *index_writer_new(int fd)
{
	struct index_writer *writer = xcalloc(1, sizeof(*writer));

	writer->fd = fd;
	writer->used = HEADER_SIZE;
	return writer;
}

static int flush(struct index_writer *writer, struct error *err)
{
	int r = write_all(writer->fd, writer->buffer, writer->used);

	writer->used = 0;
	return r < 0 ? error_set(err, r, "writing the index: %s", strerror(-r)) : 0;
}

int index_writer_add(struct index_writer *writer, const struct entry *entry, struct error *err)
{
	size_t path_len = strlen(entry->path), link_len = strlen(entry->link);
	size_t start;
	uint32_t len;
	int r = entry_check(entry, err);

	if (r == 0 && sizeof(writer->buffer) - writer->used < RECORD_MAX + 4)
		r = flush(writer, err);
	if (r < 0)
		return r;
	start = writer->used;
	put(writer, 0, 4);
	put(writer, entry->type, 2);
	put(writer, entry->perm, 2);
	put(writer, entry->uid, 4);
	put(writer, entry->gid, 4);
	put(writer, (uint64_t)entry->mtime, 8);
	put(writer, entry->mtime_ns, 4);
	put(writer, entry->major, 4);
	put(writer, entry->minor, 4);
	put(writer, entry->size, 8);
	put(writer, entry->data, 8);
	put(writer, path_len, 2);
	put(writer, link_len, 2);
	put(writer, entry->nxattr, 2);
	put_bytes(writer, entry->path, path_len + 1);
	put_bytes(writer, entry->link, link_len + 1);
	for (unsigned i = 0; i < entry->nxattr; i++) {
		const struct entry_xattr *xattr = &entry->xattr[i];
		size_t name_len = strlen(xattr->name);

		put(writer, name_len, 2);
		put(writer, xattr->len, 4);
		put_bytes(writer, xattr->name, name_len + 1);
		put_bytes(writer, xattr->value, xattr->len);
	}
	len = (uint32_t)(writer->used - start - 4);
	for (unsigned i = 0; i < 4; i++)
		writer->buffer[start + i] = (uint8_t)(len >> 8 * i);
	writer->entries++;
	return 0;
}

int index_writer_finish(struct index_writer *writer, uint64_t data_size, struct error *err)
{
	int r = flush(writer, err);

	if (r < 0)
		return r;
	put_bytes(writer, INDEX_MAGIC, 8);
	put(writer, INDEX_VERSION, 8);
	put(writer, writer->entries, 8);
	put(writer, data_size, 8);
	if (pwrite(writer->fd, writer->buffer, HEADER_SIZE, 0) != HEADER_SIZE)
		return error_errno(err, "writing the index");
	writer->used = 0;
	return 0;
}

void index_writer_free(struct index_writer *writer)
{
	free(writer);
}

static int damaged(struct error *err, const char *how)
{
	return error_set(err, -EBADMSG, "the store's index of an image is damaged: %s", how);
}

/* Have at least want bytes at start. */
static int refill(struct index_reader *reader, size_t want, struct error *err)
{
	if (reader->end - reader->start >= want)
		return 0;
	memmove(reader->buffer, reader->buffer + reader->start, reader->end - reader->start);
	reader->end -= reader->start;
	reader->start = 0;
	while (reader->end < want) {
		ssize_t n = read(reader->fd, reader->buffer + reader->end,
				 sizeof(reader->buffer) - reader->end);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return error_errno(err, "reading the index");
		if (n == 0)
			return damaged(err, "it is cut short");
		reader->end += (size_t)n;
	}
	return 0;
}

int index_reader_new(int fd, struct index_reader **ret, struct error *err)
{
	cleanup_index_reader struct index_reader *reader = xcalloc(1, sizeof(*reader));
	struct buf buf;
	int r;

	reader->fd = fd;
	r = refill(reader, HEADER_SIZE, err);
	if (r < 0)
		return r;
	buf = buf_from(reader->buffer, HEADER_SIZE);
	reader->start = HEADER_SIZE;
	if (memcmp(buf_bytes(&buf, 8), INDEX_MAGIC, 8) != 0 || buf_le64(&buf) != INDEX_VERSION)
		return damaged(err, "it is none");
	reader->entries_left = buf_le64(&buf);
	reader->data_size = buf_le64(&buf);
	if (reader->entries_left > IMAGE_ENTRIES_MAX || reader->data_size > IMAGE_LOGICAL_MAX ||
	    reader->data_size % IMAGE_BLOCK)
		return damaged(err, "its totals are out of range");
	*ret = take_ptr(reader);
	return 0;
}

/* A string of len bytes and its NUL; NULL when there are other NULs or none. */
static const char *get_string(struct buf *buf, size_t len)
{
	const char *s = (const char *)buf_bytes(buf, len + 1);

	return s && strnlen(s, len + 1) == len ? s : NULL;
}

static bool parse_record(struct index_reader *reader, struct buf *buf, struct entry *entry)
{
	size_t path_len, link_len;
	unsigned nxattr;

	*entry = (struct entry){.xattr = reader->xattr};
	entry->type = buf_le16(buf);
	entry->perm = buf_le16(buf);
	entry->uid = buf_le32(buf);
	entry->gid = buf_le32(buf);
	entry->mtime = (int64_t)buf_le64(buf);
	entry->mtime_ns = buf_le32(buf);
	entry->major = buf_le32(buf);
	entry->minor = buf_le32(buf);
	entry->size = buf_le64(buf);
	entry->data = buf_le64(buf);
	path_len = buf_le16(buf);
	link_len = buf_le16(buf);
	nxattr = buf_le16(buf);
	entry->path = get_string(buf, path_len);
	entry->link = get_string(buf, link_len);
	if (!entry->path || !entry->link || nxattr > ENTRY_XATTRS_MAX)
		return false;
	for (; entry->nxattr < nxattr; entry->nxattr++) {
		struct entry_xattr *xattr = &reader->xattr[entry->nxattr];
		size_t name_len = buf_le16(buf);

		xattr->len = buf_le32(buf);
		xattr->name = get_string(buf, name_len);
		xattr->value = buf_bytes(buf, xattr->len);
		if (!xattr->name || !xattr->value)
			return false;
	}
	return !buf->failed && buf->len == 0;
}

int index_reader_next(struct index_reader *reader, struct entry *ret, struct error *err)
{
	struct entry entry;
	struct buf buf;
	uint32_t len;
	int r;

	if (reader->entries_left == 0)
		return 0;
	r = refill(reader, 4, err);
	if (r < 0)
		return r;
	buf = buf_from(reader->buffer + reader->start, 4);
	len = buf_le32(&buf);
	if (len > RECORD_MAX)
		return damaged(err, "an entry is too large");
	r = refill(reader, 4 + (size_t)len, err);
	if (r < 0)
		return r;
	buf = buf_from(reader->buffer + reader->start + 4, len);
	reader->start += 4 + (size_t)len;
	reader->entries_left--;
	if (!parse_record(reader, &buf, &entry))
		return damaged(err, "an entry is malformed");
	r = entry_check(&entry, err);
	if (r < 0)
		return error_wrap(err, "the store's index of an image is damaged");
	if (entry.size > 0 && (entry.data % IMAGE_BLOCK || entry.data > reader->data_size ||
			       entry.size > reader->data_size - entry.data))
		return damaged(err, "an entry's content is out of range");
	*ret = entry;
	return 1;
}

uint64_t index_reader_data_size(const struct index_reader *reader)
{
	return reader->data_size;
}

void index_reader_free(struct index_reader *reader)
{
	free(reader);
}

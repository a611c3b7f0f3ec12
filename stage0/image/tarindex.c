/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The members of a tar file (ustar, GNU, pax).
 *
 * Theory of operation: one header block is read after the other, contents are jumped over. The long
 * names of GNU and pax precede the member they belong to. Everything is checked against the file's
 * size, so a lie about a size ends the reading; nothing is ever created by a name from the archive,
 * names are only compared. Members are kept in a list sorted by name, which shows duplicates.
 */
#include "stage0/image/tarindex.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/file.h"
#include "common/str.h"
#include "common/util.h"
#include "stage0/image/entry.h"
#include "stage0/image/limits.h"

#define BLOCK	    512
#define MEMBERS_MAX 16384 /* an image has 512 layers at most, of four members in old archives */
#define RECORD_MAX  (64 * KIB) /* of a long name or a pax header: a name has 4 KiB at most */
#define NAMES_MAX   (8 * MIB)  /* bytes of all names */
#define LINKS_MAX   8	       /* links that lead to links */

/* A header block as it is in the file. */
struct header {
	char name[100], mode[8], uid[8], gid[8], size[12], mtime[12], checksum[8], type;
	char linkname[100], magic[6], version[2], uname[32], gname[32], major[8], minor[8];
	char prefix[155], pad[12];
};
_Static_assert(sizeof(struct header) == BLOCK, "a tar header is a block");

struct tarindex {
	struct tarindex_member *member;
	size_t n;
};

/* What precedes a member and belongs to it. */
struct pending {
	char *name, *target;
	bool has_size;
	uint64_t size;
};

struct reader {
	int fd;
	uint64_t pos, end;
	size_t names; /* bytes of all so far */
	struct pending pending;
	struct tarindex *index;
};

static void pending_clear(struct pending *pending)
{
	free(pending->name);
	free(pending->target);
	*pending = (struct pending){.name = NULL};
}

/* An octal number, or GNU's base 256 for the large ones. */
static bool read_number(const char *field, size_t len, uint64_t *ret)
{
	const uint8_t *p = (const uint8_t *)field;
	uint64_t value = 0;
	size_t i = 0;

	if (p[0] & 0x80) {
		value = p[0] & 0x7f;
		for (i = 1; i < len; i++) {
			if (value >> 55)
				return false;
			value = value << 8 | p[i];
		}
		*ret = value;
		return true;
	}
	while (i < len && p[i] == ' ')
		i++;
	for (; i < len && p[i] >= '0' && p[i] <= '7'; i++) {
		if (value >> 60)
			return false;
		value = value * 8 + (p[i] - '0');
	}
	*ret = value;
	return i == len || p[i] == ' ' || p[i] == '\0';
}

static bool checksum_is_right(const struct header *header)
{
	const uint8_t *p = (const uint8_t *)header;
	const size_t from = offsetof(struct header, checksum);
	uint64_t stored, sum = 0;

	for (size_t i = 0; i < BLOCK; i++)
		sum += i >= from && i < from + sizeof(header->checksum) ? ' ' : p[i];
	return read_number(header->checksum, sizeof(header->checksum), &stored) && stored == sum;
}

static bool is_zero(const void *block)
{
	static const char zero[BLOCK];

	return memcmp(block, zero, BLOCK) == 0;
}

/* A name as it is compared: without what means "here" before it. */
static char *clean_name(const char *name, size_t len)
{
	const char *end = name + len;

	for (;;) {
		if (end - name >= 2 && name[0] == '.' && name[1] == '/')
			name += 2;
		else if (name < end && *name == '/')
			name++;
		else
			break;
	}
	return xstrndup(name, (size_t)(end - name));
}

static char *header_name(const struct header *header)
{
	size_t len = strnlen(header->name, sizeof(header->name));
	cleanup_str struct str name = STR_INIT;

	if (memcmp(header->magic, "ustar\0", 6) == 0 && header->prefix[0])
		str_addf(&name, "%.*s/", (int)sizeof(header->prefix), header->prefix);
	str_addn(&name, header->name, len);
	return clean_name(str_get(&name), strlen(str_get(&name)));
}

/* The content of a record that belongs to the next member. *ret is NUL-terminated. */
static int read_record(struct reader *reader, uint64_t size, char **ret, struct error *err)
{
	cleanup_free char *bytes = NULL;
	int r;

	if (size > RECORD_MAX)
		return error_set(err, -EFBIG, "a name in the archive is too long");
	bytes = xcalloc(size + 1, 1);
	r = pread_all(reader->fd, bytes, size, (off_t)reader->pos);
	if (r < 0)
		return error_set(err, r, "reading the archive: %s", strerror(-r));
	*ret = take_ptr(bytes);
	return 0;
}

static void replace(char **old, char *fresh)
{
	free(*old);
	*old = fresh;
}

/* One "LENGTH KEY=VALUE\n" of a pax header; returns its length, 0 when it is none. */
static size_t pax_record(struct pending *pending, const char *record, size_t left)
{
	char *space, *equals;
	unsigned long len = strtoul(record, &space, 10);
	size_t key_len, value_len;
	unsigned long long size;

	if (*space != ' ' || len < 5 || len > left || record[len - 1] != '\n')
		return 0;
	equals = memchr(space + 1, '=', len - (size_t)(space + 1 - record));
	if (!equals)
		return 0;
	key_len = (size_t)(equals - space - 1);
	value_len = len - 1 - (size_t)(equals + 1 - record);
	if (key_len == 4 && memcmp(space + 1, "path", 4) == 0) {
		replace(&pending->name, clean_name(equals + 1, value_len));
	} else if (key_len == 8 && memcmp(space + 1, "linkpath", 8) == 0) {
		replace(&pending->target, xstrndup(equals + 1, value_len));
	} else if (key_len == 4 && memcmp(space + 1, "size", 4) == 0) {
		cleanup_free char *text = xstrndup(equals + 1, value_len);

		if (!str_to_u64(text, INT64_MAX, &size))
			return 0;
		pending->has_size = true;
		pending->size = size;
	}
	return len;
}

static int read_pax(struct reader *reader, uint64_t size, struct error *err)
{
	cleanup_free char *bytes = NULL;
	int r = read_record(reader, size, &bytes, err);
	size_t pos = 0;

	while (r == 0 && pos < size) {
		size_t len = pax_record(&reader->pending, bytes + pos, size - pos);

		if (len == 0)
			r = error_set(err, -EBADMSG, "the archive has a bad pax header");
		pos += len;
	}
	return r;
}

/* Records that tell of the next member. 1: this is none of them. */
static int read_extension(struct reader *reader, const struct header *header, uint64_t size,
			  struct error *err)
{
	struct pending *pending = &reader->pending;
	char *text;
	int r;

	switch (header->type) {
	case 'x':
		return read_pax(reader, size, err);
	case 'g': /* what may be global is nothing of a member's place */
		return 0;
	case 'L':
	case 'K':
		r = read_record(reader, size, &text, err);
		if (r < 0)
			return r;
		if (header->type == 'L')
			replace(&pending->name, clean_name(text, strlen(text)));
		else
			replace(&pending->target, xstrndup(text, strlen(text)));
		free(text);
		return 0;
	default:
		return 1;
	}
}

static enum tarindex_type type_of(char type)
{
	switch (type) {
	case '\0':
	case '0':
	case '7':
		return TARINDEX_FILE;
	case '1':
		return TARINDEX_LINK;
	case '2':
		return TARINDEX_SYMLINK;
	default:
		return TARINDEX_OTHER;
	}
}

static int add_member(struct reader *reader, const struct header *header, uint64_t size,
		      struct error *err)
{
	struct tarindex *index = reader->index;
	struct pending *pending = &reader->pending;
	struct tarindex_member *member;

	if (index->n == MEMBERS_MAX)
		return error_set(err, -EFBIG, "the archive has more than %d members", MEMBERS_MAX);
	if (index->n % 64 == 0)
		index->member = xrealloc(index->member, index->n + 64, sizeof(*member));
	member = &index->member[index->n++];
	*member = (struct tarindex_member){
		.type = type_of(header->type),
		.offset = reader->pos,
		.size = size,
	};
	member->name = pending->name ? take_ptr(pending->name) : header_name(header);
	if (member->type == TARINDEX_LINK || member->type == TARINDEX_SYMLINK)
		member->target = pending->target
					 ? take_ptr(pending->target)
					 : xstrndup(header->linkname, sizeof(header->linkname));
	pending_clear(pending);
	reader->names += strlen(member->name) + (member->target ? strlen(member->target) : 0);
	if (reader->names > NAMES_MAX)
		return error_set(err, -EFBIG, "the archive's names are too long");
	return 0;
}

/* The header at pos and what it heads. 1: the archive ends here. */
static int read_member(struct reader *reader, struct error *err)
{
	struct header header;
	uint64_t size;
	int r;

	if (reader->end - reader->pos < BLOCK)
		return 1;
	r = pread_all(reader->fd, &header, sizeof(header), (off_t)reader->pos);
	if (r < 0)
		return error_set(err, r, "reading the archive: %s", strerror(-r));
	if (is_zero(&header))
		return 1;
	if (!checksum_is_right(&header) || !read_number(header.size, sizeof(header.size), &size))
		return error_set(err, -EBADMSG, "the archive is damaged at byte %llu",
				 (unsigned long long)reader->pos);
	reader->pos += BLOCK;
	if (reader->pending.has_size && header.type != 'x' && header.type != 'g')
		size = reader->pending.size;
	/* links have no content, whatever they say */
	if (header.type == '1' || header.type == '2')
		size = 0;
	if (size > reader->end - reader->pos)
		return error_set(err, -EBADMSG, "the archive is truncated");
	r = read_extension(reader, &header, size, err);
	if (r == 1)
		r = add_member(reader, &header, size, err);
	reader->pos += MIN(ALIGN_UP(size, (uint64_t)BLOCK), reader->end - reader->pos);
	return r;
}

static int compare_members(const void *a, const void *b)
{
	return strcmp(((const struct tarindex_member *)a)->name,
		      ((const struct tarindex_member *)b)->name);
}

int tarindex_read(int fd, struct tarindex **ret, struct error *err)
{
	cleanup_tarindex struct tarindex *index = xcalloc(1, sizeof(*index));
	struct reader reader = {.fd = fd, .index = index};
	struct stat st;
	int r = 0;

	if (fstat(fd, &st) < 0)
		return error_errno(err, "reading the archive");
	if (!S_ISREG(st.st_mode))
		return error_set(err, -EINVAL, "the archive is no file");
	reader.end = (uint64_t)st.st_size;
	while (r == 0)
		r = read_member(&reader, err);
	pending_clear(&reader.pending);
	if (r < 0)
		return r;
	if (index->n > 0)
		qsort(index->member, index->n, sizeof(index->member[0]), compare_members);
	*ret = take_ptr(index);
	return 0;
}

void tarindex_free(struct tarindex *index)
{
	if (!index)
		return;
	for (size_t i = 0; i < index->n; i++) {
		free(index->member[i].name);
		free(index->member[i].target);
	}
	free(index->member);
	free(index);
}

static int find_one(const struct tarindex *index, const char *name,
		    const struct tarindex_member **ret, struct error *err)
{
	struct tarindex_member key = {.name = (char *)name};
	const struct tarindex_member *found =
		index->n ? bsearch(&key, index->member, index->n, sizeof(key), compare_members)
			 : NULL;
	cleanup_free char *shown = entry_name(name);

	if (!found)
		return error_set(err, -ENOENT, "%.200s is not in the archive", shown);
	if ((found > index->member && strcmp(found[-1].name, name) == 0) ||
	    (found + 1 < index->member + index->n && strcmp(found[1].name, name) == 0))
		return error_set(err, -EBADMSG, "%.200s is in the archive twice", shown);
	*ret = found;
	return 0;
}

/* The name a symbolic link in the directory of name leads to, within the archive; NULL: out of it. */
static char *resolve(const char *name, const char *target)
{
	const char *slash = strrchr(name, '/');
	cleanup_strv struct strv parts = STRV_INIT, kept = STRV_INIT;
	cleanup_free char *dir = xstrndup(name, slash ? (size_t)(slash - name) : 0);
	struct str path = STR_INIT;

	if (target[0] != '/')
		strv_split(&parts, dir, '/');
	strv_split(&parts, target, '/');
	for (size_t i = 0; i < parts.n; i++) {
		const char *part = parts.v[i];

		if (!part[0] || strcmp(part, ".") == 0)
			continue;
		if (strcmp(part, "..") != 0) {
			strv_add(&kept, part);
			continue;
		}
		if (kept.n == 0)
			return NULL;
		free(kept.v[--kept.n]);
		kept.v[kept.n] = NULL;
	}
	for (size_t i = 0; i < kept.n; i++)
		str_addf(&path, "%s%s", i ? "/" : "", kept.v[i]);
	return str_take(&path);
}

int tarindex_find(const struct tarindex *index, const char *name,
		  const struct tarindex_member **ret, struct error *err)
{
	cleanup_free char *at = clean_name(name, strlen(name));
	cleanup_free char *shown = entry_name(name);

	for (unsigned links = 0; links <= LINKS_MAX; links++) {
		const struct tarindex_member *member = NULL;
		char *next;
		int r = find_one(index, at, &member, err);

		if (r < 0)
			return r;
		if (member->type == TARINDEX_FILE) {
			*ret = member;
			return 0;
		}
		next = member->type == TARINDEX_LINK
			       ? clean_name(member->target, strlen(member->target))
		       : member->type == TARINDEX_SYMLINK ? resolve(at, member->target)
							  : NULL;
		if (!next)
			return error_set(err, -EBADMSG, "%.200s is no file of the archive", shown);
		replace(&at, next);
	}
	return error_set(err, -EBADMSG, "%.200s is a link to links", shown);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tar reader.
 *
 * Theory of operation: libarchive pulls the stream through a callback and returns entries; each is
 * turned into a struct entry, with names normalised and attributes filtered, and handed on. Nothing
 * is resynchronised: libarchive's RETRY ("damaged, found something later") is as fatal as FATAL, and
 * of its warnings only the ones about character sets are let pass, because the bytes are right then.
 *
 * An operation's failure inside the read callback travels through libarchive as ARCHIVE_FATAL; the
 * real error is kept aside and wins.
 */
#include "stage0/image/tarwalk.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "common/buf.h"
#include "common/str.h"
#include "common/util.h"

/* linux/capability.h */
#define VFS_CAP_REVISION_MASK 0xff000000
#define VFS_CAP_REVISION_2    0x02000000
#define VFS_CAP_REVISION_3    0x03000000
#define XATTR_CAPS_SZ_2	      20
#define XATTR_CAPS_SZ_3	      24

/* linux/posix_acl.h, linux/posix_acl_xattr.h */
#define POSIX_ACL_XATTR_VERSION 2
#define POSIX_ACL_ENTRY_SIZE	8
#define ACL_USER_OBJ		0x01
#define ACL_USER		0x02
#define ACL_GROUP_OBJ		0x04
#define ACL_GROUP		0x08
#define ACL_MASK		0x10
#define ACL_OTHER		0x20
#define ACL_UNDEFINED_ID	UINT32_MAX

#define ACL_ENTRIES_MAX 1024 /* the kernel's file systems take fewer */

struct walk {
	const struct tarwalk_ops *ops;
	void *ctx;
	struct archive *archive;
	struct error error; /* of the read callback */
	struct entry entry;
	char path[ENTRY_PATH_MAX + 1];
	char link[ENTRY_PATH_MAX + 1];
	struct entry_xattr xattr[ENTRY_XATTRS_MAX];
	uint8_t capability[XATTR_CAPS_SZ_2];
	uint8_t acl[2][4 + ACL_ENTRIES_MAX * POSIX_ACL_ENTRY_SIZE];
};

static la_ssize_t read_callback(struct archive *archive, void *arg, const void **ret)
{
	struct walk *walk = arg;
	size_t len = 0;

	if (walk->ops->read(walk->ctx, ret, &len, &walk->error) < 0) {
		archive_set_error(archive, EIO, "read");
		return ARCHIVE_FATAL;
	}
	return (la_ssize_t)len;
}

static int archive_failure(struct walk *walk, struct error *err)
{
	const char *text = archive_error_string(walk->archive);
	cleanup_free char *escaped = NULL;

	if (walk->error.code) {
		*err = walk->error;
		return err->code;
	}
	escaped = entry_name(text ? text : "unknown");
	return error_set(err, -EBADMSG, "damaged archive: %.200s", escaped);
}

static int reject(struct walk *walk, struct error *err, const char *why)
{
	cleanup_free char *name = entry_name(walk->path);

	return error_set(err, -EBADMSG, "entry \"%.200s\": %s", name, why);
}

static void add_xattr(struct walk *walk, const char *name, const void *value, size_t len)
{
	struct entry *entry = &walk->entry;

	walk->xattr[entry->nxattr++] =
		(struct entry_xattr){.name = name, .value = value, .len = (uint32_t)len};
}

static bool has_xattr(const struct walk *walk, const char *name)
{
	for (unsigned i = 0; i < walk->entry.nxattr; i++)
		if (strcmp(walk->xattr[i].name, name) == 0)
			return true;
	return false;
}

/* A version 3 capability of the initial user namespace is a version 2 one with a root id of 0. */
static const void *capability_v2(struct walk *walk, const void *value, size_t *len)
{
	struct buf buf = buf_from(value, *len);
	uint32_t magic = buf_le32(&buf);

	if (*len != XATTR_CAPS_SZ_3 || (magic & VFS_CAP_REVISION_MASK) != VFS_CAP_REVISION_3)
		return value;
	buf_bytes(&buf, XATTR_CAPS_SZ_2 - 4);
	if (buf_le32(&buf) != 0)
		return value;
	memcpy(walk->capability, value, XATTR_CAPS_SZ_2);
	walk->capability[3] = VFS_CAP_REVISION_2 >> 24;
	*len = XATTR_CAPS_SZ_2;
	return walk->capability;
}

/* Keep the attributes images may have; others are dropped, as every image tool does. */
static int read_xattrs(struct walk *walk, struct archive_entry *ae, struct error *err)
{
	const char *name;
	const void *value;
	size_t len, total = 0;

	archive_entry_xattr_reset(ae);
	while (archive_entry_xattr_next(ae, &name, &value, &len) == ARCHIVE_OK) {
		struct xattr_kind kind;

		if (!name || !xattr_allowed(name, &kind) || has_xattr(walk, name))
			continue;
		if (strcmp(name, "security.capability") == 0)
			value = capability_v2(walk, value, &len);
		if (!xattr_value_valid(name, value, len))
			continue;
		total += strlen(name) + len;
		if (walk->entry.nxattr == ENTRY_XATTRS_MAX || total > ENTRY_XATTR_BYTES)
			return reject(walk, err, "too many extended attributes");
		add_xattr(walk, name, value, len);
	}
	return 0;
}

static int acl_tag(int tag, uint16_t *ret)
{
	switch (tag) {
	case ARCHIVE_ENTRY_ACL_USER_OBJ:
		*ret = ACL_USER_OBJ;
		return 0;
	case ARCHIVE_ENTRY_ACL_USER:
		*ret = ACL_USER;
		return 0;
	case ARCHIVE_ENTRY_ACL_GROUP_OBJ:
		*ret = ACL_GROUP_OBJ;
		return 0;
	case ARCHIVE_ENTRY_ACL_GROUP:
		*ret = ACL_GROUP;
		return 0;
	case ARCHIVE_ENTRY_ACL_MASK:
		*ret = ACL_MASK;
		return 0;
	case ARCHIVE_ENTRY_ACL_OTHER:
		*ret = ACL_OTHER;
		return 0;
	default:
		return -EINVAL;
	}
}

struct acl_entry {
	uint16_t tag, perm;
	uint32_t id;
};

static int acl_compare(const void *pa, const void *pb)
{
	const struct acl_entry *a = pa, *b = pb;

	if (a->tag != b->tag)
		return a->tag < b->tag ? -1 : 1;
	return a->id < b->id ? -1 : a->id > b->id;
}

static void put_le(uint8_t **p, uint32_t value, unsigned bytes)
{
	for (unsigned i = 0; i < bytes; i++, value >>= 8)
		*(*p)++ = (uint8_t)value;
}

/* A textual ACL (SCHILY.acl.*) as the attribute the kernel keeps it in. */
static int read_acl(struct walk *walk, struct archive_entry *ae, int type, const char *name,
		    uint8_t *out, struct error *err)
{
	cleanup_free struct acl_entry *acl = NULL;
	int n = archive_entry_acl_reset(ae, type), kind, perm, tag, qualifier;
	const char *who;
	uint8_t *p = out;
	size_t used = 0;

	/* up to three entries say what the mode says */
	if (n <= 0 || (type == ARCHIVE_ENTRY_ACL_TYPE_ACCESS && n <= 3) || has_xattr(walk, name))
		return 0;
	if (n > ACL_ENTRIES_MAX || walk->entry.nxattr == ENTRY_XATTRS_MAX)
		return reject(walk, err, "too large an access control list");
	acl = xcalloc((size_t)n, sizeof(*acl));
	while (used < (size_t)n && archive_entry_acl_next(ae, type, &kind, &perm, &tag, &qualifier,
							  &who) == ARCHIVE_OK) {
		struct acl_entry *e = &acl[used];

		if (acl_tag(tag, &e->tag) < 0)
			return reject(walk, err, "an access control list that Linux has not");
		e->perm = (uint16_t)(perm & 7); /* libarchive's bits are those of a mode */
		e->id = e->tag == ACL_USER || e->tag == ACL_GROUP ? (uint32_t)qualifier
								  : ACL_UNDEFINED_ID;
		if (e->id == ACL_UNDEFINED_ID && (e->tag == ACL_USER || e->tag == ACL_GROUP))
			continue; /* a name without a number: names mean nothing outside its system */
		used++;
	}
	qsort(acl, used, sizeof(*acl), acl_compare);
	put_le(&p, POSIX_ACL_XATTR_VERSION, 4);
	for (size_t i = 0; i < used; i++) {
		put_le(&p, acl[i].tag, 2);
		put_le(&p, acl[i].perm, 2);
		put_le(&p, acl[i].id, 4);
	}
	add_xattr(walk, name, out, (size_t)(p - out));
	return 0;
}

static int read_path(struct walk *walk, struct archive_entry *ae, struct error *err)
{
	const char *path = archive_entry_pathname(ae), *problem;
	cleanup_free char *name = NULL;

	if (!path)
		return error_set(err, -EBADMSG, "an entry has no name");
	problem = entry_path_normalise(path, walk->path);
	if (!problem)
		return 0;
	name = entry_name(path);
	return error_set(err, -EBADMSG, "entry \"%.200s\": the path %s", name, problem);
}

static int read_link(struct walk *walk, struct archive_entry *ae, struct error *err)
{
	const char *hardlink = archive_entry_hardlink(ae), *symlink = archive_entry_symlink(ae);

	if (walk->entry.type == ENTRY_HARDLINK) {
		if (entry_path_normalise(hardlink, walk->link) || !walk->link[0])
			return reject(walk, err, "the hard link's target is no path of the image");
	} else if (walk->entry.type == ENTRY_SYMLINK) {
		size_t len = symlink ? strnlen(symlink, ENTRY_SYMLINK_MAX + 1) : 0;

		if (len == 0 || len > ENTRY_SYMLINK_MAX)
			return reject(walk, err, "the symbolic link's target is empty or too long");
		memcpy(walk->link, symlink, len + 1);
	}
	return 0;
}

static int read_type(struct walk *walk, struct archive_entry *ae, struct error *err)
{
	static const struct {
		unsigned mode;
		enum entry_type type;
	} types[] = {
		{AE_IFREG, ENTRY_REG}, {AE_IFDIR, ENTRY_DIR}, {AE_IFLNK, ENTRY_SYMLINK},
		{AE_IFCHR, ENTRY_CHR}, {AE_IFBLK, ENTRY_BLK}, {AE_IFIFO, ENTRY_FIFO},
	};

	if (archive_entry_hardlink(ae)) {
		walk->entry.type = ENTRY_HARDLINK;
		return 0;
	}
	for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
		if (archive_entry_filetype(ae) == types[i].mode) {
			walk->entry.type = types[i].type;
			return 0;
		}
	}
	return reject(walk, err, "a kind of entry that images can not have");
}

/* Owner, times, size and device: the numbers. */
static int read_numbers(struct walk *walk, struct archive_entry *ae, struct error *err)
{
	struct entry *entry = &walk->entry;
	int64_t uid = archive_entry_uid(ae), gid = archive_entry_gid(ae);
	int64_t size = archive_entry_size(ae), mtime = archive_entry_mtime(ae);
	long ns = archive_entry_mtime_nsec(ae);

	if (uid < 0 || uid >= UINT32_MAX || gid < 0 || gid >= UINT32_MAX)
		return reject(walk, err, "the owner is out of range");
	entry->uid = (uint32_t)uid;
	entry->gid = (uint32_t)gid;
	entry->perm = (uint32_t)archive_entry_perm(ae) & 07777;
	entry->mtime = mtime < 0 ? 0 : MIN(mtime, ENTRY_TIME_MAX);
	entry->mtime_ns = mtime == entry->mtime && ns >= 0 && ns < 1000000000 ? (uint32_t)ns : 0;
	if (size < 0 || (uint64_t)size > ENTRY_SIZE_MAX)
		return reject(walk, err, "the size is out of range");
	if (entry->type == ENTRY_REG)
		entry->size = (uint64_t)size;
	else if (entry->type == ENTRY_HARDLINK && size > 0)
		return reject(walk, err, "a hard link with content");
	if (entry->type == ENTRY_CHR || entry->type == ENTRY_BLK) {
		entry->major = (uint32_t)archive_entry_rdevmajor(ae);
		entry->minor = (uint32_t)archive_entry_rdevminor(ae);
	}
	return 0;
}

static int read_entry(struct walk *walk, struct archive_entry *ae, struct error *err)
{
	int r;

	walk->path[0] = walk->link[0] = '\0';
	walk->entry = (struct entry){.path = walk->path, .link = walk->link, .xattr = walk->xattr};
	r = read_path(walk, ae, err);
	if (r == 0)
		r = read_type(walk, ae, err);
	if (r == 0)
		r = read_link(walk, ae, err);
	if (r == 0)
		r = read_numbers(walk, ae, err);
	/* a hard link's attributes are those of what it links to */
	if (r == 0 && walk->entry.type != ENTRY_HARDLINK)
		r = read_xattrs(walk, ae, err);
	if (r == 0 && (walk->entry.type == ENTRY_REG || walk->entry.type == ENTRY_DIR))
		r = read_acl(walk, ae, ARCHIVE_ENTRY_ACL_TYPE_ACCESS, "system.posix_acl_access",
			     walk->acl[0], err);
	if (r == 0 && walk->entry.type == ENTRY_DIR)
		r = read_acl(walk, ae, ARCHIVE_ENTRY_ACL_TYPE_DEFAULT, "system.posix_acl_default",
			     walk->acl[1], err);
	if (r == 0)
		r = entry_check(&walk->entry, err);
	return r;
}

static int read_content(struct walk *walk, struct error *err)
{
	uint64_t expect = 0, pieces = 0;

	for (;;) {
		const void *bytes;
		la_int64_t offset;
		size_t len;
		int r = archive_read_data_block(walk->archive, &bytes, &len, &offset);

		if (r == ARCHIVE_EOF)
			return 0;
		if (r != ARCHIVE_OK)
			return archive_failure(walk, err);
		if (len == 0)
			continue;
		if (offset < 0 || (uint64_t)offset < expect ||
		    (uint64_t)offset > walk->entry.size ||
		    len > walk->entry.size - (uint64_t)offset)
			return reject(walk, err, "the content does not fit the size");
		if ((uint64_t)offset > expect && ++pieces > ENTRY_SPARSE_MAX)
			return reject(walk, err, "a sparse file of too many pieces");
		expect = (uint64_t)offset + len;
		r = walk->ops->data(walk->ctx, (uint64_t)offset, bytes, len,
				    (uint64_t)archive_filter_bytes(walk->archive, 0), err);
		if (r < 0)
			return r;
	}
}

static bool warning_is_harmless(struct archive *archive)
{
	const char *text = archive_error_string(archive);

	return text && strstr(text, "can't be converted from");
}

static int walk_entries(struct walk *walk, struct error *err)
{
	struct archive *archive = walk->archive;

	for (uint64_t n = 0;; n++) {
		struct archive_entry *ae;
		int r = archive_read_next_header(archive, &ae);

		if (r == ARCHIVE_EOF && !walk->error.code)
			return 0;
		if (r != ARCHIVE_OK && !(r == ARCHIVE_WARN && warning_is_harmless(archive)))
			return archive_failure(walk, err);
		if (n >= IMAGE_ENTRIES_MAX)
			return error_set(err, -EFBIG, "more than %d entries", IMAGE_ENTRIES_MAX);
		r = read_entry(walk, ae, err);
		if (r == 0)
			r = walk->ops->entry(walk->ctx, &walk->entry, err);
		if (r == 0 && walk->entry.type == ENTRY_REG)
			r = read_content(walk, err);
		if (r < 0)
			return r;
	}
}

int tarwalk(const struct tarwalk_ops *ops, void *ctx, struct error *err)
{
	cleanup_free struct walk *walk = xcalloc(1, sizeof(*walk));
	struct archive *archive = archive_read_new();
	int r;

	if (!archive)
		return error_set(err, -ENOMEM, "out of memory");
	walk->ops = ops;
	walk->ctx = ctx;
	walk->archive = archive;
	archive_read_support_format_tar(archive);
	archive_read_support_format_empty(archive);
	if (archive_read_open(archive, walk, NULL, read_callback, NULL) != ARCHIVE_OK)
		r = archive_failure(walk, err);
	else
		r = walk_entries(walk, err);
	archive_read_free(archive);
	return r;
}

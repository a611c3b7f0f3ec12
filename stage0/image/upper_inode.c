/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inodes of overlayfs's upper directory on an ext4 disk: what they are in a tree, their extended
 * attributes, and the content of files.
 *
 * Theory of operation: libext2fs reads inodes, attributes and extents; contents are read here, by the
 * extents, of one file at a time, whose runs stay until the next one is mapped. Overlayfs's own
 * attributes are looked at and left out; those that an image may have become the entry's.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/file.h"
#include "common/util.h"
#include "stage0/image/upper_priv.h"

#define EXTENTS_MAX (1U << 22) /* of one file, and steps on the way: blocks of 16 GiB */

int upper_broken(const char *what, errcode_t code, struct error *err)
{
	return error_set(err, -EBADMSG, "the disk's file system is damaged: %s%s%s", what,
			 code ? ": " : "", code ? error_message(code) : "");
}

int upper_grow(void **array, size_t used, size_t *cap, size_t size, size_t max, struct error *err)
{
	size_t bigger = *cap ? *cap * 2 : 64;
	void *p;

	if (used < *cap)
		return 0;
	if (used >= max)
		return error_set(err, -EFBIG, "the disk's file system has too many files");
	p = reallocarray(*array, bigger, size);
	if (!p)
		return error_set(err, -ENOMEM, "reading the disk: out of memory");
	*array = p;
	*cap = bigger;
	return 0;
}

/* Add an extent to the file's runs. */
static int add_run(struct upper *upper, const struct ext2fs_extent *extent, uint64_t size,
		   struct error *err)
{
	uint64_t start = (uint64_t)extent->e_lblk * EXT4_BLOCK, len = extent->e_len;
	const struct run *last = upper->nruns ? &upper->run[upper->nruns - 1] : NULL;
	int r;

	if (extent->e_flags & EXT2_EXTENT_FLAGS_UNINIT || start >= size || len == 0)
		return 0;
	if (extent->e_pblk < 1 || extent->e_pblk > ext2fs_blocks_count(upper->fs->super) ||
	    len > ext2fs_blocks_count(upper->fs->super) - extent->e_pblk)
		return upper_broken("blocks outside of it", 0, err);
	if (last && start < last->start + last->len)
		return upper_broken("blocks of a file in two places", 0, err);
	r = upper_grow((void **)&upper->run, upper->nruns, &upper->cap_runs, sizeof(*upper->run),
		       EXTENTS_MAX, err);
	if (r == 0)
		upper->run[upper->nruns++] = (struct run){
			start, MIN(len * EXT4_BLOCK, size - start), extent->e_pblk * EXT4_BLOCK};
	return r;
}

int upper_map_file(struct upper *upper, ext2_ino_t ino, struct ext2_inode *inode, uint64_t size,
		   struct error *err)
{
	ext2_extent_handle_t handle;
	struct ext2fs_extent extent;
	errcode_t code;
	int r = 0, op = EXT2_EXTENT_ROOT;

	upper->nruns = upper->cursor = 0;
	upper->ino = ino;
	if (size == 0)
		return 0;
	if (!(inode->i_flags & EXT4_EXTENTS_FL))
		return upper_broken("a file without extents", 0, err);
	code = ext2fs_extent_open2(upper->fs, ino, inode, &handle);
	if (code)
		return upper_broken("a file's extents", code, err);
	for (unsigned n = 0; r == 0; n++) {
		code = ext2fs_extent_get(handle, op, &extent);
		if (code == EXT2_ET_EXTENT_NO_NEXT || code == EXT2_ET_NO_CURRENT_NODE)
			break;
		if (code)
			r = upper_broken("a file's extents", code, err);
		else if (n > EXTENTS_MAX)
			r = upper_broken("too many extents", 0, err);
		else if (extent.e_flags & EXT2_EXTENT_FLAGS_LEAF &&
			 !(extent.e_flags & EXT2_EXTENT_FLAGS_SECOND_VISIT))
			r = add_run(upper, &extent, size, err);
		op = EXT2_EXTENT_NEXT;
	}
	ext2fs_extent_free(handle);
	return r;
}

int upper_read_runs(struct upper *upper, uint64_t pos, uint8_t *dst, size_t len, struct error *err)
{
	memset(dst, 0, len);
	if (upper->cursor < upper->nruns && upper->run[upper->cursor].start > pos)
		upper->cursor = 0;
	while (upper->cursor < upper->nruns) {
		const struct run *run = &upper->run[upper->cursor];
		uint64_t from = MAX(run->start, pos), end = MIN(run->start + run->len, pos + len);

		if (run->start >= pos + len)
			break;
		if (from < end && pread_all(upper->fd, dst + (from - pos), end - from,
					    (off_t)(run->disk + (from - run->start))) < 0)
			return upper_broken("it ends before its blocks", 0, err);
		if (run->start + run->len > pos + len)
			break;
		upper->cursor++;
	}
	return 0;
}

/* Extended attributes */

struct attributes {
	struct found *found;
	struct ext2_xattr_handle *handle;
	errcode_t code;
};

static int on_xattr(char *name, char *value, size_t len, void *data)
{
	struct attributes *attributes = data;
	struct found *found = attributes->found;
	struct entry_xattr *xattr = &found->xattr[found->entry.nxattr];
	struct xattr_kind kind;
	void *copy = NULL;
	size_t size;

	if (strcmp(name, "trusted.overlay.opaque") == 0)
		found->opaque = len == 1 && *value == 'y';
	if (strcmp(name, "trusted.overlay.redirect") == 0 ||
	    strcmp(name, "trusted.overlay.metacopy") == 0)
		found->odd = true;
	if (!xattr_allowed(name, &kind))
		return 0;
	if (found->entry.nxattr == ENTRY_XATTRS_MAX) {
		attributes->code = EXT2_ET_EA_NO_SPACE;
		return XATTR_ABORT;
	}
	/* as the kernel would give it: access lists are stored in another form */
	attributes->code = ext2fs_xattr_get(attributes->handle, name, &copy, &size);
	if (attributes->code)
		return XATTR_ABORT;
	if (size > ENTRY_XATTR_BYTES || !xattr_value_valid(name, copy, size)) {
		ext2fs_free_mem(&copy);
		return 0;
	}
	*xattr = (struct entry_xattr){xstrdup(name), copy, (uint32_t)size};
	found->entry.nxattr++;
	return 0;
}

static int read_xattrs(struct upper *upper, struct found *found, struct error *err)
{
	struct attributes attributes = {.found = found};
	errcode_t code = ext2fs_xattrs_open(upper->fs, found->ino, &attributes.handle);

	if (code)
		return upper_broken("extended attributes", code, err);
	code = ext2fs_xattrs_read_inode(attributes.handle, &found->inode);
	if (!code)
		code = ext2fs_xattrs_iterate(attributes.handle, on_xattr, &attributes);
	if (!code)
		code = attributes.code;
	ext2fs_xattrs_close(&attributes.handle);
	if (code)
		return upper_broken("extended attributes", code, err);
	if (found->odd)
		return upper_broken("a file of another overlay", 0, err);
	return 0;
}

void found_free(struct found *found)
{
	for (unsigned i = 0; i < found->entry.nxattr; i++) {
		void *value = (void *)found->xattr[i].value;

		free((char *)found->xattr[i].name);
		ext2fs_free_mem(&value);
	}
	found->entry.nxattr = 0;
}

/* Inodes */

static int read_link(struct upper *upper, struct found *found, struct error *err)
{
	struct ext2_inode *inode = (struct ext2_inode *)&found->inode;
	uint64_t size = EXT2_I_SIZE(inode);
	int r;

	if (size == 0 || size > ENTRY_SYMLINK_MAX)
		return upper_broken("a symbolic link", 0, err);
	if (ext2fs_is_fast_symlink(inode)) {
		if (size >= sizeof(inode->i_block))
			return upper_broken("a symbolic link", 0, err);
		memcpy(found->link, inode->i_block, size);
		found->link[size] = '\0';
	} else {
		r = upper_map_file(upper, found->ino, inode, size, err);
		if (r == 0)
			r = upper_read_runs(upper, 0, (uint8_t *)found->link, size, err);
		if (r < 0)
			return r;
		found->link[size] = '\0';
	}
	found->entry.link = found->link;
	return 0;
}

/* Whether it is one an archive has a word for. */
static bool set_type(struct found *found)
{
	const struct ext2_inode_large *inode = &found->inode;
	uint32_t dev = inode->i_block[1];

	switch (inode->i_mode & S_IFMT) {
	case S_IFREG:
		found->entry.type = ENTRY_REG;
		break;
	case S_IFDIR:
		found->entry.type = ENTRY_DIR;
		break;
	case S_IFLNK:
		found->entry.type = ENTRY_SYMLINK;
		break;
	case S_IFIFO:
		found->entry.type = ENTRY_FIFO;
		break;
	case S_IFCHR:
	case S_IFBLK:
		found->entry.type = (inode->i_mode & S_IFMT) == S_IFCHR ? ENTRY_CHR : ENTRY_BLK;
		/* the old form, if there is any in it, or the new one */
		found->entry.major =
			inode->i_block[0] ? inode->i_block[0] >> 8 & 0xff : dev >> 8 & 0xfff;
		found->entry.minor = inode->i_block[0] ? inode->i_block[0] & 0xff
						       : (dev & 0xff) | (dev >> 12 & 0xfff00);
		break;
	default:
		return false;
	}
	return true;
}

bool found_is_whiteout(const struct found *found)
{
	return found->entry.type == ENTRY_CHR && !found->entry.major && !found->entry.minor;
}

int upper_read_inode(struct upper *upper, const struct name *name, struct found *found,
		     struct error *err)
{
	struct ext2_inode_large *inode = &found->inode;
	struct entry *entry = &found->entry;
	errcode_t code;
	int64_t mtime;
	int r;

	*entry = (struct entry){.path = name->text, .link = "", .xattr = found->xattr};
	found->ino = name->ino;
	found->opaque = found->odd = false;
	code = ext2fs_read_inode_full(upper->fs, name->ino, (struct ext2_inode *)inode,
				      sizeof(found->bytes));
	if (code)
		return upper_broken("an inode", code, err);
	if (inode->i_mode == 0 || inode->i_links_count == 0) {
		upper->lost++;
		return 0;
	}
	if (!set_type(found))
		return 0; /* a socket */
	if (found_is_whiteout(found))
		return 1;
	entry->perm = inode->i_mode & 07777;
	entry->uid = inode_uid(*inode);
	entry->gid = inode_gid(*inode);
	/* 34 bits of seconds, of which the upper two lie beside the nanoseconds */
	mtime = (int64_t)(int32_t)inode->i_mtime +
		((int64_t)(inode->i_mtime_extra & EXT4_EPOCH_MASK) << 32);
	entry->mtime = MAX(mtime, (int64_t)0);
	entry->mtime_ns = MIN(inode->i_mtime_extra >> EXT4_EPOCH_BITS, 999999999U);
	if (entry->type == ENTRY_REG) {
		entry->size = EXT2_I_SIZE(inode);
		entry->data = name->ino;
	}
	r = entry->type == ENTRY_SYMLINK ? read_link(upper, found, err) : 0;
	if (r == 0)
		r = read_xattrs(upper, found, err);
	return r < 0 ? r : 1;
}

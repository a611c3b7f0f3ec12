/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The EROFS writer (format: spec/images.md 25.3; field names are those of the kernel's erofs_fs.h).
 *
 * Theory of operation: three walks over the tree in the same order. The first gives every inode its
 * place, and so its number. The second writes the inodes with their attributes and what fits behind
 * them (the tail of a directory, a symbolic link's target); the third writes the blocks of
 * directories and links that did not fit. Everything is written front to back, so memory does not
 * grow with the image beyond the tree; only the superblock goes in last.
 *
 *   block 0        1024 bytes of nothing, the superblock, the root's inode, more inodes
 *   blocks 1 ..    inodes
 *   blocks ..      directory blocks, long link targets
 *   then           the layers' data, which is in other files
 *
 * An inode that has the file system's own time and small numbers takes 32 bytes, others 64; the most
 * frequent time of the tree is made the file system's.
 */
#include "stage0/image/erofs.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "common/file.h"
#include "common/hash.h"
#include "common/util.h"

#define EROFS_SUPER_OFFSET	   1024
#define EROFS_SUPER_SIZE	   128
#define EROFS_SUPER_MAGIC_V1	   0xE0F5E1E2
#define EROFS_FEATURE_COMPAT_MTIME 0x00000002
#define EROFS_INODE_FLAT_PLAIN	   0
#define EROFS_INODE_FLAT_INLINE	   2
#define EROFS_SLOT		   32 /* an inode number counts these */
#define EROFS_INODE_COMPACT	   32
#define EROFS_INODE_EXTENDED	   64
#define EROFS_DIRENT_SIZE	   12
#define EROFS_XATTR_IBODY_HEADER   12
#define EROFS_XATTR_ENTRY_HEADER   4
#define DIRENTS_MAX		   (IMAGE_BLOCK / (EROFS_DIRENT_SIZE + 1)) /* in a block */

#define OUT_SIZE (256 * KIB) /* a write */

struct out {
	int fd;
	struct hash *hash;
	uint64_t pos; /* of the next byte */
	size_t used;
	uint8_t buffer[OUT_SIZE];
};

/* What an inode will look like. */
struct shape {
	uint64_t size;
	uint32_t nlink;
	uint32_t isize;	 /* of the inode itself */
	uint32_t xsize;	 /* of its attributes */
	uint32_t tail;	 /* bytes behind it */
	uint32_t blocks; /* of its own, elsewhere in the metadata */
	bool is_inline;
};

struct writer {
	struct tree *tree;
	const uint64_t *layer_base; /* first block of each layer's data */
	int64_t time;
	uint32_t time_ns;
	uint64_t end;	/* of the inodes, bytes */
	uint64_t block; /* next block of directories and links */
	uint64_t inodes;
	struct out *out;
};

/* A directory's entries in the order of their names, "." and ".." among them. */
struct dir_iter {
	const struct tree *tree;
	uint32_t dir, child;
	unsigned dots;
};

static bool dir_next(struct dir_iter *it, const char **name, uint32_t *node)
{
	static const char *const dots[] = {".", ".."};

	if (it->dots < 2 && (it->child == TREE_NONE ||
			     strcmp(dots[it->dots], it->tree->node[it->child].name) < 0)) {
		*name = dots[it->dots];
		*node = it->dots == 0 ? it->dir : it->tree->node[it->dir].parent;
		it->dots++;
		return true;
	}
	if (it->child == TREE_NONE)
		return false;
	*node = it->child;
	*name = it->tree->node[it->child].name;
	it->child = it->tree->node[it->child].next;
	return true;
}

static struct dir_iter dir_iter(const struct tree *tree, uint32_t dir)
{
	return (struct dir_iter){.tree = tree, .dir = dir, .child = tree->node[dir].child};
}

/* Bytes of a directory's content, each block filled as far as whole entries go; and its links. */
static void measure_dir(const struct tree *tree, uint32_t dir, struct shape *shape)
{
	struct dir_iter it = dir_iter(tree, dir);
	const char *name;
	uint32_t node;

	shape->size = 0;
	shape->nlink = 0;
	while (dir_next(&it, &name, &node)) {
		size_t len = EROFS_DIRENT_SIZE + strlen(name);

		if (shape->size % IMAGE_BLOCK + len > IMAGE_BLOCK)
			shape->size = ALIGN_UP(shape->size, IMAGE_BLOCK);
		shape->size += len;
		shape->nlink += tree_is_dir(tree, node); /* itself, its parent's place, children */
	}
}

static uint32_t xattr_size(const struct tree_inode *inode)
{
	uint32_t size = EROFS_XATTR_IBODY_HEADER;

	if (inode->nxattr == 0)
		return 0;
	for (unsigned i = 0; i < inode->nxattr; i++) {
		struct xattr_kind kind = {.suffix = ""};

		xattr_allowed(inode->xattr[i].name, &kind);
		size += ALIGN_UP(EROFS_XATTR_ENTRY_HEADER + (uint32_t)strlen(kind.suffix) +
					 inode->xattr[i].len,
				 4);
	}
	return size;
}

static struct shape shape_of(const struct writer *writer, uint32_t node)
{
	const struct tree_inode *inode = tree_inode(writer->tree, node);
	struct shape shape = {.nlink = inode->nlink, .xsize = xattr_size(inode)};
	bool own_content = true;

	if (inode->type == ENTRY_DIR) {
		measure_dir(writer->tree, node, &shape);
	} else if (inode->type == ENTRY_SYMLINK) {
		shape.size = strlen(inode->link);
	} else {
		shape.size = inode->size;
		own_content = false;
	}
	shape.isize = inode->mtime == writer->time && inode->mtime_ns == writer->time_ns &&
				      inode->uid <= UINT16_MAX && inode->gid <= UINT16_MAX &&
				      shape.nlink <= UINT16_MAX && shape.size <= UINT32_MAX
			      ? EROFS_INODE_COMPACT
			      : EROFS_INODE_EXTENDED;
	if (!own_content)
		return shape;
	shape.tail = shape.size % IMAGE_BLOCK;
	shape.is_inline = shape.tail > 0 && shape.isize + shape.xsize + shape.tail <= IMAGE_BLOCK;
	if (!shape.is_inline)
		shape.tail = 0;
	shape.blocks = (uint32_t)DIV_ROUND_UP(shape.size - shape.tail, IMAGE_BLOCK);
	return shape;
}

/* Where an inode goes when the one before ended at pos. Neither it nor its tail is cut by a block. */
static uint64_t place(uint64_t pos, const struct shape *shape)
{
	uint32_t whole = shape->isize + (shape->tail ? shape->xsize + shape->tail : 0);

	pos = ALIGN_UP(pos, EROFS_SLOT);
	return pos % IMAGE_BLOCK + whole > IMAGE_BLOCK ? ALIGN_UP(pos, IMAGE_BLOCK) : pos;
}

static uint64_t shape_end(uint64_t pos, const struct shape *shape)
{
	return pos + shape->isize + shape->xsize + shape->tail;
}

static int out_flush(struct out *out, struct error *err)
{
	int r;

	hash_update(out->hash, out->buffer, out->used);
	r = write_all(out->fd, out->buffer, out->used);
	out->used = 0;
	return r < 0 ? error_set(err, r, "writing the disk of an image: %s", strerror(-r)) : 0;
}

/* Write len bytes, or as many zeroes when bytes is NULL. */
static int out_bytes(struct out *out, const void *bytes, uint64_t len, struct error *err)
{
	while (len > 0) {
		size_t n = (size_t)MIN(len, sizeof(out->buffer) - out->used);
		int r;

		if (bytes) {
			memcpy(out->buffer + out->used, bytes, n);
			bytes = (const char *)bytes + n;
		} else {
			memset(out->buffer + out->used, 0, n);
		}
		out->used += n;
		out->pos += n;
		len -= n;
		if (out->used == sizeof(out->buffer)) {
			r = out_flush(out, err);
			if (r < 0)
				return r;
		}
	}
	return 0;
}

static int out_seek(struct out *out, uint64_t pos, struct error *err)
{
	return out_bytes(out, NULL, pos - out->pos, err);
}

static void le16(uint8_t *p, uint32_t value)
{
	p[0] = (uint8_t)value;
	p[1] = (uint8_t)(value >> 8);
}

static void le32(uint8_t *p, uint32_t value)
{
	le16(p, value);
	le16(p + 2, value >> 16);
}

static void le64(uint8_t *p, uint64_t value)
{
	le32(p, (uint32_t)value);
	le32(p + 4, (uint32_t)(value >> 32));
}

static uint32_t file_type(enum entry_type type)
{
	switch (type) {
	case ENTRY_DIR:
		return 2;
	case ENTRY_CHR:
		return 3;
	case ENTRY_BLK:
		return 4;
	case ENTRY_FIFO:
		return 5;
	case ENTRY_SYMLINK:
		return 7;
	default:
		return 1;
	}
}

static uint32_t mode_of(const struct tree_inode *inode)
{
	static const uint32_t format[] = {[1] = S_IFREG, [2] = S_IFDIR, [3] = S_IFCHR,
					  [4] = S_IFBLK, [5] = S_IFIFO, [7] = S_IFLNK};

	return format[file_type(inode->type)] | inode->perm;
}

/* The kernel's new_encode_dev(). */
static uint32_t encode_dev(const struct tree_inode *inode)
{
	return (inode->minor & 0xff) | inode->major << 8 | (inode->minor & ~0xffU) << 12;
}

/* The inode's union: a block, or a device. */
static uint32_t inode_union(struct writer *writer, const struct tree_inode *inode,
			    const struct shape *shape)
{
	uint64_t block = 0;

	if (inode->type == ENTRY_CHR || inode->type == ENTRY_BLK)
		return encode_dev(inode);
	if (inode->type == ENTRY_REG && inode->size > 0)
		block = writer->layer_base[inode->layer] + inode->data / IMAGE_BLOCK;
	else if (shape->blocks > 0)
		block = writer->block;
	writer->block += shape->blocks;
	return (uint32_t)block; /* the total was checked to fit */
}

static int write_xattrs(struct out *out, const struct tree_inode *inode, struct error *err)
{
	uint8_t header[EROFS_XATTR_IBODY_HEADER] = {0};
	int r = inode->nxattr ? out_bytes(out, header, sizeof(header), err) : 0;

	for (unsigned i = 0; r == 0 && i < inode->nxattr; i++) {
		const struct entry_xattr *xattr = &inode->xattr[i];
		uint8_t entry[EROFS_XATTR_ENTRY_HEADER];
		struct xattr_kind kind = {.suffix = ""};

		xattr_allowed(xattr->name, &kind);
		entry[0] = (uint8_t)strlen(kind.suffix);
		entry[1] = kind.prefix;
		le16(entry + 2, xattr->len);
		r = out_bytes(out, entry, sizeof(entry), err);
		if (r == 0)
			r = out_bytes(out, kind.suffix, entry[0], err);
		if (r == 0)
			r = out_bytes(out, xattr->value, xattr->len, err);
		if (r == 0)
			r = out_seek(out, ALIGN_UP(out->pos, 4), err);
	}
	return r;
}

/* One block of a directory, or the part behind its inode: entries, then their names. */
static int write_dir_block(struct out *out, const struct tree *tree, struct dir_iter *it,
			   struct error *err)
{
	uint8_t dirent[DIRENTS_MAX * EROFS_DIRENT_SIZE];
	const char *names[DIRENTS_MAX + 1]; /* and one to look ahead */
	size_t n = 0, used = 0, nameoff;
	int r;

	for (;;) {
		struct dir_iter here = *it;
		uint32_t node;
		size_t len;

		if (!dir_next(it, &names[n], &node))
			break;
		len = EROFS_DIRENT_SIZE + strlen(names[n]);
		if (used + len > IMAGE_BLOCK) {
			*it = here;
			break;
		}
		used += len;
		le64(dirent + n * EROFS_DIRENT_SIZE, tree_inode(tree, node)->mark);
		dirent[n * EROFS_DIRENT_SIZE + 10] =
			(uint8_t)file_type(tree_inode(tree, node)->type);
		dirent[n * EROFS_DIRENT_SIZE + 11] = 0;
		n++;
	}
	nameoff = n * EROFS_DIRENT_SIZE;
	for (size_t i = 0; i < n; i++) {
		le16(dirent + i * EROFS_DIRENT_SIZE + 8, (uint32_t)nameoff);
		nameoff += strlen(names[i]);
	}
	r = out_bytes(out, dirent, n * EROFS_DIRENT_SIZE, err);
	for (size_t i = 0; r == 0 && i < n; i++)
		r = out_bytes(out, names[i], strlen(names[i]), err);
	return r;
}

/* The content of a directory or link: what has blocks of its own, or the tail behind the inode. */
static int write_content(struct writer *writer, uint32_t node, const struct shape *shape, bool tail,
			 struct error *err)
{
	const struct tree_inode *inode = tree_inode(writer->tree, node);
	struct dir_iter it = dir_iter(writer->tree, node);
	int r = 0;

	if (inode->type == ENTRY_SYMLINK)
		return out_bytes(writer->out, inode->link, shape->size, err);
	for (uint32_t i = 0; i < shape->blocks; i++) {
		struct dir_iter skip = it;
		const char *name;
		uint32_t child;
		size_t used = 0;

		if (!tail) {
			r = write_dir_block(writer->out, writer->tree, &it, err);
			if (r == 0)
				r = out_seek(writer->out, ALIGN_UP(writer->out->pos, IMAGE_BLOCK),
					     err);
			if (r < 0)
				return r;
			continue;
		}
		while (dir_next(&skip, &name, &child)) {
			used += EROFS_DIRENT_SIZE + strlen(name);
			if (used > IMAGE_BLOCK)
				break;
			it = skip;
		}
	}
	return tail ? write_dir_block(writer->out, writer->tree, &it, err) : 0;
}

static int write_inode(struct writer *writer, uint32_t node, const struct shape *shape,
		       struct error *err)
{
	const struct tree_inode *inode = tree_inode(writer->tree, node);
	uint8_t raw[EROFS_INODE_EXTENDED] = {0};
	uint32_t layout = shape->is_inline ? EROFS_INODE_FLAT_INLINE : EROFS_INODE_FLAT_PLAIN;
	bool extended = shape->isize == EROFS_INODE_EXTENDED;
	int r;

	le16(raw, layout << 1 | extended);
	le16(raw + 2, shape->xsize ? (shape->xsize - EROFS_XATTR_IBODY_HEADER) / 4 + 1 : 0);
	le16(raw + 4, mode_of(inode));
	le32(raw + 16, inode_union(writer, inode, shape));
	le32(raw + 20, inode->mark);
	if (extended) {
		le64(raw + 8, shape->size);
		le32(raw + 24, inode->uid);
		le32(raw + 28, inode->gid);
		le64(raw + 32, (uint64_t)inode->mtime);
		le32(raw + 40, inode->mtime_ns);
		le32(raw + 44, shape->nlink);
	} else {
		le16(raw + 6, shape->nlink);
		le32(raw + 8, (uint32_t)shape->size);
		le16(raw + 24, inode->uid);
		le16(raw + 26, inode->gid);
	}
	r = out_bytes(writer->out, raw, shape->isize, err);
	if (r == 0)
		r = write_xattrs(writer->out, inode, err);
	return r;
}

/* Whether this is the name under which a walk meets the inode first; its place is then marked. */
static bool is_first_name(struct writer *writer, uint32_t node, uint32_t *cursor)
{
	/* places grow along the walk, so a place behind the cursor belongs to an earlier name */
	uint32_t mark = tree_inode(writer->tree, node)->mark;

	if (mark <= *cursor)
		return false;
	*cursor = mark;
	return true;
}

static int assign_places(struct writer *writer, struct error *err)
{
	uint64_t pos = EROFS_SUPER_OFFSET + EROFS_SUPER_SIZE;
	struct tree *tree = writer->tree;

	for (uint32_t i = 0; i < tree->ninodes; i++)
		tree->inode[i].mark = 0;
	for (uint32_t node = 0; node != TREE_NONE; node = tree_next(tree, node, false)) {
		struct tree_inode *inode = tree_inode(tree, node);
		struct shape shape;

		if (inode->mark)
			continue;
		shape = shape_of(writer, node);
		pos = place(pos, &shape);
		if (pos / EROFS_SLOT > UINT32_MAX)
			return error_set(err, -EFBIG, "the image has too many files");
		inode->mark = (uint32_t)(pos / EROFS_SLOT);
		pos = shape_end(pos, &shape);
		writer->block += shape.blocks; /* their number, to begin with */
		writer->inodes++;
	}
	writer->end = ALIGN_UP(pos, IMAGE_BLOCK);
	return 0;
}

static int write_inodes(struct writer *writer, struct error *err)
{
	uint32_t cursor = 0;
	int r = 0;

	for (uint32_t node = 0; r == 0 && node != TREE_NONE;
	     node = tree_next(writer->tree, node, false)) {
		struct shape shape;

		if (!is_first_name(writer, node, &cursor))
			continue;
		shape = shape_of(writer, node);
		r = out_seek(writer->out, (uint64_t)cursor * EROFS_SLOT, err);
		if (r == 0)
			r = write_inode(writer, node, &shape, err);
		if (r == 0 && shape.is_inline)
			r = write_content(writer, node, &shape, true, err);
	}
	return r < 0 ? r : out_seek(writer->out, writer->end, err);
}

static int write_blocks(struct writer *writer, struct error *err)
{
	uint32_t cursor = 0;
	int r = 0;

	for (uint32_t node = 0; r == 0 && node != TREE_NONE;
	     node = tree_next(writer->tree, node, false)) {
		struct shape shape;

		if (!is_first_name(writer, node, &cursor))
			continue;
		shape = shape_of(writer, node);
		if (shape.blocks == 0)
			continue;
		r = write_content(writer, node, &shape, false, err);
		if (r == 0)
			r = out_seek(writer->out, ALIGN_UP(writer->out->pos, IMAGE_BLOCK), err);
	}
	return r < 0 ? r : out_flush(writer->out, err);
}

static int write_super(const struct writer *writer, uint64_t blocks, const char *seed,
		       struct error *err)
{
	uint8_t super[EROFS_SUPER_SIZE] = {0}, digest[HASH_MAX_SIZE];
	struct hash *hash = writer->out->hash;

	le32(super, EROFS_SUPER_MAGIC_V1);
	le32(super + 8, EROFS_FEATURE_COMPAT_MTIME);
	super[12] = 12; /* log2 of IMAGE_BLOCK */
	le16(super + 14, tree_inode(writer->tree, 0)->mark);
	le64(super + 16, writer->inodes);
	le64(super + 24, (uint64_t)writer->time);
	le32(super + 32, writer->time_ns);
	le32(super + 36, (uint32_t)blocks);
	hash_update(hash, super, sizeof(super));
	hash_update(hash, seed, strlen(seed));
	hash_final(hash, digest);
	memcpy(super + 48, digest, 16);
	super[48 + 6] = (super[48 + 6] & 0x0f) | 0x80; /* RFC 9562: version 8, made by us ... */
	super[48 + 8] = (super[48 + 8] & 0x3f) | 0x80; /* ... in the usual variant */
	if (pwrite(writer->out->fd, super, sizeof(super), EROFS_SUPER_OFFSET) != sizeof(super))
		return error_errno(err, "writing the disk of an image");
	return 0;
}

struct stamp {
	int64_t sec;
	uint32_t ns;
};

static int compare_stamps(const void *pa, const void *pb)
{
	const struct stamp *a = pa, *b = pb;

	if (a->sec != b->sec)
		return a->sec < b->sec ? -1 : 1;
	return a->ns < b->ns ? -1 : a->ns > b->ns;
}

/* The time most inodes have; the earliest of equals. */
static int common_time(struct writer *writer, struct error *err)
{
	const struct tree *tree = writer->tree;
	cleanup_free struct stamp *stamp = malloc((size_t)tree->ninodes * sizeof(*stamp));
	size_t n = 0, best = 0;

	if (!stamp)
		return error_set(err, -ENOMEM, "out of memory");
	for (uint32_t i = 0; i < tree->ninodes; i++)
		if (tree->inode[i].nlink > 0)
			stamp[n++] = (struct stamp){tree->inode[i].mtime, tree->inode[i].mtime_ns};
	qsort(stamp, n, sizeof(*stamp), compare_stamps);
	for (size_t i = 0, run; i < n; i += run) {
		for (run = 1; i + run < n && compare_stamps(&stamp[i], &stamp[i + run]) == 0;)
			run++;
		if (run > best) {
			best = run;
			writer->time = stamp[i].sec;
			writer->time_ns = stamp[i].ns;
		}
	}
	return 0;
}

int erofs_write(struct tree *tree, const uint64_t *layer_blocks, size_t nlayers, const char *seed,
		int fd, struct error *err)
{
	cleanup_free uint64_t *base = xcalloc(nlayers, sizeof(*base));
	cleanup_free struct out *out = xcalloc(1, sizeof(*out));
	cleanup_hash struct hash *hash = hash_new(HASH_SHA256);
	struct writer writer = {.tree = tree, .layer_base = base, .out = out};
	uint64_t blocks;
	int r;

	*out = (struct out){.fd = fd, .hash = hash};
	r = common_time(&writer, err);
	if (r == 0)
		r = assign_places(&writer, err);
	if (r < 0)
		return r;
	blocks = writer.end / IMAGE_BLOCK + writer.block;
	writer.block = writer.end / IMAGE_BLOCK;
	for (size_t i = 0; i < nlayers; i++) {
		base[i] = blocks;
		blocks += layer_blocks[i];
	}
	if (blocks > UINT32_MAX)
		return error_set(err, -EFBIG, "the image is too large for a disk");
	r = write_inodes(&writer, err);
	if (r == 0)
		r = write_blocks(&writer, err);
	if (r == 0)
		r = write_super(&writer, blocks, seed, err);
	return r;
}

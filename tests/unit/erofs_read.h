/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_UNIT_EROFS_READ_H
#define TESTS_UNIT_EROFS_READ_H

/*
 * A reader of uncompressed EROFS, written from the format alone, for checking what the writer makes.
 * It believes nothing: whatever does not fit is named in a message. Works on an image in memory.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define ER_BLOCK 4096

struct er_image {
	const uint8_t *p;
	uint64_t len; /* of the metadata; data blocks behind it are only counted */
	uint64_t blocks;
	uint64_t inodes;
	uint16_t root;
	int64_t time;
	uint32_t time_ns;
};

struct er_inode {
	uint64_t nid, size, pos; /* pos: of the inode in the image */
	uint32_t mode, uid, gid, nlink, mtime_ns, raw, layout, isize, xsize;
	int64_t mtime;
};

static inline uint64_t er_le(const uint8_t *p, unsigned n)
{
	uint64_t v = 0;

	while (n--)
		v = v << 8 | p[n];
	return v;
}

/* NULL, or what is wrong. */
static inline const char *er_open(struct er_image *im, const uint8_t *p, uint64_t len)
{
	const uint8_t *sb = p + 1024;

	if (len < ER_BLOCK || len % ER_BLOCK)
		return "not whole blocks";
	if (er_le(sb, 4) != 0xE0F5E1E2 || sb[12] != 12 || er_le(sb + 80, 4) != 0)
		return "bad superblock";
	*im = (struct er_image){
		.p = p,
		.len = len,
		.blocks = er_le(sb + 36, 4),
		.inodes = er_le(sb + 16, 8),
		.root = (uint16_t)er_le(sb + 14, 2),
		.time = (int64_t)er_le(sb + 24, 8),
		.time_ns = (uint32_t)er_le(sb + 32, 4),
	};
	if (er_le(sb + 40, 4) != 0)
		return "metadata begins elsewhere";
	return im->blocks * ER_BLOCK < len ? "fewer blocks than the file has" : NULL;
}

static inline const char *er_inode(const struct er_image *im, uint64_t nid, struct er_inode *in)
{
	uint64_t pos = nid * 32;
	const uint8_t *p = im->p + pos;
	uint32_t format, xcount;
	bool extended;

	if (nid > im->len / 32 - 1 || pos < 1152)
		return "inode number out of range";
	format = (uint32_t)er_le(p, 2);
	extended = format & 1;
	if (extended && pos + 64 > im->len)
		return "inode cut by the end";
	if (pos % ER_BLOCK + (extended ? 64 : 32) > ER_BLOCK)
		return "inode cut by a block";
	xcount = (uint32_t)er_le(p + 2, 2);
	*in = (struct er_inode){
		.nid = nid,
		.pos = pos,
		.layout = format >> 1,
		.mode = (uint32_t)er_le(p + 4, 2),
		.raw = (uint32_t)er_le(p + 16, 4),
		.isize = extended ? 64 : 32,
		.xsize = xcount ? 12 + 4 * (xcount - 1) : 0,
		.size = er_le(p + 8, extended ? 8 : 4),
		.nlink = (uint32_t)(extended ? er_le(p + 44, 4) : er_le(p + 6, 2)),
		.uid = (uint32_t)er_le(p + 24, extended ? 4 : 2),
		.gid = (uint32_t)(extended ? er_le(p + 28, 4) : er_le(p + 26, 2)),
		.mtime = extended ? (int64_t)er_le(p + 32, 8) : im->time,
		.mtime_ns = extended ? (uint32_t)er_le(p + 40, 4) : im->time_ns,
	};
	if (in->layout != 0 && in->layout != 2)
		return "unknown layout";
	if (pos + in->isize + in->xsize > im->len)
		return "attributes cut by the end";
	return NULL;
}

/* Where bytes [off, off + n) of a directory or link are; they must lie in one piece. */
static inline const char *er_bytes(const struct er_image *im, const struct er_inode *in,
				   uint64_t off, uint64_t n, const uint8_t **ret)
{
	uint64_t whole = in->layout == 2 ? in->size / ER_BLOCK * ER_BLOCK : in->size, pos;

	if (off + n > in->size)
		return "content beyond the size";
	if (in->layout == 2 && off >= whole) {
		pos = in->pos + in->isize + in->xsize;
		if (pos % ER_BLOCK + (in->size - whole) > ER_BLOCK)
			return "tail cut by a block";
		if (pos / ER_BLOCK != in->pos / ER_BLOCK)
			return "tail in another block than its inode";
		pos += off - whole;
	} else {
		pos = (uint64_t)in->raw * ER_BLOCK + off;
	}
	if (pos + n > im->len)
		return "content beyond the metadata";
	*ret = im->p + pos;
	return NULL;
}

/*
 * Call fn for every entry of a directory, after checking order, offsets and types. Returns what is
 * wrong, or what fn returned.
 */
static inline const char *er_dir(const struct er_image *im, const struct er_inode *dir,
				 const char *(*fn)(void *ctx, const char *name, size_t len,
						   uint64_t nid, unsigned type),
				 void *ctx)
{
	char last[256] = "";
	size_t last_len = 0;
	unsigned dots = 0;

	for (uint64_t off = 0; off < dir->size; off += ER_BLOCK) {
		uint64_t n = dir->size - off < ER_BLOCK ? dir->size - off : ER_BLOCK, count;
		const uint8_t *p;
		const char *wrong = er_bytes(im, dir, off, n, &p);

		if (wrong)
			return wrong;
		count = n >= 12 ? er_le(p + 8, 2) / 12 : 0;
		if (count == 0 || er_le(p + 8, 2) % 12 || count * 12 > n)
			return "bad first name offset";
		for (uint64_t i = 0; i < count; i++) {
			uint64_t from = er_le(p + i * 12 + 8, 2);
			uint64_t to = i + 1 < count ? er_le(p + (i + 1) * 12 + 8, 2) : n;
			const char *name = (const char *)p + from;
			size_t len;

			if (from > to || to > n || from < count * 12)
				return "bad name offset";
			len = i + 1 < count ? to - from : strnlen(name, to - from);
			if (len == 0 || len > 255 || memchr(name, '/', len) || memchr(name, 0, len))
				return "bad name";
			if (last_len &&
			    (memcmp(last, name, len < last_len ? len : last_len) > 0 ||
			     (memcmp(last, name, len < last_len ? len : last_len) == 0 &&
			      len <= last_len)))
				return "names out of order";
			memcpy(last, name, len);
			last_len = len;
			if ((len == 1 && name[0] == '.') || (len == 2 && !memcmp(name, "..", 2))) {
				dots++;
				continue;
			}
			wrong = fn(ctx, name, len, er_le(p + i * 12, 8), p[i * 12 + 10]);
			if (wrong)
				return wrong;
		}
	}
	return dots == 2 ? NULL : "no . and ..";
}

static inline unsigned er_type(uint32_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFREG:
		return 1;
	case S_IFDIR:
		return 2;
	case S_IFCHR:
		return 3;
	case S_IFBLK:
		return 4;
	case S_IFIFO:
		return 5;
	case S_IFLNK:
		return 7;
	default:
		return 0;
	}
}

/* The i-th attribute; false when there are no more or the list is broken (*wrong then). */
static inline bool er_xattr(const struct er_image *im, const struct er_inode *in, unsigned i,
			    unsigned *prefix, const char **name, size_t *name_len,
			    const uint8_t **value, size_t *len, const char **wrong)
{
	const uint8_t *p = im->p + in->pos + in->isize, *end = p + in->xsize;

	*wrong = NULL;
	if (in->xsize == 0)
		return false;
	for (p += 12; p < end; i--) {
		uint64_t size = 4 + p[0] + er_le(p + 2, 2);

		if (size > (uint64_t)(end - p)) {
			*wrong = "attribute beyond its area";
			return false;
		}
		if (i == 0) {
			*prefix = p[1];
			*name = (const char *)p + 4;
			*name_len = p[0];
			*value = p + 4 + p[0];
			*len = er_le(p + 2, 2);
			return true;
		}
		p += (size + 3) / 4 * 4;
	}
	return false;
}

#endif

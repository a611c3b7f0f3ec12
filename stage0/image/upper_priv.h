/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE0_IMAGE_UPPER_PRIV_H
#define STAGE0_IMAGE_UPPER_PRIV_H

#include <stdbool.h>

#include "stage0/image/ext4_io.h"
#include "stage0/image/upper.h"

/* Between the walk of the upper directory (upper.c) and the reading of its inodes. */

/* Consecutive blocks of a file on the disk. */
struct run {
	uint64_t start, len; /* bytes of the file */
	uint64_t disk;	     /* where the first one is */
};

struct name {
	ext2_ino_t ino;
	char text[ENTRY_COMPONENT_MAX + 1];
};

struct upper {
	int fd;
	ext2_filsys fs;
	ext2_ino_t root;
	struct tree *tree; /* the caller's */
	uint32_t *inode; /* by ext4's number: one more than the tree's; of files and directories */
	struct name *name; /* of the directory being read */
	size_t nnames, cap_names;
	struct dir *dir; /* queue; at is the first not read */
	size_t ndirs, cap_dirs, at;
	uint64_t entries, logical, data, lost;
	struct run *run; /* of the file ino */
	size_t nruns, cap_runs, cursor;
	ext2_ino_t ino;
};

/* An inode with what it is in a tree. */
struct found {
	struct entry entry;
	union {
		struct ext2_inode_large inode;
		uint8_t bytes[EXT4_INODE]; /* attributes lie behind it */
	};
	ext2_ino_t ino;
	bool opaque, odd;
	struct entry_xattr xattr[ENTRY_XATTRS_MAX];
	char link[ENTRY_SYMLINK_MAX + 1];
};

/* -EBADMSG: what it is that makes no sense, and libext2fs's code or 0. */
int upper_broken(const char *what, errcode_t code, struct error *err) __attribute__((nonnull));

/* Make room in an array of members of that size for one more than used, max at most. */
int upper_grow(void **array, size_t used, size_t *cap, size_t size, size_t max, struct error *err)
	__attribute__((nonnull));

/* Find out where a file's content is. */
int upper_map_file(struct upper *upper, ext2_ino_t ino, struct ext2_inode *inode, uint64_t size,
		   struct error *err) __attribute__((nonnull));

/* Content of the file that was mapped last. */
int upper_read_runs(struct upper *upper, uint64_t pos, uint8_t *dst, size_t len, struct error *err)
	__attribute__((nonnull));

/* 1; 0 when there is nothing to be had of it; or an error. found_free() it. */
int upper_read_inode(struct upper *upper, const struct name *name, struct found *found,
		     struct error *err) __attribute__((nonnull));
bool found_is_whiteout(const struct found *found) __attribute__((nonnull));
void found_free(struct found *found) __attribute__((nonnull));

#endif

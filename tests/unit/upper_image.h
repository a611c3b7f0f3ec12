/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_UNIT_UPPER_IMAGE_H
#define TESTS_UNIT_UPPER_IMAGE_H

#include <assert.h>
#include <ext2fs/ext2fs.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "stage0/ext4.h"
#include "stage0/image/upper.h"

/*
 * A pod's disk as a guest leaves it. In app.upper:
 *
 *	dir/		1:2, mode 2750
 *	dir/file	"hello", user.a = "b", another name is "link"
 *	fast, slow	symbolic links, in the inode and in a block
 *	fifo, null	a FIFO, the character device 1:3
 *	gone		a whiteout
 *	opq/new		in an opaque directory
 *	sparse		blocks 1 and 3 of 5
 */

#define UPPER_IMAGE_SIZE EXT4_SIZE_MIN

static inline void upper_must(errcode_t code)
{
	if (code)
		fprintf(stderr, "upper_image: %s\n", error_message(code));
	assert(!code);
	(void)code;
}

static inline ext2_filsys upper_edit(int fd)
{
	char path[64];
	ext2_filsys fs;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	upper_must(ext2fs_open(path, EXT2_FLAG_RW, 0, 0, unix_io_manager, &fs));
	upper_must(ext2fs_read_bitmaps(fs));
	return fs;
}

static inline void upper_done(ext2_filsys fs)
{
	upper_must(ext2fs_close_free(&fs));
}

/* The inode at a path. */
static inline ext2_ino_t upper_ino(ext2_filsys fs, const char *path)
{
	ext2_ino_t ino;

	upper_must(ext2fs_namei(fs, EXT2_ROOT_INO, EXT2_ROOT_INO, path, &ino));
	return ino;
}

static inline void upper_xattr(ext2_filsys fs, ext2_ino_t ino, const char *name, const char *value)
{
	struct ext2_xattr_handle *handle;

	upper_must(ext2fs_xattrs_open(fs, ino, &handle));
	upper_must(ext2fs_xattrs_read(handle));
	upper_must(ext2fs_xattr_set(handle, name, value, strlen(value)));
	upper_must(ext2fs_xattrs_close(&handle));
}

static inline ext2_ino_t upper_dir(ext2_filsys fs, ext2_ino_t parent, const char *name)
{
	ext2_ino_t ino;

	upper_must(ext2fs_mkdir(fs, parent, 0, name));
	upper_must(ext2fs_lookup(fs, parent, name, (int)strlen(name), NULL, &ino));
	return ino;
}

/* A file of any kind: mode with its type, and what is in the inode for a device. */
static inline ext2_ino_t upper_node(ext2_filsys fs, ext2_ino_t parent, const char *name,
				    uint32_t mode, uint32_t rdev, int type)
{
	struct ext2_inode inode = {.i_mode = (uint16_t)mode, .i_links_count = 1, .i_mtime = 1000};
	ext2_extent_handle_t handle;
	ext2_ino_t ino;

	upper_must(ext2fs_new_inode(fs, parent, (int)mode, NULL, &ino));
	upper_must(ext2fs_link(fs, parent, name, ino, type));
	ext2fs_inode_alloc_stats2(fs, ino, 1, 0);
	inode.i_block[0] = rdev;
	if (S_ISREG(mode)) {
		inode.i_flags = EXT4_EXTENTS_FL;
		upper_must(ext2fs_extent_open2(fs, ino, &inode, &handle));
		ext2fs_extent_free(handle);
	}
	upper_must(ext2fs_write_new_inode(fs, ino, &inode));
	return ino;
}

static inline void upper_write(ext2_filsys fs, ext2_ino_t ino, uint64_t pos, const char *text)
{
	unsigned int written;
	ext2_file_t file;

	upper_must(ext2fs_file_open(fs, ino, EXT2_FILE_WRITE, &file));
	upper_must(ext2fs_file_llseek(file, pos, EXT2_SEEK_SET, NULL));
	upper_must(ext2fs_file_write(file, text, (unsigned int)strlen(text), &written));
	upper_must(ext2fs_file_close(file));
}

static inline void upper_attributes(ext2_filsys fs, ext2_ino_t ino, uint16_t mode, uint16_t uid,
				    uint16_t gid)
{
	struct ext2_inode inode;

	upper_must(ext2fs_read_inode(fs, ino, &inode));
	inode.i_mode = (uint16_t)((inode.i_mode & S_IFMT) | mode);
	inode.i_uid = uid;
	inode.i_gid = gid;
	upper_must(ext2fs_write_inode(fs, ino, &inode));
}

static inline void upper_fill(ext2_filsys fs)
{
	static const char slow[] = "/a/target/that/does/not/fit/into/an/inode/of/ext4/as/it/has/"
				   "more/than/sixty/bytes";
	ext2_ino_t top = upper_ino(fs, "/app.upper"), dir, ino;
	struct ext2_inode inode;

	dir = upper_dir(fs, top, "dir");
	upper_attributes(fs, dir, 02750, 1, 2);
	ino = upper_node(fs, dir, "file", S_IFREG | 0644, 0, EXT2_FT_REG_FILE);
	upper_write(fs, ino, 0, "hello");
	upper_xattr(fs, ino, "user.a", "b");
	upper_must(ext2fs_link(fs, top, "link", ino, EXT2_FT_REG_FILE));
	upper_must(ext2fs_read_inode(fs, ino, &inode));
	inode.i_links_count = 2;
	upper_must(ext2fs_write_inode(fs, ino, &inode));
	upper_must(ext2fs_symlink(fs, top, 0, "fast", "../x"));
	upper_must(ext2fs_symlink(fs, top, 0, "slow", slow));
	upper_node(fs, top, "fifo", S_IFIFO | 0600, 0, EXT2_FT_FIFO);
	upper_node(fs, top, "null", S_IFCHR | 0666, 1 << 8 | 3, EXT2_FT_CHRDEV);
	upper_node(fs, top, "gone", S_IFCHR, 0, EXT2_FT_CHRDEV);
	dir = upper_dir(fs, top, "opq");
	upper_xattr(fs, dir, "trusted.overlay.opaque", "y");
	upper_write(fs, upper_node(fs, dir, "new", S_IFREG | 0600, 0, EXT2_FT_REG_FILE), 0, "n");
	ino = upper_node(fs, top, "sparse", S_IFREG | 0600, 0, EXT2_FT_REG_FILE);
	upper_write(fs, ino, 4096, "one");
	upper_write(fs, ino, 3 * 4096, "three");
	upper_must(ext2fs_read_inode(fs, ino, &inode));
	inode.i_size = 5 * 4096;
	upper_must(ext2fs_write_inode(fs, ino, &inode));
}

/* A descriptor of such a disk, the caller's. */
static inline int upper_image(void)
{
	int fd = memfd_create("disk", MFD_CLOEXEC);
	cleanup_strv struct strv dirs = STRV_INIT;
	struct error err = ERROR_INIT;
	ext2_filsys fs;
	int r;

	strv_add(&dirs, "app.upper");
	strv_add(&dirs, "app.work");
	r = ext4_make(fd, UPPER_IMAGE_SIZE, &dirs, &err);
	assert(r == 0);
	(void)r;
	fs = upper_edit(fd);
	upper_fill(fs);
	upper_done(fs);
	return fd;
}

static inline void upper_add(struct tree *tree, enum entry_type type, const char *path)
{
	const struct entry entry = {.type = type, .perm = 0755, .path = path, .link = ""};
	struct error err = ERROR_INIT;
	int r = tree_add(tree, &entry, &err);

	assert(r == 0);
	(void)r;
}

/* An image's tree, for such a disk to be laid over. */
static inline struct tree *upper_lower(void)
{
	struct tree *tree = tree_new(TREE_APPC);

	upper_add(tree, ENTRY_DIR, "dir");
	upper_add(tree, ENTRY_REG, "dir/below");
	upper_add(tree, ENTRY_REG, "dir/file");
	upper_add(tree, ENTRY_DIR, "gone");
	upper_add(tree, ENTRY_REG, "gone/too");
	upper_add(tree, ENTRY_DIR, "opq");
	upper_add(tree, ENTRY_REG, "opq/old");
	upper_add(tree, ENTRY_DIR, "fast");
	upper_add(tree, ENTRY_REG, "fast/was");
	upper_add(tree, ENTRY_REG, "kept");
	return tree;
}

#endif

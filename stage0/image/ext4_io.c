/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libext2fs on a descriptor. Its own I/O opens files by name, which a confined process can not, and
 * has caches and writing that nobody needs here.
 */
#include "stage0/image/ext4_io.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/file.h"
#include "common/util.h"

/* What the kernel adds by itself is in it: a directory or a file that has grown large. */
#define COMPAT                                                                                     \
	(EXT2_FEATURE_COMPAT_EXT_ATTR | EXT2_FEATURE_COMPAT_DIR_INDEX |                            \
	 EXT4_FEATURE_COMPAT_SPARSE_SUPER2)
#define INCOMPAT                                                                                   \
	(EXT2_FEATURE_INCOMPAT_FILETYPE | EXT3_FEATURE_INCOMPAT_EXTENTS |                          \
	 EXT4_FEATURE_INCOMPAT_FLEX_BG)
#define RO_COMPAT                                                                                  \
	(EXT2_FEATURE_RO_COMPAT_LARGE_FILE | EXT4_FEATURE_RO_COMPAT_HUGE_FILE |                    \
	 EXT4_FEATURE_RO_COMPAT_DIR_NLINK | EXT4_FEATURE_RO_COMPAT_EXTRA_ISIZE)

static int the_fd = -1; /* ext2fs_open2() hands on nothing but a name */

static errcode_t fd_close(io_channel channel)
{
	free(channel);
	return 0;
}

static errcode_t fd_set_blksize(io_channel channel, int blksize)
{
	channel->block_size = blksize;
	return 0;
}

/* A negative count is of bytes. */
static errcode_t fd_read(io_channel channel, unsigned long long block, int count, void *data)
{
	uint64_t size = (uint64_t)channel->block_size, offset, len;

	len = count < 0 ? (uint64_t) - (int64_t)count : (uint64_t)count * size;
	if (__builtin_mul_overflow((uint64_t)block, size, &offset) || offset > INT64_MAX - len)
		return EXT2_ET_SHORT_READ;
	return pread_all(the_fd, data, len, (off_t)offset) < 0 ? EXT2_ET_SHORT_READ : 0;
}

static errcode_t fd_read_short(io_channel channel, unsigned long block, int count, void *data)
{
	return fd_read(channel, block, count, data);
}

static errcode_t fd_write(io_channel channel, unsigned long block, int count, const void *data)
{
	(void)channel;
	(void)block;
	(void)count;
	(void)data;
	return EXT2_ET_RO_FILSYS;
}

static errcode_t fd_flush(io_channel channel)
{
	(void)channel;
	return 0;
}

static errcode_t fd_open(const char *name, int flags, io_channel *ret);

static struct struct_io_manager fd_manager = {
	.magic = EXT2_ET_MAGIC_IO_MANAGER,
	.name = "descriptor",
	.open = fd_open,
	.close = fd_close,
	.set_blksize = fd_set_blksize,
	.read_blk = fd_read_short,
	.read_blk64 = fd_read,
	.write_blk = fd_write,
	.flush = fd_flush,
};

static errcode_t fd_open(const char *name, int flags, io_channel *ret)
{
	io_channel channel = xcalloc(1, sizeof(*channel));

	(void)name;
	(void)flags;
	channel->magic = EXT2_ET_MAGIC_IO_CHANNEL;
	channel->manager = &fd_manager;
	channel->name = NULL;
	channel->block_size = 1024;
	channel->refcount = 1;
	*ret = channel;
	return 0;
}

static const char *problem(const struct ext2_super_block *super, uint64_t size)
{
	if (super->s_feature_compat & ~COMPAT || super->s_feature_incompat != INCOMPAT ||
	    super->s_feature_ro_compat & ~RO_COMPAT)
		return "it has features it was not made with";
	if (super->s_log_block_size != 2 || super->s_log_cluster_size != 2 ||
	    super->s_inode_size != EXT4_INODE || super->s_log_groups_per_flex != 0)
		return "it is laid out in another way than it was made";
	if (ext2fs_blocks_count((struct ext2_super_block *)super) > size / EXT4_BLOCK)
		return "it is larger than its disk";
	return NULL;
}

int ext4_open(int fd, ext2_filsys *ret, struct error *err)
{
	ext2_filsys fs = NULL;
	const char *why;
	struct stat st;
	errcode_t code;

	if (fstat(fd, &st) < 0)
		return error_errno(err, "the disk");
	the_fd = fd;
	code = ext2fs_open2("", NULL, EXT2_FLAG_64BITS, 0, 0, &fd_manager, &fs);
	if (code)
		return error_set(err, -EBADMSG, "the disk has no sound file system: %s",
				 error_message(code));
	why = problem(fs->super, (uint64_t)st.st_size);
	if (why) {
		ext2fs_free(fs);
		return error_set(err, -EBADMSG, "the disk has no sound file system: %s", why);
	}
	*ret = fs;
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libext2fs on a descriptor, which it is given as its number for a name. Its own I/O opens files by
 * name, which a confined process can not, and syncs a file when it opens it for writing.
 */
#include "stage0/image/ext4_io.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "common/file.h"
#include "common/str.h"
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

/*
 * How often all of a disk may be read: blocks that several files claim cost no more. Its inodes are a
 * block of 4096 bytes for each 65536 of it, four times each; the rest is directories, read once, and
 * blocks of extents, read a few times.
 */
#define READS 8

struct descriptor {
	struct struct_io_channel channel;
	int fd; /* not the channel's to close */
	bool writes;
	uint64_t budget; /* bytes that may still be read */
};

static struct descriptor *of(io_channel channel)
{
	return container_of(channel, struct descriptor, channel);
}

static errcode_t fd_close(io_channel channel)
{
	free(of(channel));
	return 0;
}

static errcode_t fd_set_blksize(io_channel channel, int blksize)
{
	channel->block_size = blksize;
	return 0;
}

/* Where count blocks from block on are, in bytes; a negative count is of bytes. */
static bool find_bytes(io_channel channel, unsigned long long block, int count,
		       uint64_t *ret_offset, uint64_t *ret_len)
{
	uint64_t size = (uint64_t)channel->block_size;

	*ret_len = count < 0 ? (uint64_t) - (int64_t)count : (uint64_t)count * size;
	return !__builtin_mul_overflow((uint64_t)block, size, ret_offset) &&
	       *ret_offset <= INT64_MAX - *ret_len;
}

static errcode_t fd_read(io_channel channel, unsigned long long block, int count, void *data)
{
	uint64_t offset, len;

	if (!find_bytes(channel, block, count, &offset, &len))
		return EXT2_ET_SHORT_READ;
	if (len > of(channel)->budget)
		return EUCLEAN;
	of(channel)->budget -= len;
	return pread_all(of(channel)->fd, data, len, (off_t)offset) < 0 ? EXT2_ET_SHORT_READ : 0;
}

static errcode_t fd_read_short(io_channel channel, unsigned long block, int count, void *data)
{
	return fd_read(channel, block, count, data);
}

static errcode_t fd_write(io_channel channel, unsigned long long block, int count, const void *data)
{
	uint64_t offset, len;

	if (!of(channel)->writes)
		return EXT2_ET_RO_FILSYS;
	if (!find_bytes(channel, block, count, &offset, &len))
		return EXT2_ET_SHORT_WRITE;
	return -pwrite_all(of(channel)->fd, data, len, (off_t)offset);
}

static errcode_t fd_write_short(io_channel channel, unsigned long block, int count,
				const void *data)
{
	return fd_write(channel, block, count, data);
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
	.write_blk = fd_write_short,
	.write_blk64 = fd_write,
	.flush = fd_flush,
};

static errcode_t fd_open(const char *name, int flags, io_channel *ret)
{
	struct descriptor *descriptor;
	unsigned long long fd;

	if (!str_to_u64(name, INT_MAX, &fd))
		return EXT2_ET_BAD_DEVICE_NAME;
	descriptor = xcalloc(1, sizeof(*descriptor));
	descriptor->fd = (int)fd;
	descriptor->budget = UINT64_MAX;
	descriptor->writes = flags & IO_FLAG_RW;
	descriptor->channel = (struct struct_io_channel){
		.magic = EXT2_ET_MAGIC_IO_CHANNEL,
		.manager = &fd_manager,
		.block_size = 1024,
		.refcount = 1,
	};
	*ret = &descriptor->channel;
	return 0;
}

io_manager ext4_io(int fd, char ret_name[EXT4_NAME_MAX])
{
	initialize_ext2_error_table(); /* error_message() has words for libext2fs's errors, too */
	snprintf(ret_name, EXT4_NAME_MAX, "%d", fd);
	return &fd_manager;
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
	char name[EXT4_NAME_MAX];
	ext2_filsys fs = NULL;
	const char *why;
	struct stat st;
	errcode_t code;

	if (fstat(fd, &st) < 0)
		return error_errno(err, "the disk");
	code = ext2fs_open2(name, NULL, EXT2_FLAG_64BITS, 0, 0, ext4_io(fd, name), &fs);
	if (code)
		return error_set(err, -EBADMSG, "the disk has no sound file system: %s",
				 error_message(code));
	why = problem(fs->super, (uint64_t)st.st_size);
	if (why) {
		ext2fs_free(fs);
		return error_set(err, -EBADMSG, "the disk has no sound file system: %s", why);
	}
	of(fs->io)->budget = (uint64_t)st.st_size * READS;
	*ret = fs;
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An ext4 file system for a pod, for the cheapest mount and the least to write.
 *
 * Theory of operation: libext2fs makes it in a millisecond, without a program to start and with the
 * directories the guest would have to make at many times the cost. The features are those that save
 * work at such a disk's only mount:
 *
 *	no journal	a pod runs once; a crash leaves garbage, which tripod export reads with care
 *	no gdt_csum	mounting would compute each group's free blocks from its tables' places. Each
 *			group's bitmaps are written instead, 8 KiB a 128 MiB
 *	no metadata_csum	no checksum whenever metadata change
 *	flex_bg of one group	a first allocation would read the bitmaps of 32 groups otherwise
 *	sparse_super2	without a copy of the superblock: nobody repairs it
 *
 * Inode tables are holes of a new file: zeroed, and not there.
 */
#include "stage0/ext4.h"

#include <errno.h>
#include <ext2fs/ext2fs.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "common/util.h"
#include "stage0/image/ext4_io.h"

#define BLOCK_LOG   2	       /* of 4 KiB: 1024 << 2 */
#define INODE_RATIO (64 * KIB) /* bytes of disk for each inode */
#define INODES_MIN  1024

static int fail(errcode_t code, const char *what, struct error *err)
{
	return error_set(err, -EIO, "%s: %s", what, error_message(code));
}

static int create(int fd, uint64_t size, ext2_filsys *ret, struct error *err)
{
	struct ext2_super_block param = {
		.s_log_block_size = BLOCK_LOG,
		.s_log_cluster_size = BLOCK_LOG,
		.s_rev_level = EXT2_DYNAMIC_REV,
		.s_inode_size = EXT4_INODE,
		.s_inodes_count = (uint32_t)MAX(size / INODE_RATIO, (uint64_t)INODES_MIN),
		.s_feature_compat = EXT2_FEATURE_COMPAT_EXT_ATTR | EXT2_FEATURE_COMPAT_DIR_INDEX |
				    EXT4_FEATURE_COMPAT_SPARSE_SUPER2,
		.s_feature_incompat = EXT2_FEATURE_INCOMPAT_FILETYPE |
				      EXT3_FEATURE_INCOMPAT_EXTENTS | EXT4_FEATURE_INCOMPAT_FLEX_BG,
		.s_feature_ro_compat =
			EXT2_FEATURE_RO_COMPAT_LARGE_FILE | EXT4_FEATURE_RO_COMPAT_HUGE_FILE |
			EXT4_FEATURE_RO_COMPAT_DIR_NLINK | EXT4_FEATURE_RO_COMPAT_EXTRA_ISIZE,
		.s_min_extra_isize = 32,
		.s_want_extra_isize = 32,
		.s_errors = EXT2_ERRORS_RO,
	};
	char name[EXT4_NAME_MAX];
	errcode_t code;

	ext2fs_blocks_count_set(&param, size / EXT4_BLOCK);
	code = ext2fs_initialize(name, EXT2_FLAG_RW, &param, ext4_io(fd, name), ret);
	return code ? fail(code, "making the disk's file system", err) : 0;
}

static int make_dirs(ext2_filsys fs, const struct strv *dirs, struct error *err)
{
	for (size_t i = 0; i < dirs->n; i++) {
		const char *name = dirs->v[i];
		errcode_t code = ext2fs_mkdir(fs, EXT2_ROOT_INO, 0, name);

		if (code == EXT2_ET_DIR_NO_SPACE && !ext2fs_expand_dir(fs, EXT2_ROOT_INO))
			code = ext2fs_mkdir(fs, EXT2_ROOT_INO, 0, name);
		if (code)
			return fail(code, name, err);
	}
	return 0;
}

static int fill(ext2_filsys fs, const struct strv *dirs, struct error *err)
{
	errcode_t code;

	if (getrandom(fs->super->s_uuid, sizeof(fs->super->s_uuid), 0) < 0 ||
	    getrandom(fs->super->s_hash_seed, sizeof(fs->super->s_hash_seed), 0) < 0)
		return error_errno(err, "getrandom");
	ext2fs_init_csum_seed(fs);
	code = ext2fs_allocate_tables(fs);
	if (!code)
		code = ext2fs_mkdir(fs, EXT2_ROOT_INO, EXT2_ROOT_INO, NULL);
	if (code)
		return fail(code, "making the disk's file system", err);
	for (ext2_ino_t i = EXT2_ROOT_INO + 1; i < EXT2_FIRST_INODE(fs->super); i++)
		ext2fs_inode_alloc_stats2(fs, i, +1, 0);
	ext2fs_inode_alloc_stats2(fs, EXT2_BAD_INO, +1, 0);
	fs->super->s_def_hash_version = EXT2_HASH_HALF_MD4;
	return make_dirs(fs, dirs, err);
}

int ext4_make(int fd, uint64_t size, const struct strv *dirs, struct error *err)
{
	ext2_filsys fs = NULL;
	errcode_t code;
	int r;

	if (size < EXT4_SIZE_MIN || size > EXT4_SIZE_MAX || size % EXT4_BLOCK)
		return error_set(err, -EINVAL, "a disk of %llu bytes", (unsigned long long)size);
	if (ftruncate(fd, (off_t)size) < 0)
		return error_errno(err, "a disk of %llu bytes", (unsigned long long)size);
	r = create(fd, size, &fs, err);
	if (r < 0)
		return r;
	r = fill(fs, dirs, err);
	if (r < 0) {
		ext2fs_free(fs);
		return r;
	}
	/* a pod's directory is thrown away when the host crashes */
	code = ext2fs_close2(fs, EXT2_FLAG_FLUSH_NO_SYNC);
	if (code)
		ext2fs_free(fs);
	return code ? fail(code, "writing the disk's file system", err) : 0;
}

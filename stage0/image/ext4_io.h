/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE0_IMAGE_EXT4_IO_H
#define STAGE0_IMAGE_EXT4_IO_H

#include <ext2fs/ext2fs.h>

#include "common/error.h"

#define EXT4_NAME_MAX 12 /* digits of a descriptor */

/*
 * Open the ext4 file system in an open file for reading: one as stage0/ext4.c makes it, with none of
 * the features its guest had no reason to add. -EBADMSG: it is no such file system. What libext2fs
 * reads of it is bounded by its size: after that reading fails with EUCLEAN. The descriptor
 * stays the caller's; *ret is the caller's to ext2fs_free().
 */
int ext4_open(int fd, ext2_filsys *ret, struct error *err) __attribute__((nonnull));

/*
 * What libext2fs reads and writes the file of that descriptor with, under the name it is then to be
 * given; the descriptor stays the caller's. Nothing is synced.
 */
io_manager ext4_io(int fd, char ret_name[EXT4_NAME_MAX]) __attribute__((nonnull));

#define EXT4_BLOCK 4096
#define EXT4_INODE 256

#endif

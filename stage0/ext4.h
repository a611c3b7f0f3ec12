/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE0_EXT4_H
#define STAGE0_EXT4_H

#include <stdint.h>

#include "common/error.h"
#include "common/str.h"

/* Making ext4 file systems, with libext2fs. */

#define EXT4_SIZE_MIN (UINT64_C(16) << 20)
#define EXT4_SIZE_MAX (UINT64_C(1) << 40) /* 64 MiB to write for every pod, then */

/*
 * Make an empty file system of size bytes, with these directories in its root, in fd, an empty file
 * open for reading and writing. The file is sparse: what is written of it grows with its size by 8 KiB
 * a 128 MiB only. Nothing is synced.
 */
int ext4_make(int fd, uint64_t size, const struct strv *dirs, struct error *err)
	__attribute__((nonnull));

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COMMON_FILE_H
#define COMMON_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/error.h"

/* Files, relative to directory descriptors. AT_FDCWD is a directory descriptor like any other. */

/*
 * Read a whole regular file of at most max bytes. *ret is malloc()ed, NUL-terminated after *ret_len
 * bytes, and the caller's. -EFBIG when the file is larger than max, -EISDIR and -EINVAL when it is no file.
 */
int file_read(int dirfd, const char *path, size_t max, char **ret, size_t *ret_len,
	      struct error *err) __attribute__((nonnull));

/* Replace path by len bytes: written aside, fsync()ed, renamed. Readers see the old or the new. */
int file_write(int dirfd, const char *path, const void *data, size_t len, mode_t mode,
	       struct error *err) __attribute__((nonnull));

/* write() until all is written. Returns 0 or a negative errno. */
int write_all(int fd, const void *data, size_t len) __attribute__((nonnull));
/* Read exactly len bytes at offset. -ENODATA when the file ends before. */
int pread_all(int fd, void *dst, size_t len, off_t offset) __attribute__((nonnull));
/* Write all of it at offset. Returns 0 or a negative errno. */
int pwrite_all(int fd, const void *data, size_t len, off_t offset) __attribute__((nonnull));

/* Create path and its missing parents. An existing directory is fine, anything else -ENOTDIR. */
int mkdir_path(int dirfd, const char *path, mode_t mode, struct error *err)
	__attribute__((nonnull));

/*
 * Open below a directory others can influence: no symlinks, no way out (openat2 BENEATH,
 * NO_SYMLINKS, NO_MAGICLINKS). O_CLOEXEC is added. Returns the descriptor or a negative errno.
 */
int open_beneath(int dirfd, const char *path, int flags, mode_t mode) __attribute__((nonnull));

/* Delete path with everything below it, never following a link. A missing path is fine. */
int remove_tree(int dirfd, const char *path, struct error *err) __attribute__((nonnull));

#endif

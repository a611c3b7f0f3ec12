/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is left of a download, for whoever loads the same blob later. A blob's name is its digest, so
 * the bytes are good or the digest is found wrong further down; the lock is on the file itself.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/util.h"
#include "stage0/fetch/registry_priv.h"

/* Whoever held the lock before may have deleted the file. */
static bool still_there(const struct partial *partial, int fd, struct stat *st)
{
	struct stat named;

	return fstat(fd, st) == 0 && S_ISREG(st->st_mode) &&
	       fstatat(partial->dir, partial->name, &named, AT_SYMLINK_NOFOLLOW) == 0 &&
	       named.st_ino == st->st_ino && named.st_dev == st->st_dev;
}

void partial_open(int dir, const struct oci_desc *desc, struct partial *ret)
{
	struct partial partial = {.dir = dir, .fd = -1};
	cleanup_fd int fd = -1;
	struct stat st;

	*ret = (struct partial)PARTIAL_INIT;
	snprintf(partial.name, sizeof(partial.name), "%s%s-%s%s", REGISTRY_PARTIAL_PREFIX,
		 desc->digest.alg == HASH_SHA512 ? "sha512" : "sha256", desc->digest.hex,
		 REGISTRY_PARTIAL_SUFFIX);
	fd = openat(dir, partial.name, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC,
		    0600);
	if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) < 0 || !still_there(&partial, fd, &st))
		return;
	if ((uint64_t)st.st_size > desc->size) {
		if (ftruncate(fd, 0) < 0)
			return;
		st.st_size = 0;
	}
	partial.have = (uint64_t)st.st_size;
	partial.fd = take_fd(&fd);
	*ret = partial;
}

void partial_close(struct partial *partial, bool drop)
{
	struct stat st;

	if (partial->fd >= 0 && drop && still_there(partial, partial->fd, &st))
		unlinkat(partial->dir, partial->name, 0);
	close_fd(&partial->fd);
}

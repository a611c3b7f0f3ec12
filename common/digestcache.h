/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COMMON_DIGESTCACHE_H
#define COMMON_DIGESTCACHE_H

#include <stdbool.h>
#include <sys/stat.h>

#include "common/error.h"
#include "common/eventlog.h"

/*
 * Digests of files that have not changed since they were read: one file, shared by all processes
 * of a data directory.
 *
 * An entry holds for a file while device, inode, size, modification and change time are those it
 * was made with, and while the file is ours or root's and nobody else may write it. The kernel sets
 * the change time on every write and every change of an attribute, and there is no call that sets it
 * to a chosen value, so a file written to and given its old modification time back is a changed one.
 * What a change of the clock or of the file behind the kernel's back can do, root does, whom
 * everything here trusts.
 *
 * Linking and unlinking a file changes its change time, too, and every pod is made of links. So who
 * links does it through digestcache_link(), and who removes links between digestcache_hold() and
 * digestcache_release(): under the cache's lock an entry is found to hold, the link is made or
 * removed, and the entry gets the new change time if nothing else has changed. An entry that did not
 * hold before is left alone, so a change made at any other time stays visible. What is trusted is
 * that nobody writes to the file, keeping its size and giving its modification time back, in the
 * microseconds between. Links made by others only make the entry not hold: the file is read again.
 */

struct digestcache {
	int fd; /* owned; -1: none, and then nothing is found and nothing kept */
};

#define DIGESTCACHE_NONE                                                                           \
	{                                                                                          \
		.fd = -1                                                                           \
	}

/*
 * Open the cache's file, made if create says so. -ENOENT: there is none; -EPERM: others could have
 * written it.
 */
int digestcache_open(int dirfd, const char *path, bool create, struct digestcache *ret,
		     struct error *err) __attribute__((nonnull));
void digestcache_close(struct digestcache *cache) __attribute__((nonnull));
#define cleanup_digestcache cleanup(digestcache_close)

/*
 * The digests of a whole regular file, from the cache or by reading it, and then kept. -EBUSY: it
 * changes while it is read. Waits for whoever holds the cache's lock.
 */
int digestcache_file(const struct digestcache *cache, int fd, struct digests *ret,
		     struct error *err) __attribute__((nonnull));

/* linkat() that keeps the entry of the file. Returns 0 or a negative errno. */
int digestcache_link(const struct digestcache *cache, int olddir, const char *old, int newdir,
		     const char *new) __attribute__((nonnull));

/* Files some of whose links are about to go. */
#define DIGESTCACHE_HELD_MAX 256 /* files of one pod; entries of the others are lost, no more */

struct digestcache_held {
	const struct digestcache *cache;
	unsigned n;
	struct {
		int fd; /* owned */
		struct stat st;
	} file[DIGESTCACHE_HELD_MAX];
};

/* Take the cache's lock. Add files, remove links, release: keep it short. */
void digestcache_hold(const struct digestcache *cache, struct digestcache_held *held)
	__attribute__((nonnull));
/* Remember dir/name if its entry holds. Anything else is ignored. */
void digestcache_hold_file(struct digestcache_held *held, int dir, const char *name)
	__attribute__((nonnull));
void digestcache_release(struct digestcache_held *held) __attribute__((nonnull));

#endif

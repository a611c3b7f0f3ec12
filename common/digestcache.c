/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The file is a table of SLOTS entries of 128 bytes, sparse at first. A file's entry is in one of the
 * WAYS slots from the one its inode number leads to; when all are taken, the first gives way. Each
 * entry has a check sum, so that nothing that is torn or foreign is taken for one.
 */
#include "common/digestcache.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#include "common/file.h"
#include "common/hash.h"
#include "common/util.h"

#define SLOTS	  4096
#define WAYS	  8
#define READ_SIZE (64U << 10)

/*
 * A file modified so recently may be modified again without its times telling: the clock of file
 * times ticks every 10 ms at worst, that of some file systems every two seconds.
 */
#define SETTLED_S 3

struct entry {
	uint64_t dev, ino, size;
	uint64_t mtime_ns, ctime_ns;
	struct digests digests;
	uint64_t check; /* of all before; never 0 */
};

_Static_assert(sizeof(struct entry) == 128, "entries do not straddle a disk's sectors");

static uint64_t ns(const struct timespec *ts)
{
	return (uint64_t)ts->tv_sec * 1000000000 + (uint64_t)ts->tv_nsec;
}

/* FNV-1a: against accidents, not against somebody. */
static uint64_t check_of(const struct entry *entry)
{
	const uint8_t *p = (const uint8_t *)entry;
	uint64_t h = UINT64_C(0xcbf29ce484222325);

	for (size_t i = 0; i < offsetof(struct entry, check); i++)
		h = (h ^ p[i]) * UINT64_C(0x100000001b3);
	return h ? h : 1;
}

static unsigned first_slot(const struct stat *st)
{
	uint64_t h =
		((uint64_t)st->st_ino ^ (uint64_t)st->st_dev << 32) * UINT64_C(0x9e3779b97f4a7c15);

	return (unsigned)(h >> 40) % (SLOTS - WAYS + 1);
}

static bool lock(const struct digestcache *cache, int how)
{
	int r;

	if (cache->fd < 0)
		return false;
	do
		r = flock(cache->fd, how);
	while (r < 0 && errno == EINTR);
	return r == 0;
}

static void unlock(const struct digestcache *cache)
{
	if (cache->fd >= 0)
		flock(cache->fd, LOCK_UN);
}

static bool only_ours(const struct stat *st)
{
	return S_ISREG(st->st_mode) && !(st->st_mode & 022) &&
	       (st->st_uid == 0 || st->st_uid == geteuid());
}

int digestcache_open(int dirfd, const char *path, bool create, struct digestcache *ret,
		     struct error *err)
{
	cleanup_fd int fd =
		openat(dirfd, path, O_RDWR | (create ? O_CREAT : 0) | O_NOFOLLOW | O_CLOEXEC, 0600);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return error_errno(err, "cache of digests %s", path);
	if (!only_ours(&st))
		return error_set(err, -EPERM, "cache of digests %s: others can write it", path);
	ret->fd = take_fd(&fd);
	return 0;
}

void digestcache_close(struct digestcache *cache)
{
	close_fd(&cache->fd);
}

/* Under the lock, like all below: where the file's entry is, and whether it holds. */
struct place {
	off_t offset; /* of its slot, or of one it may take */
	bool found, holds;
	struct entry entry;
};

static void look_up(const struct digestcache *cache, const struct stat *st, struct place *ret)
{
	struct entry way[WAYS] = {{.dev = 0}};
	off_t base = (off_t)first_slot(st) * (off_t)sizeof(struct entry);
	ssize_t n = pread(cache->fd, way, sizeof(way), base);
	unsigned known = n > 0 ? (unsigned)((size_t)n / sizeof(way[0])) : 0, take = 0;
	bool free_found = false;

	*ret = (struct place){.found = false};
	for (unsigned i = 0; i < WAYS && !ret->found; i++) {
		bool valid = i < known && way[i].check == check_of(&way[i]);

		if (valid && way[i].dev == st->st_dev && way[i].ino == st->st_ino) {
			ret->found = true;
			ret->entry = way[i];
			take = i;
		} else if (!valid && !free_found) {
			free_found = true;
			take = i;
		}
	}
	ret->offset = base + (off_t)(take * sizeof(way[0]));
	ret->holds = ret->found && only_ours(st) && ret->entry.size == (uint64_t)st->st_size &&
		     ret->entry.mtime_ns == ns(&st->st_mtim) &&
		     ret->entry.ctime_ns == ns(&st->st_ctim);
}

/* A failure leaves a slot that does not check, at worst. */
static void put(const struct digestcache *cache, off_t offset, const struct stat *st,
		const struct digests *digests)
{
	struct entry entry = {
		.dev = st->st_dev,
		.ino = st->st_ino,
		.size = (uint64_t)st->st_size,
		.mtime_ns = ns(&st->st_mtim),
		.ctime_ns = ns(&st->st_ctim),
		.digests = *digests,
	};

	entry.check = check_of(&entry);
	(void)!pwrite(cache->fd, &entry, sizeof(entry), offset);
}

/* Whether the same file still has the same content, as far as its times tell. */
static bool same_content(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
	       ns(&a->st_mtim) == ns(&b->st_mtim);
}

static bool settled(const struct stat *st)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return st->st_mtim.tv_sec + SETTLED_S < now.tv_sec;
}

static int read_digests(int fd, uint64_t size, struct digests *ret, struct error *err)
{
	cleanup_hash struct hash *sha256 = hash_new(HASH_SHA256), *sha384 = hash_new(HASH_SHA384);
	cleanup_free uint8_t *bytes = xcalloc(1, READ_SIZE);

	for (uint64_t at = 0; at < size;) {
		size_t n = (size_t)MIN(size - at, (uint64_t)READ_SIZE);
		int r = pread_all(fd, bytes, n, (off_t)at);

		if (r < 0)
			return error_set(err, r, "reading what is to be measured: %s",
					 strerror(-r));
		hash_update(sha256, bytes, n);
		hash_update(sha384, bytes, n);
		at += n;
	}
	hash_final(sha256, ret->sha256);
	hash_final(sha384, ret->sha384);
	return 0;
}

int digestcache_file(const struct digestcache *cache, int fd, struct digests *ret,
		     struct error *err)
{
	struct stat st, after;
	struct digests digests;
	struct place place;
	int r;

	if (fstat(fd, &st) < 0)
		return error_errno(err, "what is to be measured");
	if (!S_ISREG(st.st_mode))
		return error_set(err, -EINVAL, "what is to be measured is no regular file");
	if (lock(cache, LOCK_SH)) {
		/* again: a link may have been made until now */
		if (fstat(fd, &st) < 0)
			place.holds = false;
		else
			look_up(cache, &st, &place);
		unlock(cache);
		if (place.holds) {
			*ret = place.entry.digests;
			return 0;
		}
	}
	r = read_digests(fd, (uint64_t)st.st_size, &digests, err);
	if (r < 0)
		return r;
	if (!lock(cache, LOCK_EX)) {
		*ret = digests;
		return 0;
	}
	r = fstat(fd, &after);
	if (r == 0 && same_content(&st, &after) && ns(&st.st_ctim) == ns(&after.st_ctim) &&
	    only_ours(&after) && settled(&after)) {
		look_up(cache, &after, &place);
		put(cache, place.offset, &after, &digests);
	}
	unlock(cache);
	if (r < 0 || !same_content(&st, &after))
		return error_set(err, -EBUSY, "what is to be measured changes");
	*ret = digests;
	return 0;
}

/* The entry held when the file was as in before: give it the change time it has now. */
static void refresh(const struct digestcache *cache, const struct stat *before,
		    const struct stat *after)
{
	struct place place;

	if (!same_content(before, after) || !only_ours(after))
		return;
	look_up(cache, before, &place);
	if (place.holds)
		put(cache, place.offset, after, &place.entry.digests);
}

int digestcache_link(const struct digestcache *cache, int olddir, const char *old, int newdir,
		     const char *new)
{
	struct stat before, after;
	int r;

	if (!lock(cache, LOCK_EX))
		return linkat(olddir, old, newdir, new, 0) < 0 ? -errno : 0;
	r = fstatat(olddir, old, &before, AT_SYMLINK_NOFOLLOW) < 0 ||
			    linkat(olddir, old, newdir, new, 0) < 0
		    ? -errno
		    : 0;
	if (r == 0 && fstatat(newdir, new, &after, AT_SYMLINK_NOFOLLOW) == 0)
		refresh(cache, &before, &after);
	unlock(cache);
	return r;
}

void digestcache_hold(const struct digestcache *cache, struct digestcache_held *held)
{
	held->n = 0;
	held->cache = cache;
	(void)lock(cache, LOCK_EX);
}

void digestcache_hold_file(struct digestcache_held *held, int dir, const char *name)
{
	cleanup_fd int fd = -1;
	struct place place;
	struct stat st;

	if (held->cache->fd < 0 || held->n == DIGESTCACHE_HELD_MAX)
		return;
	fd = openat(dir, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return;
	look_up(held->cache, &st, &place);
	if (!place.holds)
		return;
	held->file[held->n].st = st;
	held->file[held->n++].fd = take_fd(&fd);
}

void digestcache_release(struct digestcache_held *held)
{
	for (unsigned i = 0; i < held->n; i++) {
		struct stat after;

		if (fstat(held->file[i].fd, &after) == 0)
			refresh(held->cache, &held->file[i].st, &after);
		close_fd(&held->file[i].fd);
	}
	unlock(held->cache);
}

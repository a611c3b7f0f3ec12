/* SPDX-License-Identifier: Apache-2.0 */
#include "stage0/fetch/unfinished.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/file.h"
#include "common/hash.h"
#include "common/str.h"
#include "common/util.h"
#include "stage0/fetch/registry.h"

#define MAGIC "tripod-partial-1\n"
#define CHUNK (64 * 1024)

/* The lock, on the file that still has the name: a collector deletes what it holds the lock of. */
static int lock_file(struct unfinished *unfinished, struct error *err)
{
	for (;;) {
		cleanup_fd int fd = openat(unfinished->dir, unfinished->name,
					   O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0640);
		struct stat held, there;

		if (fd < 0)
			return error_errno(err, "opening a partial download");
		while (flock(fd, LOCK_EX) < 0)
			if (errno != EINTR)
				return error_errno(err, "locking a partial download");
		if (fstat(fd, &held) == 0 &&
		    fstatat(unfinished->dir, unfinished->name, &there, AT_SYMLINK_NOFOLLOW) == 0 &&
		    held.st_dev == there.st_dev && held.st_ino == there.st_ino) {
			unfinished->fd = take_fd(&fd);
			unfinished->size = held.st_size > UNFINISHED_HEADER
						   ? (uint64_t)held.st_size - UNFINISHED_HEADER
						   : 0;
			return 0;
		}
	}
}

static void read_header(struct unfinished *unfinished)
{
	char header[UNFINISHED_HEADER + 1] = {0};
	const char *validator = header + strlen(MAGIC);

	if (unfinished->size > 0 && pread_all(unfinished->fd, header, UNFINISHED_HEADER, 0) == 0 &&
	    str_starts_with(header, MAGIC) && *validator &&
	    strlen(validator) <= UNFINISHED_VALIDATOR_MAX)
		memcpy(unfinished->validator, validator, strlen(validator) + 1);
	else
		unfinished->size = 0;
}

int unfinished_open(int dir, const char *url, struct unfinished *ret, struct error *err)
{
	struct unfinished unfinished = {.dir = dir, .fd = -1};
	cleanup_hash struct hash *hash = hash_new(HASH_SHA256);
	uint8_t digest[HASH_MAX_SIZE];
	char hex[HASH_HEX_MAX];
	int r;

	hash_update(hash, url, strlen(url));
	hash_final(hash, digest);
	hash_hex(digest, hash_size(HASH_SHA256), hex);
	snprintf(unfinished.name, sizeof(unfinished.name),
		 REGISTRY_PARTIAL_PREFIX "url-%.64s" REGISTRY_PARTIAL_SUFFIX, hex);
	r = lock_file(&unfinished, err);
	if (r < 0)
		return r;
	read_header(&unfinished);
	*ret = unfinished;
	return 0;
}

int unfinished_begin(struct unfinished *unfinished, const char *validator, struct error *err)
{
	char header[UNFINISHED_HEADER] = MAGIC;

	unfinished->size = 0;
	unfinished->validator[0] = '\0';
	if (strlen(validator) <= UNFINISHED_VALIDATOR_MAX) {
		memcpy(unfinished->validator, validator, strlen(validator) + 1);
		memcpy(header + strlen(MAGIC), validator, strlen(validator) + 1);
	}
	if (ftruncate(unfinished->fd, 0) < 0 ||
	    pwrite(unfinished->fd, header, sizeof(header), 0) != sizeof(header))
		return error_errno(err, "writing a partial download");
	return 0;
}

int unfinished_write(struct unfinished *unfinished, const void *bytes, size_t len,
		     struct error *err)
{
	const char *p = bytes;

	while (len > 0) {
		ssize_t n = pwrite(unfinished->fd, p, len,
				   (off_t)(UNFINISHED_HEADER + unfinished->size));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return error_errno(err, "writing a partial download");
		p += n;
		len -= (size_t)n;
		unfinished->size += (uint64_t)n;
	}
	return 0;
}

int unfinished_replay(const struct unfinished *unfinished,
		      int (*fn)(void *arg, const void *bytes, size_t len, struct error *err),
		      void *arg, struct error *err)
{
	cleanup_free char *chunk = xcalloc(1, CHUNK);

	for (uint64_t at = 0; at < unfinished->size;) {
		size_t len = MIN(unfinished->size - at, (uint64_t)CHUNK);
		int r = pread_all(unfinished->fd, chunk, len, (off_t)(UNFINISHED_HEADER + at));

		if (r < 0)
			return error_set(err, r, "reading a partial download: %s", strerror(-r));
		r = fn(arg, chunk, len, err);
		if (r < 0)
			return r;
		at += len;
	}
	return 0;
}

void unfinished_drop(struct unfinished *unfinished)
{
	if (unfinished->fd < 0)
		return;
	unlinkat(unfinished->dir, unfinished->name, 0);
	close_fd(&unfinished->fd);
	unfinished->size = 0;
}

void unfinished_close(struct unfinished *unfinished)
{
	if (unfinished->size < UNFINISHED_MIN || !unfinished->validator[0])
		unfinished_drop(unfinished);
	close_fd(&unfinished->fd);
}

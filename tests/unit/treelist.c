/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/treelist.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "common/hash.h"
#include "common/str.h"
#include "common/util.h"

static int compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void content(struct str *out, int fd)
{
	cleanup_hash struct hash *hash = hash_new(HASH_SHA256);
	uint8_t digest[HASH_MAX_SIZE];
	static char block[65536];
	char hex[HASH_HEX_MAX];
	ssize_t n;

	while ((n = read(fd, block, sizeof(block))) > 0)
		hash_update(hash, block, (size_t)n);
	hash_final(hash, digest);
	hash_hex(digest, hash_size(HASH_SHA256), hex);
	str_addf(out, n < 0 ? " unreadable" : " %s", hex);
}

static void attributes(struct str *out, int fd)
{
	cleanup_strv struct strv names = STRV_INIT;
	static char list[65536], value[65536];
	ssize_t n = flistxattr(fd, list, sizeof(list));

	for (ssize_t i = 0; i < n; i += (ssize_t)strlen(list + i) + 1)
		strv_add(&names, list + i);
	if (names.n)
		qsort(names.v, names.n, sizeof(*names.v), compare);
	for (size_t i = 0; i < names.n; i++) {
		n = fgetxattr(fd, names.v[i], value, sizeof(value));
		str_addf(out, " %s=", names.v[i]);
		str_add_escaped(out, value, n > 0 ? (size_t)n : 0);
	}
}

static void object(struct str *out, int dir, const char *name, const char *path)
{
	cleanup_fd int fd = -1;
	char target[4097];
	struct stat st;
	ssize_t n;

	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		abort();
	str_add_escaped(out, path, strlen(path));
	str_addf(out, " %o %u:%u %lld.%09ld", (unsigned)st.st_mode, (unsigned)st.st_uid,
		 (unsigned)st.st_gid, (long long)st.st_mtim.tv_sec, st.st_mtim.tv_nsec);
	if (!S_ISDIR(st.st_mode))
		str_addf(out, " links %u size %lld", (unsigned)st.st_nlink, (long long)st.st_size);
	if (S_ISCHR(st.st_mode) || S_ISBLK(st.st_mode))
		str_addf(out, " device %u:%u", major(st.st_rdev), minor(st.st_rdev));
	if (S_ISLNK(st.st_mode)) {
		n = readlinkat(dir, name, target, sizeof(target));
		str_add(out, " to ");
		str_add_escaped(out, target, n > 0 ? (size_t)n : 0);
	}
	if (S_ISREG(st.st_mode) || S_ISDIR(st.st_mode)) {
		fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
		if (S_ISREG(st.st_mode))
			content(out, fd);
		attributes(out, fd);
	}
	str_add(out, "\n");
}

static void walk(struct str *out, int dir, const char *path, unsigned depth)
{
	cleanup_strv struct strv names = STRV_INIT;
	DIR *stream = fdopendir(openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	struct dirent *entry;

	if (!stream || depth > 300)
		abort();
	while ((entry = readdir(stream)))
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			strv_add(&names, entry->d_name);
	closedir(stream);
	if (names.n)
		qsort(names.v, names.n, sizeof(*names.v), compare);
	for (size_t i = 0; i < names.n; i++) {
		cleanup_free char *below = xasprintf("%s/%s", path, names.v[i]);
		cleanup_fd int fd = -1;

		object(out, dir, names.v[i], below);
		fd = openat(dir, names.v[i],
			    O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
		if (fd >= 0)
			walk(out, fd, below, depth + 1);
	}
}

char *treelist(int dirfd, const char *path)
{
	cleanup_fd int fd = openat(dirfd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct str out = STR_INIT;

	if (fd < 0)
		abort();
	object(&out, fd, ".", "");
	walk(&out, fd, "", 0);
	return str_take(&out);
}

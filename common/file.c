/* SPDX-License-Identifier: Apache-2.0 */
#include "common/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/util.h"

#define REMOVE_DEPTH_MAX 512 /* directories open at once while deleting; images stop at 256 */
#define OPEN_TRIES_MAX	 64  /* against others who rename what is opened, all the time */

int write_all(int fd, const void *data, size_t len)
{
	const char *p = data;

	while (len > 0) {
		ssize_t n = write(fd, p, len);

		if (n < 0) {
			if (errno == EINTR)
				continue;
			return -errno;
		}
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

int pread_all(int fd, void *dst, size_t len, off_t offset)
{
	char *p = dst;

	while (len > 0) {
		ssize_t n = pread(fd, p, len, offset);

		if (n < 0) {
			if (errno == EINTR)
				continue;
			return -errno;
		}
		if (n == 0)
			return -ENODATA;
		p += n;
		len -= (size_t)n;
		offset += n;
	}
	return 0;
}

int pwrite_all(int fd, const void *data, size_t len, off_t offset)
{
	const char *p = data;

	while (len > 0) {
		ssize_t n = pwrite(fd, p, len, offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		p += n;
		len -= (size_t)n;
		offset += n;
	}
	return 0;
}

int file_read(int dirfd, const char *path, size_t max, char **ret, size_t *ret_len,
	      struct error *err)
{
	cleanup_fd int fd = openat(dirfd, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	cleanup_free char *data = NULL;
	size_t len = 0, cap = 4096;
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return error_errno(err, "%s", path);
	if (S_ISDIR(st.st_mode))
		return error_set(err, -EISDIR, "%s: is a directory", path);
	if (!S_ISREG(st.st_mode))
		return error_set(err, -EINVAL, "%s: not a regular file", path);
	if ((uint64_t)st.st_size > max)
		return error_set(err, -EFBIG, "%s: larger than %zu bytes", path, max);
	if (st.st_size > 0) /* files of /proc say 0 */
		cap = (size_t)st.st_size + 1;

	for (;;) {
		ssize_t n;
		char *bigger = realloc(data, cap + 1);

		if (!bigger)
			return error_set(err, -ENOMEM, "%s: out of memory", path);
		data = bigger;
		n = read(fd, data + len, cap - len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return error_errno(err, "%s", path);
		if (n == 0)
			break;
		len += (size_t)n;
		if (len > max)
			return error_set(err, -EFBIG, "%s: larger than %zu bytes", path, max);
		if (len == cap)
			cap *= 2;
	}
	data[len] = '\0';
	*ret = take_ptr(data);
	*ret_len = len;
	return 0;
}

/* A name beside path that nobody else uses. */
static char *name_aside(const char *path)
{
	uint64_t random = 0;

	(void)!getrandom(&random, sizeof(random), 0);
	return xasprintf("%s.tmp-%016llx", path, (unsigned long long)random);
}

int file_write(int dirfd, const char *path, const void *data, size_t len, mode_t mode,
	       struct error *err)
{
	cleanup_free char *aside = name_aside(path);
	cleanup_fd int fd =
		openat(dirfd, aside, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode);
	int r;

	if (fd < 0)
		return error_errno(err, "%s", path);
	r = write_all(fd, data, len);
	if (r < 0) {
		errno = -r;
		goto fail;
	}
	if (fchmod(fd, mode) < 0 || fsync(fd) < 0 || renameat(dirfd, aside, dirfd, path) < 0)
		goto fail;
	return 0;
fail:
	r = error_errno(err, "%s", path);
	unlinkat(dirfd, aside, 0);
	return r;
}

int mkdir_path(int dirfd, const char *path, mode_t mode, struct error *err)
{
	cleanup_free char *copy = xstrdup(path);
	struct stat st;

	for (char *p = copy + 1; copy[0]; p++) {
		char c = *p;

		if (c != '/' && c != '\0')
			continue;
		*p = '\0';
		if (mkdirat(dirfd, copy, mode) < 0 && errno != EEXIST)
			return error_errno(err, "%s", copy);
		*p = c;
		if (c == '\0')
			break;
	}
	if (fstatat(dirfd, path, &st, 0) < 0)
		return error_errno(err, "%s", path);
	if (!S_ISDIR(st.st_mode))
		return error_set(err, -ENOTDIR, "%s: not a directory", path);
	return 0;
}

int open_beneath(int dirfd, const char *path, int flags, mode_t mode)
{
	struct open_how how = {
		.flags = (uint64_t)(unsigned)(flags | O_CLOEXEC),
		.mode = (flags & O_CREAT) ? mode : 0,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
	};
	long fd = -1;

	/* EAGAIN: something on the way was renamed; or a lease on the file, which can last */
	for (int tries = 0; tries < OPEN_TRIES_MAX; tries++) {
		fd = syscall(SYS_openat2, dirfd, path, &how, sizeof(how));
		if (fd >= 0 || (errno != EINTR && errno != EAGAIN))
			break;
	}
	return fd < 0 ? -errno : (int)fd;
}

/* Make room in a directory whose mode forbids unlinking. Only its owner can, which is enough. */
static int unlink_entry(int dirfd, const char *name, int flags)
{
	if (unlinkat(dirfd, name, flags) == 0 || errno == ENOENT)
		return 0;
	if (errno == EACCES && fchmod(dirfd, 0700) == 0 &&
	    (unlinkat(dirfd, name, flags) == 0 || errno == ENOENT))
		return 0;
	return -errno;
}

/* Make a directory of ours readable. Whatever is put in its place meanwhile is left alone. */
static void make_accessible(int parent, const char *name)
{
	cleanup_fd int fd = openat(parent, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	char path[64];

	if (fd < 0)
		return;
	/* fchmod() refuses O_PATH descriptors */
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	(void)!chmod(path, 0700);
}

static int remove_below(int parent, const char *name, unsigned depth, struct error *err)
{
	cleanup_fd int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct dirent *entry;
	DIR *dir;
	int r = 0;

	if (fd < 0 && errno == EACCES) {
		make_accessible(parent, name);
		fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	}
	if (fd < 0)
		return error_errno(err, "removing %s", name);
	if (depth >= REMOVE_DEPTH_MAX)
		return error_set(err, -ELOOP, "removing %s: directories too deep", name);
	dir = fdopendir(fd);
	if (!dir)
		return error_errno(err, "removing %s", name);
	take_fd(&fd);

	while (r == 0 && (errno = 0, entry = readdir(dir))) {
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		r = unlink_entry(dirfd(dir), entry->d_name, 0);
		if (r == -EISDIR || r == -EPERM) {
			r = remove_below(dirfd(dir), entry->d_name, depth + 1, err);
			if (r == 0)
				r = unlink_entry(dirfd(dir), entry->d_name, AT_REMOVEDIR);
		}
		if (r < 0 && err->code == 0)
			error_set(err, r, "removing %s: %s", entry->d_name, strerror(-r));
	}
	closedir(dir);
	return r;
}

int remove_tree(int dirfd, const char *path, struct error *err)
{
	struct error inner = ERROR_INIT;
	struct stat st;
	int r;

	if (fstatat(dirfd, path, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : error_errno(err, "removing %s", path);
	if (!S_ISDIR(st.st_mode)) {
		r = unlink_entry(dirfd, path, 0);
		return r < 0 ? error_set(err, r, "removing %s: %s", path, strerror(-r)) : 0;
	}
	r = remove_below(dirfd, path, 0, &inner);
	if (r == 0)
		r = unlink_entry(dirfd, path, AT_REMOVEDIR);
	if (r < 0)
		return error_set(err, r, "%s: %s", path, inner.code ? inner.msg : strerror(-r));
	return 0;
}

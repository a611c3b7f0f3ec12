/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A walk along a path of a root full of links, done by hand: what a link holds is put before what is
 * left of the path, and what was walked is a path without links that each step opens anew with
 * RESOLVE_NO_SYMLINKS. So a missing part is made where the links before it lead to, and somebody
 * who changes a directory meanwhile (an app that has the volume it is on, too) can make the walk
 * fail, but not leave the root.
 */
#include "initrd/target.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define LINKS_MAX 40 /* as many as the kernel follows */

struct walk {
	int root;
	unsigned links;
	size_t len;		 /* of done */
	char done[PATH_MAX];	 /* "" or "/a/b" */
	char left[2 * PATH_MAX]; /* a link, and what comes after it */
};

/* What was walked, whose last part is not followed if it is a link. */
static int open_done(const struct walk *walk, int flags)
{
	const struct open_how how = {
		.flags = (uint64_t)flags | O_PATH | O_NOFOLLOW | O_CLOEXEC,
		.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
	};
	long fd = syscall(SYS_openat2, walk->root, walk->len ? walk->done : "/", &how, sizeof(how));

	return fd < 0 ? -errno : (int)fd;
}

/* The last part of what was walked is gone again. */
static void step_back(struct walk *walk)
{
	while (walk->len && walk->done[--walk->len] != '/')
		;
	walk->done[walk->len] = '\0';
}

/* Make the last part of what was walked. */
static int make(struct walk *walk, bool file)
{
	char name[NAME_MAX + 1];
	size_t len = walk->len, slash = len;
	int dir, r;

	while (walk->done[slash - 1] != '/')
		slash--;
	if (len - slash > NAME_MAX)
		return -ENAMETOOLONG;
	memcpy(name, walk->done + slash, len - slash + 1);
	walk->len = slash - 1;
	walk->done[walk->len] = '\0';
	dir = open_done(walk, O_DIRECTORY);
	if (dir < 0)
		return dir;
	r = file ? mknodat(dir, name, S_IFREG | 0644, 0) : mkdirat(dir, name, 0755);
	r = r < 0 ? -errno : 0;
	close(dir);
	walk->done[walk->len] = '/';
	walk->len = len;
	return r;
}

/* Go on with what the link holds. */
static int follow(struct walk *walk, int fd, const char *rest)
{
	char link[PATH_MAX];
	ssize_t len = readlinkat(fd, "", link, sizeof(link));
	size_t rest_len = strlen(rest);

	if (len < 0)
		return -errno;
	if (len == sizeof(link) || (size_t)len + rest_len >= sizeof(walk->left))
		return -ENAMETOOLONG;
	if (++walk->links > LINKS_MAX)
		return -ELOOP;
	/* rest begins with a slash, or is empty */
	memmove(walk->left + len, rest, rest_len + 1);
	memcpy(walk->left, link, (size_t)len);
	if (link[0] == '/')
		walk->done[walk->len = 0] = '\0';
	else
		step_back(walk);
	return 0;
}

/* One part of n bytes, and what is after it. */
static int step(struct walk *walk, const char *part, size_t n, bool file)
{
	const char *rest = part + n;
	bool last = !rest[strspn(rest, "/")];
	struct stat st;
	int fd, r = 0;

	if (n == 2 && part[0] == '.' && part[1] == '.') {
		step_back(walk);
		memmove(walk->left, rest, strlen(rest) + 1);
		return 0;
	}
	if (walk->len + 1 + n >= sizeof(walk->done))
		return -ENAMETOOLONG;
	walk->done[walk->len++] = '/';
	memcpy(walk->done + walk->len, part, n);
	walk->len += n;
	walk->done[walk->len] = '\0';
	fd = open_done(walk, 0);
	if (fd == -ENOENT) {
		r = make(walk, file && last);
		fd = r < 0 ? r : open_done(walk, 0);
	}
	if (fd < 0)
		return fd;
	if (fstat(fd, &st) < 0)
		r = -errno;
	else if (S_ISLNK(st.st_mode))
		r = follow(walk, fd, rest);
	else if (!S_ISDIR(st.st_mode) && !(file && last))
		r = -ENOTDIR;
	else
		memmove(walk->left, rest, strlen(rest) + 1);
	close(fd);
	return r;
}

static bool may_mount(const struct walk *walk)
{
	return walk->len != 0 && strcmp(walk->done, "/proc") != 0 &&
	       strncmp(walk->done, "/proc/", strlen("/proc/")) != 0;
}

int init_target_open(int root, const char *path, bool file, struct init_target *ret)
{
	struct walk walk = {.root = root};
	struct stat st;
	int fd, r;

	if (strlen(path) >= PATH_MAX)
		return -ENAMETOOLONG;
	memcpy(walk.left, path, strlen(path) + 1);
	for (;;) {
		const char *part = walk.left + strspn(walk.left, "/");
		size_t n = strcspn(part, "/");

		if (n == 0)
			break;
		if (n == 1 && *part == '.') {
			memmove(walk.left, part + n, strlen(part + n) + 1);
			continue;
		}
		r = step(&walk, part, n, file);
		if (r < 0)
			return r;
	}
	if (!may_mount(&walk))
		return -EPERM;
	fd = open_done(&walk, 0);
	if (fd < 0)
		return fd;
	r = fstat(fd, &st) < 0 ? -errno : 0;
	if (r == 0 && S_ISDIR(st.st_mode) == file)
		r = file ? -EISDIR : -ENOTDIR;
	if (r < 0) {
		close(fd);
		return r;
	}
	ret->fd = fd;
	memcpy(ret->path, walk.done, walk.len + 1);
	return 0;
}

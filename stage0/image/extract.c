/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Loose files from a tree.
 *
 * Theory of operation: the tree is walked depth first with a stack of directory descriptors, so every
 * object is made by a single name below a descriptor of a directory made a moment ago; no path of
 * the image is ever resolved on the host, and openat2(BENEATH, NO_SYMLINKS) and O_EXCL make sure that
 * what is opened was made here. Directories are 0700 while they are filled and get their attributes when they are left:
 * children are made before a mode can forbid it, times last.
 */
#include "stage0/image/extract.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "common/file.h"
#include "common/str.h"
#include "common/util.h"

#define DEPTH_MAX   (2 * ENTRY_DEPTH_MAX) /* descriptors held; a tree of many layers may be deeper */
#define SYNC_EACH   64 /* up to so many objects are flushed one by one, more by one syncfs() */
#define COPY_BUFFER (128 * KIB)

struct extract {
	struct tree *tree;
	const struct extract_source *source;
	bool root; /* we are, so owners can be kept */
	bool sync_each;
	int fd[DEPTH_MAX + 1]; /* of the directories from the top to the current one */
	unsigned depth;
	int link_fd; /* the directory of link_from that corresponds to the current one */
};

static int fail(const struct extract *extract, uint32_t node, struct error *err)
{
	int code = errno;
	cleanup_free char *name = entry_name(extract->tree->node[node].name);

	errno = code;
	return error_errno(err, "extracting \"%.200s\"", name);
}

static void times_of(const struct tree_inode *inode, struct timespec times[2])
{
	times[0].tv_sec = times[1].tv_sec = inode->mtime;
	times[0].tv_nsec = times[1].tv_nsec = inode->mtime_ns;
}

static int set_xattrs(const struct extract *extract, int fd, const struct tree_inode *inode)
{
	for (unsigned i = 0; i < inode->nxattr; i++) {
		const struct entry_xattr *xattr = &inode->xattr[i];

		if (!extract->root && !str_starts_with(xattr->name, "user."))
			continue;
		if (fsetxattr(fd, xattr->name, xattr->value, xattr->len, 0) < 0 &&
		    errno != EOPNOTSUPP)
			return -errno;
	}
	return 0;
}

/* Owner, mode, attributes, times: a change of owner clears set-id bits, so in this order. */
static int set_attributes(const struct extract *extract, int fd, uint32_t node, struct error *err)
{
	const struct tree_inode *inode = tree_inode(extract->tree, node);
	mode_t mode = extract->root ? inode->perm : inode->perm & 01777;
	struct timespec times[2];

	times_of(inode, times);
	if ((extract->root && fchown(fd, inode->uid, inode->gid) < 0) || fchmod(fd, mode) < 0)
		return fail(extract, node, err);
	errno = -set_xattrs(extract, fd, inode);
	if (errno || futimens(fd, times) < 0 || (extract->sync_each && fsync(fd) < 0))
		return fail(extract, node, err);
	return 0;
}

static int copy_plain(int from, int to, off_t from_off, off_t to_off, size_t len)
{
	cleanup_free char *buffer = xcalloc(1, COPY_BUFFER);

	while (len > 0) {
		size_t n = MIN(len, (size_t)COPY_BUFFER);
		int r = pread_all(from, buffer, n, from_off);

		if (r < 0)
			return r;
		if (lseek(to, to_off, SEEK_SET) < 0)
			return -errno;
		r = write_all(to, buffer, n);
		if (r < 0)
			return r;
		from_off += (off_t)n;
		to_off += (off_t)n;
		len -= n;
	}
	return 0;
}

/* Copy by the kernel, which shares blocks where the file system can. */
static int copy_range(int from, int to, off_t from_off, off_t to_off, size_t len)
{
	while (len > 0) {
		ssize_t n = copy_file_range(from, &from_off, to, &to_off, len, 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return copy_plain(from, to, from_off, to_off, len);
		len -= (size_t)n;
	}
	return 0;
}

/* A file's content, holes left out. */
static int copy_content(int from, int to, const struct tree_inode *inode)
{
	off_t start = (off_t)inode->data, end = start + (off_t)inode->size, pos = start;

	/* looking for a hole may take as long as the whole layer is: not for what can have none */
	if (inode->size < IMAGE_HOLE_MIN)
		return copy_range(from, to, start, 0, inode->size);
	while (pos < end) {
		off_t data = lseek(from, pos, SEEK_DATA), hole;
		int r;

		if (data < 0 && errno != ENXIO)
			return -errno;
		if (data < 0 || data >= end)
			break;
		hole = lseek(from, data, SEEK_HOLE);
		if (hole < 0)
			return -errno;
		hole = MIN(hole, end);
		r = copy_range(from, to, data, data - start, (size_t)(hole - data));
		if (r < 0)
			return r;
		pos = hole;
	}
	return ftruncate(to, (off_t)inode->size) < 0 ? -errno : 0;
}

/* Open what is new below a directory that is; the kernel holds us to that. Sets errno. */
static int open_new(int parent, const char *name, int flags)
{
	int fd = open_beneath(parent, name, flags | O_NOFOLLOW, 0600);

	if (fd >= 0)
		return fd;
	errno = -fd;
	return -1;
}

static int make_file(struct extract *extract, uint32_t node, struct error *err)
{
	const struct tree_inode *inode = tree_inode(extract->tree, node);
	const char *name = extract->tree->node[node].name;
	int parent = extract->fd[extract->depth];
	cleanup_fd int fd = -1;

	if (extract->source->link_from >= 0) {
		errno = -digestcache_link(extract->source->digests, extract->link_fd, name, parent,
					  name);
		return errno ? fail(extract, node, err) : 0;
	}
	fd = open_new(parent, name, O_WRONLY | O_CREAT | O_EXCL);
	if (fd < 0)
		return fail(extract, node, err);
	if (inode->type == ENTRY_REG && inode->size > 0) {
		errno = -copy_content(extract->source->data[inode->layer], fd, inode);
		if (errno)
			return fail(extract, node, err);
	}
	return set_attributes(extract, fd, node, err);
}

/* A symbolic link or FIFO, which can only be reached by name. */
static int make_other(struct extract *extract, uint32_t node, struct error *err)
{
	const struct tree_inode *inode = tree_inode(extract->tree, node);
	const char *name = extract->tree->node[node].name;
	int parent = extract->fd[extract->depth];
	struct timespec times[2];

	times_of(inode, times);
	if (inode->type == ENTRY_SYMLINK) {
		if (symlinkat(inode->link, parent, name) < 0)
			return fail(extract, node, err);
	} else if (mkfifoat(parent, name, 0600) < 0) {
		return fail(extract, node, err);
	}
	if (extract->root &&
	    fchownat(parent, name, inode->uid, inode->gid, AT_SYMLINK_NOFOLLOW) < 0)
		return fail(extract, node, err);
	/* the parent is ours alone, so the name still means what was made */
	if (inode->type == ENTRY_FIFO && fchmodat(parent, name, inode->perm & 01777, 0) < 0)
		return fail(extract, node, err);
	if (utimensat(parent, name, times, AT_SYMLINK_NOFOLLOW) < 0)
		return fail(extract, node, err);
	return 0;
}

/* The path from the top to a node's directory; "." for the top itself. */
static void parent_path(const struct tree *tree, uint32_t node, struct str *ret)
{
	uint32_t chain[DEPTH_MAX];
	unsigned n = 0;

	for (node = tree->node[node].parent; node != 0 && n < DEPTH_MAX;
	     node = tree->node[node].parent)
		chain[n++] = node;
	str_add(ret, ".");
	while (n > 0) {
		str_add(ret, "/");
		str_add(ret, tree->node[chain[--n]].name);
	}
}

/* One more name of a file made before. */
static int make_link(struct extract *extract, uint32_t node, uint32_t first, struct error *err)
{
	cleanup_str struct str path = STR_INIT;
	cleanup_fd int from = -1;

	parent_path(extract->tree, first, &path);
	from = open_beneath(extract->fd[0], str_get(&path), O_PATH | O_DIRECTORY, 0);
	if (from < 0) {
		errno = -from;
		return fail(extract, node, err);
	}
	if (linkat(from, extract->tree->node[first].name, extract->fd[extract->depth],
		   extract->tree->node[node].name, 0) < 0)
		return fail(extract, node, err);
	return 0;
}

static int open_link_dir(struct extract *extract, uint32_t dir, struct error *err)
{
	cleanup_str struct str path = STR_INIT;
	int fd;

	if (extract->source->link_from < 0)
		return 0;
	parent_path(extract->tree, dir, &path);
	if (dir != 0) {
		str_add(&path, "/");
		str_add(&path, extract->tree->node[dir].name);
	}
	fd = open_beneath(extract->source->link_from, str_get(&path), O_PATH | O_DIRECTORY, 0);
	if (fd < 0) {
		errno = -fd;
		return fail(extract, dir, err);
	}
	close_fd(&extract->link_fd);
	extract->link_fd = fd;
	return 0;
}

static int enter_dir(struct extract *extract, uint32_t node, struct error *err)
{
	const char *name = extract->tree->node[node].name;
	int parent = extract->fd[extract->depth], fd;

	if (extract->depth == DEPTH_MAX) {
		errno = ELOOP;
		return fail(extract, node, err);
	}
	if (mkdirat(parent, name, 0700) < 0)
		return fail(extract, node, err);
	fd = open_new(parent, name, O_RDONLY | O_DIRECTORY);
	if (fd < 0)
		return fail(extract, node, err);
	extract->fd[++extract->depth] = fd;
	return open_link_dir(extract, node, err);
}

static int make_node(struct extract *extract, uint32_t node, struct error *err)
{
	struct tree_inode *inode = tree_inode(extract->tree, node);

	if (inode->mark)
		return make_link(extract, node, inode->mark, err);
	if (inode->nlink > 1 && inode->type != ENTRY_DIR)
		inode->mark = node;
	switch (inode->type) {
	case ENTRY_DIR:
		return enter_dir(extract, node, err);
	case ENTRY_SYMLINK:
	case ENTRY_FIFO:
		return make_other(extract, node, err);
	default:
		return make_file(extract, node, err);
	}
}

/* Leave directories until the one that holds node. */
static int leave_dirs(struct extract *extract, uint32_t *dir, uint32_t target, struct error *err)
{
	bool left = false;

	while (*dir != target) {
		int r = set_attributes(extract, extract->fd[extract->depth], *dir, err);

		if (r < 0)
			return r;
		close_fd(&extract->fd[extract->depth--]);
		*dir = extract->tree->node[*dir].parent;
		left = true;
	}
	return left ? open_link_dir(extract, *dir, err) : 0;
}

static int extract_all(struct extract *extract, struct error *err)
{
	const struct tree *tree = extract->tree;
	uint32_t dir = 0;
	int r = open_link_dir(extract, 0, err);

	for (uint32_t node = tree_next(tree, 0, false); r == 0 && node != TREE_NONE;
	     node = tree_next(tree, node, false)) {
		r = leave_dirs(extract, &dir, tree->node[node].parent, err);
		if (r == 0)
			r = make_node(extract, node, err);
		if (r == 0 && tree_is_dir(tree, node))
			dir = node;
	}
	if (r == 0)
		r = leave_dirs(extract, &dir, 0, err);
	return r < 0 ? r : set_attributes(extract, extract->fd[0], 0, err);
}

int extract_tree(struct tree *tree, const struct extract_source *source, int dirfd,
		 const char *path, bool durable, struct error *err)
{
	cleanup_free struct extract *extract = xcalloc(1, sizeof(*extract));
	int r;

	extract->tree = tree;
	extract->source = source;
	extract->root = geteuid() == 0;
	extract->sync_each = durable && tree->live <= SYNC_EACH;
	extract->link_fd = -1;
	for (uint32_t i = 0; i < tree->ninodes; i++)
		tree->inode[i].mark = 0;
	if (mkdirat(dirfd, path, 0700) < 0)
		return error_errno(err, "creating %s", path);
	extract->fd[0] = openat(dirfd, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (extract->fd[0] < 0)
		return error_errno(err, "opening %s", path);
	r = extract_all(extract, err);
	if (r == 0 && durable && !extract->sync_each && syncfs(extract->fd[0]) < 0)
		r = error_errno(err, "writing %s", path);
	while (extract->depth > 0)
		close_fd(&extract->fd[extract->depth--]);
	close_fd(&extract->fd[0]);
	close_fd(&extract->link_fd);
	return r;
}

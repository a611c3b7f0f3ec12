/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Loose files compared with the tree they were made of.
 *
 * Theory of operation: the tree is walked like the extractor walks it, with a stack of directory
 * descriptors, so no path is resolved and no link followed. A directory has as many entries as the
 * tree says, and each of the tree's is there, so there are no others.
 */
#include "stage0/image/treecheck.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "common/file.h"
#include "common/str.h"
#include "common/util.h"

#define DEPTH_MAX  (2 * ENTRY_DEPTH_MAX) /* as the extractor's */
#define BLOCK_SIZE (128 * KIB)

struct check {
	const struct tree *tree;
	const int *data;
	bool root; /* we are: owners, set-id bits and capabilities were kept */
	int fd[DEPTH_MAX + 1];
	unsigned depth;
	ino_t *ino; /* of inodes met, by number; 0: not yet */
	uint8_t *a, *b;
};

static int differs(const struct check *check, uint32_t node, struct error *err, const char *what)
{
	cleanup_free char *name = entry_name(check->tree->node[node].name);

	return error_set(err, -EBADMSG, "\"%.200s\" has %s", name, what);
}

static mode_t kind_of(enum entry_type type)
{
	switch (type) {
	case ENTRY_DIR:
		return S_IFDIR;
	case ENTRY_SYMLINK:
		return S_IFLNK;
	case ENTRY_FIFO:
		return S_IFIFO;
	default:
		return S_IFREG; /* devices are made as empty files */
	}
}

static int check_stat(const struct check *check, uint32_t node, const struct stat *st,
		      struct error *err)
{
	const struct tree_inode *inode = tree_inode(check->tree, node);
	mode_t perm = inode->perm & (check->root && inode->type != ENTRY_FIFO ? 07777 : 01777);

	if ((st->st_mode & S_IFMT) != kind_of(inode->type))
		return differs(check, node, err, "become something else");
	if (inode->type != ENTRY_SYMLINK && (st->st_mode & 07777) != perm)
		return differs(check, node, err, "another mode");
	if (check->root && (st->st_uid != inode->uid || st->st_gid != inode->gid))
		return differs(check, node, err, "another owner");
	if (st->st_mtim.tv_sec != inode->mtime || st->st_mtim.tv_nsec != inode->mtime_ns)
		return differs(check, node, err, "another time");
	if (S_ISREG(st->st_mode) &&
	    (uint64_t)st->st_size != (inode->type == ENTRY_REG ? inode->size : 0))
		return differs(check, node, err, "another size");
	return 0;
}

static int check_xattrs(struct check *check, uint32_t node, int fd, struct error *err)
{
	const struct tree_inode *inode = tree_inode(check->tree, node);

	for (unsigned i = 0; i < inode->nxattr; i++) {
		const struct entry_xattr *xattr = &inode->xattr[i];
		ssize_t n;

		if (!check->root && !str_starts_with(xattr->name, "user."))
			continue;
		n = fgetxattr(fd, xattr->name, check->a, BLOCK_SIZE);
		if (n < 0 && errno == EOPNOTSUPP)
			continue;
		if (n != xattr->len || memcmp(check->a, xattr->value, xattr->len) != 0)
			return differs(check, node, err, "other extended attributes");
	}
	return 0;
}

static int check_content(struct check *check, uint32_t node, int fd, struct error *err)
{
	const struct tree_inode *inode = tree_inode(check->tree, node);

	if (inode->type != ENTRY_REG)
		return 0;
	for (uint64_t at = 0; at < inode->size;) {
		size_t n = (size_t)MIN(inode->size - at, BLOCK_SIZE);

		if (pread_all(check->data[inode->layer], check->a, n, (off_t)(inode->data + at)) <
			    0 ||
		    pread_all(fd, check->b, n, (off_t)at) < 0 || memcmp(check->a, check->b, n) != 0)
			return differs(check, node, err, "another content");
		at += n;
	}
	return 0;
}

static int check_link(const struct check *check, uint32_t node, int parent, struct error *err)
{
	const struct tree_inode *inode = tree_inode(check->tree, node);
	char target[ENTRY_SYMLINK_MAX + 2];
	ssize_t n = readlinkat(parent, check->tree->node[node].name, target, sizeof(target));

	if (n < 0 || (size_t)n != strlen(inode->link) ||
	    memcmp(target, inode->link, (size_t)n) != 0)
		return differs(check, node, err, "another target");
	return 0;
}

/* A directory's or file's descriptor is opened, compared, and with keep left open. */
static int check_open(struct check *check, uint32_t node, int parent, int flags, int *keep,
		      struct error *err)
{
	cleanup_fd int fd = openat(parent, check->tree->node[node].name,
				   O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | flags);
	int r = fd < 0 ? error_errno(err, "opening a file of the tree") : 0;

	if (r == 0)
		r = check_xattrs(check, node, fd, err);
	if (r == 0 && !keep)
		r = check_content(check, node, fd, err);
	if (r == 0 && keep)
		*keep = take_fd(&fd);
	return r;
}

static int check_count(struct check *check, uint32_t node, int fd, struct error *err)
{
	int copy = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = copy < 0 ? NULL : fdopendir(copy);
	const struct dirent *entry;
	uint64_t there = 0, wanted = 0;

	if (!dir) {
		close_fd(&copy);
		return error_errno(err, "reading a directory of the tree");
	}
	while ((entry = readdir(dir)))
		there += strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
	closedir(dir);
	for (uint32_t child = check->tree->node[node].child; child != TREE_NONE;
	     child = check->tree->node[child].next)
		wanted++;
	return there == wanted ? 0 : differs(check, node, err, "other entries");
}

static int check_dir(struct check *check, uint32_t node, struct error *err)
{
	int parent = check->fd[check->depth], r;

	if (check->depth == DEPTH_MAX)
		return error_set(err, -ELOOP, "the tree is too deep");
	r = check_open(check, node, parent, O_DIRECTORY, &check->fd[check->depth + 1], err);
	if (r < 0)
		return r;
	check->depth++;
	return check_count(check, node, check->fd[check->depth], err);
}

static int check_node(struct check *check, uint32_t node, struct error *err)
{
	uint32_t number = check->tree->node[node].inode;
	int parent = check->fd[check->depth], r;
	struct stat st;

	if (fstatat(parent, check->tree->node[node].name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return differs(check, node, err, "gone");
	r = check_stat(check, node, &st, err);
	if (r < 0)
		return r;
	if (S_ISDIR(st.st_mode))
		return check_dir(check, node, err);
	if (check->ino[number])
		return check->ino[number] == st.st_ino
			       ? 0
			       : differs(check, node, err, "become a file of its own");
	check->ino[number] = st.st_ino;
	if (S_ISLNK(st.st_mode))
		return check_link(check, node, parent, err);
	return S_ISREG(st.st_mode) ? check_open(check, node, parent, 0, NULL, err) : 0;
}

static int check_all(struct check *check, struct error *err)
{
	const struct tree *tree = check->tree;
	uint32_t dir = 0;
	struct stat st;
	int r;

	if (fstat(check->fd[0], &st) < 0)
		return error_errno(err, "the tree");
	r = check_stat(check, 0, &st, err);
	if (r == 0)
		r = check_xattrs(check, 0, check->fd[0], err);
	if (r == 0)
		r = check_count(check, 0, check->fd[0], err);
	for (uint32_t node = tree_next(tree, 0, false); r == 0 && node != TREE_NONE;
	     node = tree_next(tree, node, false)) {
		for (; dir != tree->node[node].parent; dir = tree->node[dir].parent)
			close_fd(&check->fd[check->depth--]);
		r = check_node(check, node, err);
		if (r == 0 && tree_is_dir(tree, node))
			dir = node;
	}
	return r;
}

int treecheck(const struct tree *tree, const int *data, int dirfd, struct error *err)
{
	cleanup_free struct check *check = xcalloc(1, sizeof(*check));
	int r;

	check->tree = tree;
	check->data = data;
	check->root = geteuid() == 0;
	check->fd[0] = dirfd;
	check->ino = xcalloc(tree->ninodes, sizeof(*check->ino));
	check->a = xcalloc(2, BLOCK_SIZE);
	check->b = check->a + BLOCK_SIZE;
	r = check_all(check, err);
	for (; check->depth > 0; check->depth--)
		close_fd(&check->fd[check->depth]);
	free(check->ino);
	free(check->a);
	return r;
}

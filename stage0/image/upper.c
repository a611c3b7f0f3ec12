/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Overlayfs's upper directory on an ext4 disk, laid over a tree.
 *
 * Theory of operation: libext2fs reads inodes, directories, attributes and extents; contents are read
 * here, by the extents. Directories are a queue, so nothing recurses, and each is visited once: one
 * that is in two places is refused. A whiteout (a character device 0/0) takes the name out of the
 * tree, an opaque directory takes out what it hides. The overlay was mounted without redirects and
 * without files that are metadata only; a disk with such was not written by the guest's kernel.
 *
 * What the walk can cost is bounded by the limits of images, and by the disk: contents together can
 * not be more than it holds, so files that share their blocks do not add up to more.
 *
 * There is no journal. A name whose inode was never written is one the guest lost when it died, and
 * is left out; anything else that makes no sense is an error.
 */
#include "stage0/image/upper.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/file.h"
#include "common/util.h"
#include "stage0/image/ext4_io.h"
#include "stage0/image/tree_priv.h"

#define PIECES_MAX  ENTRY_SPARSE_MAX /* of one file, as many as an archive may have */
#define EXTENTS_MAX (1U << 22)	     /* of one file, and steps on the way: blocks of 16 GiB */

/* Consecutive blocks of a file on the disk. */
struct run {
	uint64_t start, len; /* bytes of the file */
	uint64_t disk;	     /* where the first one is */
};

struct name {
	ext2_ino_t ino;
	char text[ENTRY_COMPONENT_MAX + 1];
};

struct dir {
	ext2_ino_t ino;
	uint32_t node;
	unsigned depth;
};

struct upper {
	int fd;
	ext2_filsys fs;
	ext2_ino_t root;
	struct tree *tree; /* the caller's */
	uint32_t *inode; /* by ext4's number: one more than the tree's; of files and directories */
	struct name *name; /* of the directory being read */
	size_t nnames, cap_names;
	struct dir *dir; /* queue; at is the first not read */
	size_t ndirs, cap_dirs, at;
	uint64_t entries, logical, data, lost;
	struct run *run; /* of the file ino */
	size_t nruns, cap_runs, cursor;
	ext2_ino_t ino;
};

/* An inode with what it is in a tree. */
struct found {
	struct entry entry;
	union {
		struct ext2_inode_large inode;
		uint8_t bytes[EXT4_INODE]; /* attributes lie behind it */
	};
	ext2_ino_t ino;
	bool opaque, odd;
	struct entry_xattr xattr[ENTRY_XATTRS_MAX];
	char link[ENTRY_SYMLINK_MAX + 1];
};

static int broken(const char *what, errcode_t code, struct error *err)
{
	return error_set(err, -EBADMSG, "the disk's file system is damaged: %s%s%s", what,
			 code ? ": " : "", code ? error_message(code) : "");
}

static int grow(void **array, size_t used, size_t *cap, size_t size, size_t max, struct error *err)
{
	size_t bigger = *cap ? *cap * 2 : 64;
	void *p;

	if (used < *cap)
		return 0;
	if (used >= max)
		return error_set(err, -EFBIG, "the disk's file system has too many files");
	p = reallocarray(*array, bigger, size);
	if (!p)
		return error_set(err, -ENOMEM, "reading the disk: out of memory");
	*array = p;
	*cap = bigger;
	return 0;
}

/* Add an extent to the file's runs. */
static int add_run(struct upper *upper, const struct ext2fs_extent *extent, uint64_t size,
		   struct error *err)
{
	uint64_t start = (uint64_t)extent->e_lblk * EXT4_BLOCK, len = extent->e_len;
	const struct run *last = upper->nruns ? &upper->run[upper->nruns - 1] : NULL;
	int r;

	if (extent->e_flags & EXT2_EXTENT_FLAGS_UNINIT || start >= size || len == 0)
		return 0;
	if (extent->e_pblk < 1 || extent->e_pblk > ext2fs_blocks_count(upper->fs->super) ||
	    len > ext2fs_blocks_count(upper->fs->super) - extent->e_pblk)
		return broken("blocks outside of it", 0, err);
	if (last && start < last->start + last->len)
		return broken("blocks of a file in two places", 0, err);
	r = grow((void **)&upper->run, upper->nruns, &upper->cap_runs, sizeof(*upper->run),
		 EXTENTS_MAX, err);
	if (r == 0)
		upper->run[upper->nruns++] = (struct run){
			start, MIN(len * EXT4_BLOCK, size - start), extent->e_pblk * EXT4_BLOCK};
	return r;
}

/* Find out where a file's content is. */
static int map_file(struct upper *upper, ext2_ino_t ino, struct ext2_inode *inode, uint64_t size,
		    struct error *err)
{
	ext2_extent_handle_t handle;
	struct ext2fs_extent extent;
	errcode_t code;
	int r = 0, op = EXT2_EXTENT_ROOT;

	upper->nruns = upper->cursor = 0;
	upper->ino = ino;
	if (size == 0)
		return 0;
	if (!(inode->i_flags & EXT4_EXTENTS_FL))
		return broken("a file without extents", 0, err);
	code = ext2fs_extent_open2(upper->fs, ino, inode, &handle);
	if (code)
		return broken("a file's extents", code, err);
	for (unsigned n = 0; r == 0; n++) {
		code = ext2fs_extent_get(handle, op, &extent);
		if (code == EXT2_ET_EXTENT_NO_NEXT || code == EXT2_ET_NO_CURRENT_NODE)
			break;
		if (code)
			r = broken("a file's extents", code, err);
		else if (n > EXTENTS_MAX)
			r = broken("too many extents", 0, err);
		else if (extent.e_flags & EXT2_EXTENT_FLAGS_LEAF &&
			 !(extent.e_flags & EXT2_EXTENT_FLAGS_SECOND_VISIT))
			r = add_run(upper, &extent, size, err);
		op = EXT2_EXTENT_NEXT;
	}
	ext2fs_extent_free(handle);
	return r;
}

/* Content of the file that was mapped last. */
static int read_runs(struct upper *upper, uint64_t pos, uint8_t *dst, size_t len, struct error *err)
{
	memset(dst, 0, len);
	if (upper->cursor < upper->nruns && upper->run[upper->cursor].start > pos)
		upper->cursor = 0;
	while (upper->cursor < upper->nruns) {
		const struct run *run = &upper->run[upper->cursor];
		uint64_t from = MAX(run->start, pos), end = MIN(run->start + run->len, pos + len);

		if (run->start >= pos + len)
			break;
		if (from < end && pread_all(upper->fd, dst + (from - pos), end - from,
					    (off_t)(run->disk + (from - run->start))) < 0)
			return broken("it ends before its blocks", 0, err);
		if (run->start + run->len > pos + len)
			break;
		upper->cursor++;
	}
	return 0;
}

/* Extended attributes */

struct attributes {
	struct found *found;
	struct ext2_xattr_handle *handle;
	errcode_t code;
};

static int on_xattr(char *name, char *value, size_t len, void *data)
{
	struct attributes *attributes = data;
	struct found *found = attributes->found;
	struct entry_xattr *xattr = &found->xattr[found->entry.nxattr];
	struct xattr_kind kind;
	void *copy = NULL;
	size_t size;

	if (strcmp(name, "trusted.overlay.opaque") == 0)
		found->opaque = len == 1 && *value == 'y';
	if (strcmp(name, "trusted.overlay.redirect") == 0 ||
	    strcmp(name, "trusted.overlay.metacopy") == 0)
		found->odd = true;
	if (!xattr_allowed(name, &kind))
		return 0;
	if (found->entry.nxattr == ENTRY_XATTRS_MAX) {
		attributes->code = EXT2_ET_EA_NO_SPACE;
		return XATTR_ABORT;
	}
	/* as the kernel would give it: access lists are stored in another form */
	attributes->code = ext2fs_xattr_get(attributes->handle, name, &copy, &size);
	if (attributes->code)
		return XATTR_ABORT;
	if (size > ENTRY_XATTR_BYTES || !xattr_value_valid(name, copy, size)) {
		ext2fs_free_mem(&copy);
		return 0;
	}
	*xattr = (struct entry_xattr){xstrdup(name), copy, (uint32_t)size};
	found->entry.nxattr++;
	return 0;
}

static int read_xattrs(struct upper *upper, struct found *found, struct error *err)
{
	struct attributes attributes = {.found = found};
	errcode_t code = ext2fs_xattrs_open(upper->fs, found->ino, &attributes.handle);

	if (code)
		return broken("extended attributes", code, err);
	code = ext2fs_xattrs_read_inode(attributes.handle, &found->inode);
	if (!code)
		code = ext2fs_xattrs_iterate(attributes.handle, on_xattr, &attributes);
	if (!code)
		code = attributes.code;
	ext2fs_xattrs_close(&attributes.handle);
	if (code)
		return broken("extended attributes", code, err);
	if (found->odd)
		return broken("a file of another overlay", 0, err);
	return 0;
}

static void found_free(struct found *found)
{
	for (unsigned i = 0; i < found->entry.nxattr; i++) {
		void *value = (void *)found->xattr[i].value;

		free((char *)found->xattr[i].name);
		ext2fs_free_mem(&value);
	}
	found->entry.nxattr = 0;
}

/* Inodes */

static int read_link(struct upper *upper, struct found *found, struct error *err)
{
	struct ext2_inode *inode = (struct ext2_inode *)&found->inode;
	uint64_t size = EXT2_I_SIZE(inode);
	int r;

	if (size == 0 || size > ENTRY_SYMLINK_MAX)
		return broken("a symbolic link", 0, err);
	if (ext2fs_is_fast_symlink(inode)) {
		if (size >= sizeof(inode->i_block))
			return broken("a symbolic link", 0, err);
		memcpy(found->link, inode->i_block, size);
		found->link[size] = '\0';
	} else {
		r = map_file(upper, found->ino, inode, size, err);
		if (r == 0)
			r = read_runs(upper, 0, (uint8_t *)found->link, size, err);
		if (r < 0)
			return r;
		found->link[size] = '\0';
	}
	found->entry.link = found->link;
	return 0;
}

/* Whether it is one an archive has a word for. */
static bool set_type(struct found *found)
{
	const struct ext2_inode_large *inode = &found->inode;
	uint32_t dev = inode->i_block[1];

	switch (inode->i_mode & S_IFMT) {
	case S_IFREG:
		found->entry.type = ENTRY_REG;
		break;
	case S_IFDIR:
		found->entry.type = ENTRY_DIR;
		break;
	case S_IFLNK:
		found->entry.type = ENTRY_SYMLINK;
		break;
	case S_IFIFO:
		found->entry.type = ENTRY_FIFO;
		break;
	case S_IFCHR:
	case S_IFBLK:
		found->entry.type = (inode->i_mode & S_IFMT) == S_IFCHR ? ENTRY_CHR : ENTRY_BLK;
		/* the old form, if there is any in it, or the new one */
		found->entry.major =
			inode->i_block[0] ? inode->i_block[0] >> 8 & 0xff : dev >> 8 & 0xfff;
		found->entry.minor = inode->i_block[0] ? inode->i_block[0] & 0xff
						       : (dev & 0xff) | (dev >> 12 & 0xfff00);
		break;
	default:
		return false;
	}
	return true;
}

static bool is_whiteout(const struct found *found)
{
	return found->entry.type == ENTRY_CHR && !found->entry.major && !found->entry.minor;
}

/* 1; 0 when there is nothing to be had of it; or an error. found_free() it. */
static int read_inode(struct upper *upper, const struct name *name, struct found *found,
		      struct error *err)
{
	struct ext2_inode_large *inode = &found->inode;
	struct entry *entry = &found->entry;
	errcode_t code;
	int64_t mtime;
	int r;

	*entry = (struct entry){.path = name->text, .link = "", .xattr = found->xattr};
	found->ino = name->ino;
	found->opaque = found->odd = false;
	code = ext2fs_read_inode_full(upper->fs, name->ino, (struct ext2_inode *)inode,
				      sizeof(found->bytes));
	if (code)
		return broken("an inode", code, err);
	if (inode->i_mode == 0 || inode->i_links_count == 0) {
		upper->lost++;
		return 0;
	}
	if (!set_type(found))
		return 0; /* a socket */
	if (is_whiteout(found))
		return 1;
	entry->perm = inode->i_mode & 07777;
	entry->uid = inode_uid(*inode);
	entry->gid = inode_gid(*inode);
	/* 34 bits of seconds, of which the upper two lie beside the nanoseconds */
	mtime = (int64_t)(int32_t)inode->i_mtime +
		((int64_t)(inode->i_mtime_extra & EXT4_EPOCH_MASK) << 32);
	entry->mtime = MAX(mtime, (int64_t)0);
	entry->mtime_ns = MIN(inode->i_mtime_extra >> EXT4_EPOCH_BITS, 999999999U);
	if (entry->type == ENTRY_REG) {
		entry->size = EXT2_I_SIZE(inode);
		entry->data = name->ino;
	}
	r = entry->type == ENTRY_SYMLINK ? read_link(upper, found, err) : 0;
	if (r == 0)
		r = read_xattrs(upper, found, err);
	return r < 0 ? r : 1;
}

/* Directories */

struct listing {
	struct upper *upper;
	struct error *err;
	int result;
};

static int on_name(ext2_ino_t dir, int kind, struct ext2_dir_entry *dirent, int offset,
		   int blocksize, char *buf, void *data)
{
	struct listing *listing = data;
	struct upper *upper = listing->upper;
	size_t len = (size_t)ext2fs_dirent_name_len(dirent);
	struct name *name;

	(void)dir;
	(void)offset;
	(void)blocksize;
	(void)buf;
	if (kind == DIRENT_DOT_FILE || kind == DIRENT_DOT_DOT_FILE)
		return 0;
	if (dirent->inode == 0 || dirent->inode > upper->fs->super->s_inodes_count || len == 0 ||
	    len > ENTRY_COMPONENT_MAX || memchr(dirent->name, '/', len) ||
	    memchr(dirent->name, '\0', len)) {
		listing->result = broken("a directory", 0, listing->err);
		return DIRENT_ABORT;
	}
	listing->result = grow((void **)&upper->name, upper->nnames, &upper->cap_names,
			       sizeof(*upper->name), IMAGE_ENTRIES_MAX, listing->err);
	if (listing->result < 0)
		return DIRENT_ABORT;
	name = &upper->name[upper->nnames++];
	name->ino = dirent->inode;
	memcpy(name->text, dirent->name, len);
	name->text[len] = '\0';
	return 0;
}

static int list_dir(struct upper *upper, ext2_ino_t ino, struct error *err)
{
	struct listing listing = {.upper = upper, .err = err};
	errcode_t code;

	upper->nnames = 0;
	code = ext2fs_dir_iterate2(upper->fs, ino, 0, NULL, on_name, &listing);
	if (listing.result < 0)
		return listing.result;
	return code ? broken("a directory", code, err) : 0;
}

static int enter(struct upper *upper, const struct found *found, uint32_t node, unsigned depth,
		 struct error *err)
{
	int r = 0;

	if (upper->inode[found->ino])
		return broken("a directory in two places", 0, err);
	if (depth > ENTRY_DEPTH_MAX)
		return error_set(err, -EFBIG, "the disk's directories are too deep");
	r = grow((void **)&upper->dir, upper->ndirs, &upper->cap_dirs, sizeof(*upper->dir),
		 IMAGE_ENTRIES_MAX, err);
	if (r == 0)
		upper->dir[upper->ndirs++] = (struct dir){found->ino, node, depth};
	upper->inode[found->ino] = upper->tree->node[node].inode + 1;
	return r;
}

/* The sum of what was found has limits. */
static int count(struct upper *upper, const struct found *found, struct error *err)
{
	upper->logical += found->entry.size;
	if (++upper->entries > IMAGE_ENTRIES_MAX || upper->logical > IMAGE_LOGICAL_MAX)
		return error_set(err, -EFBIG, "the disk's file system has too many files");
	return 0;
}

/* One more name of a file. */
static int place_link(struct upper *upper, uint32_t dir, const char *name, uint32_t inode,
		      struct error *err)
{
	struct tree *tree = upper->tree;
	uint32_t old = tree_lookup(tree, dir, name), node;

	if (old != TREE_NONE && tree->node[old].layer == tree->layer)
		return broken("a name twice in a directory", 0, err);
	if (old != TREE_NONE)
		tree_unlink(tree, old);
	return tree_link(tree, dir, name, inode, &node, err);
}

static int place(struct upper *upper, const struct dir *dir, struct found *found, struct error *err)
{
	struct tree *tree = upper->tree;
	const char *name = found->entry.path;
	uint32_t old = tree_lookup(tree, dir->node, name);
	bool several = found->entry.type != ENTRY_DIR && found->inode.i_links_count > 1;
	int r;

	if (old != TREE_NONE && tree->node[old].layer == tree->layer)
		return broken("a name twice in a directory", 0, err);
	if (is_whiteout(found)) {
		if (old != TREE_NONE)
			tree_unlink(tree, old);
		return 0;
	}
	if (several && upper->inode[found->ino])
		return place_link(upper, dir->node, name, upper->inode[found->ino] - 1, err);
	if (old != TREE_NONE && found->opaque)
		tree_unlink(tree, old);
	r = count(upper, found, err);
	if (r == 0)
		r = entry_check(&found->entry, err);
	if (r == 0)
		r = tree_place(tree, dir->node, name, &found->entry, err);
	if (r < 0)
		return r;
	old = tree_lookup(tree, dir->node, name);
	if (found->entry.type == ENTRY_DIR)
		return enter(upper, found, old, dir->depth + 1, err);
	if (several)
		upper->inode[found->ino] = tree->node[old].inode + 1;
	return 0;
}

static int merge_dir(struct upper *upper, const struct dir *dir, struct found *found,
		     struct error *err)
{
	int r = list_dir(upper, dir->ino, err);

	for (size_t i = 0; r == 0 && i < upper->nnames; i++) {
		r = read_inode(upper, &upper->name[i], found, err);
		if (r > 0)
			r = place(upper, dir, found, err);
		found_free(found);
	}
	return r;
}

static int merge_root(struct upper *upper, struct found *found, struct error *err)
{
	const struct name name = {.ino = upper->root, .text = ""};
	int r = read_inode(upper, &name, found, err);

	if (r >= 0 && (r == 0 || found->entry.type != ENTRY_DIR))
		r = broken("not a directory", 0, err);
	if (r > 0)
		r = tree_add(upper->tree, &found->entry, err);
	if (r == 0)
		r = enter(upper, found, 0, 0, err);
	found_free(found);
	return r;
}

int upper_merge(struct upper *upper, struct tree *tree, uint16_t layer, struct error *err)
{
	cleanup_free struct found *found = xcalloc(1, sizeof(*found));
	int r;

	upper->tree = tree;
	tree_set_layer(tree, layer);
	upper->inode = calloc((size_t)upper->fs->super->s_inodes_count + 1, sizeof(*upper->inode));
	if (!upper->inode)
		return error_set(err, -ENOMEM, "reading the disk: out of memory");
	r = merge_root(upper, found, err);
	while (r == 0 && upper->at < upper->ndirs) {
		const struct dir dir = upper->dir[upper->at++];

		r = merge_dir(upper, &dir, found, err);
	}
	return r < 0 ? r : tree_finish(tree, err);
}

int upper_open(int fd, const char *name, struct upper **ret, struct error *err)
{
	struct upper *upper = xcalloc(1, sizeof(*upper));
	errcode_t code;
	int r;

	upper->fd = fd;
	r = ext4_open(fd, &upper->fs, err);
	if (r == 0) {
		code = ext2fs_lookup(upper->fs, EXT2_ROOT_INO, name, (int)strlen(name), NULL,
				     &upper->root);
		if (code == EXT2_ET_FILE_NOT_FOUND)
			r = error_set(err, -ENOENT, "the disk has no %s", name);
		else if (code)
			r = broken("its root", code, err);
		else if (upper->root == 0 || upper->root > upper->fs->super->s_inodes_count)
			r = broken("its root", 0, err);
	}
	if (r < 0) {
		upper_free(upper);
		return r;
	}
	*ret = upper;
	return 0;
}

void upper_free(struct upper *upper)
{
	if (!upper)
		return;
	if (upper->fs)
		ext2fs_free(upper->fs);
	free(upper->inode);
	free(upper->name);
	free(upper->dir);
	free(upper->run);
	free(upper);
}

uint64_t upper_lost(const struct upper *upper)
{
	return upper->lost;
}

/* Contents */

static int map_content(struct upper *upper, const struct tree_inode *inode, struct error *err)
{
	struct ext2_inode ext4;
	errcode_t code;

	if (upper->ino == inode->data)
		return 0;
	code = ext2fs_read_inode(upper->fs, (ext2_ino_t)inode->data, &ext4);
	return code ? broken("an inode", code, err)
		    : map_file(upper, (ext2_ino_t)inode->data, &ext4, inode->size, err);
}

static int content_pieces(void *ctx, const struct tree_inode *inode, struct aci_piece **ret,
			  size_t *ret_n, struct error *err)
{
	struct upper *upper = ctx;
	cleanup_free struct aci_piece *piece = NULL;
	size_t n = 0, cap = 0;
	int r = map_content(upper, inode, err);

	for (size_t i = 0; r == 0 && i < upper->nruns; i++) {
		const struct run *run = &upper->run[i];

		upper->data += run->len;
		if (n > 0 && piece[n - 1].start + piece[n - 1].len == run->start) {
			piece[n - 1].len += run->len;
			continue;
		}
		r = grow((void **)&piece, n, &cap, sizeof(*piece), PIECES_MAX, err);
		if (r == 0)
			piece[n++] = (struct aci_piece){run->start, run->len};
	}
	if (r == 0 && upper->data > ext2fs_blocks_count(upper->fs->super) * EXT4_BLOCK)
		r = broken("files share their blocks", 0, err);
	if (r < 0)
		return r;
	*ret = take_ptr(piece);
	*ret_n = n;
	return 0;
}

static int content_read(void *ctx, const struct tree_inode *inode, uint64_t pos, void *dst,
			size_t len, struct error *err)
{
	int r = map_content(ctx, inode, err);

	return r < 0 ? r : read_runs(ctx, pos, dst, len, err);
}

void upper_content(struct upper *upper, uint16_t layer, struct aci_content *ret)
{
	*ret = (struct aci_content){layer, content_pieces, content_read, upper};
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Overlayfs's upper directory on an ext4 disk, laid over a tree.
 *
 * Theory of operation: libext2fs reads directories, and upper_inode.c what the names in them stand
 * for. Directories are a queue, so nothing recurses, and each is visited once: one that is in two
 * places is refused. A whiteout (a character device 0/0) takes the name out of the tree, an opaque
 * directory takes out what it hides. The overlay was mounted without redirects and without files that
 * are metadata only; a disk with such was not written by the guest's kernel.
 *
 * What the walk can cost is bounded by the limits of images, and by the disk: names count whatever they
 * stand for, directories and extents together are read so often (ext4_io.h), and contents together can
 * not be more than it holds, so files that share their blocks do not add up to more.
 *
 * There is no journal. A name whose inode was never written is one the guest lost when it died, and
 * is left out; anything else that makes no sense is an error.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/util.h"
#include "stage0/image/tree_priv.h"
#include "stage0/image/upper_priv.h"

#define PIECES_MAX ENTRY_SPARSE_MAX /* of one file, as many as an archive may have */

struct dir {
	ext2_ino_t ino;
	uint32_t node;
	unsigned depth;
};

static int too_many(struct error *err)
{
	return error_set(err, -EFBIG, "the disk's file system has too many files");
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
		listing->result = upper_broken("a directory", 0, listing->err);
		return DIRENT_ABORT;
	}
	listing->result = upper_grow((void **)&upper->name, upper->nnames, &upper->cap_names,
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
	return code ? upper_broken("a directory", code, err) : 0;
}

static int enter(struct upper *upper, const struct found *found, uint32_t node, unsigned depth,
		 struct error *err)
{
	int r = 0;

	if (upper->inode[found->ino])
		return upper_broken("a directory in two places", 0, err);
	if (depth > ENTRY_DEPTH_MAX)
		return error_set(err, -EFBIG, "the disk's directories are too deep");
	r = upper_grow((void **)&upper->dir, upper->ndirs, &upper->cap_dirs, sizeof(*upper->dir),
		       IMAGE_ENTRIES_MAX, err);
	if (r == 0)
		upper->dir[upper->ndirs++] = (struct dir){found->ino, node, depth};
	upper->inode[found->ino] = upper->tree->node[node].inode + 1;
	return r;
}

/* One more name of a file. */
static int place_link(struct upper *upper, uint32_t dir, const char *name, uint32_t inode,
		      struct error *err)
{
	struct tree *tree = upper->tree;
	uint32_t old = tree_lookup(tree, dir, name), node;

	if (old != TREE_NONE && tree->node[old].layer == tree->layer)
		return upper_broken("a name twice in a directory", 0, err);
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
		return upper_broken("a name twice in a directory", 0, err);
	if (found_is_whiteout(found)) {
		if (old != TREE_NONE)
			tree_unlink(tree, old);
		return 0;
	}
	if (several && upper->inode[found->ino])
		return place_link(upper, dir->node, name, upper->inode[found->ino] - 1, err);
	if (old != TREE_NONE && found->opaque)
		tree_unlink(tree, old);
	r = entry_check(&found->entry, err);
	if (r < 0)
		return r;
	upper->logical += found->entry.size;
	if (upper->logical > IMAGE_LOGICAL_MAX)
		return too_many(err);
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

	upper->entries += upper->nnames;
	if (r == 0 && upper->entries > IMAGE_ENTRIES_MAX)
		r = too_many(err);
	for (size_t i = 0; r == 0 && i < upper->nnames; i++) {
		r = upper_read_inode(upper, &upper->name[i], found, err);
		if (r > 0)
			r = place(upper, dir, found, err);
		found_free(found);
	}
	return r;
}

static int merge_root(struct upper *upper, struct found *found, struct error *err)
{
	const struct name name = {.ino = upper->root, .text = ""};
	int r = upper_read_inode(upper, &name, found, err);

	if (r >= 0 && (r == 0 || found->entry.type != ENTRY_DIR))
		r = upper_broken("not a directory", 0, err);
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
			r = upper_broken("its root", code, err);
		else if (upper->root == 0 || upper->root > upper->fs->super->s_inodes_count)
			r = upper_broken("its root", 0, err);
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
	return code ? upper_broken("an inode", code, err)
		    : upper_map_file(upper, (ext2_ino_t)inode->data, &ext4, inode->size, err);
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
		r = upper_grow((void **)&piece, n, &cap, sizeof(*piece), PIECES_MAX, err);
		if (r == 0)
			piece[n++] = (struct aci_piece){run->start, run->len};
	}
	if (r == 0 && upper->data > ext2fs_blocks_count(upper->fs->super) * EXT4_BLOCK)
		r = upper_broken("files share their blocks", 0, err);
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

	return r < 0 ? r : upper_read_runs(ctx, pos, dst, len, err);
}

void upper_content(struct upper *upper, uint16_t layer, struct aci_content *ret)
{
	*ret = (struct aci_content){layer, content_pieces, content_read, upper};
}

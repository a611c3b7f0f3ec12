/* SPDX-License-Identifier: Apache-2.0 */
/* What an app wrote, read from its pod's disk: as overlayfs means it, and whatever is on the disk. */
#include "tests/unit/unit.h"

#include <errno.h>
#include <unistd.h>

#include "tests/unit/upper_image.h"

#define LAYER 7

struct fixture {
	int fd;
	struct tree *tree;
	struct upper *upper;
	struct error err;
};

static int setup(void **state)
{
	struct fixture *f = xcalloc(1, sizeof(*f));

	f->fd = upper_image();
	f->tree = upper_lower();
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	upper_free(f->upper);
	tree_free(f->tree);
	close(f->fd);
	free(f);
	return 0;
}

static int merge(struct fixture *f)
{
	int r = upper_open(f->fd, "app.upper", &f->upper, &f->err);

	return r < 0 ? r : upper_merge(f->upper, f->tree, LAYER, &f->err);
}

static const struct tree_inode *find(struct fixture *f, const char *path)
{
	uint32_t node = tree_find(f->tree, path);

	return node == TREE_NONE ? NULL : tree_inode(f->tree, node);
}

static void what_was_written_lies_over_the_image(void **state)
{
	struct fixture *f = *state;
	const struct tree_inode *inode;

	assert_int_equal(merge(f), 0);
	assert_int_equal(upper_lost(f->upper), 0);
	inode = find(f, "dir");
	assert_int_equal(inode->type, ENTRY_DIR);
	assert_int_equal(inode->perm, 02750);
	assert_int_equal(inode->uid, 1);
	assert_int_equal(inode->gid, 2);
	assert_int_equal(find(f, "dir/below")->layer, 0);
	assert_int_equal(find(f, "kept")->layer, 0);
	inode = find(f, "dir/file");
	assert_int_equal(inode->layer, LAYER);
	assert_int_equal(inode->size, 5);
	assert_int_equal(inode->mtime, 1000);
	assert_int_equal(inode->nxattr, 1);
	assert_string_equal(inode->xattr[0].name, "user.a");
	assert_memory_equal(inode->xattr[0].value, "b", 1);
	assert_ptr_equal(find(f, "link"), inode);
	assert_int_equal(inode->nlink, 2);
	assert_string_equal(find(f, "fast")->link, "../x");
	assert_null(find(f, "fast/was"));
	assert_int_equal(strlen(find(f, "slow")->link), 81);
	assert_int_equal(find(f, "fifo")->type, ENTRY_FIFO);
	assert_int_equal(find(f, "null")->major, 1);
	assert_int_equal(find(f, "null")->minor, 3);
}

static void whiteouts_and_opaque_directories_hide_what_is_below(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(merge(f), 0);
	assert_null(find(f, "gone"));
	assert_non_null(find(f, "opq/new"));
	assert_null(find(f, "opq/old"));
	/* the marks themselves are no part of an image */
	assert_int_equal(find(f, "opq")->nxattr, 0);
}

static void content_is_what_was_written_and_holes_are_holes(void **state)
{
	struct fixture *f = *state;
	struct aci_content content;
	struct aci_piece *piece;
	char bytes[5 * 4096];
	size_t n;

	assert_int_equal(merge(f), 0);
	upper_content(f->upper, LAYER, &content);
	assert_int_equal(content.layer, LAYER);
	assert_int_equal(content.pieces(content.ctx, find(f, "sparse"), &piece, &n, &f->err), 0);
	assert_int_equal(n, 2);
	assert_int_equal(piece[0].start, 4096);
	assert_int_equal(piece[0].len, 4096);
	assert_int_equal(piece[1].start, 3 * 4096);
	free(piece);
	/* in pieces that do not fit its blocks, and backwards */
	for (size_t pos = 0; pos < sizeof(bytes); pos += 1000)
		assert_int_equal(content.read(content.ctx, find(f, "sparse"), pos, bytes + pos,
					      MIN(sizeof(bytes) - pos, (size_t)1000), &f->err),
				 0);
	assert_memory_equal(bytes + 4096, "one", 4);
	assert_memory_equal(bytes + 3 * 4096, "three", 6);
	assert_int_equal(content.read(content.ctx, find(f, "dir/file"), 0, bytes, 5, &f->err), 0);
	assert_memory_equal(bytes, "hello", 5);
	for (size_t pos = sizeof(bytes); pos > 0; pos -= 512)
		assert_int_equal(content.read(content.ctx, find(f, "sparse"), pos - 512,
					      bytes + pos - 512, 512, &f->err),
				 0);
	for (size_t i = 0; i < sizeof(bytes); i++)
		assert_true(bytes[i] == 0 || (i >= 4096 && i < 4099) ||
			    (i >= 3 * 4096 && i < 3 * 4096 + 5));
}

static void names_of_files_that_never_reached_the_disk_are_left_out(void **state)
{
	struct fixture *f = *state;
	ext2_filsys fs = upper_edit(f->fd);
	struct ext2_inode none = {.i_mode = 0};

	upper_must(ext2fs_write_inode(fs, upper_ino(fs, "/app.upper/fifo"), &none));
	upper_done(fs);
	assert_int_equal(merge(f), 0);
	assert_int_equal(upper_lost(f->upper), 1);
	assert_null(find(f, "fifo"));
	assert_non_null(find(f, "null"));
}

static void expect(struct fixture *f, int code, const char *what)
{
	assert_int_equal(merge(f), code);
	if (!strstr(f->err.msg, what))
		fail_msg("\"%s\" does not say \"%s\"", f->err.msg, what);
	if (strstr(f->err.msg, "Unknown code"))
		fail_msg("\"%s\" says a number", f->err.msg);
}

static void a_directory_in_two_places_is_refused(void **state)
{
	struct fixture *f = *state;
	ext2_filsys fs = upper_edit(f->fd);

	upper_must(ext2fs_link(fs, upper_ino(fs, "/app.upper/opq"), "loop",
			       upper_ino(fs, "/app.upper"), EXT2_FT_DIR));
	upper_done(fs);
	expect(f, -EBADMSG, "a directory in two places");
}

static void a_file_of_another_overlay_is_refused(void **state)
{
	struct fixture *f = *state;
	ext2_filsys fs = upper_edit(f->fd);

	upper_xattr(fs, upper_ino(fs, "/app.upper/dir"), "trusted.overlay.redirect", "/etc");
	upper_done(fs);
	expect(f, -EBADMSG, "a file of another overlay");
}

static void names_that_are_paths_are_refused(void **state)
{
	struct fixture *f = *state;
	ext2_filsys fs = upper_edit(f->fd);

	upper_must(ext2fs_link(fs, upper_ino(fs, "/app.upper/dir"), "a/../../b",
			       upper_ino(fs, "/app.upper/fifo"), EXT2_FT_FIFO));
	upper_done(fs);
	expect(f, -EBADMSG, "a directory");
}

static void a_symlink_without_a_target_is_refused(void **state)
{
	struct fixture *f = *state;
	ext2_filsys fs = upper_edit(f->fd);
	ext2_ino_t ino = upper_ino(fs, "/app.upper");
	struct ext2_inode inode;

	upper_must(ext2fs_lookup(fs, ino, "slow", 4, NULL, &ino));
	upper_must(ext2fs_read_inode(fs, ino, &inode));
	inode.i_size = 1 << 20;
	upper_must(ext2fs_write_inode(fs, ino, &inode));
	upper_done(fs);
	expect(f, -EBADMSG, "a symbolic link");
}

static void features_it_was_not_made_with_are_refused(void **state)
{
	struct fixture *f = *state;
	ext2_filsys fs = upper_edit(f->fd);

	ext2fs_set_feature_inline_data(fs->super);
	ext2fs_mark_super_dirty(fs);
	upper_done(fs);
	expect(f, -EBADMSG, "features it was not made with");
}

static void a_disk_that_was_cut_off_is_refused(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(ftruncate(f->fd, UPPER_IMAGE_SIZE / 2), 0);
	expect(f, -EBADMSG, "larger than its disk");
	assert_int_equal(ftruncate(f->fd, 0), 0);
	expect(f, -EBADMSG, "no sound file system");
}

static void an_app_that_is_not_there_is_said_so(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(upper_open(f->fd, "other.upper", &f->upper, &f->err), -ENOENT);
	assert_null(f->upper);
}

/* Extents of one file over and over: what comes out may not be more than the disk holds. */
static void files_that_share_blocks_do_not_add_up(void **state)
{
	struct fixture *f = *state;
	ext2_filsys fs = upper_edit(f->fd);
	struct aci_content content;
	struct aci_piece *piece;
	ext2_ino_t ino;
	size_t n;
	int r = 0;

	ino = upper_node(fs, upper_ino(fs, "/app.upper"), "big", S_IFREG | 0600, 0,
			 EXT2_FT_REG_FILE);
	for (unsigned i = 0; i < 2000; i++)
		upper_write(fs, ino, i * 4096ULL, "x");
	upper_done(fs);
	assert_int_equal(merge(f), 0);
	upper_content(f->upper, LAYER, &content);
	for (unsigned i = 0; r == 0 && i < 3; i++) {
		r = content.pieces(content.ctx, find(f, "big"), &piece, &n, &f->err);
		if (r == 0)
			free(piece);
	}
	assert_int_equal(r, -EBADMSG);
}

/* Directories that share their blocks, all of them empty: nothing is found, and all is read again. */
static void directories_that_share_blocks_are_not_read_for_ever(void **state)
{
	const struct ext2_dir_entry empty = {.rec_len = 4096};
	struct fixture *f = *state;
	ext2_filsys fs = upper_edit(f->fd);
	ext2_ino_t top = upper_ino(fs, "/app.upper"), ino;
	struct ext2_inode big, dir;
	char block[4096] = "", name[16];
	unsigned written;
	ext2_file_t file;

	memcpy(block, &empty, EXT2_DIR_ENTRY_HEADER_LEN);
	ino = upper_node(fs, top, "big", S_IFREG | 0600, 0, EXT2_FT_REG_FILE);
	upper_must(ext2fs_file_open(fs, ino, EXT2_FILE_WRITE, &file));
	for (unsigned i = 0; i < 2000; i++)
		upper_must(ext2fs_file_write(file, block, sizeof(block), &written));
	upper_must(ext2fs_file_close(file));
	upper_must(ext2fs_read_inode(fs, ino, &big));
	for (unsigned i = 0; i < 64; i++) {
		snprintf(name, sizeof(name), "d%u", i);
		ino = upper_dir(fs, top, name);
		upper_must(ext2fs_read_inode(fs, ino, &dir));
		memcpy(dir.i_block, big.i_block, sizeof(dir.i_block));
		dir.i_size = big.i_size;
		upper_must(ext2fs_write_inode(fs, ino, &dir));
	}
	upper_done(fs);
	expect(f, -EBADMSG, "a directory: Structure needs cleaning");
}

/* Bytes of the metadata changed anyhow: an error or a tree, in bounded time. */
static void damage_anywhere_is_survived(void **state)
{
	struct fixture *f = *state;
	uint32_t seed = 12345;

	for (unsigned i = 0; i < 300; i++) {
		struct tree *tree = upper_lower();
		struct upper *upper = NULL;
		uint8_t old[8], new[8];
		uint32_t at[8];

		for (unsigned k = 0; k < 8; k++) {
			seed = seed * 1664525 + 1013904223;
			/* the superblock and the descriptors, bitmaps, inodes, directories */
			at[k] = k < 2 ? 1024 + (seed >> 8) % 4096 : (seed >> 8) % (320 * 1024);
			new[k] = (uint8_t)(seed >> 4);
			assert_int_equal(pread(f->fd, &old[k], 1, at[k]), 1);
			if (k < i % 9)
				assert_int_equal(pwrite(f->fd, &new[k], 1, at[k]), 1);
		}
		if (upper_open(f->fd, "app.upper", &upper, &f->err) == 0)
			(void)!upper_merge(upper, tree, LAYER, &f->err);
		upper_free(upper);
		tree_free(tree);
		for (unsigned k = 8; k-- > 0;)
			assert_int_equal(pwrite(f->fd, &old[k], 1, at[k]), 1);
	}
	assert_int_equal(merge(f), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_was_written_lies_over_the_image),
		TEST(whiteouts_and_opaque_directories_hide_what_is_below),
		TEST(content_is_what_was_written_and_holes_are_holes),
		TEST(names_of_files_that_never_reached_the_disk_are_left_out),
		TEST(a_directory_in_two_places_is_refused),
		TEST(a_file_of_another_overlay_is_refused),
		TEST(names_that_are_paths_are_refused),
		TEST(a_symlink_without_a_target_is_refused),
		TEST(features_it_was_not_made_with_are_refused),
		TEST(a_disk_that_was_cut_off_is_refused),
		TEST(an_app_that_is_not_there_is_said_so),
		TEST(files_that_share_blocks_do_not_add_up),
		TEST(directories_that_share_blocks_are_not_read_for_ever),
		TEST(damage_anywhere_is_survived),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

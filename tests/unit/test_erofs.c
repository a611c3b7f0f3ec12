/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/file.h"
#include "common/spawn.h"
#include "common/util.h"
#include "stage0/image/erofs.h"
#include "tests/unit/erofs_model.h"
#include "tests/unit/scratch.h"

static const uint64_t blocks[] = {1000, 0, 77};

/* Write a finished tree, with sparse data behind it, to a file of the scratch directory. */
static int write_image(const struct scratch *scratch, struct tree *tree, uint64_t *ret_meta)
{
	int fd = openat(scratch->fd, "image", O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	struct error err = ERROR_INIT;
	off_t meta;

	assert_true(fd >= 0);
	if (erofs_write(tree, blocks, ARRAY_SIZE(blocks), "seed", fd, &err) < 0)
		fail_msg("%s", err.msg);
	meta = lseek(fd, 0, SEEK_END);
	*ret_meta = (uint64_t)meta;
	assert_int_equal(ftruncate(fd, meta + (1000 + 77) * 4096), 0);
	return fd;
}

/* fsck.erofs is another hand's reading of the format. */
static void fsck(const struct scratch *scratch)
{
	char *path = xasprintf("%s/image", scratch->path);
	char *const argv[] = {"fsck.erofs", path, NULL};
	const struct spawn_args args = {.path = "fsck.erofs", .argv = argv, .cwd = -1};
	struct error err = ERROR_INIT;
	int pidfd = -1, status;
	pid_t pid;

	if (spawn(&args, &pid, &pidfd, &err) < 0)
		fail_msg("%s (package erofs-utils)", err.msg);
	assert_int_equal(spawn_wait(pid, pidfd, 60000, &status, &err), 0);
	close(pidfd);
	free(path);
	assert_int_equal(status, 0);
}

static void check(const struct scratch *scratch, struct tree *tree)
{
	struct error err = ERROR_INIT;
	const char *wrong;
	uint64_t meta;
	uint8_t *p;
	int fd;

	if (tree_finish(tree, &err) < 0)
		fail_msg("%s", err.msg);
	fd = write_image(scratch, tree, &meta);
	p = mmap(NULL, meta, PROT_READ, MAP_PRIVATE, fd, 0);
	assert_ptr_not_equal(p, MAP_FAILED);
	wrong = em_compare(p, meta, tree, blocks, ARRAY_SIZE(blocks));
	if (wrong)
		fail_msg("%s", wrong);
	munmap(p, meta);
	close(fd);
	fsck(scratch);
}

static void add(struct tree *tree, const struct entry *entry)
{
	struct error err = ERROR_INIT;
	struct entry e = *entry;

	if (!e.link)
		e.link = "";
	if (tree_add(tree, &e, &err) < 0)
		fail_msg("%s", err.msg);
}

static void every_kind_of_inode_is_written(void **state)
{
	static const uint8_t cap[20] = {1, 0, 0, 2, 0, 4};
	static const uint8_t acl[4 + 8] = {2, 0, 0, 0, 1, 0, 6, 0, 0xff, 0xff, 0xff, 0xff};
	static const struct entry_xattr attrs[] = {
		{"user.note", "some value", 10},
		{"user.empty", "", 0},
		{"security.capability", cap, 20},
		{"system.posix_acl_access", acl, 12},
	};
	static const uint64_t sizes[] = {0, 1, 4095, 4096, 4097, 5000000000};
	struct tree *tree = tree_new(TREE_APPC);
	char target[4096], name[32];

	memset(target, 't', 4095);
	target[4095] = '\0';
	add(tree, &(struct entry){.type = ENTRY_DIR, .perm = 01777, .path = "", .mtime = 5});
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		snprintf(name, sizeof(name), "file%zu", i);
		add(tree, &(struct entry){.type = ENTRY_REG,
					  .perm = 04755,
					  .size = sizes[i],
					  .data = 4096 * i,
					  .mtime = 7,
					  .path = name});
	}
	add(tree, &(struct entry){.type = ENTRY_HARDLINK, .path = "name2", .link = "file3"});
	add(tree, &(struct entry){.type = ENTRY_HARDLINK, .path = "d/name3", .link = "name2"});
	add(tree, &(struct entry){.type = ENTRY_SYMLINK, .path = "short", .link = "x"});
	add(tree, &(struct entry){.type = ENTRY_SYMLINK, .path = "long", .link = target});
	add(tree, &(struct entry){.type = ENTRY_SYMLINK, .path = "most", .link = target + 63});
	add(tree, &(struct entry){.type = ENTRY_CHR, .path = "c", .major = 1, .minor = 3});
	add(tree, &(struct entry){.type = ENTRY_BLK, .path = "b", .major = 4095, .minor = 1048575});
	add(tree, &(struct entry){.type = ENTRY_FIFO, .path = "p"});
	add(tree, &(struct entry){.type = ENTRY_REG,
				  .path = "big-ids",
				  .uid = 4294967294,
				  .gid = 70000,
				  .mtime = INT64_C(1) << 40,
				  .mtime_ns = 999999999,
				  .xattr = attrs,
				  .nxattr = 4});
	add(tree, &(struct entry){
			  .type = ENTRY_DIR, .path = "d", .xattr = attrs, .nxattr = 1, .mtime = 7});
	tree_set_layer(tree, 2);
	add(tree, &(struct entry){.type = ENTRY_REG, .path = "other", .size = 9, .data = 8192});
	check(*state, tree);
	tree_free(tree);
}

static void attributes_larger_than_a_block_are_written(void **state)
{
	struct tree *tree = tree_new(TREE_APPC);
	struct entry_xattr attrs[3] = {
		{"user.a", NULL, 20000}, {"user.b", NULL, 20000}, {"user.c", NULL, 20001}};
	void *value = xcalloc(1, 20001);

	for (unsigned i = 0; i < 3; i++)
		attrs[i].value = value;
	for (unsigned i = 0; i < 5; i++) {
		char name[8] = {(char)('a' + i)};

		add(tree, &(struct entry){.type = i % 2 ? ENTRY_SYMLINK : ENTRY_DIR,
					  .path = name,
					  .link = i % 2 ? "target" : "",
					  .xattr = attrs,
					  .nxattr = 3});
	}
	check(*state, tree);
	tree_free(tree);
	free(value);
}

/* Directories of every length around those that fill blocks exactly, with names around the dots. */
static void directories_of_every_size_are_written(void **state)
{
	struct tree *tree = tree_new(TREE_APPC);
	char path[300];

	for (unsigned n = 0; n < 70; n++) {
		for (unsigned i = 0; i < 60 + n; i++) {
			int at = snprintf(path, sizeof(path), "dir%u/%c%03u-", n, i % 5 ? 'a' : '!',
					  i);

			memset(path + at, 'n', 50 + (i + n) % 7);
			path[at + 50 + (int)((i + n) % 7)] = '\0';
			add(tree, &(struct entry){.type = ENTRY_REG, .path = path});
		}
	}
	memset(path, 'm', 255);
	for (unsigned i = 0; i < 200; i++) {
		memcpy(path, "longest/", 8);
		snprintf(path + 8, 4, "%03u", i);
		path[11] = '-';
		path[8 + 255] = '\0';
		add(tree, &(struct entry){.type = ENTRY_REG, .path = path});
		memset(path + 8, 'm', 255);
	}
	check(*state, tree);
	tree_free(tree);
}

static uint32_t roll(uint32_t *x, uint32_t n)
{
	*x ^= *x << 13;
	*x ^= *x >> 17;
	*x ^= *x << 5;
	return *x % n;
}

static void random_trees_are_written(void **state)
{
	for (uint32_t seed = 1; seed <= 30; seed++) {
		struct tree *tree = tree_new(TREE_OCI);
		uint32_t x = seed * 2654435761U;

		for (unsigned i = 0; i < 400; i++) {
			static char target[4096], path[64];
			struct error err = ERROR_INIT;
			struct entry entry = {
				.type = (enum entry_type)(1 + roll(&x, 7)),
				.perm = roll(&x, 010000),
				.uid = roll(&x, 3) ? 0 : roll(&x, 100000),
				.mtime = roll(&x, 3) ? 1000 : roll(&x, 1000000),
				.path = path,
				.link = "",
				.major = 1,
			};

			snprintf(path, sizeof(path), "%u/%u/%u", roll(&x, 4), roll(&x, 5),
				 roll(&x, 30));
			path[roll(&x, 2) ? 1 : 5] = '\0';
			tree_set_layer(tree, (uint16_t)(i / 200 * 2));
			if (entry.type == ENTRY_SYMLINK || entry.type == ENTRY_HARDLINK) {
				memset(target, 't', sizeof(target));
				target[1 + roll(&x, roll(&x, 2) ? 20 : 4095)] = '\0';
				entry.link = target;
			}
			if (entry.type == ENTRY_HARDLINK) {
				snprintf(target, sizeof(target), "%u/%u", roll(&x, 4), roll(&x, 5));
			}
			if (entry.type == ENTRY_REG)
				entry.size = roll(&x, 20000);
			tree_add(tree, &entry, &err); /* what the rules forbid is not added */
		}
		check(*state, tree);
		tree_free(tree);
	}
}

static void the_same_tree_gives_the_same_bytes_and_another_seed_another_uuid(void **state)
{
	const struct scratch *scratch = *state;
	uint8_t first[4096], again[4096], other[4096];
	struct error err = ERROR_INIT;
	int fd;

	for (unsigned i = 0; i < 3; i++) {
		/* entries come in another order and under another hash key */
		struct tree *tree = tree_new(TREE_APPC);

		add(tree, &(struct entry){.type = ENTRY_REG, .path = i ? "a" : "b"});
		add(tree, &(struct entry){.type = ENTRY_REG, .path = i ? "b" : "a"});
		assert_int_equal(tree_finish(tree, &err), 0);
		fd = openat(scratch->fd, "image", O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
		assert_int_equal(erofs_write(tree, blocks, 3, i == 2 ? "other" : "seed", fd, &err),
				 0);
		assert_int_equal(pread_all(fd,
					   i == 0   ? first
					   : i == 1 ? again
						    : other,
					   4096, 0),
				 0);
		close(fd);
		tree_free(tree);
	}
	assert_memory_equal(first, again, 4096);
	assert_memory_not_equal(first + 1024 + 48, other + 1024 + 48, 16);
	memcpy(other + 1024 + 48, first + 1024 + 48, 16);
	assert_memory_equal(first, other, 4096);
}

static void a_full_disk_is_an_error(void **state)
{
	struct tree *tree = tree_new(TREE_APPC);
	struct error err = ERROR_INIT;
	int fd = open("/dev/full", O_WRONLY | O_CLOEXEC);

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(tree_finish(tree, &err), 0);
	assert_int_equal(erofs_write(tree, blocks, 3, "seed", fd, &err), -ENOSPC);
	close(fd);
	tree_free(tree);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(every_kind_of_inode_is_written, scratch_setup,
						scratch_teardown),
		cmocka_unit_test_setup_teardown(attributes_larger_than_a_block_are_written,
						scratch_setup, scratch_teardown),
		cmocka_unit_test_setup_teardown(directories_of_every_size_are_written,
						scratch_setup, scratch_teardown),
		cmocka_unit_test_setup_teardown(random_trees_are_written, scratch_setup,
						scratch_teardown),
		cmocka_unit_test_setup_teardown(
			the_same_tree_gives_the_same_bytes_and_another_seed_another_uuid,
			scratch_setup, scratch_teardown),
		cmocka_unit_test(a_full_disk_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

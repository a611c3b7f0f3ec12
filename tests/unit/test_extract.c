/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "common/file.h"
#include "common/util.h"
#include "stage0/image/extract.h"
#include "tests/unit/scratch.h"

static void add(struct tree *tree, const struct entry *entry)
{
	struct error err = ERROR_INIT;
	struct entry e = *entry;

	if (!e.link)
		e.link = "";
	if (tree_add(tree, &e, &err) < 0)
		fail_msg("%s", err.msg);
}

/* A layer's data: a block of 'A', a hole of 1 MiB, a block of 'B'. */
static int make_data(const struct scratch *scratch)
{
	int fd = openat(scratch->fd, "data", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	char block[4096];

	memset(block, 'A', sizeof(block));
	assert_int_equal(pwrite(fd, block, sizeof(block), 0), sizeof(block));
	memset(block, 'B', sizeof(block));
	assert_int_equal(pwrite(fd, block, sizeof(block), 4096 + (1 << 20)), sizeof(block));
	return fd;
}

static struct tree *make_tree(void)
{
	static const struct entry_xattr attrs[] = {{"user.k", "v", 1}};
	struct tree *tree = tree_new(TREE_APPC);
	struct error err = ERROR_INIT;

	add(tree, &(struct entry){.type = ENTRY_DIR, .perm = 0751, .path = "", .mtime = 11});
	add(tree, &(struct entry){.type = ENTRY_DIR, .perm = 0500, .path = "d", .mtime = 12});
	add(tree, &(struct entry){.type = ENTRY_REG,
				  .perm = 0604,
				  .path = "d/a",
				  .size = 100,
				  .mtime = 13,
				  .mtime_ns = 5,
				  .xattr = attrs,
				  .nxattr = 1});
	add(tree, &(struct entry){.type = ENTRY_HARDLINK, .path = "a2", .link = "d/a"});
	add(tree, &(struct entry){.type = ENTRY_HARDLINK, .path = "z/a3", .link = "d/a"});
	add(tree, &(struct entry){.type = ENTRY_REG,
				  .perm = 0444,
				  .path = "sparse",
				  .size = 4096 + (1 << 20) + 10});
	add(tree, &(struct entry){.type = ENTRY_REG, .perm = 0, .path = "empty"});
	add(tree, &(struct entry){.type = ENTRY_SYMLINK, .path = "l", .link = "/etc", .mtime = 14});
	add(tree, &(struct entry){.type = ENTRY_FIFO, .perm = 0640, .path = "f"});
	add(tree,
	    &(struct entry){.type = ENTRY_CHR, .perm = 0600, .path = "c", .major = 1, .minor = 5});
	assert_int_equal(tree_finish(tree, &err), 0);
	return tree;
}

static void a_tree_comes_out_with_its_attributes(void **state)
{
	const struct scratch *scratch = *state;
	cleanup_fd int data = make_data(scratch);
	const struct extract_source source = {.data = &data, .link_from = -1};
	cleanup_tree struct tree *tree = make_tree();
	struct error err = ERROR_INIT;
	char text[101], byte;
	struct stat st, other;
	int fd;

	if (extract_tree(tree, &source, scratch->fd, "out", true, &err) < 0)
		fail_msg("%s", err.msg);
	assert_int_equal(fstatat(scratch->fd, "out", &st, 0), 0);
	assert_int_equal(st.st_mode, S_IFDIR | 0751);
	assert_int_equal(st.st_mtim.tv_sec, 11);
	assert_int_equal(fstatat(scratch->fd, "out/d", &st, 0), 0);
	assert_int_equal(st.st_mode, S_IFDIR | 0500);
	assert_int_equal(st.st_mtim.tv_sec, 12);
	fd = openat(scratch->fd, "out/d/a", O_RDONLY | O_CLOEXEC);
	assert_int_equal(read(fd, text, sizeof(text)), 100);
	assert_int_equal(text[99], 'A');
	assert_int_equal(fgetxattr(fd, "user.k", &byte, 1), 1);
	assert_int_equal(fstat(fd, &st), 0);
	close(fd);
	assert_int_equal(st.st_mode, S_IFREG | 0604);
	assert_int_equal(st.st_mtim.tv_sec, 13);
	assert_int_equal(st.st_mtim.tv_nsec, 5);
	assert_int_equal(st.st_nlink, 3);
	assert_int_equal(fstatat(scratch->fd, "out/z/a3", &other, 0), 0);
	assert_int_equal(st.st_ino, other.st_ino);
	assert_int_equal(fstatat(scratch->fd, "out/sparse", &st, 0), 0);
	assert_int_equal(st.st_size, 4096 + (1 << 20) + 10);
	assert_true(st.st_blocks * 512 < 1 << 20);
	fd = openat(scratch->fd, "out/sparse", O_RDONLY | O_CLOEXEC);
	assert_int_equal(pread(fd, text, 100, 4096 + (1 << 20)), 10);
	assert_int_equal(text[0], 'B');
	close(fd);
	assert_int_equal(fstatat(scratch->fd, "out/l", &st, AT_SYMLINK_NOFOLLOW), 0);
	assert_true(S_ISLNK(st.st_mode));
	assert_int_equal(st.st_mtim.tv_sec, 14);
	assert_int_equal(fstatat(scratch->fd, "out/f", &st, 0), 0);
	assert_int_equal(st.st_mode, S_IFIFO | 0640);
}

static void a_device_becomes_an_empty_file(void **state)
{
	const struct scratch *scratch = *state;
	cleanup_fd int data = make_data(scratch);
	const struct extract_source source = {.data = &data, .link_from = -1};
	cleanup_tree struct tree *tree = make_tree();
	struct error err = ERROR_INIT;
	struct stat st;

	assert_int_equal(extract_tree(tree, &source, scratch->fd, "out", false, &err), 0);
	assert_int_equal(fstatat(scratch->fd, "out/c", &st, 0), 0);
	assert_int_equal(st.st_mode, S_IFREG | 0600);
	assert_int_equal(st.st_size, 0);
}

static void linked_files_are_those_of_the_other_tree(void **state)
{
	const struct scratch *scratch = *state;
	cleanup_fd int data = make_data(scratch), cache = -1;
	const struct digestcache no_digests = DIGESTCACHE_NONE;
	struct extract_source source = {.data = &data, .link_from = -1};
	cleanup_tree struct tree *tree = make_tree();
	struct error err = ERROR_INIT;
	struct stat st, other;

	assert_int_equal(extract_tree(tree, &source, scratch->fd, "cache", false, &err), 0);
	cache = openat(scratch->fd, "cache", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	source.link_from = cache;
	source.digests = &no_digests;
	if (extract_tree(tree, &source, scratch->fd, "out", false, &err) < 0)
		fail_msg("%s", err.msg);
	assert_int_equal(fstatat(scratch->fd, "out/d/a", &st, 0), 0);
	assert_int_equal(fstatat(scratch->fd, "cache/d/a", &other, 0), 0);
	assert_int_equal(st.st_ino, other.st_ino);
	assert_int_equal(st.st_nlink, 6);
	assert_int_equal(fstatat(scratch->fd, "out/d", &st, 0), 0);
	assert_int_equal(fstatat(scratch->fd, "cache/d", &other, 0), 0);
	assert_int_not_equal(st.st_ino, other.st_ino);
	assert_int_equal(st.st_mode, other.st_mode);
}

static void nothing_that_is_there_is_written_into(void **state)
{
	const struct scratch *scratch = *state;
	cleanup_fd int data = make_data(scratch);
	const struct extract_source source = {.data = &data, .link_from = -1};
	cleanup_tree struct tree *tree = make_tree();
	struct error err = ERROR_INIT;
	struct stat st;

	assert_int_equal(mkdirat(scratch->fd, "victim", 0700), 0);
	assert_int_equal(symlinkat("victim", scratch->fd, "out"), 0);
	assert_int_equal(extract_tree(tree, &source, scratch->fd, "out", false, &err), -EEXIST);
	assert_int_equal(extract_tree(tree, &source, scratch->fd, "victim", false, &err), -EEXIST);
	assert_int_equal(fstatat(scratch->fd, "victim/d", &st, 0), -1);
}

/* The trees a hostile archive would want: each is either refused or stays inside. */
static void no_tree_reaches_outside(void **state)
{
	const struct scratch *scratch = *state;
	static const struct {
		const char *link, *file;
	} attacks[] = {
		{"../victim", "l/planted"},
		{"/tmp", "l/planted"},
		{".", "l/l/l/planted"},
		{"..", "l/victim/planted"},
	};
	cleanup_fd int data = make_data(scratch);
	const struct extract_source source = {.data = &data, .link_from = -1};

	assert_int_equal(mkdirat(scratch->fd, "victim", 0700), 0);
	for (size_t i = 0; i < ARRAY_SIZE(attacks); i++) {
		for (int rules = TREE_APPC; rules <= TREE_OCI; rules++) {
			cleanup_tree struct tree *tree = tree_new((enum tree_rules)rules);
			const struct entry link = {
				.type = ENTRY_SYMLINK, .path = "l", .link = attacks[i].link};
			const struct entry file = {
				.type = ENTRY_REG, .path = attacks[i].file, .link = ""};
			struct error err = ERROR_INIT;
			struct stat st;

			assert_int_equal(tree_add(tree, &link, &err), 0);
			if (tree_add(tree, &file, &err) < 0)
				continue;
			assert_int_equal(tree_finish(tree, &err), 0);
			assert_int_equal(
				extract_tree(tree, &source, scratch->fd, "out", false, &err), 0);
			assert_int_equal(fstatat(scratch->fd, "victim/planted", &st, 0), -1);
			assert_int_equal(fstatat(scratch->fd, "planted", &st, 0), -1);
			assert_int_equal(faccessat(AT_FDCWD, "/tmp/planted", F_OK, 0), -1);
			assert_int_equal(remove_tree(scratch->fd, "out", &err), 0);
		}
	}
}

/* Whoever can, turns every directory that is being filled into a link to the victim and back. */
static void swap_forever(int dir)
{
	for (;;) {
		if (renameat(dir, "out/d", dir, "out/away") < 0)
			continue;
		(void)!symlinkat("../victim", dir, "out/d");
		sched_yield();
		unlinkat(dir, "out/d", 0);
		(void)!renameat(dir, "out/away", dir, "out/d");
	}
}

static void a_directory_swapped_for_a_link_takes_nothing_outside(void **state)
{
	const struct scratch *scratch = *state;
	cleanup_fd int data = make_data(scratch);
	const struct extract_source source = {.data = &data, .link_from = -1};
	cleanup_tree struct tree *tree = tree_new(TREE_APPC);
	struct error err = ERROR_INIT;
	struct stat st;
	pid_t pid;

	for (int i = 0; i < 60; i++) {
		cleanup_free char *path = xasprintf("d/e%d/planted", i);

		add(tree,
		    &(struct entry){.type = ENTRY_REG, .path = path, .size = 10, .perm = 0644});
	}
	add(tree, &(struct entry){.type = ENTRY_HARDLINK, .path = "z", .link = "d/e0/planted"});
	assert_int_equal(tree_finish(tree, &err), 0);
	assert_int_equal(mkdirat(scratch->fd, "victim", 0700), 0);
	pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		swap_forever(scratch->fd);
	}
	for (int i = 0; i < 5; i++) {
		/* it may fail, as a name is gone when it is needed; it may not be led away */
		extract_tree(tree, &source, scratch->fd, "out", false, &err);
		assert_int_equal(fstatat(scratch->fd, "victim", &st, 0), 0);
		assert_int_equal(st.st_nlink, 2);
		assert_int_equal(unlinkat(scratch->fd, "victim", AT_REMOVEDIR), 0);
		assert_int_equal(mkdirat(scratch->fd, "victim", 0700), 0);
		remove_tree(scratch->fd, "out", &(struct error)ERROR_INIT);
	}
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

static void set_id_bits_are_roots_alone_to_give(void **state)
{
	const struct scratch *scratch = *state;
	cleanup_fd int data = make_data(scratch);
	const struct extract_source source = {.data = &data, .link_from = -1};
	cleanup_tree struct tree *tree = tree_new(TREE_APPC);
	struct error err = ERROR_INIT;
	struct stat st;
	int status;
	pid_t pid;

	add(tree,
	    &(struct entry){.type = ENTRY_REG, .perm = 06755, .path = "su", .uid = 1, .gid = 2});
	assert_int_equal(tree_finish(tree, &err), 0);
	if (geteuid() != 0)
		skip();
	assert_int_equal(extract_tree(tree, &source, scratch->fd, "as-root", false, &err), 0);
	assert_int_equal(fstatat(scratch->fd, "as-root/su", &st, 0), 0);
	assert_int_equal(st.st_mode, S_IFREG | 06755);
	assert_int_equal(st.st_uid, 1);
	assert_int_equal(st.st_gid, 2);

	assert_int_equal(fchown(scratch->fd, 12345, 12345), 0);
	pid = fork();
	if (pid == 0) {
		if (setgid(12345) < 0 || setuid(12345) < 0)
			_exit(2);
		_exit(extract_tree(tree, &source, scratch->fd, "as-user", false, &err) == 0 ? 0
											    : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(fstatat(scratch->fd, "as-user/su", &st, 0), 0);
	assert_int_equal(st.st_mode, S_IFREG | 0755);
	assert_int_equal(st.st_uid, 12345);
}

int main(void)
{
#define WITH_SCRATCH(test) cmocka_unit_test_setup_teardown(test, scratch_setup, scratch_teardown)
	const struct CMUnitTest tests[] = {
		WITH_SCRATCH(a_tree_comes_out_with_its_attributes),
		WITH_SCRATCH(a_device_becomes_an_empty_file),
		WITH_SCRATCH(linked_files_are_those_of_the_other_tree),
		WITH_SCRATCH(nothing_that_is_there_is_written_into),
		WITH_SCRATCH(no_tree_reaches_outside),
		WITH_SCRATCH(a_directory_swapped_for_a_link_takes_nothing_outside),
		WITH_SCRATCH(set_id_bits_are_roots_alone_to_give),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

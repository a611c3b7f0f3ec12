/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/file.h"
#include "common/util.h"
#include "tests/unit/scratch.h"

static void put(int dir, const char *name, const char *text)
{
	struct error err = ERROR_INIT;

	if (file_write(dir, name, text, strlen(text), 0644, &err) < 0)
		fail_msg("%s", err.msg);
}

static unsigned count_entries(int dir)
{
	int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY);
	DIR *stream = fdopendir(fd);
	unsigned n = 0;

	assert_non_null(stream);
	while (readdir(stream))
		n++;
	closedir(stream);
	return n - 2;
}

static void what_was_written_is_read_back(void **state)
{
	struct scratch *scratch = *state;
	struct error err = ERROR_INIT;
	cleanup_free char *data = NULL;
	size_t len = 0;
	struct stat st;

	assert_int_equal(file_write(scratch->fd, "f", "a\0b", 3, 0640, &err), 0);
	assert_int_equal(file_read(scratch->fd, "f", 3, &data, &len, &err), 0);
	assert_int_equal(len, 3);
	assert_memory_equal(data, "a\0b", 4);
	assert_int_equal(fstatat(scratch->fd, "f", &st, 0), 0);
	assert_int_equal(st.st_mode & 07777, 0640);
	assert_int_equal(count_entries(scratch->fd), 1);
}

static void an_empty_file_and_a_file_that_claims_to_be_empty_are_read(void **state)
{
	struct scratch *scratch = *state;
	struct error err = ERROR_INIT;
	cleanup_free char *empty = NULL;
	cleanup_free char *proc = NULL;
	size_t len = 42;

	put(scratch->fd, "f", "");
	assert_int_equal(file_read(scratch->fd, "f", 0, &empty, &len, &err), 0);
	assert_int_equal(len, 0);
	assert_string_equal(empty, "");
	assert_int_equal(file_read(AT_FDCWD, "/proc/self/maps", 1 << 24, &proc, &len, &err), 0);
	assert_true(len > 100);
	assert_int_equal(strlen(proc), len);
}

static void a_file_over_the_limit_is_refused(void **state)
{
	struct scratch *scratch = *state;
	struct error err = ERROR_INIT;
	char *data = NULL;
	size_t len = 42;

	put(scratch->fd, "f", "1234");
	assert_int_equal(file_read(scratch->fd, "f", 3, &data, &len, &err), -EFBIG);
	assert_null(data);
	assert_int_equal(len, 42);
	assert_int_equal(file_read(AT_FDCWD, "/proc/self/maps", 10, &data, &len, &err), -EFBIG);
}

static void what_is_no_file_is_refused_without_blocking(void **state)
{
	struct scratch *scratch = *state;
	struct error err = ERROR_INIT;
	char *data = NULL;
	size_t len;

	assert_int_equal(mkfifoat(scratch->fd, "fifo", 0600), 0);
	assert_int_equal(file_read(scratch->fd, "fifo", 10, &data, &len, &err), -EINVAL);
	assert_int_equal(file_read(AT_FDCWD, "/dev/zero", 10, &data, &len, &err), -EINVAL);
	assert_int_equal(file_read(scratch->fd, ".", 10, &data, &len, &err), -EISDIR);
	assert_int_equal(file_read(scratch->fd, "none", 10, &data, &len, &err), -ENOENT);
	assert_string_equal(err.msg, "none: No such file or directory");
	assert_null(data);
}

static void a_failed_replacement_leaves_the_old_file_and_nothing_aside(void **state)
{
	struct scratch *scratch = *state;
	struct error err = ERROR_INIT;
	cleanup_free char *data = NULL;
	size_t len;

	put(scratch->fd, "f", "old");
	assert_int_equal(mkdirat(scratch->fd, "d", 0755), 0);
	put(scratch->fd, "d/inner", "x");
	/* a directory can not be replaced by a file: the rename fails, the last step */
	assert_true(file_write(scratch->fd, "d", "new", 3, 0644, &err) < 0);
	assert_int_equal(count_entries(scratch->fd), 2);
	put(scratch->fd, "f", "new");
	assert_int_equal(file_read(scratch->fd, "f", 10, &data, &len, &err), 0);
	assert_string_equal(data, "new");
	assert_true(file_write(scratch->fd, "none/f", "x", 1, 0644, &err) < 0);
}

static void a_link_is_replaced_not_followed(void **state)
{
	struct scratch *scratch = *state;
	struct stat st;

	put(scratch->fd, "victim", "victim");
	assert_int_equal(symlinkat("victim", scratch->fd, "f"), 0);
	put(scratch->fd, "f", "attacker");
	assert_int_equal(fstatat(scratch->fd, "f", &st, AT_SYMLINK_NOFOLLOW), 0);
	assert_true(S_ISREG(st.st_mode));
	assert_int_equal(fstatat(scratch->fd, "victim", &st, AT_SYMLINK_NOFOLLOW), 0);
	assert_int_equal(st.st_size, 6);
}

static void short_files_and_closed_pipes_are_errors(void **state)
{
	struct scratch *scratch = *state;
	cleanup_fd int fd = -1;
	char data[8];
	int pipes[2];

	put(scratch->fd, "f", "1234567");
	fd = openat(scratch->fd, "f", O_RDONLY | O_CLOEXEC);
	assert_int_equal(pread_all(fd, data, 7, 0), 0);
	assert_int_equal(pread_all(fd, data, 6, 1), 0);
	assert_memory_equal(data, "234567", 6);
	assert_int_equal(pread_all(fd, data, 7, 1), -ENODATA);
	assert_int_equal(pread_all(fd, data, 1, 1000), -ENODATA);
	assert_int_equal(pread_all(fd, data, 0, 1000), 0);
	assert_int_equal(pread_all(fd, data, 1, -1), -EINVAL);
	assert_int_equal(write_all(fd, "x", 1), -EBADF);

	assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
	signal(SIGPIPE, SIG_IGN);
	close(pipes[0]);
	assert_int_equal(write_all(pipes[1], "x", 1), -EPIPE);
	close(pipes[1]);
}

static void missing_parents_are_made(void **state)
{
	struct scratch *scratch = *state;
	struct error err = ERROR_INIT;
	struct stat st;

	assert_int_equal(mkdir_path(scratch->fd, "a/b//c/", 0755, &err), 0);
	assert_int_equal(mkdir_path(scratch->fd, "a/b/c", 0755, &err), 0);
	assert_int_equal(mkdir_path(scratch->fd, ".", 0755, &err), 0);
	assert_int_equal(mkdir_path(scratch->fd, "/", 0755, &err), 0);
	assert_int_equal(fstatat(scratch->fd, "a/b/c", &st, 0), 0);
	assert_true(S_ISDIR(st.st_mode));
}

static void a_file_in_the_place_of_a_directory_is_an_error(void **state)
{
	struct scratch *scratch = *state;
	struct error err = ERROR_INIT;

	put(scratch->fd, "f", "x");
	assert_int_equal(mkdir_path(scratch->fd, "f", 0755, &err), -ENOTDIR);
	assert_int_equal(mkdir_path(scratch->fd, "f/g", 0755, &err), -ENOTDIR);
	assert_int_equal(mkdir_path(scratch->fd, "", 0755, &err), -ENOENT);
}

static void open_beneath_finds_no_way_out(void **state)
{
	struct scratch *scratch = *state;
	cleanup_fd int dir = -1, fd = -1;

	assert_int_equal(mkdirat(scratch->fd, "jail", 0755), 0);
	put(scratch->fd, "secret", "x");
	dir = openat(scratch->fd, "jail", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	put(dir, "f", "x");
	assert_int_equal(symlinkat("f", dir, "link"), 0);
	assert_int_equal(symlinkat("..", dir, "up"), 0);
	assert_int_equal(symlinkat("/proc/self/fd", dir, "magic"), 0);

	fd = open_beneath(dir, "f", O_RDONLY, 0);
	assert_true(fd >= 0);
	assert_int_equal(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
	assert_int_equal(open_beneath(dir, "../secret", O_RDONLY, 0), -EXDEV);
	assert_int_equal(open_beneath(dir, "/etc/passwd", O_RDONLY, 0), -EXDEV);
	assert_int_equal(open_beneath(dir, "link", O_RDONLY, 0), -ELOOP);
	assert_int_equal(open_beneath(dir, "up/secret", O_RDONLY, 0), -ELOOP);
	assert_int_equal(open_beneath(dir, "magic/0", O_RDONLY, 0), -ELOOP);
	assert_int_equal(open_beneath(dir, "none", O_RDONLY, 0), -ENOENT);
	assert_int_equal(open_beneath(dir, "link", O_WRONLY | O_CREAT, 0600), -ELOOP);
}

static void removing_takes_everything_below_and_follows_no_link(void **state)
{
	struct scratch *scratch = *state;
	struct error err = ERROR_INIT;

	put(scratch->fd, "outside", "x");
	assert_int_equal(mkdirat(scratch->fd, "other", 0755), 0);
	put(scratch->fd, "other/f", "x");
	assert_int_equal(mkdir_path(scratch->fd, "t/a/b", 0755, &err), 0);
	put(scratch->fd, "t/f", "x");
	put(scratch->fd, "t/a/b/f", "x");
	assert_int_equal(symlinkat("../outside", scratch->fd, "t/l1"), 0);
	assert_int_equal(symlinkat("../other", scratch->fd, "t/l2"), 0);
	assert_int_equal(mkfifoat(scratch->fd, "t/fifo", 0600), 0);
	assert_int_equal(fchmodat(scratch->fd, "t/a/b", 0, 0), 0);
	assert_int_equal(fchmodat(scratch->fd, "t/a", 0500, 0), 0);

	assert_int_equal(remove_tree(scratch->fd, "t", &err), 0);
	assert_int_equal(faccessat(scratch->fd, "t", F_OK, 0), -1);
	assert_int_equal(faccessat(scratch->fd, "outside", F_OK, 0), 0);
	assert_int_equal(faccessat(scratch->fd, "other/f", F_OK, 0), 0);
	assert_int_equal(remove_tree(scratch->fd, "t", &err), 0);
	assert_int_equal(symlinkat("other", scratch->fd, "link"), 0);
	assert_int_equal(remove_tree(scratch->fd, "link", &err), 0);
	assert_int_equal(faccessat(scratch->fd, "other/f", F_OK, 0), 0);
}

static void removing_a_wide_directory_leaves_nothing(void **state)
{
	struct scratch *scratch = *state;
	struct error err = ERROR_INIT;

	assert_int_equal(mkdirat(scratch->fd, "t", 0755), 0);
	for (int i = 0; i < 3000; i++) {
		char name[32];

		snprintf(name, sizeof(name), "t/%d", i);
		assert_int_equal(mkdirat(scratch->fd, name, 0755), 0);
	}
	assert_int_equal(remove_tree(scratch->fd, "t", &err), 0);
	assert_int_equal(count_entries(scratch->fd), 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, scratch_setup, scratch_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_was_written_is_read_back),
		TEST(an_empty_file_and_a_file_that_claims_to_be_empty_are_read),
		TEST(a_file_over_the_limit_is_refused),
		TEST(what_is_no_file_is_refused_without_blocking),
		TEST(a_failed_replacement_leaves_the_old_file_and_nothing_aside),
		TEST(a_link_is_replaced_not_followed),
		TEST(short_files_and_closed_pipes_are_errors),
		TEST(missing_parents_are_made),
		TEST(a_file_in_the_place_of_a_directory_is_an_error),
		TEST(open_beneath_finds_no_way_out),
		TEST(removing_takes_everything_below_and_follows_no_link),
		TEST(removing_a_wide_directory_leaves_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

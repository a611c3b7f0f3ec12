/* SPDX-License-Identifier: Apache-2.0 */
/* Making a pod's disk. */
#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/spawn.h"
#include "common/util.h"
#include "stage0/ext4.h"
#include "stage0/image/ext4_io.h"

static unsigned syncs;

/* In the place of libc's, for all of this program. */
int fsync(int fd)
{
	(void)fd;
	syncs++;
	return 0;
}

static void a_disk_is_made_without_waiting_for_the_host_s(void **state)
{
	cleanup_fd int fd = memfd_create("disk", MFD_CLOEXEC);
	cleanup_strv struct strv dirs = STRV_INIT;
	struct error err = ERROR_INIT;

	(void)state;
	strv_add(&dirs, "app.upper");
	assert_int_equal(ext4_make(fd, EXT4_SIZE_MIN, &dirs, &err), 0);
	assert_int_equal(syncs, 0);
}

static void a_disk_that_was_made_opens_and_has_its_directories(void **state)
{
	cleanup_fd int fd = memfd_create("disk", MFD_CLOEXEC);
	cleanup_strv struct strv dirs = STRV_INIT;
	struct error err = ERROR_INIT;
	ext2_filsys fs = NULL;
	ext2_ino_t ino;

	(void)state;
	strv_add(&dirs, "app.upper");
	strv_add(&dirs, "app.work");
	assert_int_equal(ext4_make(fd, 4 * EXT4_SIZE_MIN, &dirs, &err), 0);
	assert_int_equal(ext4_open(fd, &fs, &err), 0);
	for (size_t i = 0; i < dirs.n; i++)
		assert_int_equal(ext2fs_lookup(fs, EXT2_ROOT_INO, dirs.v[i], (int)strlen(dirs.v[i]),
					       NULL, &ino),
				 0);
	/* it is open for reading alone */
	assert_int_not_equal(io_channel_write_blk64(fs->io, 1, -1, "x"), 0);
	ext2fs_free(fs);
}

static void e2fsck_finds_nothing_to_mend(void **state)
{
	static char *const argv[] = {"e2fsck", "-fn", "/proc/self/fd/3", NULL};
	cleanup_strv struct strv dirs = STRV_INIT;
	struct error err = ERROR_INIT;

	(void)state;
	for (unsigned i = 0; i < 128; i++) /* more than a block of the root has room for */
		strv_add_owned(&dirs, xasprintf("%0200u", i));
	for (uint64_t size = EXT4_SIZE_MIN; size <= 4 * GIB; size *= 16) {
		cleanup_fd int fd = memfd_create("disk", MFD_CLOEXEC), pidfd = -1;
		const struct spawn_fd fds[] = {{fd, 3}};
		const struct spawn_args args = {"/sbin/e2fsck", argv, .cwd = -1, .fds = fds,
						.nfds = ARRAY_SIZE(fds)};
		int status;
		pid_t pid;

		assert_int_equal(ext4_make(fd, size, &dirs, &err), 0);
		assert_int_equal(spawn(&args, &pid, &pidfd, &err), 0);
		assert_int_equal(spawn_wait(pid, pidfd, -1, &status, &err), 0);
		assert_int_equal(status, 0);
	}
}

static void what_stops_the_writing_is_said(void **state)
{
	cleanup_fd int fd = memfd_create("disk", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	const struct strv dirs = STRV_INIT;
	struct error err = ERROR_INIT;

	(void)state;
	assert_int_equal(ftruncate(fd, EXT4_SIZE_MIN), 0);
	assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), 0);
	assert_int_equal(ext4_make(fd, EXT4_SIZE_MIN, &dirs, &err), -EIO);
	assert_non_null(strstr(err.msg, strerror(EPERM)));
	assert_int_equal(ext4_make(fd, EXT4_SIZE_MIN + 1, &dirs, &err), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_disk_is_made_without_waiting_for_the_host_s),
		cmocka_unit_test(a_disk_that_was_made_opens_and_has_its_directories),
		cmocka_unit_test(e2fsck_finds_nothing_to_mend),
		cmocka_unit_test(what_stops_the_writing_is_said),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

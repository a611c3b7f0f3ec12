/* SPDX-License-Identifier: Apache-2.0 */
/* What is placed, beside what tar makes of the archive. */
#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/file.h"
#include "common/spawn.h"
#include "common/str.h"
#include "common/util.h"
#include "stage0/image/store.h"
#include "stage0/image/store_priv.h"
#include "tests/unit/scratch.h"
#include "tests/unit/storemake.h"
#include "tests/unit/tarmake.h"
#include "tests/unit/treelist.h"

static int run(const char *const *argv)
{
	const struct spawn_args args = {.path = argv[0], .argv = (char *const *)argv, .cwd = -1};
	struct error err = ERROR_INIT;
	int pidfd = -1, status = -1;
	pid_t pid;

	if (spawn(&args, &pid, &pidfd, &err) < 0)
		return -1;
	if (spawn_wait(pid, pidfd, 60000, &status, &err) < 0)
		fail_msg("%s", err.msg);
	close(pidfd);
	return status;
}

/* What tar itself makes of an archive, as a list: the model. */
static char *list_by_tar(const struct scratch *scratch, const struct tarmake *tar)
{
	cleanup_free char *file = xasprintf("%s/model.tar", scratch->path);
	cleanup_free char *dir = xasprintf("%s/model", scratch->path);
	struct error err = ERROR_INIT;

	assert_int_equal(file_write(scratch->fd, "model.tar", tar->p, tar->len, 0600, &err), 0);
	assert_int_equal(mkdirat(scratch->fd, "model", 0755), 0);
	assert_int_equal(run((const char *const[]){"tar", "-xpf", file, "-C", dir, "--xattrs",
						   "--xattrs-include=*", "--numeric-owner", NULL}),
			 0);
	return treelist(scratch->fd, "model/rootfs");
}

/* tar invents the attributes of directories that are only implied; the test image has one. */
static void assert_same_lists(const char *a, const char *b)
{
	cleanup_strv struct strv la = STRV_INIT, lb = STRV_INIT;

	strv_split(&la, a, '\n');
	strv_split(&lb, b, '\n');
	assert_int_equal(la.n, lb.n);
	for (size_t i = 0; i < la.n; i++)
		if (!str_starts_with(la.v[i], "/etc "))
			assert_string_equal(la.v[i], lb.v[i]);
}

static void a_placed_tree_is_what_tar_makes(void **state)
{
	const struct scratch *scratch = *state;
	struct store *store = storemake_open(scratch);
	struct tarmake tar = storemake_aci(100000);
	cleanup_free char *model = NULL, *copy = NULL, *id = NULL;
	char key[IMAGE_KEY_LEN + 1];
	struct error err = ERROR_INIT;
	struct stat st, cached;
	char path[STORE_PATH_MAX];

	if (geteuid() != 0)
		skip(); /* owners */
	model = list_by_tar(scratch, &tar);
	storemake_import(store, &tar, key);
	if (store_place_tree(store, key, scratch->fd, "copy", STORE_COPY, NULL, &err) < 0)
		fail_msg("%s", err.msg);
	copy = treelist(scratch->fd, "copy");
	assert_same_lists(model, copy);
	if (store_place_tree(store, key, scratch->fd, "links", STORE_LINK, &id, &err) < 0)
		fail_msg("%s", err.msg);
	assert_int_equal(fstatat(scratch->fd, "links/big", &st, 0), 0);
	snprintf(path, sizeof(path), "tree/%s/rootfs/big", id);
	assert_int_equal(fstatat(store->cas, path, &cached, 0), 0);
	assert_int_equal(st.st_ino, cached.st_ino);
	assert_int_equal(fstatat(scratch->fd, "copy/big", &st, 0), 0);
	assert_int_not_equal(st.st_ino, cached.st_ino);
	tar_free(&tar);
	store_close(store);
}

static void a_placed_disk_mounts_and_is_what_tar_makes(void **state)
{
	const struct scratch *scratch = *state;
	cleanup_free char *file = xasprintf("%s/image", scratch->path);
	cleanup_free char *dir = xasprintf("%s/mnt", scratch->path);
	struct store *store = storemake_open(scratch);
	struct tarmake tar = storemake_aci(100000);
	cleanup_free char *model = NULL, *got = NULL, *id = NULL;
	char key[IMAGE_KEY_LEN + 1];
	struct error err = ERROR_INIT;
	int out;

	storemake_import(store, &tar, key);
	if (store_place_disk(store, key, scratch->fd, "disk", &id, &err) < 0)
		fail_msg("%s", err.msg);
	out = openat(scratch->fd, "image", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	for (const char *part = "01"; *part; part++) {
		const char name[] = {'d', 'i', 's', 'k', '/', *part, '\0'};
		char *bytes;
		size_t len;

		assert_int_equal(file_read(scratch->fd, name, 1 << 20, &bytes, &len, &err), 0);
		assert_int_equal(len % 4096, 0);
		assert_int_equal(write_all(out, bytes, len), 0);
		free(bytes);
	}
	close(out);
	assert_int_equal(run((const char *const[]){"fsck.erofs", file, NULL}), 0);
	assert_int_equal(mkdirat(scratch->fd, "mnt", 0755), 0);
	if (geteuid() != 0 || run((const char *const[]){"mount", "-o", "loop,ro", "-t", "erofs",
							file, dir, NULL}) != 0) {
		print_message("no loop mount of EROFS here: fsck only\n");
	} else {
		model = list_by_tar(scratch, &tar);
		got = treelist(scratch->fd, "mnt");
		assert_int_equal(run((const char *const[]){"umount", dir, NULL}), 0);
		assert_same_lists(model, got);
	}
	tar_free(&tar);
	store_close(store);
}

static void disks_of_one_image_share_their_files(void **state)
{
	const struct scratch *scratch = *state;
	struct store *store = storemake_open(scratch);
	struct tarmake tar = storemake_aci(100000);
	char key[IMAGE_KEY_LEN + 1];
	struct error err = ERROR_INIT;
	struct stat a, b;

	storemake_import(store, &tar, key);
	assert_int_equal(store_place_disk(store, key, scratch->fd, "one", NULL, &err), 0);
	assert_int_equal(store_place_disk(store, key, scratch->fd, "two", NULL, &err), 0);
	for (const char *part = "01"; *part; part++) {
		const char one[] = {'o', 'n', 'e', '/', *part, '\0'};
		const char two[] = {'t', 'w', 'o', '/', *part, '\0'};

		assert_int_equal(fstatat(scratch->fd, one, &a, 0), 0);
		assert_int_equal(fstatat(scratch->fd, two, &b, 0), 0);
		assert_int_equal(a.st_ino, b.st_ino);
		assert_int_equal(a.st_mode & 0222, 0);
	}
	assert_int_equal(fstatat(scratch->fd, "one/2", &a, 0), -1);
	assert_int_equal(store_place_disk(store, key, scratch->fd, "one", NULL, &err), -EEXIST);
	tar_free(&tar);
	store_close(store);
}

int main(void)
{
#define WITH_SCRATCH(test) cmocka_unit_test_setup_teardown(test, scratch_setup, scratch_teardown)
	const struct CMUnitTest tests[] = {
		WITH_SCRATCH(a_placed_tree_is_what_tar_makes),
		WITH_SCRATCH(a_placed_disk_mounts_and_is_what_tar_makes),
		WITH_SCRATCH(disks_of_one_image_share_their_files),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

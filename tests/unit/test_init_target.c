/* SPDX-License-Identifier: Apache-2.0 */
/* Where an app's volumes are mounted, in roots whose links are hostile. */
#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/error.h"
#include "common/file.h"
#include "common/util.h"
#include "initrd/target.h"
#include "tests/unit/scratch.h"

/* What is outside of the root stays as it is: a directory of one file, which links lead to. */
static int make_root(const struct scratch *scratch)
{
	static const struct {
		const char *path, *to;
	} links[] = {
		{"root/abs", "/real/dir"},
		{"root/rel", "real/dir"},
		{"root/up", "../../../../../../../../real"},
		{"root/real/back", "../real/./dir/../dir"},
		{"root/dangling", "/made/here"},
		{"root/round", "square"},
		{"root/square", "/round"},
		{"root/self", "/self/x"},
		{"root/tofile", "real/file"},
		{"root/top", "/"},
		{"root/kernel", "real/../proc"},
		{"root/out", "../outside"},
	};
	static const char *const dirs[] = {"outside", "root/real/dir", "root/proc/sys"};
	struct error err = ERROR_INIT;
	int root;

	for (size_t i = 0; i < ARRAY_SIZE(dirs); i++)
		assert_int_equal(mkdir_path(scratch->fd, dirs[i], 0755, &err), 0);
	for (size_t i = 0; i < ARRAY_SIZE(links); i++)
		assert_int_equal(symlinkat(links[i].to, scratch->fd, links[i].path), 0);
	assert_int_equal(file_write(scratch->fd, "root/real/file", "x", 1, 0600, &err), 0);
	root = openat(scratch->fd, "root", O_PATH | O_DIRECTORY | O_CLOEXEC);
	assert_true(root >= 0);
	return root;
}

static void a_target_is_where_the_apps_own_root_has_it(void **state)
{
	static const struct {
		const char *path;
		bool file;
		int r;
		const char *where;
	} rows[] = {
		{"/real/dir", false, 0, "/real/dir"},
		{"//real/.//dir/", false, 0, "/real/dir"},
		{"/abs", false, 0, "/real/dir"},
		{"/rel", false, 0, "/real/dir"},
		{"/up/dir", false, 0, "/real/dir"},
		{"/real/back", false, 0, "/real/dir"},
		{"/../../../../real/dir", false, 0, "/real/dir"},
		{"/real/dir/../../abs/..", false, 0, "/real"},
		{"/abs/new/deep", false, 0, "/real/dir/new/deep"},
		{"/dangling", false, 0, "/made/here"},
		{"/dangling/file", true, 0, "/made/here/file"},
		{"/rel/file", true, 0, "/real/dir/file"},
		{"/tofile", true, 0, "/real/file"},
		{"/out", false, 0, "/outside"}, /* the root's own, which is made */
		{"/tofile", false, -ENOTDIR, NULL},
		{"/real/file/x", false, -ENOTDIR, NULL},
		{"/real/file/x", true, -ENOTDIR, NULL},
		{"/real/dir", true, -EISDIR, NULL},
		{"/round", false, -ELOOP, NULL},
		{"/self", false, -ELOOP, NULL},
		{"/", false, -EPERM, NULL},
		{"/real/..", false, -EPERM, NULL},
		{"/top", false, -EPERM, NULL},
		{"/top/real", false, 0, "/real"},
		{"/proc", false, -EPERM, NULL},
		{"/kernel", false, -EPERM, NULL},
		{"/kernel/sys", false, -EPERM, NULL},
		{"/procession", false, 0, "/procession"},
	};
	const struct scratch *scratch = *state;
	int root = make_root(scratch);

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct init_target target = {.fd = -1};
		int r = init_target_open(root, rows[i].path, rows[i].file, &target);
		cleanup_free char *link = NULL, *is = NULL, *should = NULL;
		struct stat st;

		if (r != rows[i].r)
			fail_msg("%s: %s", rows[i].path, strerror(-r));
		if (r < 0)
			continue;
		assert_string_equal(target.path, rows[i].where);
		link = xasprintf("/proc/self/fd/%d", target.fd);
		is = realpath(link, NULL);
		should = xasprintf("%s/root%s", scratch->path, rows[i].where);
		assert_string_equal(is, should);
		assert_int_equal(fstat(target.fd, &st), 0);
		assert_int_equal(S_ISDIR(st.st_mode), !rows[i].file);
		close(target.fd);
	}
	close(root);
}

static void nothing_is_made_outside_of_the_root(void **state)
{
	const struct scratch *scratch = *state;
	int root = make_root(scratch);
	struct init_target target;
	struct stat st;

	assert_int_equal(init_target_open(root, "/outside2/../../outside/x", false, &target), 0);
	close(target.fd);
	assert_true(fstatat(scratch->fd, "outside/x", &st, 0) < 0);
	assert_int_equal(fstatat(scratch->fd, "root/outside2", &st, 0), 0);
	close(root);
}

static void names_and_paths_that_are_too_long_are_refused(void **state)
{
	const struct scratch *scratch = *state;
	int root = make_root(scratch);
	struct init_target target;
	char path[PATH_MAX + 2];

	memset(path, 'x', sizeof(path));
	path[0] = '/';
	path[NAME_MAX + 2] = '\0';
	assert_int_equal(init_target_open(root, path, false, &target), -ENAMETOOLONG);
	path[NAME_MAX + 2] = 'x';
	path[PATH_MAX] = '\0';
	assert_int_equal(init_target_open(root, path, false, &target), -ENAMETOOLONG);
	close(root);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_target_is_where_the_apps_own_root_has_it,
						scratch_setup, scratch_teardown),
		cmocka_unit_test_setup_teardown(nothing_is_made_outside_of_the_root, scratch_setup,
						scratch_teardown),
		cmocka_unit_test_setup_teardown(names_and_paths_that_are_too_long_are_refused,
						scratch_setup, scratch_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/file.h"
#include "common/util.h"
#include "stage0/command.h"
#include "stage0/imageref.h"

/* images.md 12.1; what is no local file is refused by its name */
static void references_that_name_files_are_paths(void **state)
{
	static const struct {
		const char *ref, *path; /* NULL: no file */
	} rows[] = {
		{"/a/b.aci", "/a/b.aci"},
		{"/a/b", "/a/b"},
		{"x.aci", "x.aci"},
		{"./x", "./x"},
		{"../x:y.aci", NULL},	      /* a colon makes it a name, unless the file exists */
		{"plain-file", "plain-file"}, /* exists */
		{"with:colon", "with:colon"}, /* exists */
		{"file:///a/b.aci", "/a/b.aci"},
		{"FILE:///a/b.aci", "/a/b.aci"},
		{"file:/a/b.aci", "/a/b.aci"},
		{"file:///a/b", NULL},
		{"file://host/a.aci", NULL},
		{"docker://busybox", NULL},
		{"docker:busybox", NULL},
		{"https://example.com/x.aci", NULL},
		{"http://example.com/x.aci", NULL},
		{"oci:dir", NULL},
		{"cimd:aci-archive:v=0:x", NULL},
		{"example.com/app", NULL},
		{"example.com/app:1.0", NULL},
		{"app", NULL},
		{"sha512-0123", NULL},
	};
	char dir[] = "/tmp/tripod-unit-ref.XXXXXX", *was = getcwd(NULL, 0);
	struct error err = ERROR_INIT;

	(void)state;
	assert_non_null(mkdtemp(dir));
	assert_int_equal(chdir(dir), 0);
	assert_int_equal(file_write(AT_FDCWD, "plain-file", "", 0, 0644, &err), 0);
	assert_int_equal(file_write(AT_FDCWD, "with:colon", "", 0, 0644, &err), 0);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct error one = ERROR_INIT;
		cleanup_free char *path = NULL;
		int r = imageref_path(rows[i].ref, &path, &one);

		if ((r < 0) != !rows[i].path || (r == 0 && strcmp(path, rows[i].path) != 0) ||
		    (r < 0 && !strstr(one.msg, rows[i].ref)))
			fail_msg("%s: %d, %s, %s", rows[i].ref, r, path ? path : "", one.msg);
	}
	assert_int_equal(chdir(was), 0);
	assert_int_equal(remove_tree(AT_FDCWD, dir, &err), 0);
	free(was);
}

static void insecure_options_are_words_or_errors(void **state)
{
	static const struct {
		const char *list;
		int bits; /* -1: an error */
	} rows[] = {
		{"none", 0},
		{"image", INSECURE_IMAGE},
		{"Image,TLS", INSECURE_IMAGE | INSECURE_TLS},
		{"all-fetch", INSECURE_IMAGE | INSECURE_TLS | INSECURE_HTTP | INSECURE_PUBKEY},
		{"all-run", INSECURE_CAPABILITIES | INSECURE_PATHS | INSECURE_SECCOMP},
		{"ondisk,image", INSECURE_ONDISK | INSECURE_IMAGE},
		{"all", 0xff},
		{"image,image", -1},
		{"images", -1},
		{"", -1},
		{"image,", -1},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct globals globals = {.prog = "tripod", .insecure_arg = (char *)rows[i].list};
		struct error err = ERROR_INIT;
		int r = globals_apply(&globals, &err);

		if (rows[i].bits < 0)
			assert_int_equal(r, -EINVAL);
		else
			assert_int_equal(globals.insecure, rows[i].bits);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(references_that_name_files_are_paths),
		cmocka_unit_test(insecure_options_are_words_or_errors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

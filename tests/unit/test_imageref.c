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

/* images.md 12.1; what is neither is refused by its name */
static void references_name_files_or_images_of_layouts(void **state)
{
	static const struct {
		const char *ref, *path; /* NULL: refused */
		const char *name;	/* in a layout */
		enum imageref_kind kind;
	} rows[] = {
		{.ref = "/a/b.aci", .path = "/a/b.aci"},
		{.ref = "/a/b", .path = "/a/b"},
		{.ref = "x.aci", .path = "x.aci"},
		{.ref = "./x", .path = "./x"},
		{.ref = "../x:y.aci"}, /* a colon makes it a name, unless the file exists */
		{.ref = "plain-file", .path = "plain-file"}, /* exists */
		{.ref = "with:colon", .path = "with:colon"}, /* exists */
		{.ref = "file:///a/b.aci", .path = "/a/b.aci"},
		{.ref = "FILE:///a/b.aci", .path = "/a/b.aci"},
		{.ref = "file:/a/b.aci", .path = "/a/b.aci"},
		{.ref = "file:///a/b"},
		{.ref = "file://host/a.aci"},
		{.ref = "oci:dir", .path = "dir", .kind = IMAGEREF_OCI},
		{.ref = "oci:/a/dir:v1", .path = "/a/dir", .name = "v1", .kind = IMAGEREF_OCI},
		{.ref = "OCI:d:a/b:c", .path = "d", .name = "a/b:c", .kind = IMAGEREF_OCI},
		{.ref = "oci:"},
		{.ref = "oci:dir:"},
		{.ref = "oci::v1"},
		{.ref = "docker://busybox"},
		{.ref = "docker:busybox"},
		{.ref = "https://example.com/x.aci"},
		{.ref = "http://example.com/x.aci"},
		{.ref = "cimd:aci-archive:v=0:x"},
		{.ref = "example.com/app"},
		{.ref = "example.com/app:1.0"},
		{.ref = "app"},
		{.ref = "sha512-0123"},
	};
	char dir[] = "/tmp/tripod-unit-ref.XXXXXX", *was = getcwd(NULL, 0);
	struct error err = ERROR_INIT;

	(void)state;
	assert_non_null(mkdtemp(dir));
	assert_int_equal(chdir(dir), 0);
	assert_int_equal(file_write(AT_FDCWD, "plain-file", "", 0, 0644, &err), 0);
	assert_int_equal(file_write(AT_FDCWD, "with:colon", "", 0, 0644, &err), 0);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		cleanup(imageref_free) struct imageref ref = {.path = NULL};
		struct error one = ERROR_INIT;
		int r = imageref_parse(rows[i].ref, &ref, &one);

		if (!rows[i].path) {
			if (r == 0 || !strstr(one.msg, rows[i].ref))
				fail_msg("%s: %d, %s", rows[i].ref, r, one.msg);
			continue;
		}
		if (r < 0)
			fail_msg("%s: %s", rows[i].ref, one.msg);
		assert_int_equal(ref.kind, rows[i].kind);
		assert_string_equal(ref.path, rows[i].path);
		assert_string_equal(ref.name ? ref.name : "", rows[i].name ? rows[i].name : "");
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
		cmocka_unit_test(references_name_files_or_images_of_layouts),
		cmocka_unit_test(insecure_options_are_words_or_errors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

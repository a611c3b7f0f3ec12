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

/* images.md 12.1, row by row, and tripod's own */
static void references_are_what_the_table_says(void **state)
{
	static const struct {
		const char *ref, *path; /* NULL: refused */
		const char *name;	/* in a layout or archive */
		enum imageref_kind kind;
	} rows[] = {
		/* 1: URLs of archives */
		{.ref = "file:///a/b.aci", .path = "/a/b.aci"},
		{.ref = "FILE:///a/b.aci", .path = "/a/b.aci"},
		{.ref = "file:/a/b.aci", .path = "/a/b.aci"},
		{.ref = "file:///a/b"},
		{.ref = "file://host/a.aci"},
		{.ref = "https://a.com/x.aci", .path = "https://a.com/x.aci", .kind = IMAGEREF_URL},
		{.ref = "HTTP://a.com/x.aci", .path = "HTTP://a.com/x.aci", .kind = IMAGEREF_URL},
		{.ref = "https://a.com/d/x.aci?k=v#f",
		 .path = "https://a.com/d/x.aci?k=v#f",
		 .kind = IMAGEREF_URL},
		{.ref = "https://a.com/x.aci.asc"},
		{.ref = "https://a.com/x?y=.aci"},
		{.ref = "https://a.com"},
		{.ref = "https://x.aci"},
		{.ref = "https:a.com/x.aci"},
		/* 2: registries */
		{.ref = "docker://busybox", .path = "busybox", .kind = IMAGEREF_DOCKER},
		{.ref = "docker:busybox:1", .path = "busybox:1", .kind = IMAGEREF_DOCKER},
		{.ref = "docker://h:5000/a/b@sha256:00",
		 .path = "h:5000/a/b@sha256:00",
		 .kind = IMAGEREF_DOCKER},
		{.ref = "docker://"},
		{.ref = "docker:"},
		/* 3: the canonical form */
		{.ref = "cimd:aci-archive:v=0:file%3A%2F%2F%2Fa%2Fb.aci", .path = "/a/b.aci"},
		{.ref = "cimd:aci-archive:v=0:https%3A%2F%2Fa.com%2Fx%2By.aci",
		 .path = "https://a.com/x+y.aci",
		 .kind = IMAGEREF_URL},
		{.ref = "cimd:docker:v=0:quay.io/a/b:latest",
		 .path = "quay.io/a/b:latest",
		 .kind = IMAGEREF_DOCKER},
		{.ref = "cimd:appc:v=0:a.com/b?version=1&x=%41+b",
		 .path = "a.com/b",
		 .kind = IMAGEREF_NAME},
		{.ref = "cimd:appc:v=0:a.com/b", .path = "a.com/b", .kind = IMAGEREF_NAME},
		{.ref = "cimd:appc:v=1:a.com/b"},
		{.ref = "cimd:appc:a.com/b"},
		{.ref = "cimd:appc:v=0:a.com/b?version"},
		{.ref = "cimd:appc:v=0:a.com/b?version=%zz"},
		{.ref = "cimd:appc:v=0:a.com/b?version=%0"},
		{.ref = "cimd:appc:v=0:a.com/b?version=%00"},
		{.ref = "cimd:aci-archive:v=0:ftp%3A%2F%2Fa%2Fb.aci"},
		{.ref = "cimd:nonsense:v=0:x"},
		{.ref = "cimd:"},
		/* 4 to 9: no scheme */
		{.ref = "/a/b.aci", .path = "/a/b.aci"},
		{.ref = "/a/b", .path = "/a/b"},
		{.ref = "/a/b:c", .path = "/a/b:c"},
		{.ref = "plain-file", .path = "plain-file"},	     /* exists */
		{.ref = "dir/with:colon", .path = "dir/with:colon"}, /* exists */
		{.ref = "a.com/app:1.0", .path = "a.com/app", .kind = IMAGEREF_NAME},
		{.ref = "../x:y.aci"}, /* a colon makes it a name, and it is no good one */
		{.ref = "./x", .path = "./x"},
		{.ref = "../x", .path = "../x"},
		{.ref = "x.aci", .path = "x.aci"},
		{.ref = "a.com/app", .path = "a.com/app", .kind = IMAGEREF_NAME},
		{.ref = "app", .path = "app", .kind = IMAGEREF_NAME},
		{.ref = "dir", .path = "dir", .kind = IMAGEREF_NAME}, /* a directory is no file */
		/* 10: any other scheme */
		{.ref = "app:v1", .path = "app", .kind = IMAGEREF_NAME},
		{.ref = "with:colon", .path = "with", .kind = IMAGEREF_NAME}, /* though a file */
		{.ref = "example.com:1", .path = "example.com", .kind = IMAGEREF_NAME},
		{.ref = "ftp://a.com/x.aci", .path = "ftp", .kind = IMAGEREF_NAME},
		/* IDs */
		{.ref = "sha512-0123", .path = "sha512-0123", .kind = IMAGEREF_ID},
		{.ref = "sha512-xyz"},
		{.ref = "sha512-"},
		/* names that are none */
		{.ref = ""},
		{.ref = "App"},
		{.ref = "app:1:2"},
		{.ref = "app,x"},
		{.ref = "app,x=1,x=2"},
		{.ref = "app:1,version=2"},
		{.ref = "app,X=1"},
		{.ref = "app,name=x"},
		{.ref = ",x=1"},
		{.ref = "app,os=linux,arch=z80"},
		{.ref = "app,os=plan9"},
		/* tripod's own */
		{.ref = "oci:dir", .path = "dir", .kind = IMAGEREF_OCI},
		{.ref = "oci:/a/dir:v1", .path = "/a/dir", .name = "v1", .kind = IMAGEREF_OCI},
		{.ref = "OCI:d:a/b:c", .path = "d", .name = "a/b:c", .kind = IMAGEREF_OCI},
		{.ref = "oci:"},
		{.ref = "oci:dir:"},
		{.ref = "oci::v1"},
		{.ref = "oci-archive:a.tar", .path = "a.tar", .kind = IMAGEREF_OCI_ARCHIVE},
		{.ref = "docker-archive:a.tar:b:1",
		 .path = "a.tar",
		 .name = "b:1",
		 .kind = IMAGEREF_DOCKER_ARCHIVE},
		{.ref = "docker-archive:"},
	};
	char dir[] = "/tmp/tripod-unit-ref.XXXXXX", *was = getcwd(NULL, 0);
	struct error err = ERROR_INIT;

	(void)state;
	assert_non_null(mkdtemp(dir));
	assert_int_equal(chdir(dir), 0);
	assert_int_equal(mkdir_path(AT_FDCWD, "dir", 0755, &err), 0);
	assert_int_equal(file_write(AT_FDCWD, "plain-file", "", 0, 0644, &err), 0);
	assert_int_equal(file_write(AT_FDCWD, "with:colon", "", 0, 0644, &err), 0);
	assert_int_equal(file_write(AT_FDCWD, "dir/with:colon", "", 0, 0644, &err), 0);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		cleanup_imageref struct imageref ref = IMAGEREF_INIT;
		struct error one = ERROR_INIT;
		int r = imageref_parse(rows[i].ref, &ref, &one);

		if (!rows[i].path) {
			if (r == 0 || !strstr(one.msg, rows[i].ref))
				fail_msg("%s: %d, %s", rows[i].ref, r, one.msg);
			continue;
		}
		if (r < 0)
			fail_msg("%s: %s", rows[i].ref, one.msg);
		if (ref.kind != rows[i].kind || strcmp(ref.path, rows[i].path) != 0 ||
		    strcmp(ref.name ? ref.name : "", rows[i].name ? rows[i].name : "") != 0)
			fail_msg("%s: kind %d, %s, %s", rows[i].ref, ref.kind, ref.path, ref.name);
	}
	assert_int_equal(chdir(was), 0);
	assert_int_equal(remove_tree(AT_FDCWD, dir, &err), 0);
	free(was);
}

static void names_have_labels_and_this_hosts_kind(void **state)
{
	cleanup_imageref struct imageref ref = IMAGEREF_INIT;
	struct error err = ERROR_INIT;

	(void)state;
	assert_int_equal(imageref_parse("a.com/b:1.0,x=y=z,e=", &ref, &err), 0);
	assert_string_equal(imageref_label(&ref, "version"), "1.0");
	assert_string_equal(imageref_label(&ref, "x"), "y=z");
	assert_string_equal(imageref_label(&ref, "e"), "");
	assert_string_equal(imageref_label(&ref, "os"), "linux");
	assert_string_equal(imageref_label(&ref, "arch"), APPC_ARCH);
	assert_true(ref.any_os && ref.any_arch);
	imageref_free(&ref);
	assert_int_equal(imageref_parse("a.com/b,arch=aarch64", &ref, &err), 0);
	assert_null(imageref_label(&ref, "version"));
	assert_string_equal(imageref_label(&ref, "arch"), "aarch64");
	assert_true(ref.any_os && !ref.any_arch);
	imageref_free(&ref);
	assert_int_equal(imageref_parse("cimd:appc:v=0:a.com/b?version=1&x=%41+b", &ref, &err), 0);
	assert_string_equal(imageref_label(&ref, "version"), "1");
	assert_string_equal(imageref_label(&ref, "x"), "A b");
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
		cmocka_unit_test(references_are_what_the_table_says),
		cmocka_unit_test(names_have_labels_and_this_hosts_kind),
		cmocka_unit_test(insecure_options_are_words_or_errors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

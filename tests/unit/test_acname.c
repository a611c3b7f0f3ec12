/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include <stdlib.h>
#include <string.h>

#include "common/util.h"
#include "stage0/acname.h"

static void names_are_read_loosely_and_written_strictly(void **state)
{
	static const struct {
		const char *s;
		bool name, name_strict, ident, ident_strict;
	} rows[] = {
		{"a", true, true, true, true},
		{"a-b", true, true, true, true},
		{"a--b", true, false, true, false},
		{"a//b", false, false, true, false},
		{"a~b_c.d", false, false, true, true},
		{"example.com/app", false, false, true, true},
		{"A/b", false, false, false, false},
		{"a/", false, false, false, false},
		{"-a", false, false, false, false},
		{"", false, false, false, false},
		{"a b", false, false, false, false},
		{"..", false, false, false, false},
		{"a\xc3\xa9", false, false, false, false},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		assert_int_equal(acname_is_valid(rows[i].s), rows[i].name);
		assert_int_equal(acname_is_strict(rows[i].s), rows[i].name_strict);
		assert_int_equal(acident_is_valid(rows[i].s), rows[i].ident);
		assert_int_equal(acident_is_strict(rows[i].s), rows[i].ident_strict);
	}
}

static void a_name_fits_a_directory_entry(void **state)
{
	char name[ACNAME_MAX + 2];

	(void)state;
	memset(name, 'a', sizeof(name));
	name[ACNAME_MAX + 1] = '\0';
	assert_false(acname_is_valid(name));
	name[ACNAME_MAX] = '\0';
	assert_true(acname_is_valid(name));
}

static void foreign_names_are_made_valid(void **state)
{
	static const struct {
		const char *s, *name, *ident;
	} rows[] = {
		{"80/tcp", "80-tcp", "80/tcp"},
		{"Foo_Bar", "foo-bar", "foo_bar"},
		{"--x--", "x", "x"},
		{"a b", "a-b", "a_b"},
		{"/var/tmp/", "var-tmp", "var/tmp"},
		{"..", NULL, NULL},
		{"", NULL, NULL},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		cleanup_free char *name = acname_sanitize(rows[i].s);
		cleanup_free char *ident = acident_sanitize(rows[i].s);

		if (!rows[i].name) {
			assert_null(name);
			assert_null(ident);
			continue;
		}
		assert_string_equal(name, rows[i].name);
		assert_string_equal(ident, rows[i].ident);
	}
}

static void versions_follow_semver(void **state)
{
	static const char *const good[] = {"0.8.11", "9.0.0", "1.2.3-rc.1", "1.2.3+git",
					   "1.2.3-0a+001"};
	static const char *const bad[] = {"",
					  "1",
					  "1.2",
					  "0.0.0",
					  "01.2.3",
					  "1.2.3-",
					  "1.2.3-01",
					  "1.2.3+",
					  "1.2.3x",
					  "v1.2.3",
					  "99999999999999999999.0.0"};
	unsigned long long major = 0;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(good); i++)
		assert_true(acversion_is_valid(good[i], NULL));
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_false(acversion_is_valid(bad[i], NULL));
	assert_true(acversion_is_valid("9.0.0", &major));
	assert_int_equal(major, 9);
}

static void image_ids_are_sha512_in_hex(void **state)
{
	char full[7 + 129 + 1];

	(void)state;
	assert_true(acimageid_is_valid("sha512-ab"));
	assert_false(acimageid_is_valid("sha512-"));
	assert_false(acimageid_is_valid("sha512-zz"));
	assert_false(acimageid_is_valid("sha512-AB"));
	assert_false(acimageid_is_valid("sha256-aa"));
	memset(full, 'a', sizeof(full));
	memcpy(full, "sha512-", 7);
	full[7 + 129] = '\0';
	assert_false(acimageid_is_valid(full));
	full[7 + 128] = '\0';
	assert_true(acimageid_is_valid(full));
}

static void environment_names_are_identifiers(void **state)
{
	(void)state;
	assert_true(acenv_is_valid("PATH"));
	assert_true(acenv_is_valid("_x.y-z1"));
	assert_false(acenv_is_valid("1A"));
	assert_false(acenv_is_valid(""));
	assert_false(acenv_is_valid("A "));
	assert_false(acenv_is_valid("A=B"));
	assert_false(acenv_is_valid("BASH_FUNC_x%%"));
}

static void times_are_rfc_3339(void **state)
{
	static const char *const good[] = {"2014-10-27T19:32:27Z", "2014-10-27T19:32:27.67021798Z",
					   "2014-10-27T19:32:27+02:00"};
	static const char *const bad[] = {"2014",
					  "2014-10-27 19:32:27Z",
					  "2014-13-27T19:32:27Z",
					  "2014-10-27T19:32:27",
					  "2014-10-27T19:32:27.Z",
					  "2014-10-27T19:32:27Zx",
					  ""};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(good); i++)
		assert_true(actime_is_valid(good[i]));
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_false(actime_is_valid(bad[i]));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_are_read_loosely_and_written_strictly),
		cmocka_unit_test(a_name_fits_a_directory_entry),
		cmocka_unit_test(foreign_names_are_made_valid),
		cmocka_unit_test(versions_follow_semver),
		cmocka_unit_test(image_ids_are_sha512_in_hex),
		cmocka_unit_test(environment_names_are_identifiers),
		cmocka_unit_test(times_are_rfc_3339),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "initrd/user.h"

static const char passwd[] = "root:x:0:0:root:/root:/bin/sh\n"
			     "# a comment\n"
			     "\n"
			     "app:x:1000:100::/home/app:\n"
			     "short:x\n"
			     "1001:x:7:7\n"
			     "none:x::1\n"
			     "minus:x:-1:1\n"
			     "huge:x:4294967295:1\n"
			     "most:x:4294967294:1\n"
			     "longer:x:00000000001:1\n"
			     "twice:x:zwei:1\n"
			     "twice:x:2:1\n"
			     "last:x:9";

static bool lookup(const char *name, uint32_t *ret)
{
	return init_user_lookup(passwd, sizeof(passwd) - 1, name, ret);
}

static void a_name_is_found_with_its_number(void **state)
{
	uint32_t id = 77;
	(void)state;

	assert_true(lookup("root", &id));
	assert_int_equal(id, 0);
	assert_true(lookup("app", &id));
	assert_int_equal(id, 1000);
	assert_true(lookup("1001", &id));
	assert_int_equal(id, 7);
	assert_true(lookup("most", &id));
	assert_true(id == 4294967294U);
	assert_true(lookup("twice", &id));
	assert_int_equal(id, 2);
	assert_true(lookup("last", &id));
	assert_int_equal(id, 9);
}

static void lines_without_a_proper_number_are_passed_over(void **state)
{
	static const char *const names[] = {"short", "none", "minus", "huge",	    "longer",
					    "ap",    "appx", "",      "# a comment"};
	uint32_t id = 77;
	(void)state;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		assert_false(lookup(names[i], &id));
	assert_int_equal(id, 77);
}

static void tables_cut_anywhere_are_read_safely(void **state)
{
	(void)state;

	for (size_t len = 0; len < sizeof(passwd); len++) {
		char *table = malloc(len ? len : 1);
		uint32_t id;

		memcpy(table, passwd, len);
		init_user_lookup(table, len, "last", &id);
		init_user_lookup(table, len, "app", &id);
		free(table);
	}
}

static const char groups[] = "root:x:0:root,app\n"
			     "# app\n"
			     "wheel:x:10:app\n"
			     "app:x:100:\n"
			     "video:x:44:application,ap,app\n"
			     "bad:x:zwei:app\n"
			     "short:x:7\n"
			     "empty:x:8:,app,\n"
			     "last:x:9:app";

static void a_user_has_the_group_of_its_line(void **state)
{
	static const struct {
		uint32_t uid, gid;
		bool found;
	} rows[] = {{0, 0, true}, {1000, 100, true}, {4294967294U, 1, true}, {2, 1, true},
		    {7, 7, true}, {9, 0, false},     {1, 0, false},	     {100, 0, false}};
	(void)state;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		uint32_t gid = 77;

		assert_true(init_user_primary(passwd, sizeof(passwd) - 1, rows[i].uid, &gid) ==
			    rows[i].found);
		assert_true(gid == (rows[i].found ? rows[i].gid : 77));
	}
}

static void a_user_has_the_groups_that_list_it(void **state)
{
	uint32_t ids[8];
	(void)state;

	assert_int_equal(init_user_groups(groups, sizeof(groups) - 1, "app", ids, 8), 5);
	assert_int_equal(ids[0], 0);
	assert_int_equal(ids[1], 10);
	assert_int_equal(ids[2], 44);
	assert_int_equal(ids[3], 8);
	assert_int_equal(ids[4], 9);
	assert_int_equal(init_user_groups(groups, sizeof(groups) - 1, "app", ids, 2), 2);
	assert_int_equal(init_user_groups(groups, sizeof(groups) - 1, "appl", ids, 8), 0);
	assert_int_equal(init_user_groups(groups, sizeof(groups) - 1, "root", ids, 8), 1);
}

static void group_tables_cut_anywhere_are_read_safely(void **state)
{
	(void)state;

	for (size_t len = 0; len < sizeof(groups); len++) {
		char *table = malloc(len ? len : 1);
		uint32_t ids[8], gid;

		memcpy(table, groups, len);
		init_user_groups(table, len, "app", ids, 8);
		init_user_primary(table, len, 10, &gid);
		free(table);
	}
}

/* What the tests' own machine has: root is 0 with group 0, and is in /etc/passwd. */
static void ocis_rule_takes_numbers_as_numbers(void **state)
{
	struct init_text why = {.len = 0};
	struct init_user user = {.uid = 7};
	(void)state;

	assert_int_equal(init_user_oci("root", NULL, &user, &why), 0);
	assert_int_equal(user.uid, 0);
	assert_int_equal(user.gid, 0);
	user = (struct init_user){.uid = 0};
	assert_int_equal(init_user_oci("3999999999", NULL, &user, &why), 0);
	assert_true(user.uid == 3999999999U);
	assert_int_equal(user.gid, 0);
	assert_int_equal(user.ngroups, 0);
	assert_int_equal(init_user_oci("12:", NULL, &user, &why), -ENOENT);
	assert_false(user.group_failed);
	assert_int_equal(init_user_oci("12", "34", &user, &why), 0);
	assert_int_equal(user.uid, 12);
	assert_int_equal(user.gid, 34);
	assert_int_equal(init_user_oci("0", "no-such-group", &user, &why), -ENOENT);
	assert_true(user.group_failed);
	why.s[why.len] = '\0';
	assert_string_equal(why.s, "\"no-such-group\" group not found");
	assert_int_equal(init_user_oci("no-such-user", NULL, &user, &why), -ENOENT);
	assert_int_equal(init_user_oci("/etc", NULL, &user, &why), -ENOENT);
}

static int resolve(const char *text, bool group, uint32_t *ret, struct init_text *why)
{
	int r = init_user_resolve(text, group, ret, why);

	why->s[r < 0 ? why->len : 0] = '\0';
	return r;
}

static void an_absolute_path_means_its_owner(void **state)
{
	char path[] = "/tmp/tripod-user.XXXXXX";
	struct init_text why = {.len = 0};
	int fd = mkstemp(path);
	struct stat st;
	uint32_t id;
	(void)state;

	assert_true(fd >= 0);
	if (geteuid() == 0)
		assert_int_equal(fchown(fd, 1234, 5678), 0);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(resolve(path, false, &id, &why), 0);
	assert_int_equal(id, st.st_uid);
	assert_int_equal(resolve(path, true, &id, &why), 0);
	assert_int_equal(id, st.st_gid);
	unlink(path);
	close(fd);
	assert_int_equal(resolve(path, false, &id, &why), -ENOENT);
	assert_non_null(strstr(why.s, "No such file or directory"));
}

static void numbers_need_no_table_and_unknown_names_are_told(void **state)
{
	struct init_text why = {.len = 0};
	uint32_t id;
	(void)state;

	assert_int_equal(resolve("31337", false, &id, &why), 0);
	assert_int_equal(id, 31337);
	assert_int_equal(resolve("root", true, &id, &why), 0);
	assert_int_equal(id, 0);
	assert_int_equal(resolve("no-such-user", false, &id, &why), -ENOENT);
	assert_string_equal(why.s, "\"no-such-user\" user not found");
	assert_int_equal(resolve("no-such-group", true, &id, &why), -ENOENT);
	assert_string_equal(why.s, "\"no-such-group\" group not found");
	assert_int_equal(resolve("4294967295", false, &id, &why), -ENOENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_name_is_found_with_its_number),
		cmocka_unit_test(lines_without_a_proper_number_are_passed_over),
		cmocka_unit_test(tables_cut_anywhere_are_read_safely),
		cmocka_unit_test(an_absolute_path_means_its_owner),
		cmocka_unit_test(a_user_has_the_group_of_its_line),
		cmocka_unit_test(a_user_has_the_groups_that_list_it),
		cmocka_unit_test(group_tables_cut_anywhere_are_read_safely),
		cmocka_unit_test(ocis_rule_takes_numbers_as_numbers),
		cmocka_unit_test(numbers_need_no_table_and_unknown_names_are_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

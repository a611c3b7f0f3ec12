/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include <stdlib.h>
#include <string.h>

#include "common/str.h"
#include "common/util.h"

static void building_appends_and_stays_terminated(void **state)
{
	cleanup_str struct str str = STR_INIT;

	(void)state;
	assert_string_equal(str_get(&str), "");
	str_add(&str, "a");
	str_addn(&str, "bcd", 2);
	str_addf(&str, "%d-%s", 7, "x");
	assert_string_equal(str_get(&str), "abc7-x");
	assert_int_equal(str.len, 6);
	for (int i = 0; i < 10000; i++)
		str_addf(&str, "%04d", i);
	assert_int_equal(str.len, 40006);
	assert_string_equal(str.s + str.len - 4, "9999");
}

static void take_hands_over_and_leaves_empty(void **state)
{
	struct str str = STR_INIT;
	cleanup_free char *taken = NULL;
	cleanup_free char *empty = NULL;

	(void)state;
	str_add(&str, "x");
	taken = str_take(&str);
	assert_string_equal(taken, "x");
	assert_null(str.s);
	empty = str_take(&str);
	assert_string_equal(empty, "");
}

static void check_escaped(const char *bytes, size_t len, const char *want)
{
	cleanup_str struct str str = STR_INIT;

	str_add_escaped(&str, bytes, len);
	assert_string_equal(str_get(&str), want);
}

static void printable_text_passes_unescaped(void **state)
{
	(void)state;
	check_escaped("plain ~", 7, "plain ~");
	check_escaped("gr\xc3\xbc\xc3\x9f", 6, "gr\xc3\xbc\xc3\x9f");
	check_escaped("\xe2\x82\xac", 3, "\xe2\x82\xac");
	check_escaped("\xf0\x9f\x90\xa7", 4, "\xf0\x9f\x90\xa7");
}

static void bytes_that_drive_a_terminal_are_escaped(void **state)
{
	(void)state;
	check_escaped("a\nb", 3, "a\\x0ab");
	check_escaped("\x1b[2J", 4, "\\x1b[2J");
	check_escaped("\x7f\0\r", 3, "\\x7f\\x00\\x0d");
	check_escaped("\xc2\x9b", 2, "\\xc2\\x9b"); /* CSI as a C1 control */
}

static void bytes_that_are_not_utf8_are_escaped(void **state)
{
	(void)state;
	check_escaped("\x80", 1, "\\x80");
	check_escaped("\xc0\xaf", 2, "\\xc0\\xaf");		      /* overlong */
	check_escaped("\xe0\x80\xaf", 3, "\\xe0\\x80\\xaf");	      /* overlong */
	check_escaped("\xf0\x80\x80\xaf", 4, "\\xf0\\x80\\x80\\xaf"); /* overlong */
	check_escaped("\xed\xa0\x80", 3, "\\xed\\xa0\\x80");	      /* surrogate */
	check_escaped("\xf4\x90\x80\x80", 4, "\\xf4\\x90\\x80\\x80"); /* past U+10FFFF */
	check_escaped("\xf5\xff", 2, "\\xf5\\xff");
	check_escaped("\xe2\x82", 2, "\\xe2\\x82"); /* cut */
	check_escaped("\xe2\x82x", 3, "\\xe2\\x82x");
}

static void split_keeps_empty_parts(void **state)
{
	cleanup_strv struct strv parts = STRV_INIT;

	(void)state;
	strv_split(&parts, ":a::b:", ':');
	assert_int_equal(parts.n, 5);
	assert_string_equal(parts.v[0], "");
	assert_string_equal(parts.v[1], "a");
	assert_string_equal(parts.v[2], "");
	assert_string_equal(parts.v[3], "b");
	assert_string_equal(parts.v[4], "");
	assert_null(parts.v[5]);
	strv_free(&parts);
	strv_split(&parts, "", ':');
	assert_int_equal(parts.n, 1);
	assert_true(strv_contains(&parts, ""));
	assert_false(strv_contains(&parts, "a"));
}

static void prefixes_and_suffixes_match_whole(void **state)
{
	(void)state;
	assert_true(str_starts_with("abc", "ab"));
	assert_true(str_starts_with("abc", ""));
	assert_false(str_starts_with("ab", "abc"));
	assert_true(str_ends_with("abc", "bc"));
	assert_true(str_ends_with("abc", ""));
	assert_false(str_ends_with("bc", "abc"));
}

static void numbers_are_whole_unsigned_decimals(void **state)
{
	static const char *const bad[] = {"",
					  "-1",
					  "+1",
					  " 1",
					  "1 ",
					  "0x10",
					  "1e3",
					  "1.0",
					  "\n",
					  "1a",
					  "a",
					  "１",
					  "18446744073709551616",
					  "99999999999999999999999999999999"};
	unsigned long long value = 42;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		assert_false(str_to_u64(bad[i], ~0ULL, &value));
		assert_true(value == 42);
	}
	assert_true(str_to_u64("18446744073709551615", ~0ULL, &value));
	assert_true(value == ~0ULL);
	assert_true(str_to_u64("007", 7, &value));
	assert_true(value == 7);
	assert_false(str_to_u64("8", 7, &value));
	assert_true(str_to_u64("0", 0, &value));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(building_appends_and_stays_terminated),
		cmocka_unit_test(take_hands_over_and_leaves_empty),
		cmocka_unit_test(printable_text_passes_unescaped),
		cmocka_unit_test(bytes_that_drive_a_terminal_are_escaped),
		cmocka_unit_test(bytes_that_are_not_utf8_are_escaped),
		cmocka_unit_test(split_keeps_empty_parts),
		cmocka_unit_test(prefixes_and_suffixes_match_whole),
		cmocka_unit_test(numbers_are_whole_unsigned_decimals),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

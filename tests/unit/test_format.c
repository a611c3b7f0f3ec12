/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/util.h"
#include "stage0/format.h"

#define SECOND INT64_C(1000000000)

static void durations_are_gos(void **state)
{
	static const struct {
		const char *text;
		int64_t want; /* ns */
	} good[] = {
		{"0", 0},
		{"0s", 0},
		{"24h", 86400 * SECOND},
		{"30m0s", 1800 * SECOND},
		{"1h30m", 5400 * SECOND},
		{"1.5s", 1500000000},
		{".5s", 500000000},
		{"300ms", 300000000},
		{"-1s", -SECOND},
		{"+1s", SECOND},
		{"1ns", 1},
	};
	static const char *const bad[] = {"",	 "1",	 "s", "1x", ".s", "1h30", "9999999999999h",
					  "1 s", "--1s", "h1"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		struct error err = ERROR_INIT;
		int64_t got = 0;

		assert_int_equal(duration_parse(good[i].text, &got, &err), 0);
		assert_int_equal(got, good[i].want);
	}
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct error err = ERROR_INIT;
		int64_t got = 0;

		if (duration_parse(bad[i], &got, &err) != -EINVAL)
			fail_msg("\"%s\" is taken for a duration", bad[i]);
	}
}

static void sizes_have_one_decimal_below_ten(void **state)
{
	static const struct {
		uint64_t bytes;
		const char *want;
	} cases[] = {
		{0, "0B"},
		{9, "9B"},
		{1023, "1023B"},
		{1024, "1.0KiB"},
		{1536, "1.5KiB"},
		{10188, "9.9KiB"},
		{10235, "10KiB"},
		{19 * MIB, "19MiB"},
		{19 * MIB + MIB / 2, "20MiB"},
		{5 * GIB, "5.0GiB"},
		{UINT64_MAX, "16EiB"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		cleanup_free char *got = size_text(cases[i].bytes);

		assert_string_equal(got, cases[i].want);
	}
}

static void duration_text_is_gos(void **state)
{
	cleanup_free char *a = duration_text(1800 * SECOND), *b = duration_text(5 * SECOND),
			  *c = duration_text(86400 * SECOND);

	(void)state;
	assert_string_equal(a, "30m0s");
	assert_string_equal(b, "5s");
	assert_string_equal(c, "24h0m0s");
}

static void ages_are_told_in_words(void **state)
{
	static const struct {
		int64_t seconds;
		const char *want;
	} rows[] = {
		{0, "now"},
		{-5, "now"},
		{1, "1 second ago"},
		{59, "59 seconds ago"},
		{60, "1 minute ago"},
		{120, "2 minutes ago"},
		{3600, "1 hour ago"},
		{6 * 86400, "6 days ago"},
		{7 * 86400, "1 week ago"},
		{61 * 86400, "2 months ago"},
		{400 * 86400, "1 year ago"},
		{INT64_C(50) * 365 * 86400, "a long while ago"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		cleanup_free char *got =
			time_ago(INT64_C(1700000000) * SECOND - rows[i].seconds * SECOND,
				 INT64_C(1700000000) * SECOND);

		assert_string_equal(got, rows[i].want);
	}
}

static void full_times_drop_trailing_zeros(void **state)
{
	cleanup_free char *a = NULL, *b = NULL;

	(void)state;
	setenv("TZ", "UTC", 1);
	tzset();
	a = time_full(INT64_C(1136214245) * SECOND + 120000000);
	b = time_full(INT64_C(1136214245) * SECOND);
	assert_string_equal(a, "2006-01-02 15:04:05.12 +0000 UTC");
	assert_string_equal(b, "2006-01-02 15:04:05 +0000 UTC");
}

static void tables_are_padded_with_tabs_to_multiples_of_eight(void **state)
{
	struct table table = {.columns = 3, .cells = STRV_INIT};
	cleanup_free char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);

	(void)state;
	assert_non_null(out);
	strv_split(&table.cells, "A|BB|C|12345678|x||1|123456789|", '|');
	table_print(out, &table, true);
	table_print(out, &table, false);
	fclose(out);
	assert_string_equal(text, "A\t\tBB\t\tC\n12345678\tx\t\t\n1\t\t123456789\t\n"
				  "12345678\tx\t\t\n1\t\t123456789\t\n");
	strv_free(&table.cells);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(durations_are_gos),
		cmocka_unit_test(duration_text_is_gos),
		cmocka_unit_test(sizes_have_one_decimal_below_ten),
		cmocka_unit_test(ages_are_told_in_words),
		cmocka_unit_test(full_times_drop_trailing_zeros),
		cmocka_unit_test(tables_are_padded_with_tabs_to_multiples_of_eight),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

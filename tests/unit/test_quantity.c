/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include <errno.h>

#include "common/util.h"
#include "common/quantity.h"

/* images.md 1.3 and 11 */
static const struct {
	const char *text;
	enum quantity_unit unit;
	int r;
	int64_t want;
} rows[] = {
	{"0", QUANTITY_ONE, 0, 0},
	{"1", QUANTITY_ONE, 0, 1},
	{"1.", QUANTITY_ONE, 0, 1},
	{".5", QUANTITY_MILLI, 0, 500},
	{"1.5", QUANTITY_MILLI, 0, 1500},
	{"+7", QUANTITY_ONE, 0, 7},
	{"500m", QUANTITY_MILLI, 0, 500},
	{"2", QUANTITY_MILLI, 0, 2000},
	{"1k", QUANTITY_ONE, 0, 1000},
	{"1K", QUANTITY_ONE, 0, 1000},
	{"1e3", QUANTITY_ONE, 0, 1000},
	{"1E3", QUANTITY_ONE, 0, 1000},
	{"1e+3", QUANTITY_ONE, 0, 1000},
	{"5000e-3", QUANTITY_ONE, 0, 5},
	{"1E", QUANTITY_ONE, 0, INT64_C(1000000000000000000)},
	{"1.5Gi", QUANTITY_ONE, 0, INT64_C(1610612736)},
	{"512Mi", QUANTITY_ONE, 0, INT64_C(536870912)},
	{"25Mi", QUANTITY_ONE, 0, INT64_C(26214400)},
	{"7Ei", QUANTITY_ONE, 0, INT64_C(7) << 60},
	{"9223372036854775807", QUANTITY_ONE, 0, INT64_MAX},
	/* rounded up, never down */
	{"1m", QUANTITY_ONE, 0, 1},
	{"1001m", QUANTITY_ONE, 0, 2},
	{"0.0001", QUANTITY_MILLI, 0, 1},
	{"1n", QUANTITY_MILLI, 0, 1},
	{"1500u", QUANTITY_MILLI, 0, 2},
	{".00000000000000000000001", QUANTITY_ONE, 0, 1},
	{"1e-99999999999", QUANTITY_ONE, 0, 1},
	{"0e99999999999", QUANTITY_ONE, 0, 0},
	/* out of range */
	{"-1", QUANTITY_ONE, -ERANGE, 0},
	{"-0", QUANTITY_ONE, 0, 0},
	{"9223372036854775808", QUANTITY_ONE, -ERANGE, 0},
	{"9223372036854775807", QUANTITY_MILLI, -ERANGE, 0},
	{"8Ei", QUANTITY_ONE, -ERANGE, 0},
	{"10E", QUANTITY_ONE, -ERANGE, 0},
	{"1e19", QUANTITY_ONE, -ERANGE, 0},
	{"1e99", QUANTITY_ONE, -ERANGE, 0},
	/* no quantities */
	{"", QUANTITY_ONE, -EINVAL, 0},
	{".", QUANTITY_ONE, -EINVAL, 0},
	{"-", QUANTITY_ONE, -EINVAL, 0},
	{"k", QUANTITY_ONE, -EINVAL, 0},
	{"1.2.3", QUANTITY_ONE, -EINVAL, 0},
	{"1 k", QUANTITY_ONE, -EINVAL, 0},
	{" 1", QUANTITY_ONE, -EINVAL, 0},
	{"1kB", QUANTITY_ONE, -EINVAL, 0},
	{"1ki", QUANTITY_ONE, -EINVAL, 0},
	{"1e", QUANTITY_ONE, -EINVAL, 0},
	{"1e-", QUANTITY_ONE, -EINVAL, 0},
	{"1e3k", QUANTITY_ONE, -EINVAL, 0},
	{"0x10", QUANTITY_ONE, -EINVAL, 0},
	{"--1", QUANTITY_ONE, -EINVAL, 0},
	{"999999999999999999999999999999999999999999999999999999999999999999", QUANTITY_ONE,
	 -EINVAL, 0},
};

static void every_form_has_its_value_or_its_error(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct error err = ERROR_INIT;
		int64_t got = -1;
		int r = quantity_parse(rows[i].text, rows[i].unit, &got, &err);

		if (r != rows[i].r || got != (r < 0 ? -1 : rows[i].want) || err.code != r)
			fail_msg("\"%s\": %d, %lld (%s)", rows[i].text, r, (long long)got, err.msg);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_form_has_its_value_or_its_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

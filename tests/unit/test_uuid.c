/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include <string.h>

#include "common/util.h"
#include "common/uuid.h"

static void what_is_generated_is_valid_random_and_version_4(void **state)
{
	char one[UUID_TEXT_LEN + 1], two[UUID_TEXT_LEN + 1];

	(void)state;
	for (int i = 0; i < 100; i++) {
		uuid_generate(one);
		uuid_generate(two);
		assert_true(uuid_is_valid(one));
		assert_string_not_equal(one, two);
		assert_int_equal(one[14], '4');
		assert_non_null(strchr("89ab", one[19]));
	}
}

static void only_the_form_that_is_generated_is_valid(void **state)
{
	static const char *const bad[] = {
		"",
		"6733c088-a507-4694-aabf-fd4bc3c1a8",
		"6733c088-a507-4694-aabf-fd4bc3c1a8cdd",
		"6733C088-a507-4694-aabf-fd4bc3c1a8cd",
		"6733c088a507-4694-aabf-fd4bc3c1a8cd-",
		"6733c088-a507-4694-aabf-fd4bc3c1a8c/",
		"../../../../../../../../../../etc/x",
		"6733c088-a507-4694-aabf-fd4bc3c1a8cd\n",
		"{733c088-a507-4694-aabf-fd4bc3c1a8cd",
		"------------------------------------",
	};

	(void)state;
	assert_true(uuid_is_valid("6733c088-a507-4694-aabf-fd4bc3c1a8cd"));
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_false(uuid_is_valid(bad[i]));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_generated_is_valid_random_and_version_4),
		cmocka_unit_test(only_the_form_that_is_generated_is_valid),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

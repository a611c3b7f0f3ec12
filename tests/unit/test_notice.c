/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include <string.h>

#include "vmm/notice.h"

static struct notice take(const char *text)
{
	struct notice notice = {.ready = false};

	notice_take(&notice, (const uint8_t *)text, strlen(text));
	return notice;
}

static void assignments_are_taken_line_by_line(void **state)
{
	struct notice n = take("READY=1\nSTATUS=up\nMAINPID=4\nWATCHDOG=1\nSTOPPING=1\n");

	(void)state;
	assert_true(n.ready && n.alive && n.stopping && n.has_status && !n.hung);
	assert_string_equal(n.status, "up");
	assert_int_equal(n.extend, 0);
	n = take("WATCHDOG=trigger\nEXTEND_TIMEOUT_USEC=1500");
	assert_true(n.hung && !n.alive && !n.ready && !n.has_status);
	assert_int_equal(n.extend, 1500);
}

static void what_is_not_understood_is_left_out(void **state)
{
	static const char *const texts[] = {
		"",
		"READY",
		"READY=",
		"READY=0",
		"READY=11",
		" READY=1",
		"ready=1",
		"\n\n",
		"READY=1 ",
		"WATCHDOG=2",
		"STATUS",
		"FDSTORE=1",
		"xREADY=1\n",
		"WATCHDOG_USEC=1",
		"EXTEND_TIMEOUT_USEC=-1",
		"EXTEND_TIMEOUT_USEC=99999999999999999999",
		"EXTEND_TIMEOUT_USEC=",
		"EXTEND_TIMEOUT_USEC=184467440737095516150000",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct notice n = take(texts[i]), none = {.ready = false};

		assert_memory_equal(&n, &none, sizeof(n));
	}
}

static void several_messages_add_up_and_the_last_status_counts(void **state)
{
	struct notice n = take("STATUS=first is longer");

	(void)state;
	notice_take(&n, (const uint8_t *)"READY=1\nSTATUS=2", 16);
	assert_true(n.ready);
	assert_string_equal(n.status, "2");
	notice_take(&n, (const uint8_t *)"STATUS=", 7);
	assert_true(n.has_status);
	assert_string_equal(n.status, "");
}

static void a_status_is_one_line_of_whole_characters(void **state)
{
	char text[1000] = "STATUS=";
	struct notice n = take("STATUS=a\tb\033[1m\xc3\xa4\xff\xe2\x82");

	(void)state;
	assert_string_equal(n.status, "a?b?[1m\xc3\xa4???");
	notice_take(&n, (const uint8_t *)"STATUS=x\0READY=1", 16);
	assert_string_equal(n.status, "x?READY=1");
	assert_false(n.ready);
	n = take("STATUS=\xc2\x9b"
		 "31m\xc2\x80\xc2\xa0\xc2\xe2\x82\xac");
	assert_string_equal(n.status, "??31m??\xc2\xa0?\xe2\x82\xac");
	memset(text + 7, 'x', sizeof(text) - 8);
	memcpy(text + 7 + NOTICE_STATUS_MAX - 1, "\xc3\xa4", 2);
	n = take(text);
	assert_int_equal(strlen(n.status), NOTICE_STATUS_MAX - 1); /* not half of it */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(assignments_are_taken_line_by_line),
		cmocka_unit_test(what_is_not_understood_is_left_out),
		cmocka_unit_test(several_messages_add_up_and_the_last_status_counts),
		cmocka_unit_test(a_status_is_one_line_of_whole_characters),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include <errno.h>
#include <string.h>

#include "common/error.h"

static void set_keeps_code_and_text(void **state)
{
	struct error err = ERROR_INIT;

	(void)state;
	assert_int_equal(error_set(&err, -EINVAL, "%s: bad %d", "x", 7), -EINVAL);
	assert_int_equal(err.code, -EINVAL);
	assert_string_equal(err.msg, "x: bad 7");
}

static void errno_is_the_code_and_its_text_is_appended(void **state)
{
	struct error err = ERROR_INIT;

	(void)state;
	errno = ENOENT;
	assert_int_equal(error_errno(&err, "open %s", "f"), -ENOENT);
	assert_string_equal(err.msg, "open f: No such file or directory");
	errno = 0;
	assert_int_equal(error_errno(&err, "nothing"), -EIO);
}

static void wrap_puts_context_before_and_keeps_the_code(void **state)
{
	struct error err = ERROR_INIT;

	(void)state;
	error_set(&err, -ENOENT, "inner");
	assert_int_equal(error_wrap(&err, "outer %d", 1), -ENOENT);
	assert_string_equal(err.msg, "outer 1: inner");
}

static void an_overlong_message_is_cut_never_lost(void **state)
{
	static char longer[2 * ERROR_MSG_MAX];
	struct error err = ERROR_INIT;

	(void)state;
	memset(longer, 'x', sizeof(longer) - 1);
	error_set(&err, -EIO, "%s", longer);
	assert_int_equal(strlen(err.msg), ERROR_MSG_MAX - 1);
	error_wrap(&err, "context");
	assert_int_equal(strlen(err.msg), ERROR_MSG_MAX - 1);
	assert_memory_equal(err.msg, "context: xxx", 12);
	errno = EIO;
	error_errno(&err, "%s", longer);
	assert_int_equal(strlen(err.msg), ERROR_MSG_MAX - 1);
	error_wrap(&err, "%s", longer);
	assert_int_equal(strlen(err.msg), ERROR_MSG_MAX - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(set_keeps_code_and_text),
		cmocka_unit_test(errno_is_the_code_and_its_text_is_appended),
		cmocka_unit_test(wrap_puts_context_before_and_keeps_the_code),
		cmocka_unit_test(an_overlong_message_is_cut_never_lost),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

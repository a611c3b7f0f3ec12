/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "common/util.h"

static int saved_stderr, captured[2];

static void capture_begin(void)
{
	saved_stderr = dup(STDERR_FILENO);
	assert_int_equal(pipe2(captured, O_CLOEXEC | O_NONBLOCK), 0);
	dup2(captured[1], STDERR_FILENO);
}

/* What was written to stderr since capture_begin(). */
static const char *capture_end(void)
{
	static char text[16384];
	ssize_t n = read(captured[0], text, sizeof(text) - 1);

	dup2(saved_stderr, STDERR_FILENO);
	close(saved_stderr);
	close(captured[0]);
	close(captured[1]);
	text[n > 0 ? n : 0] = '\0';
	return text;
}

static void a_line_has_prefix_and_text(void **state)
{
	(void)state;
	log_init("run", LOG_INFO);
	capture_begin();
	log_error("cannot %s %d", "x", 7);
	assert_string_equal(capture_end(), "run: cannot x 7\n");
}

static void lines_above_the_level_are_dropped(void **state)
{
	(void)state;
	log_init("run", LOG_WARN);
	capture_begin();
	log_info("info");
	log_debug("debug");
	log_warn("warn");
	assert_string_equal(capture_end(), "run: warn\n");
}

static void hostile_text_can_not_forge_lines_or_drive_a_terminal(void **state)
{
	(void)state;
	log_init("run", LOG_INFO);
	capture_begin();
	log_info("name '%s'", "a\nrun: forged\r\x1b[2J\xff");
	assert_string_equal(capture_end(), "run: name 'a\\x0arun: forged\\x0d\\x1b[2J\\xff'\n");
}

static void a_long_line_is_cut_and_still_one_line(void **state)
{
	static char longer[16000];
	const char *text;

	(void)state;
	memset(longer, 'x', sizeof(longer) - 1);
	log_init("run", LOG_INFO);
	capture_begin();
	log_info("%s", longer);
	text = capture_end();
	assert_true(strlen(text) < 4096);
	assert_ptr_equal(strchr(text, '\n'), text + strlen(text) - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_line_has_prefix_and_text),
		cmocka_unit_test(lines_above_the_level_are_dropped),
		cmocka_unit_test(hostile_text_can_not_forge_lines_or_drive_a_terminal),
		cmocka_unit_test(a_long_line_is_cut_and_still_one_line),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>

#include <cmocka.h>

#include "common/file.h"
#include "common/util.h"
#include "stage0/attest/child.h"
#include "stage0/attest/host_records.h"
#include "stage0/attest/verify.h"
#include "tests/unit/scratch.h"

/* How many records lead to the PCR's value, and from which one. */
static size_t count(const struct scratch *scratch, const uint8_t *pcr, uint8_t *ret_start)
{
	struct host_records records;
	struct error err = ERROR_INIT;
	size_t n;

	assert_int_equal(host_records_lock(scratch->path, &records, &err), 0);
	assert_int_equal(host_records_read(&records, pcr, &err), 0);
	n = records.digests.n;
	memcpy(ret_start, records.start, SHA256_SIZE);
	host_records_close(&records);
	return n;
}

/* Extend the PCR and remember that. */
static void record(const struct scratch *scratch, uint8_t *pcr, const char *text)
{
	struct host_records records;
	struct error err = ERROR_INIT;

	assert_int_equal(host_records_lock(scratch->path, &records, &err), 0);
	assert_int_equal(host_records_read(&records, pcr, &err), 0);
	record_extend(pcr, text);
	assert_int_equal(host_records_add(&records, text, &err), 0);
	host_records_close(&records);
}

static void records_lead_to_the_value(void **state)
{
	const struct scratch *scratch = *state;
	uint8_t pcr[SHA256_SIZE] = {1}, start[SHA256_SIZE];

	record(scratch, pcr, "one");
	record(scratch, pcr, "two");
	assert_int_equal(count(scratch, pcr, start), 2);
	assert_int_equal(start[0], 1);
}

static void the_list_begins_again_when_it_does_not(void **state)
{
	const struct scratch *scratch = *state;
	uint8_t pcr[SHA256_SIZE] = {0}, start[SHA256_SIZE];

	record(scratch, pcr, "one");
	record_extend(pcr, "by somebody else");
	assert_int_equal(count(scratch, pcr, start), 0);
	assert_memory_equal(start, pcr, SHA256_SIZE);
	record(scratch, pcr, "two");
	assert_int_equal(count(scratch, pcr, start), 1);
	/* a start of the host */
	memset(pcr, 0, sizeof(pcr));
	record(scratch, pcr, "three");
	assert_int_equal(count(scratch, pcr, start), 1);
	assert_int_equal(start[0], 0);
}

static void a_damaged_list_begins_again(void **state)
{
	const struct scratch *scratch = *state;
	static const char *const damage[] = {"", "x", "\n", "00\n"};
	uint8_t pcr[SHA256_SIZE], start[SHA256_SIZE];
	char lines[131];
	struct error err = ERROR_INIT;

	for (size_t i = 0; i < ARRAY_SIZE(damage) + 2; i++) {
		size_t len = sizeof(lines) - 1;

		memset(pcr, 7, sizeof(pcr));
		record(scratch, pcr, "one");
		memset(lines, '0', sizeof(lines));
		lines[64] = lines[129] = '\n';
		if (i == ARRAY_SIZE(damage))
			lines[70] = 'x';
		else if (i > ARRAY_SIZE(damage))
			lines[64] = '0';
		else
			len = strlen(damage[i]);
		assert_int_equal(file_write(scratch->fd, "host-tpm",
					    i < ARRAY_SIZE(damage) ? damage[i] : lines, len, 0600,
					    &err),
				 0);
		assert_int_equal(count(scratch, pcr, start), 0);
		record(scratch, pcr, "two");
		assert_int_equal(count(scratch, pcr, start), 1);
	}
}

static int succeed(const void *arg, struct str *out, struct error *err)
{
	(void)err;
	for (int i = 0; i < 100000; i++)
		str_add(out, arg);
	return 0;
}

static int fail_it(const void *arg, struct str *out, struct error *err)
{
	(void)out;
	return error_set(err, -ENOTTY, "%s", (const char *)arg);
}

static int __attribute__((noreturn)) hang(const void *arg, struct str *out, struct error *err)
{
	(void)arg;
	(void)out;
	(void)err;
	for (;;)
		pause();
}

static int die(const void *arg, struct str *out, struct error *err)
{
	(void)arg;
	(void)out;
	(void)err;
	return raise(SIGKILL);
}

static void a_child_gives_what_its_function_gives(void **state)
{
	cleanup_str struct str out = STR_INIT;
	struct error err = ERROR_INIT;

	(void)state;
	assert_int_equal(child_call(succeed, "text", "it", 60000, &out, &err), 0);
	assert_int_equal(out.len, 400000);
	assert_int_equal(child_call(fail_it, "text", "it", 60000, &out, &err), -ENOTTY);
	assert_string_equal(err.msg, "text");
}

static void a_child_that_hangs_or_dies_is_an_error(void **state)
{
	cleanup_str struct str out = STR_INIT;
	struct error err = ERROR_INIT;

	(void)state;
	assert_int_equal(child_call(hang, "", "it", 50, &out, &err), -ETIMEDOUT);
	assert_string_equal(err.msg, "it: no answer within 0 s");
	assert_int_equal(child_call(die, "", "it", 60000, &out, &err), -EPROTO);
	assert_int_equal(out.len, 0);
}

int main(void)
{
#define WITH(test) cmocka_unit_test_setup_teardown(test, scratch_setup, scratch_teardown)
	const struct CMUnitTest tests[] = {
		WITH(records_lead_to_the_value),
		WITH(the_list_begins_again_when_it_does_not),
		WITH(a_damaged_list_begins_again),
		cmocka_unit_test(a_child_gives_what_its_function_gives),
		cmocka_unit_test(a_child_that_hangs_or_dies_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

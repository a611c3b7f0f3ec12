/* SPDX-License-Identifier: Apache-2.0 */
/* Rates: what options say of them, and what stage1 reads of it. */
#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "common/file.h"
#include "common/util.h"
#include "stage0/rate.h"
#include "tests/unit/scratch.h"
#include "vmm/pod_rate.h"

#define MI (UINT64_C(1) << 20)

static void a_rate_is_a_quantity_or_words(void **state)
{
	static const struct {
		const char *text;
		uint64_t want[RATES_MAX]; /* in-bytes, in-packets, out-bytes, out-packets */
	} rows[] = {
		{"10M", {10000000, 0, 10000000, 0}},
		{"1Mi,packets=5k", {MI, 5000, MI, 5000}},
		{"in-bytes=1Mi,out-bytes=2Mi", {MI, 0, 2 * MI, 0}},
		{"out-packets=1", {0, 0, 0, 1}},
		{"in-packets=7,bytes=1e3", {1000, 7, 1000, 0}},
		{"1Ti", {MI * MI, 0, MI * MI, 0}},
	};
	struct error err;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		uint64_t got[RATES_MAX];

		assert_int_equal(rate_parse(&net_rate, rows[i].text, got, &err), 0);
		assert_memory_equal(got, rows[i].want, sizeof(got));
	}
}

static void what_is_no_rate_is_refused_and_writes_nothing(void **state)
{
	static const struct {
		const char *text;
		int code;
	} rows[] = {
		{"", -EINVAL},
		{",", -EINVAL},
		{"10M,", -EINVAL},
		{"=1", -EINVAL},
		{"bytes", -EINVAL},
		{"bytes=", -EINVAL},
		{"byte=1", -EINVAL},
		{"bytess=1", -EINVAL},
		{"Bytes=1", -EINVAL},
		{"bytes=1=2", -EINVAL},
		{"bytes=0", -ERANGE},
		{"0", -ERANGE},
		{"-1", -ERANGE},
		{"1Ei", -ERANGE},
		{"1025Gi", -ERANGE},
		{"bytes=1e99", -ERANGE},
		{"1,2", -EEXIST},
		{"bytes=1,in-bytes=1", -EEXIST},
		{"in-bytes=1,bytes=1", -EEXIST},
		{"packets=1,packets=1", -EEXIST},
		{" 1", -EINVAL},
		{"bytes= 1", -EINVAL},
	};
	struct error err;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		uint64_t got[RATES_MAX] = {9, 9, 9, 9};
		static const uint64_t untouched[RATES_MAX] = {9, 9, 9, 9};

		if (rate_parse(&net_rate, rows[i].text, got, &err) != rows[i].code)
			fail_msg("\"%s\": %d, not %d", rows[i].text, err.code, rows[i].code);
		assert_memory_equal(got, untouched, sizeof(got));
		assert_non_null(strstr(err.msg, "--net-rate"));
	}
}

static void stage1_reads_what_stage0_wrote_of_the_last_launch(void **state)
{
	const struct scratch *scratch = *state;
	struct pod pod = POD_INIT;
	uint64_t got[RATES_MAX];
	struct error err;

	pod.fd = scratch->fd;
	assert_int_equal(chdir(scratch->path), 0);
	assert_int_equal(rate_write(&net_rate, "in-bytes=5,packets=6", &pod, &err), 0);
	assert_int_equal(pod_rate_read(POD_RATE_NET, got, 4, &err), 0);
	assert_memory_equal(got, ((uint64_t[]){5, 6, 0, 6}), sizeof(got));
	assert_int_equal(rate_write(&net_rate, "7", &pod, &err), 0);
	assert_int_equal(pod_rate_read(POD_RATE_NET, got, 4, &err), 0);
	assert_memory_equal(got, ((uint64_t[]){7, 0, 7, 0}), sizeof(got));
	assert_int_equal(rate_write(&net_rate, NULL, &pod, &err), 0);
	assert_int_equal(pod_rate_read(POD_RATE_NET, got, 4, &err), 0);
	assert_memory_equal(got, ((uint64_t[]){0, 0, 0, 0}), sizeof(got));
	assert_int_equal(chdir("/"), 0);
}

static void a_file_that_holds_no_rates_ends_the_launch(void **state)
{
	static const char *const rows[] = {
		"",
		"\n",
		"1 2 3\n",
		"1 2 3 4 5\n",
		"1 2 3 x\n",
		"-1 2 3 4",
		"1 2 3 4 ",
		"1  2 3 4",
		"1099511627777 0 0 0",
		"0x1 0 0 0",
		" 1 2 3 4",
		"1 2 3",
		"1\n2\n3\n4\n",
		"18446744073709551617 0 0 0",
	};
	struct error err;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		uint64_t got[4] = {9, 9, 9, 9};

		assert_int_equal(pod_rate_parse(rows[i], got, 4, &err), -EINVAL);
		assert_int_equal(got[0], 9);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_rate_is_a_quantity_or_words),
		cmocka_unit_test(what_is_no_rate_is_refused_and_writes_nothing),
		cmocka_unit_test_setup_teardown(stage1_reads_what_stage0_wrote_of_the_last_launch,
						scratch_setup, scratch_teardown),
		cmocka_unit_test(a_file_that_holds_no_rates_ends_the_launch),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

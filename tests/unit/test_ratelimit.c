/* SPDX-License-Identifier: Apache-2.0 */
/* Token buckets, against a clock of the test's own. */
#include "tests/unit/unit.h"

#include "common/util.h"
#include "vmm/ratelimit.h"

#define SECOND UINT64_C(1000000000)

static void without_a_rate_everything_passes(void **state)
{
	struct ratelimit limit;

	(void)state;
	ratelimit_init(&limit, 0, 0, 5);
	for (int i = 0; i < 10; i++) {
		assert_true(ratelimit_ready(&limit, UINT64_MAX, 5));
		ratelimit_take(&limit, UINT64_MAX);
		assert_int_equal(ratelimit_wait_ns(&limit, UINT64_MAX), 0);
	}
}

static void a_burst_passes_and_then_the_rate(void **state)
{
	struct ratelimit limit;
	uint64_t now = 77;

	(void)state;
	ratelimit_init(&limit, 1000, 100, now);
	assert_true(ratelimit_ready(&limit, 100, now));
	ratelimit_take(&limit, 100);
	assert_false(ratelimit_ready(&limit, 1, now));
	assert_int_equal(ratelimit_wait_ns(&limit, 1), SECOND / 1000);
	assert_false(ratelimit_ready(&limit, 1, now + SECOND / 1000 - 1));
	assert_true(ratelimit_ready(&limit, 1, now + SECOND / 1000));
	/* it never holds more than the burst */
	assert_false(ratelimit_ready(&limit, 1, now) && limit.tokens > 1);
	assert_true(ratelimit_ready(&limit, 100, now + 3600 * SECOND));
	ratelimit_take(&limit, 100);
	assert_false(ratelimit_ready(&limit, 1, now + 3600 * SECOND));
}

static void the_average_holds_for_odd_sizes_and_looks(void **state)
{
	static const uint64_t sizes[] = {1, 1514, 64, 65562, 3, 9000};
	struct ratelimit limit;
	uint64_t now = 0, passed = 0;

	(void)state;
	ratelimit_init(&limit, 125000, 5000, now); /* most of these are less than a burst */
	for (unsigned i = 0; now < 100 * SECOND; i++) {
		uint64_t n = sizes[i % ARRAY_SIZE(sizes)];

		while (!ratelimit_ready(&limit, n, now)) {
			uint64_t wait = ratelimit_wait_ns(&limit, n);

			assert_true(wait > 0);
			/* someone looks before it is time, again and again */
			assert_false(ratelimit_ready(&limit, n, now + wait / 3));
			assert_false(ratelimit_ready(&limit, n, now + wait - 1));
			now += wait;
		}
		ratelimit_take(&limit, n);
		passed += n;
	}
	assert_in_range(passed, 100 * UINT64_C(125000) - 70000, 100 * UINT64_C(125000) + 75000);
}

static void the_largest_numbers_do_not_wrap(void **state)
{
	struct ratelimit limit;

	(void)state;
	ratelimit_init(&limit, UINT64_MAX, UINT64_MAX, 0);
	assert_int_equal(limit.rate, RATELIMIT_MAX);
	assert_true(ratelimit_ready(&limit, UINT64_MAX, UINT64_MAX));
	ratelimit_take(&limit, UINT64_MAX);
	assert_false(ratelimit_ready(&limit, UINT64_MAX, UINT64_MAX));
	assert_in_range(ratelimit_wait_ns(&limit, UINT64_MAX), SECOND - 1, SECOND);
	/* a clock that goes back earns nothing */
	assert_false(ratelimit_ready(&limit, 1, 0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(without_a_rate_everything_passes),
		cmocka_unit_test(a_burst_passes_and_then_the_rate),
		cmocka_unit_test(the_average_holds_for_odd_sizes_and_looks),
		cmocka_unit_test(the_largest_numbers_do_not_wrap),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

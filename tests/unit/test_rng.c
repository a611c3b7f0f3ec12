/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include "tests/unit/guest_driver.h"
#include "vmm/rng.h"

struct fixture {
	struct guest g;
	struct rng *rng;
};

static int setup(void **state)
{
	struct fixture *f = xcalloc(1, sizeof(*f));
	struct error err = ERROR_INIT;

	guest_init(&f->g);
	assert_int_equal(rng_new(&f->g.mem, &f->rng, &err), 0);
	guest_start(&f->g, &f->rng->dev, UINT64_MAX);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	rng_free(f->rng);
	guest_free(&f->g);
	free(f);
	return 0;
}

static size_t zeroes(const uint8_t *p, size_t len)
{
	size_t n = 0;

	for (size_t i = 0; i < len; i++)
		n += !p[i];
	return n;
}

static void every_buffer_of_a_request_is_filled(void **state)
{
	struct fixture *f = *state;
	uint64_t a = guest_alloc(&f->g, 4096), b = guest_alloc(&f->g, 4096);
	uint32_t id, len;

	guest_add(&f->g, 0, (struct guest_buf[]){{a, 4096, true}, {b, 4096, true}}, 2);
	guest_kick(&f->g, 0);
	assert_true(guest_used(&f->g, 0, &id, &len));
	assert_int_equal(len, 8192);
	assert_true(zeroes(guest_ptr(&f->g, a), 4096) < 200);
	assert_true(zeroes(guest_ptr(&f->g, b), 4096) < 200);
	assert_int_not_equal(memcmp(guest_ptr(&f->g, a), guest_ptr(&f->g, b), 4096), 0);
	assert_int_equal(guest_interrupt(&f->g), 1);
}

static void a_request_gets_no_more_than_64_kib(void **state)
{
	struct fixture *f = *state;
	uint64_t a = guest_alloc(&f->g, 2 * MIB);
	uint32_t id, len;

	guest_add(&f->g, 0, (struct guest_buf[]){{a, 2 * MIB, true}}, 1);
	guest_kick(&f->g, 0);
	assert_true(guest_used(&f->g, 0, &id, &len));
	assert_int_equal(len, RNG_REQUEST_MAX);
	assert_int_equal(zeroes(guest_ptr(&f->g, a + RNG_REQUEST_MAX), MIB), MIB);
}

static void an_empty_request_comes_back_empty(void **state)
{
	struct fixture *f = *state;
	uint32_t id, len;

	guest_add(&f->g, 0, (struct guest_buf[]){{0x100000, 0, true}}, 1);
	guest_kick(&f->g, 0);
	assert_true(guest_used(&f->g, 0, &id, &len));
	assert_int_equal(len, 0);
}

static void a_readable_buffer_breaks_the_device_and_reset_mends_it(void **state)
{
	struct fixture *f = *state;
	uint64_t a = guest_alloc(&f->g, 64);
	uint32_t id, len;

	guest_add(&f->g, 0, (struct guest_buf[]){{a, 64, false}}, 1);
	guest_kick(&f->g, 0);
	assert_true(guest_is_broken(&f->g));
	assert_false(guest_used(&f->g, 0, &id, &len));

	guest_start(&f->g, &f->rng->dev, UINT64_MAX);
	guest_add(&f->g, 0, (struct guest_buf[]){{a, 64, true}}, 1);
	guest_kick(&f->g, 0);
	assert_true(guest_used(&f->g, 0, &id, &len));
	assert_int_equal(len, 64);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(every_buffer_of_a_request_is_filled, setup,
						teardown),
		cmocka_unit_test_setup_teardown(a_request_gets_no_more_than_64_kib, setup,
						teardown),
		cmocka_unit_test_setup_teardown(an_empty_request_comes_back_empty, setup, teardown),
		cmocka_unit_test_setup_teardown(
			a_readable_buffer_breaks_the_device_and_reset_mends_it, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

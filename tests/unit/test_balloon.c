/* SPDX-License-Identifier: Apache-2.0 */
/* virtio-balloon: what is given back is gone, and nothing else is. */
#include "tests/unit/unit.h"

#include "tests/unit/guest_driver.h"
#include "vmm/balloon.h"

#define PAGE 4096

enum { INFLATE, DEFLATE, REPORTING };

struct fixture {
	struct guest g;
	struct balloon *balloon;
};

static int setup(void **state)
{
	struct fixture *f = xcalloc(1, sizeof(*f));
	struct error err = ERROR_INIT;

	guest_init(&f->g);
	assert_int_equal(balloon_new(&f->g.mem, &f->balloon, &err), 0);
	guest_start(&f->g, &f->balloon->dev, UINT64_MAX);
	memset(f->g.mem.region[0].hva + GUEST_BUFFERS, 0x77, GUEST_LOW_SIZE - GUEST_BUFFERS);
	memset(f->g.mem.region[1].hva, 0x77, GUEST_HIGH_SIZE);
	f->g.next_buffer = 3 * MIB; /* pages to give are below */
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	balloon_free(f->balloon);
	guest_free(&f->g);
	free(f);
	return 0;
}

static void give_pfns(struct fixture *f, const uint32_t *pfn, unsigned n)
{
	uint64_t list = guest_put(&f->g, pfn, n * sizeof(*pfn));
	uint32_t id, len;

	guest_add(&f->g, INFLATE, (struct guest_buf[]){{list, n * (uint32_t)sizeof(*pfn), false}},
		  1);
	guest_kick(&f->g, INFLATE);
	assert_true(guest_used(&f->g, INFLATE, &id, &len));
	assert_int_equal(len, 0);
}

static bool resident(struct fixture *f, uint64_t gpa)
{
	unsigned char vec;

	assert_int_equal(mincore(guest_ptr(&f->g, gpa), PAGE, &vec), 0);
	return vec & 1;
}

/* Pages to give that are not resident. */
static unsigned gone(struct fixture *f)
{
	unsigned n = 0;

	for (uint64_t gpa = GUEST_BUFFERS; gpa < 3 * MIB; gpa += PAGE)
		n += !resident(f, gpa);
	return n;
}

static void inflated_pages_go_in_any_order_and_no_others(void **state)
{
	static const uint32_t pfns[] = {0x105, 0x104, 0x103, 0x110, 0x111, 0x112, 0x120,
					0x130, 0x131, 0x150, 0x14f, 0x151, 0x120};
	struct fixture *f = *state;

	give_pfns(f, pfns, ARRAY_SIZE(pfns));
	for (size_t i = 0; i < ARRAY_SIZE(pfns); i++)
		assert_false(resident(f, (uint64_t)pfns[i] * PAGE));
	assert_int_equal(gone(f), ARRAY_SIZE(pfns) - 1); /* one is named twice */
	assert_int_equal(*(uint8_t *)guest_ptr(&f->g, 0x105000), 0);
	assert_int_equal(*(uint8_t *)guest_ptr(&f->g, 0x102000), 0x77);
	assert_int_equal(*(uint8_t *)guest_ptr(&f->g, 0x106000), 0x77);
	assert_int_equal(*(uint8_t *)guest_ptr(&f->g, 0x152000), 0x77);
}

static void page_numbers_outside_memory_are_skipped(void **state)
{
	static const uint32_t pfns[] = {
		0x105, GUEST_LOW_SIZE / PAGE,	   UINT32_MAX, 0xd0000,
		0x106, GUEST_HIGH_BASE / PAGE - 1, 0x80000000, GUEST_HIGH_BASE / PAGE + 3};
	struct fixture *f = *state;

	give_pfns(f, pfns, ARRAY_SIZE(pfns));
	assert_int_equal(gone(f), 2);
	assert_false(resident(f, GUEST_HIGH_BASE + 3 * PAGE));
	assert_true(resident(f, GUEST_HIGH_BASE + 2 * PAGE));
	assert_false(guest_is_broken(&f->g));
}

static void a_run_does_not_reach_across_the_end_of_memory(void **state)
{
	static const uint32_t pfns[] = {GUEST_HIGH_BASE / PAGE + 1, GUEST_HIGH_BASE / PAGE,
					GUEST_HIGH_BASE / PAGE - 1, 0, UINT32_MAX};
	struct fixture *f = *state;

	give_pfns(f, pfns, ARRAY_SIZE(pfns));
	assert_false(resident(f, GUEST_HIGH_BASE));
	assert_false(resident(f, GUEST_HIGH_BASE + PAGE));
	assert_true(resident(f, GUEST_HIGH_BASE + 2 * PAGE));
	assert_int_equal(f->balloon->released, 3 * PAGE);
}

static void a_long_list_is_worked_in_turns(void **state)
{
	struct fixture *f = *state;
	uint32_t pfn[4096];

	for (uint32_t i = 0; i < ARRAY_SIZE(pfn); i++)
		pfn[i] = 0x100 + i % 512;
	give_pfns(f, pfn, 400);
	assert_int_equal(gone(f), 400);
	give_pfns(f, pfn, ARRAY_SIZE(pfn));
	assert_int_equal(gone(f), 512);
}

static void a_list_of_a_wrong_length_breaks_the_device(void **state)
{
	static const uint32_t wrong[] = {1, 3, 5, 4097, 4 * 4096 + 4, 2 * MIB};
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		guest_add(&f->g, INFLATE, (struct guest_buf[]){{GUEST_BUFFERS, wrong[i], false}},
			  1);
		guest_kick(&f->g, INFLATE);
		assert_true(guest_is_broken(&f->g));
		guest_start(&f->g, &f->balloon->dev, UINT64_MAX);
	}
	assert_int_equal(gone(f), 0);
}

static void reported_ranges_are_given_back_in_whole_pages(void **state)
{
	struct fixture *f = *state;
	const struct guest_buf ranges[] = {
		{GUEST_BUFFERS, 16 * PAGE, true},
		{GUEST_BUFFERS + 100 * PAGE + 1, 3 * PAGE, true}, /* two whole pages in it */
		{GUEST_BUFFERS + 200 * PAGE + 1, PAGE, true},	  /* none */
	};
	uint32_t id, len;

	guest_add(&f->g, REPORTING, ranges, ARRAY_SIZE(ranges));
	guest_kick(&f->g, REPORTING);
	assert_true(guest_used(&f->g, REPORTING, &id, &len));
	assert_int_equal(len, 0);
	assert_int_equal(gone(f), 18);
	assert_false(resident(f, GUEST_BUFFERS + 101 * PAGE));
	assert_true(resident(f, GUEST_BUFFERS + 100 * PAGE));
	assert_true(resident(f, GUEST_BUFFERS + 103 * PAGE));
}

static void a_reported_range_outside_memory_breaks_the_device(void **state)
{
	struct fixture *f = *state;

	guest_add(&f->g, REPORTING, (struct guest_buf[]){{GUEST_LOW_SIZE - PAGE, 2 * PAGE, true}},
		  1);
	guest_kick(&f->g, REPORTING);
	assert_true(guest_is_broken(&f->g));
	assert_true(resident(f, GUEST_LOW_SIZE - PAGE));
}

static void a_readable_buffer_is_no_report(void **state)
{
	struct fixture *f = *state;
	uint32_t id, len;

	guest_add(&f->g, REPORTING, (struct guest_buf[]){{GUEST_BUFFERS, 16 * PAGE, false}}, 1);
	guest_kick(&f->g, REPORTING);
	assert_true(guest_used(&f->g, REPORTING, &id, &len));
	assert_int_equal(gone(f), 0);
}

static void deflation_only_takes_note(void **state)
{
	struct fixture *f = *state;
	uint32_t id, len;

	guest_add(&f->g, DEFLATE, (struct guest_buf[]){{GUEST_BUFFERS, 1000, false}}, 1);
	guest_kick(&f->g, DEFLATE);
	assert_true(guest_used(&f->g, DEFLATE, &id, &len));
	assert_int_equal(gone(f), 0);
}

static void a_private_mapping_is_given_back_too(void **state)
{
	struct fixture *f = *state;
	static const uint32_t pfns[] = {0x100};
	uint8_t *p = guest_ptr(&f->g, GUEST_BUFFERS);

	assert_ptr_equal(mmap(p, PAGE, PROT_READ | PROT_WRITE,
			      MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0),
			 p);
	*p = 0x55;
	give_pfns(f, pfns, 1);
	assert_int_equal(*p, 0);
}

static void both_sides_words_are_told_in_bytes(void **state)
{
	static const uint32_t pfns[] = {0x100, 0x101};
	struct fixture *f = *state;
	struct balloon_state got;

	balloon_set_target(f->balloon, 3 * GIB);
	guest_write32(&f->g, 0x104, UINT32_MAX); /* the driver may say anything */
	give_pfns(f, pfns, ARRAY_SIZE(pfns));
	balloon_get(f->balloon, &got);
	assert_int_equal(got.target, 3 * GIB);
	assert_int_equal(got.actual, (uint64_t)UINT32_MAX * PAGE);
	assert_int_equal(got.released, 2 * PAGE);
}

static void a_target_is_told_to_the_driver_which_says_how_far_it_is(void **state)
{
	struct fixture *f = *state;
	uint32_t actual = 99;

	assert_int_equal(guest_read32(&f->g, 0x100), 0);
	balloon_set_target(f->balloon, 10 * PAGE + 5);
	assert_int_equal(guest_interrupt(&f->g), 2);
	assert_int_equal(guest_read32(&f->g, 0x100), 10);
	guest_write32(&f->g, 0x104, actual);
	assert_int_equal(guest_read32(&f->g, 0x104), actual);
	assert_int_equal(f->balloon->actual, actual);
	guest_write32(&f->g, 0x100, 5); /* the target is ours */
	guest_write32(&f->g, 0x10c, 5);
	virtio_mmio_write(&f->balloon->dev, 0x105, &actual, 1);
	assert_int_equal(guest_read32(&f->g, 0x100), 10);
	assert_int_equal(guest_read32(&f->g, 0x104), actual);
	assert_int_equal(guest_read32(&f->g, 0x10c), 0);
	balloon_set_target(f->balloon, UINT64_MAX);
	assert_int_equal(guest_read32(&f->g, 0x100), UINT32_MAX);
	guest_write32(&f->g, 0x70, 0);
	assert_int_equal(guest_read32(&f->g, 0x104), 0);
}

static void a_report_of_32_ranges_fits_the_queue(void **state)
{
	struct fixture *f = *state;

	guest_write32(&f->g, 0x30, REPORTING);
	assert_true(guest_read32(&f->g, 0x34) >= 32); /* Linux gives up otherwise */
	assert_true(guest_offered(&f->g) & 1 << 5);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(inflated_pages_go_in_any_order_and_no_others),
		TEST(page_numbers_outside_memory_are_skipped),
		TEST(a_run_does_not_reach_across_the_end_of_memory),
		TEST(a_long_list_is_worked_in_turns),
		TEST(a_list_of_a_wrong_length_breaks_the_device),
		TEST(reported_ranges_are_given_back_in_whole_pages),
		TEST(a_reported_range_outside_memory_breaks_the_device),
		TEST(a_readable_buffer_is_no_report),
		TEST(deflation_only_takes_note),
		TEST(a_private_mapping_is_given_back_too),
		TEST(both_sides_words_are_told_in_bytes),
		TEST(a_target_is_told_to_the_driver_which_says_how_far_it_is),
		TEST(a_report_of_32_ranges_fits_the_queue),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/gmem.h"
#include "common/util.h"

#define LOW_GPA	 UINT64_C(0)
#define HIGH_GPA (4 * GIB)
#define SIZE	 UINT64_C(0x4000)

static uint8_t low[SIZE], high[SIZE];
static uint8_t plugged[4];

static const struct gmem two_regions = {
	.region = {{.gpa = LOW_GPA, .size = SIZE, .hva = low},
		   {.gpa = HIGH_GPA, .size = SIZE, .hva = high}},
	.nregions = 2,
};

static void addresses_map_to_their_region(void **state)
{
	(void)state;
	assert_ptr_equal(gmem_ptr(&two_regions, 0, SIZE), low);
	assert_ptr_equal(gmem_ptr(&two_regions, SIZE - 1, 1), low + SIZE - 1);
	assert_ptr_equal(gmem_ptr(&two_regions, HIGH_GPA, SIZE), high);
	assert_ptr_equal(gmem_ptr(&two_regions, HIGH_GPA + 8, 0), high + 8);
}

static void ranges_that_leave_their_region_are_refused(void **state)
{
	static const struct {
		uint64_t gpa, len;
	} bad[] = {
		{0, SIZE + 1},
		{1, SIZE},
		{SIZE - 1, 2},
		{SIZE, 0},
		{SIZE, 1},
		{HIGH_GPA - 1, 1},
		{HIGH_GPA - 1, 2},
		{HIGH_GPA + SIZE, 1},
		{0, UINT64_MAX},
		{1, UINT64_MAX},
		{SIZE - 1, UINT64_MAX},
		{UINT64_MAX, 1},
		{UINT64_MAX, UINT64_MAX},
		{HIGH_GPA + 1, UINT64_MAX - HIGH_GPA},
		{UINT64_MAX - 7, 16},
		{0, HIGH_GPA + SIZE},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_null(gmem_ptr(&two_regions, bad[i].gpa, bad[i].len));
}

static void a_copy_is_whole_or_nothing(void **state)
{
	uint8_t data[16];

	(void)state;
	memset(low, 0xaa, SIZE);
	memset(data, 0x55, sizeof(data));
	assert_false(gmem_write(&two_regions, SIZE - 8, data, sizeof(data)));
	assert_int_equal(low[SIZE - 8], 0xaa);
	assert_false(gmem_read(&two_regions, SIZE - 8, data, sizeof(data)));
	assert_int_equal(data[0], 0x55);
	assert_false(gmem_zero(&two_regions, SIZE - 8, 16));
	assert_int_equal(low[SIZE - 8], 0xaa);

	assert_true(gmem_write(&two_regions, SIZE - 16, data, sizeof(data)));
	assert_int_equal(low[SIZE - 1], 0x55);
	assert_true(gmem_zero(&two_regions, SIZE - 8, 8));
	assert_true(gmem_read(&two_regions, SIZE - 16, data, sizeof(data)));
	assert_memory_equal(data, "UUUUUUUU\0\0\0\0\0\0\0\0", 16);
}

static void blocks_that_are_not_plugged_do_not_exist(void **state)
{
	const struct gmem mem = {
		.region = {{.gpa = HIGH_GPA,
			    .size = SIZE,
			    .hva = high,
			    .plugged = plugged,
			    .block_shift = 12}},
		.nregions = 1,
	};

	(void)state;
	memset(plugged, 0, sizeof(plugged));
	assert_null(gmem_ptr(&mem, HIGH_GPA, 1));
	plugged[1] = plugged[2] = 1;
	assert_null(gmem_ptr(&mem, HIGH_GPA, 1));
	assert_null(gmem_ptr(&mem, HIGH_GPA, 0x1001));
	assert_ptr_equal(gmem_ptr(&mem, HIGH_GPA + 0x1000, 0x2000), high + 0x1000);
	assert_null(gmem_ptr(&mem, HIGH_GPA + 0x1000, 0x2001));
	assert_null(gmem_ptr(&mem, HIGH_GPA + 0xfff, 2));
	assert_null(gmem_ptr(&mem, HIGH_GPA + 0x3000, 0x1000));
	plugged[3] = 1;
	assert_ptr_equal(gmem_ptr(&mem, HIGH_GPA + 0x1000, 0x3000), high + 0x1000);
	assert_null(gmem_ptr(&mem, HIGH_GPA + 0x1000, 0x3001));
}

static void no_region_no_memory(void **state)
{
	const struct gmem none = {.nregions = 0};

	(void)state;
	assert_null(gmem_ptr(&none, 0, 0));
	assert_null(gmem_ptr(&none, 0, 1));
}

static void released_memory_reads_as_zeroes_and_its_neighbours_stay(void **state)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	cleanup_fd int fd = memfd_create("test", MFD_CLOEXEC);
	uint8_t *p;

	(void)state;
	assert_int_equal(ftruncate(fd, (off_t)(4 * page)), 0);
	p = mmap(NULL, 4 * page, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	assert_ptr_not_equal(p, MAP_FAILED);
	memset(p, 0xaa, 4 * page);
	/* only page 1 and 2 lie wholly inside */
	gmem_release(p + 1, 3 * page + 1);
	assert_int_equal(p[0], 0xaa);
	assert_int_equal(p[page - 1], 0xaa);
	assert_int_equal(p[page], 0);
	assert_int_equal(p[3 * page - 1], 0);
	assert_int_equal(p[3 * page], 0xaa);
	gmem_release(p + 1, 10);
	gmem_release(p + page - 1, 2);
	gmem_release(p, 0);
	assert_int_equal(p[0], 0xaa);
	munmap(p, 4 * page);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(addresses_map_to_their_region),
		cmocka_unit_test(ranges_that_leave_their_region_are_refused),
		cmocka_unit_test(a_copy_is_whole_or_nothing),
		cmocka_unit_test(blocks_that_are_not_plugged_do_not_exist),
		cmocka_unit_test(no_region_no_memory),
		cmocka_unit_test(released_memory_reads_as_zeroes_and_its_neighbours_stay),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

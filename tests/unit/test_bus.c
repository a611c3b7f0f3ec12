/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include <string.h>

#include "vmm/bus.h"

struct device {
	uint64_t offset;
	uint32_t len;
	unsigned reads, writes;
	uint8_t data[8];
};

static void device_read(void *opaque, uint64_t offset, void *data, uint32_t len)
{
	struct device *dev = opaque;

	dev->offset = offset;
	dev->len = len;
	dev->reads++;
	memset(data, 0x11, len);
}

static void device_write(void *opaque, uint64_t offset, const void *data, uint32_t len)
{
	struct device *dev = opaque;

	dev->offset = offset;
	dev->len = len;
	dev->writes++;
	memcpy(dev->data, data, len);
}

static const struct bus_ops ops = {device_read, device_write};

static void an_access_reaches_its_range_with_its_offset(void **state)
{
	struct device a = {0}, b = {0};
	struct bus bus = {.n = 0};
	uint32_t value = 0x01020304;

	(void)state;
	bus_add(&bus, 0x1000, 0x1000, &ops, &a);
	bus_add(&bus, 0x2000, 0x10, &ops, &b);
	bus_write(&bus, 0x200c, &value, sizeof(value));
	assert_int_equal(b.writes, 1);
	assert_int_equal(b.offset, 0xc);
	assert_memory_equal(b.data, &value, sizeof(value));
	bus_read(&bus, 0x1fff, &value, 1);
	assert_int_equal(a.reads, 1);
	assert_int_equal(a.offset, 0xfff);
	assert_int_equal(value, 0x01020311);
}

static void unclaimed_and_straddling_accesses_read_all_ones(void **state)
{
	static const struct {
		uint64_t addr;
		uint32_t len;
	} accesses[] = {
		{0, 8},	     {0xfff, 1},  {0xfff, 2},	   {0x1ffe, 4},
		{0x1fff, 8}, {0x2000, 1}, {UINT64_MAX, 1}, {UINT64_MAX, 8},
	};
	struct device dev = {0};
	struct bus bus = {.n = 0};

	(void)state;
	bus_add(&bus, 0x1000, 0x1000, &ops, &dev);
	for (size_t i = 0; i < sizeof(accesses) / sizeof(accesses[0]); i++) {
		uint64_t value = 0;

		bus_read(&bus, accesses[i].addr, &value, accesses[i].len);
		assert_true(value == (accesses[i].len == 8
					      ? UINT64_MAX
					      : (UINT64_C(1) << 8 * accesses[i].len) - 1));
		bus_write(&bus, accesses[i].addr, &value, accesses[i].len);
	}
	assert_int_equal(dev.reads + dev.writes, 0);
}

static void a_range_may_end_with_the_address_space(void **state)
{
	struct device dev = {0};
	struct bus bus = {.n = 0};
	uint64_t value;

	(void)state;
	bus_add(&bus, UINT64_MAX - 0xfff, 0x1000, &ops, &dev);
	bus_read(&bus, UINT64_MAX, &value, 1);
	assert_int_equal(dev.offset, 0xfff);
	bus_read(&bus, UINT64_MAX - 3, &value, 8);
	assert_int_equal(dev.reads, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_access_reaches_its_range_with_its_offset),
		cmocka_unit_test(unclaimed_and_straddling_accesses_read_all_ones),
		cmocka_unit_test(a_range_may_end_with_the_address_space),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

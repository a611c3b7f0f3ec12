/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/util.h"
#include "vmm/klog.h"

#define RAM_SIZE   (1 * MIB)
#define COUNT_BITS 5
#define SIZE_BITS  11
#define COUNT	   (1U << COUNT_BITS)
#define SIZE	   (1U << SIZE_BITS)

#define KERNEL_MAP UINT64_C(0xffffffff80000000)
#define DIRECT_MAP UINT64_C(0xffff888000000000)

/* Where things lie in guest memory. */
#define PRB_PTR	 0x1000
#define PRB	 0x1100
#define DESCS	 0x2000
#define INFOS	 0x4000
#define DATA	 0x8000
#define INFO_LEN 88

/* A writer of Linux's printk ring buffer, as plain as can be. */
struct fixture {
	struct gmem mem;
	uint8_t *ram;
	uint64_t head_id, head_lpos;
};

static void put64(struct fixture *f, uint64_t at, uint64_t v)
{
	memcpy(f->ram + at, &v, sizeof(v));
}

static uint64_t desc_at(uint64_t id)
{
	return DESCS + (id % COUNT) * 24;
}

static int setup(void **state)
{
	struct fixture *f = xcalloc(1, sizeof(*f));
	uint32_t bits = COUNT_BITS;

	f->ram = xcalloc(RAM_SIZE, 1);
	f->mem.nregions = 1;
	f->mem.region[0] = (struct gmem_region){.size = RAM_SIZE, .hva = f->ram};
	put64(f, PRB_PTR, KERNEL_MAP + PRB);
	memcpy(f->ram + PRB, &bits, 4);
	put64(f, PRB + 8, KERNEL_MAP + DESCS);
	put64(f, PRB + 16, DIRECT_MAP + INFOS);
	bits = SIZE_BITS;
	memcpy(f->ram + PRB + 48, &bits, 4);
	put64(f, PRB + 56, DIRECT_MAP + DATA);
	f->head_id = 0x3fffffffffffffe0; /* as the kernel begins: a wrap is near */
	f->head_lpos = 0xfffffffffffff800;
	put64(f, PRB + 32, f->head_id);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	free(f->ram);
	free(f);
	return 0;
}

static void say(struct fixture *f, const char *text)
{
	uint64_t id = ++f->head_id & (UINT64_MAX >> 2), begin = f->head_lpos, at;
	uint16_t len = (uint16_t)strlen(text);
	uint64_t size = ALIGN_UP(8 + (uint64_t)len, UINT64_C(8));
	uint64_t next = begin + size;

	at = begin % SIZE;
	if ((begin >> SIZE_BITS) != (next >> SIZE_BITS)) { /* does not fit before the end */
		at = 0;
		next = (begin / SIZE + 1) * SIZE + size;
	}
	put64(f, DATA + at, id);
	memcpy(f->ram + DATA + at + 8, text, len);
	put64(f, desc_at(id), UINT64_C(2) << 62 | id);
	put64(f, desc_at(id) + 8, begin);
	put64(f, desc_at(id) + 16, next);
	memcpy(f->ram + INFOS + (id % COUNT) * INFO_LEN + 16, &len, sizeof(len));
	f->head_lpos = next;
	put64(f, PRB + 24, id);
}

static int read_log(struct fixture *f, struct klog *klog)
{
	return klog_read_at(&f->mem, KERNEL_MAP + PRB_PTR, klog);
}

static void the_last_messages_are_read_oldest_first(void **state)
{
	struct fixture *f = *state;
	struct klog klog;

	say(f, "first");
	say(f, "second");
	assert_int_equal(read_log(f, &klog), 0);
	assert_int_equal(klog.n, 2);
	assert_string_equal(klog.line[0], "first");
	assert_string_equal(klog.line[1], "second");
	assert_int_equal(klog.end, KLOG_END_UNKNOWN);
}

static void both_rings_may_have_wrapped(void **state)
{
	struct fixture *f = *state;
	char text[128];
	struct klog klog;

	for (int i = 0; i < 1000; i++) {
		snprintf(text, sizeof(text), "message %d %.*s", i, i % 60,
			 "............................................................");
		say(f, text);
	}
	put64(f, PRB + 32, (f->head_id - 15) & (UINT64_MAX >> 2));
	assert_int_equal(read_log(f, &klog), 0);
	assert_int_equal(klog.n, KLOG_LINES);
	for (int i = 0; i < KLOG_LINES; i++) {
		snprintf(text, sizeof(text), "message %d ", 1000 - KLOG_LINES + i);
		assert_memory_equal(klog.line[i], text, strlen(text));
	}
}

static void a_panic_is_found_with_what_led_to_it(void **state)
{
	struct fixture *f = *state;
	struct klog klog;

	say(f, "the cause");
	say(f, "Kernel panic - not syncing: test");
	say(f, "Call Trace:");
	say(f, "reboot: something");
	assert_int_equal(read_log(f, &klog), 0);
	assert_int_equal(klog.end, KLOG_END_PANIC);
	assert_string_equal(klog.panic, "Kernel panic - not syncing: test");
	assert_int_equal(klog.n, 1);
	assert_string_equal(klog.line[0], "the cause");
}

static void a_requested_reboot_is_told_apart(void **state)
{
	struct fixture *f = *state;
	struct klog klog;

	say(f, "reboot: Restarting system");
	say(f, "reboot: machine restart");
	assert_int_equal(read_log(f, &klog), 0);
	assert_int_equal(klog.end, KLOG_END_REBOOT);
}

static void long_messages_are_cut_and_unfinished_ones_left_out(void **state)
{
	struct fixture *f = *state;
	char text[KLOG_LINE_MAX + 50];
	struct klog klog;

	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	say(f, text);
	say(f, "reserved");
	put64(f, desc_at(f->head_id), f->head_id & (UINT64_MAX >> 2)); /* not committed */
	assert_int_equal(read_log(f, &klog), 0);
	assert_int_equal(klog.n, 1);
	assert_int_equal(strlen(klog.line[0]), KLOG_LINE_MAX);
}

static void an_empty_log_is_no_log(void **state)
{
	struct fixture *f = *state;
	struct klog klog = {.n = 42};

	assert_int_equal(read_log(f, &klog), -ENODATA);
	assert_int_equal(klog.n, 42);
}

static void addresses_outside_the_guest_are_refused(void **state)
{
	static const uint64_t bad[] = {0,
				       1,
				       0x1000,
				       KERNEL_MAP - 0x1000,
				       KERNEL_MAP + RAM_SIZE,
				       KERNEL_MAP + RAM_SIZE - 4,
				       UINT64_MAX - 7,
				       DIRECT_MAP - 0x1000,
				       DIRECT_MAP + RAM_SIZE,
				       0xffffc88000000000};
	struct fixture *f = *state;
	struct klog klog;

	say(f, "x");
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		assert_int_equal(klog_read_at(&f->mem, bad[i], &klog), -EFAULT);
		put64(f, PRB_PTR, bad[i]);
		assert_int_equal(read_log(f, &klog), -EFAULT);
		put64(f, PRB_PTR, KERNEL_MAP + PRB);
		for (uint64_t field = 8; field <= 56; field += field == 16 ? 40 : 8) {
			uint64_t saved;

			memcpy(&saved, f->ram + PRB + field, 8);
			put64(f, PRB + field, bad[i]);
			assert_int_equal(read_log(f, &klog), -ENODATA);
			put64(f, PRB + field, saved);
		}
	}
	assert_int_equal(read_log(f, &klog), 0);
}

static void absurd_sizes_and_positions_are_refused(void **state)
{
	struct fixture *f = *state;
	struct klog klog;
	uint32_t bits;

	say(f, "x");
	for (bits = 21; bits != 0; bits <<= 1) {
		memcpy(f->ram + PRB, &bits, 4);
		assert_int_equal(read_log(f, &klog), -EINVAL);
	}
	bits = COUNT_BITS;
	memcpy(f->ram + PRB, &bits, 4);
	for (bits = 29; bits != 0; bits <<= 1) {
		memcpy(f->ram + PRB + 48, &bits, 4);
		assert_int_equal(read_log(f, &klog), -EINVAL);
	}
	bits = SIZE_BITS;
	memcpy(f->ram + PRB + 48, &bits, 4);
	put64(f, desc_at(f->head_id) + 16, f->head_lpos - 16); /* next before begin */
	assert_int_equal(read_log(f, &klog), -ENODATA);
	put64(f, desc_at(f->head_id) + 16, 1); /* no data */
	assert_int_equal(read_log(f, &klog), -ENODATA);
}

#define test(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(the_last_messages_are_read_oldest_first),
		test(both_rings_may_have_wrapped),
		test(a_panic_is_found_with_what_led_to_it),
		test(a_requested_reboot_is_told_apart),
		test(long_messages_are_cut_and_unfinished_ones_left_out),
		test(an_empty_log_is_no_log),
		test(addresses_outside_the_guest_are_refused),
		test(absurd_sizes_and_positions_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include <string.h>

#include "common/buf.h"

static void integers_are_read_in_their_byte_order(void **state)
{
	static const uint8_t bytes[] = {0x01, 0x02, 0x03, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07,
					0x08, 0x11, 0x22, 0x33, 0x44, 0xaa, 0xbb, 0xcc, 0xdd,
					0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08};
	struct buf buf = buf_from(bytes, sizeof(bytes));

	(void)state;
	assert_int_equal(buf_u8(&buf), 0x01);
	assert_int_equal(buf_le16(&buf), 0x0302);
	assert_int_equal(buf_be16(&buf), 0x0203);
	assert_int_equal(buf_le32(&buf), 0x07060504);
	assert_int_equal(buf_be32(&buf), 0x08112233);
	assert_int_equal(buf_u8(&buf), 0x44);
	assert_int_equal(buf_le32(&buf), 0xddccbbaa);
	assert_true(buf_le64(&buf) == 0x0807060504030201);
	assert_int_equal(buf.len, 0);
	assert_false(buf.failed);
}

static void reading_past_the_end_gives_zeroes_and_fails_for_good(void **state)
{
	static const uint8_t bytes[] = {0xff, 0xff, 0xff};
	struct buf buf = buf_from(bytes, sizeof(bytes));

	(void)state;
	assert_int_equal(buf_le32(&buf), 0);
	assert_true(buf.failed);
	/* the three bytes are there, but not any more */
	assert_int_equal(buf_u8(&buf), 0);
	assert_null(buf_bytes(&buf, 0));
	assert_true(buf.failed);
}

static void a_length_that_would_wrap_fails(void **state)
{
	static const uint8_t bytes[8] = {0};
	struct buf buf = buf_from(bytes, sizeof(bytes));

	(void)state;
	buf_u8(&buf);
	assert_null(buf_bytes(&buf, SIZE_MAX));
	assert_true(buf.failed);
}

static void copy_zeroes_the_whole_target_on_failure(void **state)
{
	uint8_t target[4];
	struct buf buf = buf_from("abc", 3);

	(void)state;
	memset(target, 0xff, sizeof(target));
	buf_copy(&buf, target, sizeof(target));
	assert_memory_equal(target, "\0\0\0\0", 4);
}

static void a_sub_reader_ends_at_its_own_end(void **state)
{
	struct buf buf = buf_from("abcdef", 6);
	struct buf sub = buf_sub(&buf, 2);

	(void)state;
	assert_int_equal(buf_u8(&sub), 'a');
	assert_int_equal(buf_u8(&sub), 'b');
	assert_int_equal(buf_u8(&sub), 0);
	assert_true(sub.failed);
	assert_false(buf.failed);
	assert_int_equal(buf_u8(&buf), 'c');

	sub = buf_sub(&buf, 4);
	assert_true(sub.failed);
	assert_int_equal(sub.len, 0);
	assert_true(buf.failed);
}

static void nothing_can_be_read_from_nothing(void **state)
{
	struct buf buf = buf_from(NULL, 0);
	struct buf sub = buf_sub(&buf, 0);

	(void)state;
	assert_false(sub.failed);
	buf_copy(&buf, &buf, 0);
	assert_false(buf.failed);
	assert_int_equal(buf_u8(&sub), 0);
	assert_true(sub.failed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(integers_are_read_in_their_byte_order),
		cmocka_unit_test(reading_past_the_end_gives_zeroes_and_fails_for_good),
		cmocka_unit_test(a_length_that_would_wrap_fails),
		cmocka_unit_test(copy_zeroes_the_whole_target_on_failure),
		cmocka_unit_test(a_sub_reader_ends_at_its_own_end),
		cmocka_unit_test(nothing_can_be_read_from_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

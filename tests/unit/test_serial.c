/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "common/util.h"
#include "vmm/serial.h"

struct fixture {
	struct serial serial;
	int fds[2];
	bool line;
};

static void set_line(void *opaque, bool up)
{
	struct fixture *f = opaque;

	f->line = up;
}

static int setup(void **state)
{
	struct fixture *f = xcalloc(1, sizeof(*f));

	assert_int_equal(pipe2(f->fds, O_NONBLOCK), 0);
	serial_init(&f->serial, f->fds[1], set_line, f);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	close(f->fds[0]);
	close(f->fds[1]);
	free(f);
	return 0;
}

static void put(struct fixture *f, uint64_t reg, uint8_t value)
{
	serial_write(&f->serial, reg, &value, 1);
}

static uint8_t get(struct fixture *f, uint64_t reg)
{
	uint8_t value;

	serial_read(&f->serial, reg, &value, 1);
	return value;
}

static void put_text(struct fixture *f, const char *text)
{
	for (; *text; text++)
		put(f, 0, (uint8_t)*text);
}

static ssize_t output(struct fixture *f, char *dst, size_t size)
{
	return read(f->fds[0], dst, size);
}

static void lines_come_out_whole_without_carriage_returns(void **state)
{
	struct fixture *f = *state;
	char text[64];

	put_text(f, "hello ");
	assert_int_equal(output(f, text, sizeof(text)), -1);
	put_text(f, "world\r\nrest");
	assert_int_equal(output(f, text, sizeof(text)), 12);
	assert_memory_equal(text, "hello world\n", 12);
	serial_free(&f->serial);
	assert_int_equal(output(f, text, sizeof(text)), 4);
}

static void a_line_without_end_is_written_in_parts(void **state)
{
	struct fixture *f = *state;
	char text[2 * SERIAL_LINE_MAX];

	for (int i = 0; i < SERIAL_LINE_MAX + 1; i++)
		put(f, 0, 'x');
	assert_int_equal(output(f, text, sizeof(text)), SERIAL_LINE_MAX);
	serial_free(&f->serial);
}

static void the_transmitter_is_always_empty(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(get(f, 5), 0x60);
	put(f, 0, 'x');
	assert_int_equal(get(f, 5), 0x60);
	assert_int_equal(get(f, 0), 0);
	serial_free(&f->serial);
}

static void the_interrupt_is_reported_once_a_byte_and_gated_by_out2(void **state)
{
	struct fixture *f = *state;

	put(f, 1, 2);
	assert_false(f->line);
	put(f, 4, 8);
	assert_true(f->line);
	assert_int_equal(get(f, 2), 2);
	assert_false(f->line);
	assert_int_equal(get(f, 2), 1);
	put(f, 0, 'x');
	assert_true(f->line);
	put(f, 1, 0);
	assert_false(f->line);
	serial_free(&f->serial);
}

static void the_divisor_is_apart_from_data(void **state)
{
	struct fixture *f = *state;
	char text[8];

	put(f, 1, 5);
	put(f, 3, 0x83);
	put(f, 0, 0x34);
	put(f, 1, 0x12);
	assert_int_equal(get(f, 0), 0x34);
	assert_int_equal(get(f, 1), 0x12);
	put(f, 3, 3);
	assert_int_equal(get(f, 1), 5);
	serial_free(&f->serial);
	assert_int_equal(output(f, text, sizeof(text)), -1);
}

static void loop_back_shows_modem_outputs_and_sends_nothing(void **state)
{
	struct fixture *f = *state;
	char text[8];

	put(f, 4, 0x1a);
	assert_int_equal(get(f, 6), 0x90);
	put_text(f, "lost\n");
	assert_int_equal(output(f, text, sizeof(text)), -1);
	put(f, 7, 0x5a);
	assert_int_equal(get(f, 7), 0x5a);
	serial_free(&f->serial);
}

static void other_widths_and_offsets_do_nothing(void **state)
{
	struct fixture *f = *state;
	char text[8];

	for (uint32_t len = 2; len <= 8; len *= 2) {
		uint64_t value = UINT64_C(0x0a0a0a0a0a0a0a0a);

		for (uint64_t reg = 0; reg < 16; reg++)
			serial_write(&f->serial, reg, &value, len);
		serial_read(&f->serial, 5, &value, len);
		assert_int_equal(value & 0xffff, 0xffff);
	}
	for (uint64_t reg = 8; reg < SERIAL_SIZE; reg++) {
		put(f, reg, '\n');
		assert_int_equal(get(f, reg), 0xff);
	}
	assert_int_equal(output(f, text, sizeof(text)), -1);
	serial_free(&f->serial);
}

#define test(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(lines_come_out_whole_without_carriage_returns),
		test(a_line_without_end_is_written_in_parts),
		test(the_transmitter_is_always_empty),
		test(the_interrupt_is_reported_once_a_byte_and_gated_by_out2),
		test(the_divisor_is_apart_from_data),
		test(loop_back_shows_modem_outputs_and_sends_nothing),
		test(other_widths_and_offsets_do_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

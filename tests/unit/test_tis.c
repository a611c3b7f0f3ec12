/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/util.h"
#include "vmm/tis.h"

#define ACCESS 0x00
#define STS    0x18
#define FIFO   0x24

#define READY	0x40
#define GO	0x20
#define AVAIL	0x10
#define EXPECT	0x08
#define RETRY	0x02
#define REQUEST 0x02
#define ACTIVE	0x20
#define SEIZE	0x08

/* A TPM that answers with the command's bytes behind a response header. */
struct fake {
	struct tis tis;
	uint8_t command[TIS_BUFFER];
	size_t len;
	unsigned locality, sent, cancels;
	bool slow, dead;
	uint8_t answer[TIS_BUFFER];
	size_t answer_len;
};

static bool fake_send(void *ctx, unsigned locality, const uint8_t *command, size_t len)
{
	struct fake *f = ctx;

	if (f->dead)
		return false;
	memcpy(f->command, command, len);
	f->len = len;
	f->locality = locality;
	f->sent++;
	return true;
}

static int fake_receive(void *ctx, uint8_t *response, size_t max, int timeout_ms)
{
	struct fake *f = ctx;

	(void)timeout_ms;
	if (f->dead)
		return -1;
	if (f->slow)
		return 0;
	assert_in_range(f->answer_len, 10, max);
	memcpy(response, f->answer, f->answer_len);
	return (int)f->answer_len;
}

static void fake_cancel(void *ctx)
{
	((struct fake *)ctx)->cancels++;
}

static const struct tis_backend fake_backend = {fake_send, fake_receive, fake_cancel};

static int setup(void **state)
{
	struct fake *f = xcalloc(1, sizeof(*f));

	tis_init(&f->tis, &fake_backend, f);
	memcpy(f->answer, "\x80\x01\0\0\0\x0c\0\0\0\0ok", 12);
	f->answer_len = 12;
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fake *f = *state;

	tis_free(&f->tis);
	free(f);
	return 0;
}

static void put8(struct fake *f, uint64_t reg, uint8_t value)
{
	tis_write(&f->tis, reg, &value, 1);
}

static uint8_t get8(struct fake *f, uint64_t reg)
{
	uint8_t value;

	tis_read(&f->tis, reg, &value, 1);
	return value;
}

static uint32_t get32(struct fake *f, uint64_t reg)
{
	uint32_t value;

	tis_read(&f->tis, reg, &value, 4);
	return value;
}

/* The last two bytes of a response code, of which eight bytes were read before. */
static unsigned rest_of_code(struct fake *f)
{
	unsigned high = get8(f, FIFO);

	return high << 8 | get8(f, FIFO);
}

static unsigned burst(struct fake *f)
{
	return get32(f, STS) >> 8 & 0xffff;
}

static void send_bytes(struct fake *f, const char *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++)
		put8(f, FIFO, (uint8_t)bytes[i]);
}

/* A command of twelve bytes */
static const char command[] = "\x80\x01\0\0\0\x0c\0\0\x01\x44\0\0";
#define COMMAND_LEN 12

static void to_ready(struct fake *f)
{
	put8(f, ACCESS, REQUEST);
	put8(f, STS, READY);
	assert_true(get8(f, STS) & READY);
}

static void a_driver_as_linux_gets_its_response(void **state)
{
	struct fake *f = *state;
	char response[12];

	assert_false(get8(f, ACCESS) & ACTIVE);
	put8(f, ACCESS, REQUEST);
	assert_true(get8(f, ACCESS) & ACTIVE);
	assert_int_equal(get32(f, STS) >> 26 & 3, 1);
	to_ready(f);
	assert_in_range(burst(f), 1, TIS_BUFFER);
	send_bytes(f, command, COMMAND_LEN - 1);
	assert_true(get8(f, STS) & EXPECT);
	send_bytes(f, command + COMMAND_LEN - 1, 1);
	assert_false(get8(f, STS) & EXPECT);
	put8(f, STS, GO);
	assert_int_equal(f->sent, 1);
	assert_int_equal(f->len, COMMAND_LEN);
	assert_memory_equal(f->command, command, COMMAND_LEN);
	assert_true(get8(f, STS) & AVAIL);
	assert_int_equal(burst(f), 12);
	for (int i = 0; i < 12; i++)
		response[i] = (char)get8(f, FIFO);
	assert_memory_equal(response, f->answer, 12);
	assert_false(get8(f, STS) & AVAIL);
	put8(f, STS, READY);
	assert_true(get8(f, STS) & READY);
}

static void status_bits_that_must_be_zero_are(void **state)
{
	struct fake *f = *state;

	put8(f, ACCESS, REQUEST);
	assert_int_equal(get8(f, STS) & 0x23, 0);
	to_ready(f);
	assert_int_equal(get8(f, STS) & 0x23, 0);
	send_bytes(f, command, 5);
	assert_int_equal(get8(f, STS) & 0x23, 0);
}

static void registers_of_an_inactive_locality_read_as_ones(void **state)
{
	struct fake *f = *state;

	assert_int_equal(get32(f, STS), UINT32_MAX);
	to_ready(f);
	assert_int_equal(get32(f, 0x1000 + STS), UINT32_MAX);
	assert_int_equal(get8(f, 0x1000 + FIFO), 0xff);
	put8(f, 0x1000 + STS, GO);
	send_bytes(f, command, COMMAND_LEN);
	put8(f, 0x1000 + FIFO, 1);
	put8(f, STS, GO);
	assert_int_equal(f->len, COMMAND_LEN);
}

static void tpmgo_before_the_whole_command_does_nothing(void **state)
{
	struct fake *f = *state;

	to_ready(f);
	put8(f, STS, GO);
	send_bytes(f, command, 9);
	put8(f, STS, GO);
	send_bytes(f, command + 9, 2);
	put8(f, STS, GO);
	assert_int_equal(f->sent, 0);
	send_bytes(f, command + 11, 1);
	put8(f, STS, GO);
	assert_int_equal(f->sent, 1);
}

static void bytes_after_the_command_are_dropped(void **state)
{
	struct fake *f = *state;

	to_ready(f);
	send_bytes(f, command, COMMAND_LEN);
	for (int i = 0; i < 3 * TIS_BUFFER; i++)
		put8(f, FIFO, 0xee);
	put8(f, STS, GO);
	assert_int_equal(f->len, COMMAND_LEN);
}

static void impossible_command_sizes_are_answered_without_the_tpm(void **state)
{
	static const uint32_t sizes[] = {0, 1, 9, TIS_BUFFER + 1, 0x7fffffff, UINT32_MAX};
	struct fake *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		uint8_t header[10] = {0x80, 1};

		header[2] = (uint8_t)(sizes[i] >> 24);
		header[3] = (uint8_t)(sizes[i] >> 16);
		header[4] = (uint8_t)(sizes[i] >> 8);
		header[5] = (uint8_t)sizes[i];
		to_ready(f);
		send_bytes(f, (char *)header, sizeof(header));
		assert_false(get8(f, STS) & EXPECT);
		put8(f, STS, GO);
		assert_true(get8(f, STS) & AVAIL);
		for (int j = 0; j < 8; j++)
			get8(f, FIFO);
		assert_int_equal(rest_of_code(f), 0x142);
	}
	assert_int_equal(f->sent, 0);
}

static void the_largest_command_passes(void **state)
{
	struct fake *f = *state;

	to_ready(f);
	send_bytes(f, "\x80\x01\0\0\x10\0", 6);
	for (int i = 6; i < TIS_BUFFER; i++)
		put8(f, FIFO, (uint8_t)i);
	put8(f, STS, GO);
	assert_int_equal(f->len, TIS_BUFFER);
}

static void a_slow_command_completes_at_a_later_look(void **state)
{
	struct fake *f = *state;

	f->slow = true;
	to_ready(f);
	send_bytes(f, command, COMMAND_LEN);
	put8(f, STS, GO);
	assert_false(get8(f, STS) & AVAIL);
	assert_int_equal(tis_borrow(&f->tis, 0), -EBUSY);
	assert_int_equal(tis_borrow(&f->tis, 12), -EBUSY);
	f->slow = false;
	assert_true(get8(f, STS) & AVAIL);
}

static void an_aborted_command_is_not_ready_before_its_response_came(void **state)
{
	struct fake *f = *state;

	f->slow = true;
	to_ready(f);
	send_bytes(f, command, COMMAND_LEN);
	put8(f, STS, GO);
	put8(f, STS, READY);
	assert_int_equal(f->cancels, 1);
	assert_false(get8(f, STS) & READY);
	send_bytes(f, command, COMMAND_LEN);
	put8(f, STS, GO);
	assert_int_equal(f->sent, 1);
	f->slow = false;
	assert_true(get8(f, STS) & READY);
}

static void a_dead_tpm_answers_failure(void **state)
{
	struct fake *f = *state;

	f->dead = true;
	to_ready(f);
	send_bytes(f, command, COMMAND_LEN);
	put8(f, STS, GO);
	assert_true(get8(f, STS) & AVAIL);
	for (int j = 0; j < 8; j++)
		get8(f, FIFO);
	assert_int_equal(rest_of_code(f), 0x101);
	put8(f, STS, READY);
	assert_true(get8(f, STS) & READY);
}

static void response_retry_rewinds(void **state)
{
	struct fake *f = *state;

	to_ready(f);
	send_bytes(f, command, COMMAND_LEN);
	put8(f, STS, GO);
	assert_int_equal(get8(f, FIFO), 0x80);
	get8(f, FIFO);
	put8(f, STS, RETRY);
	assert_int_equal(get8(f, FIFO), 0x80);
}

static void localities_are_requested_seized_and_given_up(void **state)
{
	struct fake *f = *state;

	put8(f, ACCESS, REQUEST);
	put8(f, 0x1000 + ACCESS, REQUEST);
	assert_true(get8(f, ACCESS) & ACTIVE);
	assert_true(get8(f, ACCESS) & 0x04);
	put8(f, ACCESS, ACTIVE);
	assert_false(get8(f, ACCESS) & ACTIVE);
	assert_true(get8(f, 0x1000 + ACCESS) & ACTIVE);
	put8(f, ACCESS, SEIZE); /* only from below */
	assert_true(get8(f, 0x1000 + ACCESS) & ACTIVE);
	put8(f, 0x2000 + ACCESS, SEIZE);
	assert_true(get8(f, 0x2000 + ACCESS) & ACTIVE);
	assert_true(get8(f, 0x1000 + ACCESS) & 0x10);
	put8(f, 0x4000 + ACCESS, REQUEST); /* never the guest's */
	put8(f, 0x4000 + ACCESS, SEIZE);
	put8(f, 0x2000 + ACCESS, ACTIVE);
	assert_false(get8(f, 0x4000 + ACCESS) & ACTIVE);
}

static void wide_accesses_work_and_odd_ones_harm_nobody(void **state)
{
	struct fake *f = *state;
	uint64_t eight = 0;

	to_ready(f);
	tis_write(&f->tis, FIFO, command, 4);
	tis_write(&f->tis, FIFO, command + 4, 4);
	tis_write(&f->tis, FIFO, command + 8, 4);
	put8(f, STS, GO);
	assert_memory_equal(f->command, command, COMMAND_LEN);
	assert_int_equal(get32(f, FIFO), 0x00000180);
	for (uint64_t offset = 0; offset < TIS_WINDOW + 16; offset++) {
		for (uint32_t len = 1; len <= 8; len *= 2) {
			tis_read(&f->tis, offset, &eight, len);
			tis_write(&f->tis, offset, &offset, len);
		}
	}
}

static void the_hosts_commands_run_between_the_guests(void **state)
{
	struct fake *f = *state;
	uint8_t response[TIS_BUFFER];

	to_ready(f);
	send_bytes(f, command, 5);
	assert_int_equal(tis_borrow(&f->tis, 0), 0);
	assert_int_equal(tis_execute(&f->tis, (const uint8_t *)command, COMMAND_LEN, response,
				     sizeof(response), 10),
			 12);
	tis_return(&f->tis);
	send_bytes(f, command + 5, COMMAND_LEN - 5);
	put8(f, STS, GO);
	assert_int_equal(f->sent, 2);
	assert_true(get8(f, STS) & AVAIL);
	f->dead = true;
	assert_int_equal(tis_borrow(&f->tis, 0), 0);
	assert_int_equal(tis_execute(&f->tis, (const uint8_t *)command, COMMAND_LEN, response,
				     sizeof(response), 10),
			 -EPIPE);
	tis_return(&f->tis);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(a_driver_as_linux_gets_its_response),
		T(status_bits_that_must_be_zero_are),
		T(registers_of_an_inactive_locality_read_as_ones),
		T(tpmgo_before_the_whole_command_does_nothing),
		T(bytes_after_the_command_are_dropped),
		T(impossible_command_sizes_are_answered_without_the_tpm),
		T(the_largest_command_passes),
		T(a_slow_command_completes_at_a_later_look),
		T(an_aborted_command_is_not_ready_before_its_response_came),
		T(a_dead_tpm_answers_failure),
		T(response_retry_rewinds),
		T(localities_are_requested_seized_and_given_up),
		T(wide_accesses_work_and_odd_ones_harm_nobody),
		T(the_hosts_commands_run_between_the_guests),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "initrd/control.h"

struct fixture {
	int host;
	uint8_t payload[16];
	struct init_control control;
};

static int connect_both(void **state)
{
	static struct fixture f;
	int fds[2];

	memset(&f, 0, sizeof(f));
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, fds) < 0)
		return -1;
	f.host = fds[0];
	f.control =
		(struct init_control){.fd = fds[1], .payload = f.payload, .max = sizeof(f.payload)};
	*state = &f;
	return 0;
}

static int close_both(void **state)
{
	struct fixture *f = *state;

	if (f->host >= 0)
		close(f->host);
	close(f->control.fd);
	return 0;
}

static void feed(struct fixture *f, const void *data, size_t len)
{
	assert_true(send(f->host, data, len, MSG_NOSIGNAL) == (ssize_t)len);
}

static void messages_are_put_together_from_any_pieces(void **state)
{
	struct fixture *f = *state;
	const struct agent_hdr hdr = {.len = 4, .type = AGENT_SIGNAL, .app = 3};
	uint8_t bytes[2 * (sizeof(hdr) + 4)];

	for (int i = 0; i < 2; i++) {
		memcpy(bytes + i * (sizeof(hdr) + 4), &hdr, sizeof(hdr));
		memcpy(bytes + i * (sizeof(hdr) + 4) + sizeof(hdr), i ? "5678" : "1234", 4);
	}
	for (size_t i = 0; i < sizeof(bytes); i++) {
		bool last = i % (sizeof(hdr) + 4) == sizeof(hdr) + 3;

		feed(f, bytes + i, 1);
		assert_int_equal(init_control_receive(&f->control, false), last ? 1 : 0);
		if (last)
			assert_memory_equal(f->payload, i > sizeof(hdr) + 4 ? "5678" : "1234", 4);
	}
	feed(f, bytes, sizeof(bytes));
	assert_int_equal(init_control_receive(&f->control, true), 1);
	assert_int_equal(f->control.hdr.app, 3);
	assert_memory_equal(f->payload, "1234", 4);
	assert_int_equal(init_control_receive(&f->control, false), 1);
	assert_memory_equal(f->payload, "5678", 4);
	assert_int_equal(init_control_receive(&f->control, false), 0);
}

static void messages_without_payload_are_whole(void **state)
{
	struct fixture *f = *state;
	const struct agent_hdr hdr[2] = {{.type = AGENT_PLAN}, {.type = AGENT_SIGNAL}};

	feed(f, hdr, sizeof(hdr));
	assert_int_equal(init_control_receive(&f->control, false), 1);
	assert_int_equal(f->control.hdr.type, AGENT_PLAN);
	assert_int_equal(init_control_receive(&f->control, false), 1);
	assert_int_equal(f->control.hdr.type, AGENT_SIGNAL);
	assert_int_equal(init_control_receive(&f->control, false), 0);
}

static void payloads_longer_than_room_are_refused(void **state)
{
	struct fixture *f = *state;
	const struct agent_hdr hdr = {.len = sizeof(f->payload) + 1, .type = AGENT_PLAN};

	feed(f, &hdr, sizeof(hdr));
	assert_int_equal(init_control_receive(&f->control, false), -EMSGSIZE);
}

static void the_end_of_the_connection_is_told(void **state)
{
	struct fixture *f = *state;

	feed(f, "\4\0\0", 3);
	close(f->host);
	f->host = -1;
	assert_int_equal(init_control_receive(&f->control, false), -EPIPE);
}

static void messages_are_sent_whole_or_not(void **state)
{
	struct fixture *f = *state;
	uint8_t text[AGENT_TEXT_MAX + 1] = {7};
	uint8_t got[2 * sizeof(text)];
	struct agent_hdr hdr;

	assert_int_equal(init_control_send(&f->control, AGENT_FATAL, 9, text, sizeof(text)),
			 -EMSGSIZE);
	assert_int_equal(init_control_send(&f->control, AGENT_FATAL, 9, text, AGENT_TEXT_MAX), 0);
	assert_true(recv(f->host, got, sizeof(got), 0) == sizeof(hdr) + AGENT_TEXT_MAX);
	memcpy(&hdr, got, sizeof(hdr));
	assert_int_equal(hdr.len, AGENT_TEXT_MAX);
	assert_int_equal(hdr.type, AGENT_FATAL);
	assert_int_equal(hdr.app, 9);
	assert_memory_equal(got + sizeof(hdr), text, AGENT_TEXT_MAX);
	close(f->host);
	f->host = -1;
	assert_int_equal(init_control_send(&f->control, AGENT_STARTED, 0, NULL, 0), -EPIPE);
}

int main(void)
{
#define TEST(t) cmocka_unit_test_setup_teardown(t, connect_both, close_both)
	const struct CMUnitTest tests[] = {
		TEST(messages_are_put_together_from_any_pieces),
		TEST(messages_without_payload_are_whole),
		TEST(payloads_longer_than_room_are_refused),
		TEST(the_end_of_the_connection_is_told),
		TEST(messages_are_sent_whole_or_not),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

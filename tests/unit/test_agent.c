/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include <stdio.h>

#include "tests/unit/vsock_guest.h"
#include "vmm/agent.h"

#define APPS  2
#define INIT  2000 /* init's port */
#define OTHER 2001

struct talk {
	struct vsg v;
	struct agent agent;
	uint8_t plan[10000];
};

static bool on_accept(void *ctx, unsigned conn, uint32_t port)
{
	struct talk *t = ctx;

	return port == AGENT_PORT_CONTROL && agent_accept(&t->agent, conn);
}

static size_t on_data(void *ctx, unsigned conn, const struct iovec *iov, unsigned n, size_t len)
{
	struct talk *t = ctx;

	assert_true(agent_owns(&t->agent, conn));
	return agent_data(&t->agent, iov, n, len);
}

static void on_eof(void *ctx, unsigned conn)
{
	(void)conn;
	agent_gone(&((struct talk *)ctx)->agent);
}

static void on_writable(void *ctx, unsigned conn)
{
	(void)conn;
	agent_writable(&((struct talk *)ctx)->agent);
}

static void on_closed(void *ctx, unsigned conn)
{
	(void)ctx;
	(void)conn;
}

static const struct vsock_ops ops = {on_accept, on_data, on_eof, on_writable, on_closed};

static int setup(void **state)
{
	struct talk *t = xcalloc(1, sizeof(*t));

	for (unsigned i = 0; i < sizeof(t->plan); i++)
		t->plan[i] = (uint8_t)(i * 13 >> 2);
	vsg_init(&t->v, &ops, t);
	agent_init(&t->agent, t->v.vs, t->plan, sizeof(t->plan), APPS);
	vsg_post(&t->v, 8);
	vsg_send(&t->v, VSG_REQUEST, INIT, AGENT_PORT_CONTROL, 0, NULL, 0);
	*state = t;
	return 0;
}

static int teardown(void **state)
{
	struct talk *t = *state;

	vsg_free(&t->v);
	agent_free(&t->agent);
	free(t);
	return 0;
}

static void say(struct talk *t, uint16_t type, uint16_t app, const void *data, uint32_t len)
{
	struct agent_hdr hdr = {len, type, app};
	uint8_t message[sizeof(hdr) + AGENT_TEXT_MAX + 16];

	memcpy(message, &hdr, sizeof(hdr));
	if (len)
		memcpy(message + sizeof(hdr), data, len);
	vsg_send(&t->v, VSG_RW, INIT, AGENT_PORT_CONTROL, 0, message, sizeof(hdr) + len);
}

static void hello(struct talk *t)
{
	const uint32_t payload[2] = {AGENT_VERSION, 0};

	say(t, AGENT_HELLO, AGENT_ALL_APPS, payload, sizeof(payload));
}

/* Everything the host has sent, giving it buffers until nothing more comes. */
static size_t drain(struct talk *t, uint8_t *out, size_t max)
{
	struct vsg_packet p;
	size_t len = 0;
	bool any;

	do {
		any = false;
		while (vsg_recv(&t->v, &p)) {
			any = true;
			assert_true(len + p.len <= max);
			memcpy(out + len, p.data, p.len);
			len += p.len;
			t->v.fwd_cnt += (uint32_t)p.len;
			vsg_post(&t->v, 1);
		}
	} while (any);
	return len;
}

static void hello_is_answered_with_the_plan(void **state)
{
	struct talk *t = *state;
	uint8_t got[20000];
	struct agent_hdr hdr;
	size_t len;

	assert_int_equal(t->agent.state, AGENT_CONNECTED);
	hello(t);
	assert_int_equal(t->agent.state, AGENT_TALKING);
	len = drain(t, got, sizeof(got));
	assert_int_equal(len, sizeof(hdr) + sizeof(t->plan));
	memcpy(&hdr, got, sizeof(hdr));
	assert_int_equal(hdr.type, AGENT_PLAN);
	assert_int_equal(hdr.app, AGENT_ALL_APPS);
	assert_int_equal(hdr.len, sizeof(t->plan));
	assert_memory_equal(got + sizeof(hdr), t->plan, sizeof(t->plan));
}

static void a_plan_that_is_held_goes_out_when_it_is_released(void **state)
{
	struct talk *t = *state;
	uint8_t got[20000];

	agent_hold(&t->agent);
	hello(t);
	assert_int_equal(t->agent.state, AGENT_TALKING);
	assert_true(agent_signal(&t->agent, AGENT_ALL_APPS, 15));
	assert_int_equal(drain(t, got, sizeof(got)), 0);
	agent_release(&t->agent);
	/* the plan first, then what was said since */
	assert_int_equal(drain(t, got, sizeof(got)),
			 sizeof(struct agent_hdr) + sizeof(t->plan) + sizeof(struct agent_hdr) + 4);
	assert_memory_equal(got + sizeof(struct agent_hdr), t->plan, sizeof(t->plan));
}

static void the_apps_lives_are_followed(void **state)
{
	struct talk *t = *state;
	const uint32_t code = 203, status = 7 << 8;
	char failed[32];

	hello(t);
	assert_false(agent_all_started(&t->agent));
	say(t, AGENT_STARTED, 0, NULL, 0);
	assert_int_equal(t->agent.apps[0].state, AGENT_APP_RUNNING);
	say(t, AGENT_NOTICE, 0, "STATUS=up", 9);
	say(t, AGENT_NOTICE, 0, "READY=1\n", 8);
	assert_true(t->agent.apps[0].notice.ready);
	assert_string_equal(t->agent.apps[0].notice.status, "up");
	memcpy(failed, &code, 4);
	memcpy(failed + 4, "Error: no", 9);
	say(t, AGENT_FAILED, 1, failed, 13);
	assert_int_equal(t->agent.apps[1].state, AGENT_APP_FAILED);
	assert_int_equal(t->agent.apps[1].code, 203);
	assert_string_equal(t->agent.apps[1].text, "Error: no");
	assert_true(agent_all_started(&t->agent));
	assert_false(agent_all_ended(&t->agent));
	say(t, AGENT_EXITED, 0, &status, 4);
	assert_int_equal(t->agent.apps[0].wait_status, 7 << 8);
	assert_true(agent_all_ended(&t->agent));
	assert_int_equal(t->agent.state, AGENT_TALKING);
}

static void done(struct talk *t, uint16_t app, uint32_t code, const char *text)
{
	char payload[64];

	memcpy(payload, &code, 4);
	memcpy(payload + 4, text, strlen(text));
	say(t, AGENT_DONE, app, payload, 4 + (uint32_t)strlen(text));
}

static void apps_of_a_mutable_pod_come_start_end_and_go(void **state)
{
	struct talk *t = *state;
	static const uint8_t records[] = "records of an app";
	const uint32_t status = 0;
	struct agent_hdr hdr;
	uint8_t got[20000];
	size_t len;

	agent_all_absent(&t->agent);
	assert_false(agent_add(&t->agent, 1, records, sizeof(records))); /* nobody is there yet */
	hello(t);
	drain(t, got, sizeof(got));
	assert_true(agent_all_started(&t->agent) && agent_all_ended(&t->agent));
	assert_false(agent_start(&t->agent, 1));
	assert_false(agent_remove(&t->agent, 1));
	assert_false(agent_signal(&t->agent, 1, 15)); /* init would not know of whom it is said */
	assert_false(agent_winsize(&t->agent, 1, 24, 80));
	assert_true(agent_add(&t->agent, 1, records, sizeof(records)));
	assert_false(agent_winsize(&t->agent, 1, 24, 80));
	assert_false(agent_add(&t->agent, 1, records, sizeof(records)));
	len = drain(t, got, sizeof(got));
	assert_int_equal(len, sizeof(hdr) + sizeof(records));
	memcpy(&hdr, got, sizeof(hdr));
	assert_int_equal(hdr.type, AGENT_ADD);
	assert_int_equal(hdr.app, 1);
	assert_memory_equal(got + sizeof(hdr), records, sizeof(records));
	done(t, 1, 226, "no disk");
	assert_int_equal(t->agent.apps[1].state, AGENT_APP_ABSENT);
	assert_string_equal(t->agent.apps[1].text, "no disk");
	assert_true(agent_add(&t->agent, 1, records, sizeof(records)));
	drain(t, got, sizeof(got));
	done(t, 1, 0, "");
	for (unsigned i = 0; i < 2; i++) {
		assert_true(agent_start(&t->agent, 1));
		assert_false(agent_start(&t->agent, 1));
		assert_false(agent_remove(&t->agent, 1));
		assert_true(agent_winsize(&t->agent, 1, 24, 80));
		say(t, AGENT_STARTED, 1, NULL, 0);
		assert_true(agent_signal(&t->agent, 1, 15));
		say(t, AGENT_EXITED, 1, &status, 4);
		assert_int_equal(t->agent.apps[1].state, AGENT_APP_EXITED);
	}
	assert_true(agent_remove(&t->agent, 1));
	done(t, 1, 226, "busy");
	assert_int_equal(t->agent.apps[1].state, AGENT_APP_STUCK);
	assert_int_equal(t->agent.state, AGENT_TALKING);
	done(t, 1, 0, "");
	assert_int_equal(t->agent.state, AGENT_DEAD); /* nobody had asked for it */
}

/* What it is made of would be given up while it still goes out. */
static void an_app_is_not_added_before_init_has_all_of_it(void **state)
{
	struct talk *t = *state;
	static const uint8_t records[100000];
	uint8_t got[20000];

	agent_all_absent(&t->agent);
	hello(t);
	drain(t, got, sizeof(got));
	assert_true(agent_add(&t->agent, 1, records, sizeof(records)));
	assert_false(agent_add_sent(&t->agent));
	done(t, 1, 0, "");
	assert_int_equal(t->agent.state, AGENT_DEAD);
	assert_string_equal(t->agent.failure, "init sent message 14 for app 1 out of order");
}

static void a_session_is_asked_for_once_there_is_a_conversation(void **state)
{
	struct talk *t = *state;
	uint8_t got[20000];
	struct agent_hdr hdr;
	uint64_t cookie;
	size_t len;

	assert_false(agent_session(&t->agent, 7, 99));
	hello(t);
	assert_true(agent_session(&t->agent, 7, 0x1122334455667788));
	len = drain(t, got, sizeof(got));
	assert_int_equal(len, 2 * sizeof(hdr) + sizeof(t->plan) + sizeof(cookie));
	memcpy(&hdr, got + sizeof(hdr) + sizeof(t->plan), sizeof(hdr));
	assert_int_equal(hdr.type, AGENT_SESSION);
	assert_int_equal(hdr.app, 7);
	assert_int_equal(hdr.len, sizeof(cookie));
	memcpy(&cookie, got + len - sizeof(cookie), sizeof(cookie));
	assert_true(cookie == 0x1122334455667788);
}

static void messages_may_come_in_any_pieces(void **state)
{
	struct talk *t = *state;
	const uint8_t bytes[] = {
		8,
		0,
		0,
		0,
		AGENT_HELLO,
		0,
		0xff,
		0xff,
		AGENT_VERSION,
		0,
		0,
		0,
		0,
		0,
		0,
		0,
		0,
		0,
		0,
		0,
		AGENT_STARTED,
		0,
		1,
		0,
		4,
		0,
		0,
		0,
		AGENT_EXITED,
		0,
		1,
		0,
		9,
		0,
		0,
		0,
	};

	for (unsigned i = 0; i < sizeof(bytes); i++)
		vsg_send(&t->v, VSG_RW, INIT, AGENT_PORT_CONTROL, 0, bytes + i, 1);
	assert_int_equal(t->agent.apps[1].state, AGENT_APP_EXITED);
	assert_int_equal(t->agent.apps[1].wait_status, 9);
}

static void only_the_first_connection_counts(void **state)
{
	struct talk *t = *state;
	struct vsg_packet p;

	assert_true(vsg_recv(&t->v, &p));
	assert_int_equal(p.hdr.op, VSG_RESPONSE);
	vsg_send(&t->v, VSG_REQUEST, OTHER, AGENT_PORT_CONTROL, 0, NULL, 0);
	assert_true(vsg_recv(&t->v, &p));
	assert_int_equal(p.hdr.op, VSG_RST);
	assert_int_equal(p.hdr.dst_port, OTHER);
	hello(t);
	assert_int_equal(t->agent.state, AGENT_TALKING);
}

static void what_is_out_of_order_ends_the_conversation(void **state)
{
	static const struct {
		bool hello;
		uint16_t type, app;
		uint32_t len;
	} wrong[] = {
		{false, AGENT_STARTED, 0, 0},	/* before HELLO */
		{false, AGENT_HELLO, 0, 4},	/* of the wrong size */
		{true, AGENT_HELLO, 0, 8},	/* twice */
		{true, AGENT_STARTED, APPS, 0}, /* of an app that is not there */
		{true, AGENT_STARTED, AGENT_ALL_APPS, 0},
		{true, AGENT_STARTED, 0, 1}, /* with a payload */
		{true, AGENT_EXITED, 0, 4},  /* before it started */
		{true, AGENT_FAILED, 0, 3},  /* without a code */
		{true, AGENT_NOTICE, 0, 3},  /* before it started */
		{true, AGENT_DONE, 0, 4},    /* of nothing */
		{true, AGENT_PLAN, 0, 0},    /* which is ours to send */
		{true, AGENT_SIGNAL, 0, 4},
		{true, 0, 0, 0},
		{true, 999, 0, 0},
	};
	static const uint8_t payload[16] = {AGENT_VERSION};

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(wrong); i++) {
		void *s;
		struct talk *t;

		setup(&s);
		t = s;
		if (wrong[i].hello)
			hello(t);
		say(t, wrong[i].type, wrong[i].app, payload, wrong[i].len);
		assert_int_equal(t->agent.state, AGENT_DEAD);
		assert_string_not_equal(t->agent.failure, "");
		teardown(&s);
	}
}

static void another_version_is_refused_by_name(void **state)
{
	struct talk *t = *state;
	const uint32_t payload[2] = {AGENT_VERSION + 1, 0};

	say(t, AGENT_HELLO, 0, payload, sizeof(payload));
	assert_int_equal(t->agent.state, AGENT_DEAD);
	assert_non_null(strstr(t->agent.failure, "version 2"));
}

static void a_message_over_its_bound_ends_the_conversation(void **state)
{
	struct talk *t = *state;
	struct agent_hdr hdr = {AGENT_TEXT_MAX + 1, AGENT_FATAL, 0};

	vsg_send(&t->v, VSG_RW, INIT, AGENT_PORT_CONTROL, 0, &hdr, sizeof(hdr));
	assert_int_equal(t->agent.state, AGENT_DEAD);
}

static void inits_last_words_are_the_failure(void **state)
{
	struct talk *t = *state;

	say(t, AGENT_FATAL, AGENT_ALL_APPS, "no \0 disk", 9);
	assert_int_equal(t->agent.state, AGENT_DEAD);
	assert_string_equal(t->agent.failure, "init: no ? disk");
}

static void a_closed_connection_is_a_failure(void **state)
{
	struct talk *t = *state;

	hello(t);
	vsg_send(&t->v, VSG_RST, INIT, AGENT_PORT_CONTROL, 0, NULL, 0);
	assert_int_equal(t->agent.state, AGENT_DEAD);
	assert_false(agent_signal(&t->agent, 0, 15));
}

static void signals_and_sizes_follow_the_plan(void **state)
{
	struct talk *t = *state;
	const uint8_t want[] = {4, 0, 0, 0, AGENT_SIGNAL,  0, 0xff, 0xff, 15, 0, 0,  0,
				4, 0, 0, 0, AGENT_WINSIZE, 0, 1,    0,	  25, 0, 80, 0};
	uint8_t got[20000];
	size_t len;

	assert_false(agent_signal(&t->agent, AGENT_ALL_APPS, 15)); /* nobody to tell yet */
	t->v.buf_alloc = 100;					   /* the plan gets stuck */
	hello(t);
	assert_true(agent_signal(&t->agent, AGENT_ALL_APPS, 15));
	assert_true(agent_winsize(&t->agent, 1, 25, 80));
	t->v.buf_alloc = 100000;
	vsg_send(&t->v, VSG_CREDIT_UPDATE, INIT, AGENT_PORT_CONTROL, 0, NULL, 0);
	len = drain(t, got, sizeof(got));
	assert_int_equal(len, 8 + sizeof(t->plan) + sizeof(want));
	assert_memory_equal(got + 8 + sizeof(t->plan), want, sizeof(want));
}

static void a_deaf_init_costs_no_more_than_a_page(void **state)
{
	struct talk *t = *state;
	unsigned kept = 0;

	t->v.buf_alloc = 0;
	hello(t);
	for (unsigned i = 0; i < 10000; i++)
		kept += agent_signal(&t->agent, 0, 10);
	assert_int_equal(kept, AGENT_OUT_MAX / 12);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(hello_is_answered_with_the_plan),
		T(a_plan_that_is_held_goes_out_when_it_is_released),
		T(the_apps_lives_are_followed),
		T(apps_of_a_mutable_pod_come_start_end_and_go),
		T(an_app_is_not_added_before_init_has_all_of_it),
		T(a_session_is_asked_for_once_there_is_a_conversation),
		T(messages_may_come_in_any_pieces),
		T(only_the_first_connection_counts),
		cmocka_unit_test(what_is_out_of_order_ends_the_conversation),
		T(another_version_is_refused_by_name),
		T(a_message_over_its_bound_ends_the_conversation),
		T(inits_last_words_are_the_failure),
		T(a_closed_connection_is_a_failure),
		T(signals_and_sizes_follow_the_plan),
		T(a_deaf_init_costs_no_more_than_a_page),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

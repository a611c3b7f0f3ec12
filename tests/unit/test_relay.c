/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/util.h"
#include "tests/unit/vsock_guest.h"
#include "vmm/relay.h"

#define FIRST 3000 /* the guest's ports */

struct fixture {
	struct vsg v;
	struct loop loop;
	struct relays *relays;
	uint64_t cookie;
	int control; /* the client's end of the session's messages */
	int session;
};

static bool on_accept(void *ctx, unsigned conn, uint32_t port)
{
	return port == AGENT_PORT_SESSION && relays_accept(((struct fixture *)ctx)->relays, conn);
}

static size_t on_data(void *ctx, unsigned conn, const struct iovec *iov, unsigned n, size_t len)
{
	struct fixture *f = ctx;

	assert_true(relays_owns(f->relays, conn));
	return relays_data(f->relays, conn, iov, n, len);
}

static void on_eof(void *ctx, unsigned conn)
{
	relays_eof(((struct fixture *)ctx)->relays, conn);
}

static void on_writable(void *ctx, unsigned conn)
{
	relays_writable(((struct fixture *)ctx)->relays, conn);
}

static void on_closed(void *ctx, unsigned conn)
{
	relays_closed(((struct fixture *)ctx)->relays, conn);
}

static const struct vsock_ops ops = {on_accept, on_data, on_eof, on_writable, on_closed};

/* A pair of sockets: ours is returned, the other is at ret. */
static int pair_of(int *ret)
{
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds),
			 0);
	*ret = fds[1];
	return fds[0];
}

static int setup(void **state)
{
	struct fixture *f = xcalloc(1, sizeof(*f));
	struct error err;
	int fd;

	assert_int_equal(loop_init(&f->loop, &err), 0);
	vsg_init(&f->v, &ops, f);
	relays_new(f->v.vs, &f->loop, &f->relays);
	f->control = pair_of(&fd);
	f->session = relays_open(f->relays, &fd, &f->cookie);
	assert_true(f->session >= 0 && fd == -1);
	vsg_post(&f->v, 16);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	relays_free(f->relays);
	vsg_free(&f->v);
	loop_free(&f->loop);
	if (f->control >= 0)
		close(f->control);
	free(f);
	return 0;
}

/* The device loop until nothing happens, which must come. */
static void turn(struct fixture *f)
{
	struct loop_event events[8];
	int n, turns = 0;

	while ((n = loop_wait(&f->loop, events, 8, 0)) > 0) {
		assert_true(turns++ < 10000);
		for (int i = 0; i < n; i++) {
			assert_int_equal(events[i].kind, LOOP_RELAY);
			relays_ready(f->relays, events[i].index, events[i].events);
		}
	}
}

/* The guest dials from port with an opening. */
static void dial(struct fixture *f, uint32_t port, unsigned session, unsigned kind, uint64_t cookie)
{
	const struct agent_session_stream hello = {
		.magic = AGENT_STREAM_MAGIC,
		.session = (uint16_t)session,
		.kind = (uint8_t)kind,
		.cookie = cookie,
	};

	vsg_send(&f->v, VSG_REQUEST, port, AGENT_PORT_SESSION, 0, NULL, 0);
	vsg_send(&f->v, VSG_RW, port, AGENT_PORT_SESSION, 0, &hello, sizeof(hello));
}

static void say(struct fixture *f, uint32_t port, const char *text)
{
	vsg_send(&f->v, VSG_RW, port, AGENT_PORT_SESSION, 0, text, (uint32_t)strlen(text));
}

/* What the guest has received on a port: text into buf, whether it was reset or shut down at flags. */
static const char *heard(struct fixture *f, uint32_t port, char *buf, unsigned *flags)
{
	struct vsg_packet p;
	size_t len = 0;

	*flags = 0;
	while (vsg_recv(&f->v, &p)) {
		vsg_post(&f->v, 1);
		if (p.hdr.dst_port != port)
			continue;
		if (p.hdr.op == VSG_RST)
			*flags |= 0x100;
		if (p.hdr.op == VSG_SHUTDOWN)
			*flags |= p.hdr.flags;
		assert_true(len + p.len < 8192);
		memcpy(buf + len, p.data, p.len);
		len += p.len;
	}
	buf[len] = '\0';
	return buf;
}

/* What a client can read now; "EOF" at the end of it. */
static const char *got(int fd, char *buf)
{
	ssize_t n = recv(fd, buf, 8000, MSG_DONTWAIT);

	if (n < 0)
		return errno == EAGAIN ? "" : "error";
	if (n == 0)
		return "EOF";
	buf[n] = '\0';
	return buf;
}

static int add(struct fixture *f, unsigned kind)
{
	int fd, ours = pair_of(&fd);

	assert_int_equal(relays_add(f->relays, (unsigned)f->session, kind, &fd), 0);
	return ours;
}

static void bytes_go_both_ways_once_init_has_dialled(void **state)
{
	struct fixture *f = *state;
	unsigned flags;
	char buf[8192];

	assert_int_equal(send(f->control, "early", 5, 0), 5);
	turn(f); /* nobody there yet, and the loop is not kept busy by that */
	dial(f, FIRST, (unsigned)f->session, AGENT_CONTROL, f->cookie);
	turn(f);
	assert_string_equal(heard(f, FIRST, buf, &flags), "early");
	say(f, FIRST, "answer");
	assert_string_equal(got(f->control, buf), "answer");
	assert_int_equal(send(f->control, "more", 4, 0), 4);
	turn(f);
	assert_string_equal(heard(f, FIRST, buf, &flags), "more");
	assert_int_equal(flags, 0);
}

static void an_opening_may_come_in_pieces_with_bytes_behind_it(void **state)
{
	struct fixture *f = *state;
	struct {
		struct agent_session_stream hello;
		char text[8];
	} all = {{AGENT_STREAM_MAGIC, (uint16_t)f->session, AGENT_CONTROL, 0, f->cookie},
		 "abcdefg"};
	const uint8_t *p = (const uint8_t *)&all;
	char buf[8192];

	vsg_send(&f->v, VSG_REQUEST, FIRST, AGENT_PORT_SESSION, 0, NULL, 0);
	for (size_t i = 0; i < 10; i++)
		vsg_send(&f->v, VSG_RW, FIRST, AGENT_PORT_SESSION, 0, p + i, 1);
	assert_string_equal(got(f->control, buf), "");
	vsg_send(&f->v, VSG_RW, FIRST, AGENT_PORT_SESSION, 0, p + 10, sizeof(all) - 10);
	assert_string_equal(got(f->control, buf), "abcdefg");
}

static void what_is_no_opening_of_a_stream_that_waits_is_reset(void **state)
{
	struct fixture *f = *state;
	unsigned good = (unsigned)f->session, flags;
	const struct {
		unsigned session, kind;
		uint64_t cookie;
	} bad[] = {
		{good, AGENT_CONTROL, f->cookie + 1},
		{good, AGENT_STDOUT, f->cookie},
		{good + 1, AGENT_CONTROL, f->cookie},
		{AGENT_SESSIONS_MAX, AGENT_CONTROL, 0},
		{0xffff, AGENT_CONTROL, f->cookie},
		{good, AGENT_KINDS, f->cookie},
		{good, 0xff, f->cookie},
	};
	char buf[8192];

	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
		dial(f, FIRST + i, bad[i].session, bad[i].kind, bad[i].cookie);
		heard(f, FIRST + i, buf, &flags);
		assert_int_equal(flags, 0x100);
	}
	dial(f, FIRST, good, AGENT_CONTROL, f->cookie);
	heard(f, FIRST, buf, &flags);
	assert_int_equal(flags, 0);
	dial(f, FIRST + 1, good, AGENT_CONTROL, f->cookie); /* it has been dialled */
	heard(f, FIRST + 1, buf, &flags);
	assert_int_equal(flags, 0x100);
	say(f, FIRST, "still there");
	assert_string_equal(got(f->control, buf), "still there");
}

static void the_end_of_input_is_passed_on_and_output_goes_on(void **state)
{
	struct fixture *f = *state;
	int in = add(f, AGENT_STDIN);
	unsigned flags;
	char buf[8192];

	dial(f, FIRST, (unsigned)f->session, AGENT_STDIN, f->cookie);
	assert_int_equal(send(in, "last", 4, 0), 4);
	shutdown(in, SHUT_WR);
	turn(f);
	assert_string_equal(heard(f, FIRST, buf, &flags), "last");
	assert_int_equal(flags, VSOCK_SHUTDOWN_SEND);
	say(f, FIRST, "out");
	assert_string_equal(got(in, buf), "out");
	vsg_send(&f->v, VSG_SHUTDOWN, FIRST, AGENT_PORT_SESSION, 3, NULL, 0);
	assert_string_equal(got(in, buf), "EOF");
	close(in);
	turn(f);
}

static void a_slow_client_slows_the_guest_and_loses_nothing(void **state)
{
	enum { PACKETS = 120, LEN = 4000 };
	struct fixture *f = *state;
	int out = add(f, AGENT_STDOUT);
	size_t total = 0;
	uint8_t data[LEN], back[LEN];
	ssize_t n;

	dial(f, FIRST, (unsigned)f->session, AGENT_STDOUT, f->cookie);
	for (int i = 0; i < PACKETS; i++) {
		memset(data, i, sizeof(data));
		vsg_send(&f->v, VSG_RW, FIRST, AGENT_PORT_SESSION, 0, data, sizeof(data));
	}
	vsg_send(&f->v, VSG_SHUTDOWN, FIRST, AGENT_PORT_SESSION, 3, NULL, 0);
	while (total < (size_t)PACKETS * LEN) {
		turn(f);
		n = recv(out, back, MIN(sizeof(back), (size_t)PACKETS * LEN - total), 0);
		assert_true(n > 0);
		for (ssize_t i = 0; i < n; i++)
			assert_int_equal(back[i], (total + (size_t)i) / LEN);
		total += (size_t)n;
	}
	turn(f);
	assert_int_equal(recv(out, back, sizeof(back), 0), 0);
	close(out);
}

static void a_guest_that_does_not_read_is_not_read_for(void **state)
{
	struct fixture *f = *state;
	int in = add(f, AGENT_STDIN);
	char buf[8192];
	unsigned flags;
	size_t sent = 0, back = 0;
	ssize_t n;

	f->v.buf_alloc = 5000;
	dial(f, FIRST, (unsigned)f->session, AGENT_STDIN, f->cookie);
	memset(buf, 'x', sizeof(buf));
	while ((n = send(in, buf, sizeof(buf), MSG_DONTWAIT)) > 0) {
		sent += (size_t)n;
		turn(f);
	}
	assert_int_equal(errno, EAGAIN);
	back += strlen(heard(f, FIRST, buf, &flags));
	assert_int_equal(back, 5000);
	shutdown(in, SHUT_WR);
	turn(f);
	while (back < sent) { /* it reads, and tells so */
		f->v.fwd_cnt = (uint32_t)back;
		vsg_send(&f->v, VSG_CREDIT_UPDATE, FIRST, AGENT_PORT_SESSION, 0, NULL, 0);
		turn(f);
		n = (ssize_t)strlen(heard(f, FIRST, buf, &flags));
		assert_true(n > 0);
		back += (size_t)n;
	}
	assert_int_equal(back, sent);
	f->v.fwd_cnt = (uint32_t)back;
	vsg_send(&f->v, VSG_CREDIT_UPDATE, FIRST, AGENT_PORT_SESSION, 0, NULL, 0);
	turn(f);
	close(in);
}

static void a_client_that_goes_ends_its_stream(void **state)
{
	struct fixture *f = *state;
	unsigned flags;
	char buf[8192];

	dial(f, FIRST, (unsigned)f->session, AGENT_CONTROL, f->cookie);
	heard(f, FIRST, buf, &flags);
	close(f->control);
	f->control = -1;
	turn(f);
	heard(f, FIRST, buf, &flags);
	assert_int_equal(flags, 0x100);
}

static void the_end_of_the_session_ends_what_was_not_dialled(void **state)
{
	struct fixture *f = *state;
	int out = add(f, AGENT_STDOUT), err = add(f, AGENT_STDERR), fd, ours;
	char buf[8192];

	dial(f, FIRST, (unsigned)f->session, AGENT_CONTROL, f->cookie);
	dial(f, FIRST + 1, (unsigned)f->session, AGENT_STDOUT, f->cookie);
	vsg_send(&f->v, VSG_SHUTDOWN, FIRST, AGENT_PORT_SESSION, 3, NULL, 0);
	assert_string_equal(got(f->control, buf), "EOF");
	assert_string_equal(got(err, buf), "EOF");
	assert_string_equal(got(out, buf), "");
	say(f, FIRST + 1, "late");
	assert_string_equal(got(out, buf), "late");
	ours = pair_of(&fd);
	assert_int_equal(relays_add(f->relays, (unsigned)f->session, AGENT_STDERR, &fd), -ENOENT);
	close(fd);
	close(ours);
	close(out);
	close(err);
	turn(f);
}

static void streams_of_no_session_and_second_ones_are_refused(void **state)
{
	struct fixture *f = *state;
	int fd, ours = pair_of(&fd), out = add(f, AGENT_STDOUT);
	unsigned session = (unsigned)f->session;

	assert_int_equal(relays_add(f->relays, session, AGENT_STDOUT, &fd), -EEXIST);
	assert_int_equal(relays_add(f->relays, session, AGENT_CONTROL, &fd), -ENOENT);
	assert_int_equal(relays_add(f->relays, session, AGENT_KINDS, &fd), -ENOENT);
	assert_int_equal(relays_add(f->relays, session + 1, AGENT_STDOUT, &fd), -ENOENT);
	assert_int_equal(relays_add(f->relays, AGENT_SESSIONS_MAX, AGENT_STDOUT, &fd), -ENOENT);
	assert_true(fd >= 0);
	close(fd);
	close(ours);
	close(out);
	turn(f);
}

static void there_are_so_many_sessions_and_numbers_come_round(void **state)
{
	struct fixture *f = *state;
	int client[AGENT_SESSIONS_MAX], fd, extra;
	uint64_t cookie, last = f->cookie;

	client[f->session] = f->control;
	for (int i = 1; i < AGENT_SESSIONS_MAX; i++) {
		int ours = pair_of(&fd), session = relays_open(f->relays, &fd, &cookie);

		assert_true(session >= 0 && session != f->session && cookie != last);
		last = cookie;
		client[session] = ours;
	}
	extra = pair_of(&fd);
	assert_int_equal(relays_open(f->relays, &fd, &cookie), -EBUSY);
	for (int i = 0; i < AGENT_SESSIONS_MAX; i++)
		close(client[i]);
	f->control = -1;
	turn(f);
	assert_true(relays_open(f->relays, &fd, &cookie) >= 0);
	close(extra);
	turn(f);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(bytes_go_both_ways_once_init_has_dialled),
		TEST(an_opening_may_come_in_pieces_with_bytes_behind_it),
		TEST(what_is_no_opening_of_a_stream_that_waits_is_reset),
		TEST(the_end_of_input_is_passed_on_and_output_goes_on),
		TEST(a_slow_client_slows_the_guest_and_loses_nothing),
		TEST(a_guest_that_does_not_read_is_not_read_for),
		TEST(a_client_that_goes_ends_its_stream),
		TEST(the_end_of_the_session_ends_what_was_not_dialled),
		TEST(streams_of_no_session_and_second_ones_are_refused),
		TEST(there_are_so_many_sessions_and_numbers_come_round),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

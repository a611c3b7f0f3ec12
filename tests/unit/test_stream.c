/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "tests/unit/vsock_guest.h"
#include "vmm/stream.h"

/* Streams between a guest's vsock and pipes in the place of descriptors 0, 1 and 2. */
struct fixture {
	struct vsg v;
	struct loop loop;
	struct streams *st;
	int in[2], out[2], err[2]; /* [0] is read, [1] written */
};

static bool on_accept(void *ctx, unsigned conn, uint32_t port)
{
	return port == AGENT_PORT_STREAM && streams_accept(((struct fixture *)ctx)->st, conn);
}

static size_t on_data(void *ctx, unsigned conn, const struct iovec *iov, unsigned n, size_t len)
{
	return streams_data(((struct fixture *)ctx)->st, conn, iov, n, len);
}

static void on_eof(void *ctx, unsigned conn)
{
	streams_eof(((struct fixture *)ctx)->st, conn);
}

static void on_writable(void *ctx, unsigned conn)
{
	streams_writable(((struct fixture *)ctx)->st, conn);
}

static void on_closed(void *ctx, unsigned conn)
{
	streams_closed(((struct fixture *)ctx)->st, conn);
}

static const struct vsock_ops ops = {on_accept, on_data, on_eof, on_writable, on_closed};

static struct fixture *make(const struct stream_app *apps, unsigned napps, int out_fd)
{
	struct fixture *f = xcalloc(1, sizeof(*f));
	bool input = false;
	struct error err;

	signal(SIGPIPE, SIG_IGN);
	assert_int_equal(pipe2(f->in, O_CLOEXEC), 0);
	assert_int_equal(pipe2(f->out, O_CLOEXEC), 0);
	assert_int_equal(pipe2(f->err, O_CLOEXEC), 0);
	fcntl(f->out[0], F_SETFL, O_NONBLOCK);
	fcntl(f->err[0], F_SETFL, O_NONBLOCK);
	assert_int_equal(loop_init(&f->loop, &err), 0);
	vsg_init(&f->v, &ops, f);
	for (unsigned i = 0; i < napps; i++)
		input |= (apps[i].flags & (PLAN_STDIN | PLAN_TTY)) != 0;
	streams_new(f->v.vs, &f->loop, apps, napps, input ? f->in[0] : -1,
		    out_fd >= 0 ? out_fd : f->out[1], f->err[1], &f->st);
	return f;
}

static void unmake(struct fixture *f)
{
	streams_free(f->st);
	vsg_free(&f->v);
	loop_free(&f->loop);
	for (unsigned i = 0; i < 2; i++) {
		close_fd(&f->in[i]);
		close_fd(&f->out[i]);
		close_fd(&f->err[i]);
	}
	free(f);
}

/* The device loop until nothing happens. */
static void turn(struct fixture *f)
{
	struct loop_event events[8];
	int n;

	while ((n = loop_wait(&f->loop, events, 8, 0)) > 0) {
		for (int i = 0; i < n; i++) {
			if (events[i].kind == LOOP_STREAM_OUT)
				streams_out_ready(f->st, events[i].index, events[i].events);
			else
				streams_in_ready(f->st);
		}
	}
}

static void open_stream(struct fixture *f, uint32_t port, uint16_t app, uint8_t kind)
{
	struct agent_stream hello = {AGENT_STREAM_MAGIC, app, kind, 0};

	vsg_post(&f->v, 1);
	vsg_send(&f->v, VSG_REQUEST, port, AGENT_PORT_STREAM, 0, NULL, 0);
	vsg_send(&f->v, VSG_RW, port, AGENT_PORT_STREAM, 0, &hello, sizeof(hello));
}

static void put(struct fixture *f, uint32_t port, const void *data, size_t len)
{
	vsg_send(&f->v, VSG_RW, port, AGENT_PORT_STREAM, 0, data, (uint32_t)len);
}

static void finish(struct fixture *f, uint32_t port)
{
	vsg_post(&f->v, 1);
	vsg_send(&f->v, VSG_SHUTDOWN, port, AGENT_PORT_STREAM, 3, NULL, 0);
}

static void reads(int fd, const char *want)
{
	char text[65536] = "";
	ssize_t n = read(fd, text, sizeof(text) - 1);

	if (n < 0)
		n = 0;
	assert_int_equal(n, (ssize_t)strlen(want));
	assert_string_equal(text, want);
}

/* The next packet of an operation for a port, skipping others. */
static bool next(struct fixture *f, uint16_t op, uint32_t port, struct vsg_packet *p)
{
	while (vsg_recv(&f->v, p))
		if (p->hdr.op == op && p->hdr.dst_port == port)
			return true;
	return false;
}

static const struct stream_app one[] = {{.name = "one"}};
static const struct stream_app two[] = {{.name = "one"}, {.name = "two"}};

static void a_single_apps_output_is_passed_on_as_it_is(void **state)
{
	struct fixture *f = make(one, 1, -1);

	(void)state;
	open_stream(f, 10, 0, AGENT_STDOUT);
	open_stream(f, 11, 0, AGENT_STDERR);
	put(f, 10, "a\nb", 3);
	put(f, 11, "e", 1);
	reads(f->out[0], "a\nb");
	reads(f->err[0], "e");
	assert_false(streams_idle(f->st));
	finish(f, 10);
	finish(f, 11);
	assert_true(streams_idle(f->st));
	reads(f->out[0], "");
	unmake(f);
}

static void the_header_may_come_with_bytes_behind_it_or_in_pieces(void **state)
{
	struct fixture *f = make(one, 1, -1);
	const struct agent_stream hello = {AGENT_STREAM_MAGIC, 0, AGENT_STDOUT, 0};
	char bytes[sizeof(hello) + 4];

	(void)state;
	memcpy(bytes, &hello, sizeof(hello));
	memcpy(bytes + sizeof(hello), "data", 4);
	vsg_send(&f->v, VSG_REQUEST, 10, AGENT_PORT_STREAM, 0, NULL, 0);
	put(f, 10, bytes, 3);
	put(f, 10, bytes + 3, sizeof(bytes) - 3);
	reads(f->out[0], "data");
	unmake(f);
}

static void several_apps_lines_do_not_mix(void **state)
{
	struct fixture *f = make(two, 2, -1);

	(void)state;
	open_stream(f, 10, 0, AGENT_STDOUT);
	open_stream(f, 11, 1, AGENT_STDOUT);
	put(f, 10, "hel", 3);
	put(f, 11, "x\ny", 3);
	put(f, 10, "lo\n\nend", 7);
	reads(f->out[0], "two: x\none: hello\none: \n");
	finish(f, 10);
	reads(f->out[0], "one: end\n");
	finish(f, 11);
	reads(f->out[0], "two: y\n");
	assert_true(streams_idle(f->st));
	unmake(f);
}

static void an_app_that_joins_again_has_new_streams(void **state)
{
	struct fixture *f = make(two, 2, -1);
	struct stream_app other = two[1];

	(void)state;
	other.name = "other";
	assert_true(streams_app_idle(f->st, 1));
	open_stream(f, 10, 1, AGENT_STDOUT);
	put(f, 10, "unfinished", 10);
	assert_false(streams_app_idle(f->st, 1));
	finish(f, 10);
	reads(f->out[0], "two: unfinished\n");
	assert_true(streams_app_idle(f->st, 1));
	streams_join(f->st, 1, &other);
	open_stream(f, 11, 1, AGENT_STDOUT);
	put(f, 11, "again\n", 6);
	reads(f->out[0], "other: again\n");
	finish(f, 11);
	streams_leave(f->st, 1);
	assert_true(streams_idle(f->st));
	unmake(f);
}

static void a_line_over_the_bound_is_cut(void **state)
{
	struct fixture *f = make(two, 2, -1);
	static char line[STREAM_LINE_MAX + 10], want[STREAM_LINE_MAX + 40];

	(void)state;
	memset(line, 'x', sizeof(line));
	line[sizeof(line) - 1] = '\n';
	open_stream(f, 10, 0, AGENT_STDOUT);
	put(f, 10, line, sizeof(line));
	memset(want, 'x', sizeof(want));
	memcpy(want, "one: ", 5);
	memcpy(want + 5 + STREAM_LINE_MAX, "\none: xxxxxxxxx\n", 17);
	reads(f->out[0], want);
	unmake(f);
}

/*
 * A reader that stops stops the guest at its credit, and blocks nothing else; when it goes on every
 * byte is there.
 */
static void slow(const struct stream_app *apps, unsigned napps)
{
	struct fixture *f = make(apps, napps, -1);
	static char chunk[VSOCK_PKT_MAX], got[65536];
	size_t sent = 0, received = 0, column = 0;
	uint32_t told = 0;
	struct vsg_packet p;

	for (size_t i = 0; i < sizeof(chunk); i++)
		chunk[i] = i % 64 == 63 ? '\n' : (char)('A' + i % 64 % 26);
	open_stream(f, 10, 0, AGENT_STDOUT);
	open_stream(f, 11, 0, AGENT_STDERR);
	told = 8;
	for (unsigned round = 0; round < 400 || received < sent; round++) {
		ssize_t n;

		while (round < 400 && sent + 8 - told + sizeof(chunk) <= VSOCK_CREDIT) {
			put(f, 10, chunk, sizeof(chunk));
			sent += sizeof(chunk);
		}
		if (round == 10) {
			put(f, 11, "alive\n", 6);
			reads(f->err[0], napps > 1 ? "one: alive\n" : "alive\n");
		}
		n = round % 3 ? read(f->out[0], got, sizeof(got)) : 0;
		for (ssize_t i = 0; i < n; i++) {
			size_t prefix = napps > 1 ? 5 : 0;

			if (column >= prefix) {
				assert_int_equal(got[i], chunk[received % sizeof(chunk)]);
				received++;
			} else {
				assert_int_equal(got[i], "one: "[column]);
			}
			column = got[i] == '\n' ? 0 : column + 1;
		}
		turn(f);
		if (vsg_waiting(&f->v) < 2)
			vsg_post(&f->v, 1);
		while (vsg_recv(&f->v, &p)) {
			assert_int_not_equal(p.hdr.op, VSG_RST);
			if (p.hdr.dst_port == 10)
				told = p.hdr.fwd_cnt;
		}
		assert_true(round < 4000);
	}
	assert_true(received > 4 * VSOCK_CREDIT);
	finish(f, 10);
	finish(f, 11);
	assert_true(streams_idle(f->st));
	unmake(f);
}

static void a_slow_reader_gets_every_byte(void **state)
{
	(void)state;
	slow(one, 1);
}

static void a_slow_reader_of_lines_gets_every_line(void **state)
{
	(void)state;
	slow(two, 2);
}

static void the_end_waits_for_the_reader(void **state)
{
	struct fixture *f = make(one, 1, -1);
	static char chunk[VSOCK_PKT_MAX], got[VSOCK_PKT_MAX];
	size_t received = 0;

	(void)state;
	open_stream(f, 10, 0, AGENT_STDOUT);
	for (unsigned i = 0; i < 4; i++)
		put(f, 10, chunk, sizeof(chunk));
	assert_false(streams_ended(f->st));
	finish(f, 10);
	assert_true(streams_ended(f->st));
	assert_false(streams_idle(f->st));
	for (unsigned i = 0; i < 100 && !streams_idle(f->st); i++) {
		ssize_t n = read(f->out[0], got, sizeof(got));

		received += n > 0 ? (size_t)n : 0;
		turn(f);
	}
	for (ssize_t n; (n = read(f->out[0], got, sizeof(got))) > 0;)
		received += (size_t)n;
	assert_int_equal(received, 4 * sizeof(chunk));
	unmake(f);
}

static void a_reader_that_left_is_told_to_the_app(void **state)
{
	struct fixture *f = make(one, 1, -1);
	struct vsg_packet p;

	(void)state;
	open_stream(f, 10, 0, AGENT_STDOUT);
	close_fd(&f->out[0]);
	vsg_post(&f->v, 2);
	turn(f);
	assert_true(next(f, VSG_SHUTDOWN, 10, &p));
	assert_int_equal(p.hdr.flags, VSOCK_SHUTDOWN_RCV);
	put(f, 10, "into the void", 13);
	finish(f, 10);
	assert_true(streams_idle(f->st));
	assert_int_equal(streams_error(f->st), 0); /* what pipes are for */
	unmake(f);
}

static void a_reader_that_leaves_while_bytes_wait_frees_them(void **state)
{
	static const struct stream_app *const apps[] = {one, two};

	(void)state;
	for (unsigned k = 0; k < 2; k++) {
		struct fixture *f = make(apps[k], k + 1, -1);
		static char chunk[VSOCK_PKT_MAX];

		memset(chunk, '\n', sizeof(chunk));
		open_stream(f, 10, 0, AGENT_STDOUT);
		for (unsigned i = 0; i < 4; i++)
			put(f, 10, chunk, sizeof(chunk));
		close_fd(&f->out[0]);
		turn(f);
		finish(f, 10);
		assert_true(streams_idle(f->st));
		unmake(f);
	}
}

static void a_full_disk_is_remembered(void **state)
{
	int full = open("/dev/full", O_WRONLY | O_CLOEXEC);
	struct fixture *f = make(one, 1, full);

	(void)state;
	open_stream(f, 10, 0, AGENT_STDOUT);
	put(f, 10, "x", 1);
	assert_int_equal(streams_error(f->st), -ENOSPC);
	finish(f, 10);
	assert_true(streams_idle(f->st));
	unmake(f);
	close(full);
}

static void streams_nobody_expects_are_reset(void **state)
{
	static const struct agent_stream wrong[] = {
		{AGENT_STREAM_MAGIC + 1, 0, AGENT_STDOUT, 0},
		{AGENT_STREAM_MAGIC, 1, AGENT_STDOUT, 0},
		{AGENT_STREAM_MAGIC, 0, AGENT_TTY + 1, 0},
		{AGENT_STREAM_MAGIC, 0, AGENT_STDOUT, 1},
		{AGENT_STREAM_MAGIC, 0, AGENT_STDIN, 0}, /* not asked for */
		{AGENT_STREAM_MAGIC, 0, AGENT_TTY, 0},
		{AGENT_STREAM_MAGIC, 0, AGENT_STDERR, 0}, /* there is one */
	};
	struct fixture *f = make(one, 1, -1);
	struct vsg_packet p;

	(void)state;
	open_stream(f, 10, 0, AGENT_STDERR);
	for (unsigned i = 0; i < ARRAY_SIZE(wrong); i++) {
		vsg_post(&f->v, 2);
		vsg_send(&f->v, VSG_REQUEST, 20 + i, AGENT_PORT_STREAM, 0, NULL, 0);
		put(f, 20 + i, &wrong[i], sizeof(wrong[i]));
		assert_true(next(f, VSG_RST, 20 + i, &p));
	}
	put(f, 10, "ok", 2);
	reads(f->err[0], "ok");
	unmake(f);
}

static void discarded_output_goes_nowhere(void **state)
{
	const struct stream_app app = {.name = "one", .discard_out = true};
	struct fixture *f = make(&app, 1, -1);

	(void)state;
	open_stream(f, 10, 0, AGENT_STDOUT);
	put(f, 10, "x", 1);
	reads(f->out[0], "");
	finish(f, 10);
	assert_true(streams_idle(f->st));
	unmake(f);
}

static void input_is_passed_on_and_its_end_told(void **state)
{
	const struct stream_app app = {.name = "one", .flags = PLAN_STDIN};
	struct fixture *f = make(&app, 1, -1);
	struct vsg_packet p;

	(void)state;
	assert_int_equal(write(f->in[1], "early", 5), 5);
	vsg_post(&f->v, 4);
	open_stream(f, 10, 0, AGENT_STDIN);
	assert_true(next(f, VSG_RW, 10, &p));
	assert_int_equal(p.len, 5);
	assert_memory_equal(p.data, "early", 5);
	assert_int_equal(write(f->in[1], "later", 5), 5);
	turn(f);
	assert_true(next(f, VSG_RW, 10, &p));
	assert_memory_equal(p.data, "later", 5);
	close_fd(&f->in[1]);
	turn(f);
	assert_true(next(f, VSG_SHUTDOWN, 10, &p));
	assert_int_equal(p.hdr.flags, VSOCK_SHUTDOWN_SEND);
	turn(f); /* a hang-up that is over does not keep the loop busy */
	unmake(f);
}

static void input_waits_for_the_guests_credit(void **state)
{
	const struct stream_app app = {.name = "one", .flags = PLAN_STDIN};
	struct fixture *f = make(&app, 1, -1);
	static char data[5000];
	struct vsg_packet p;
	size_t got = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (char)(i * 11 >> 3);
	assert_int_equal(write(f->in[1], data, sizeof(data)), sizeof(data));
	close_fd(&f->in[1]);
	f->v.buf_alloc = 1000;
	open_stream(f, 10, 0, AGENT_STDIN);
	for (unsigned i = 0; i < 20 && got < sizeof(data); i++) {
		turn(f);
		if (vsg_waiting(&f->v) < 2)
			vsg_post(&f->v, 2);
		while (vsg_recv(&f->v, &p)) {
			if (p.hdr.op != VSG_RW)
				continue;
			assert_memory_equal(p.data, data + got, p.len);
			got += p.len;
		}
		f->v.fwd_cnt = (uint32_t)got;
		vsg_send(&f->v, VSG_CREDIT_UPDATE, 10, AGENT_PORT_STREAM, 0, NULL, 0);
	}
	assert_int_equal(got, sizeof(data));
	unmake(f);
}

static void our_callers_descriptors_stay_blocking(void **state)
{
	const struct stream_app app = {.name = "one", .flags = PLAN_STDIN};
	struct fixture *f = make(&app, 1, -1);

	(void)state;
	open_stream(f, 10, 0, AGENT_STDIN);
	open_stream(f, 11, 0, AGENT_STDOUT);
	put(f, 11, "x", 1);
	assert_false(fcntl(f->in[0], F_GETFL) & O_NONBLOCK);
	assert_false(fcntl(f->out[1], F_GETFL) & O_NONBLOCK);
	unmake(f);
}

static void what_a_dead_guest_left_is_delivered(void **state)
{
	struct fixture *f = make(two, 2, -1);

	(void)state;
	open_stream(f, 10, 0, AGENT_STDOUT);
	put(f, 10, "last words", 10);
	reads(f->out[0], "");
	streams_finish(f->st);
	reads(f->out[0], "one: last words\n");
	unmake(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_single_apps_output_is_passed_on_as_it_is),
		cmocka_unit_test(the_header_may_come_with_bytes_behind_it_or_in_pieces),
		cmocka_unit_test(several_apps_lines_do_not_mix),
		cmocka_unit_test(an_app_that_joins_again_has_new_streams),
		cmocka_unit_test(a_line_over_the_bound_is_cut),
		cmocka_unit_test(a_slow_reader_gets_every_byte),
		cmocka_unit_test(a_slow_reader_of_lines_gets_every_line),
		cmocka_unit_test(the_end_waits_for_the_reader),
		cmocka_unit_test(a_reader_that_left_is_told_to_the_app),
		cmocka_unit_test(a_reader_that_leaves_while_bytes_wait_frees_them),
		cmocka_unit_test(a_full_disk_is_remembered),
		cmocka_unit_test(streams_nobody_expects_are_reset),
		cmocka_unit_test(discarded_output_goes_nowhere),
		cmocka_unit_test(input_is_passed_on_and_its_end_told),
		cmocka_unit_test(input_waits_for_the_guests_credit),
		cmocka_unit_test(our_callers_descriptors_stay_blocking),
		cmocka_unit_test(what_a_dead_guest_left_is_delivered),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

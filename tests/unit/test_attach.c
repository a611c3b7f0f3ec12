/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/util.h"
#include "tests/unit/vsock_guest.h"
#include "vmm/attach.h"

#define PORT 4000 /* the guest's, of the app's input */
#define APP  3

struct fixture {
	struct vsg v;
	struct loop loop;
	struct attach *attach;
	int client[ATTACH_CLIENTS_MAX + 1]; /* their ends */
	unsigned n;
};

static bool on_accept(void *ctx, unsigned conn, uint32_t port)
{
	(void)port;
	attach_input(((struct fixture *)ctx)->attach, APP, conn);
	return true;
}

static size_t on_data(void *ctx, unsigned conn, const struct iovec *iov, unsigned n, size_t len)
{
	(void)ctx;
	(void)conn;
	(void)iov;
	(void)n;
	return len;
}

static void on_eof(void *ctx, unsigned conn)
{
	(void)ctx;
	(void)conn;
}

static void on_writable(void *ctx, unsigned conn)
{
	(void)conn;
	attach_input_writable(((struct fixture *)ctx)->attach, APP);
}

static void on_closed(void *ctx, unsigned conn)
{
	(void)conn;
	attach_input_closed(((struct fixture *)ctx)->attach, APP);
}

static const struct vsock_ops ops = {on_accept, on_data, on_eof, on_writable, on_closed};

static int setup(void **state)
{
	struct fixture *f = xcalloc(1, sizeof(*f));
	struct error err;

	assert_int_equal(loop_init(&f->loop, &err), 0);
	vsg_init(&f->v, &ops, f);
	attach_new(f->v.vs, &f->loop, &f->attach);
	attach_offer(f->attach, APP,
		     ATTACH_BIT(AGENT_STDIN) | ATTACH_BIT(AGENT_STDOUT) | ATTACH_BIT(AGENT_STDERR));
	attach_offer(f->attach, 1, ATTACH_BIT(AGENT_TTY));
	vsg_post(&f->v, 16);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	attach_free(f->attach);
	vsg_free(&f->v);
	loop_free(&f->loop);
	for (unsigned i = 0; i < f->n; i++)
		close(f->client[i]);
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
			assert_int_equal(events[i].kind, LOOP_ATTACH);
			attach_ready(f->attach, events[i].index, events[i].events);
		}
	}
}

static int try_add(struct fixture *f, unsigned app, unsigned kind)
{
	int fds[2], r;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds),
			 0);
	r = attach_add(f->attach, app, kind, &fds[1]);
	if (r == 0) {
		f->client[f->n++] = fds[0];
		return fds[0];
	}
	assert_true(fds[1] >= 0);
	close(fds[0]);
	close(fds[1]);
	return r;
}

static int add(struct fixture *f, unsigned kind)
{
	int fd = try_add(f, APP, kind);

	assert_true(fd >= 0);
	return fd;
}

static void output(struct fixture *f, unsigned kind, const char *text)
{
	const struct iovec iov = {(void *)(uintptr_t)text, strlen(text)};

	attach_output(f->attach, APP, kind, &iov, 1, iov.iov_len);
}

/* What a client can read now; "EOF" at the end of it. */
static const char *got(int fd)
{
	static char text[8192];
	ssize_t n = recv(fd, text, sizeof(text) - 1, 0);

	if (n < 0)
		return errno == EAGAIN ? "" : "error";
	text[n] = '\0';
	return n ? text : "EOF";
}

/* What the guest has received on the app's input. */
static size_t heard(struct fixture *f, char *buf, size_t size)
{
	struct vsg_packet p;
	size_t len = 0;

	while (vsg_recv(&f->v, &p)) {
		vsg_post(&f->v, 1);
		if (p.hdr.op != VSG_RW)
			continue;
		assert_true(len + p.len < size);
		memcpy(buf + len, p.data, p.len);
		len += p.len;
	}
	buf[len] = '\0';
	return len;
}

static void output_goes_to_every_client_of_its_stream(void **state)
{
	struct fixture *f = *state;
	int one = add(f, AGENT_STDOUT), two = add(f, AGENT_STDOUT), bad = add(f, AGENT_STDERR);

	output(f, AGENT_STDOUT, "out");
	output(f, AGENT_STDERR, "err");
	assert_string_equal(got(one), "out");
	assert_string_equal(got(two), "out");
	assert_string_equal(got(bad), "err");
	assert_string_equal(got(one), "");
	attach_output_end(f->attach, APP, AGENT_STDOUT);
	assert_string_equal(got(one), "EOF");
	assert_string_equal(got(two), "EOF");
	assert_string_equal(got(bad), "");
}

static void only_what_an_app_offers_can_be_attached_to(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(try_add(f, APP, AGENT_TTY), -ENOENT);
	assert_int_equal(try_add(f, APP, AGENT_CONTROL), -ENOENT);
	assert_int_equal(try_add(f, 0, AGENT_STDIN), -ENOENT);
	assert_int_equal(try_add(f, PLAN_APPS_MAX, AGENT_STDIN), -ENOENT);
	assert_int_equal(try_add(f, 1, AGENT_STDOUT), -ENOENT);
	assert_true(try_add(f, 1, AGENT_TTY) >= 0);
}

static void a_client_that_does_not_keep_up_is_sent_away(void **state)
{
	struct fixture *f = *state;
	int slow = add(f, AGENT_STDOUT), good = add(f, AGENT_STDOUT);
	char text[4001];
	const char *last = "";

	memset(text, 'x', 4000);
	text[4000] = '\0';
	for (int i = 0; i < 1000; i++) {
		output(f, AGENT_STDOUT, text);
		assert_int_equal(strlen(got(good)), 4000);
	}
	while (strcmp(last, "EOF") != 0) {
		last = got(slow);
		assert_string_not_equal(last, "");
	}
	output(f, AGENT_STDOUT, "more");
	assert_string_equal(got(good), "more");
}

static void input_of_all_clients_is_the_apps(void **state)
{
	struct fixture *f = *state;
	int one = add(f, AGENT_STDIN), two;
	char buf[100];

	assert_int_equal(send(one, "early ", 6, 0), 6);
	turn(f); /* the app has not dialled; the loop is not kept busy by that */
	vsg_send(&f->v, VSG_REQUEST, PORT, AGENT_PORT_STREAM, 0, NULL, 0);
	turn(f);
	two = add(f, AGENT_STDIN);
	heard(f, buf, sizeof(buf));
	assert_string_equal(buf, "early ");
	assert_int_equal(send(two, "two ", 4, 0), 4);
	shutdown(two, SHUT_WR); /* is not the end of the app's */
	turn(f);
	heard(f, buf, sizeof(buf));
	assert_string_equal(buf, "two ");
	assert_int_equal(send(one, "one", 3, 0), 3);
	turn(f);
	heard(f, buf, sizeof(buf));
	assert_string_equal(buf, "one");
	vsg_send(&f->v, VSG_SHUTDOWN, PORT, AGENT_PORT_STREAM, 3, NULL, 0);
	turn(f);
	assert_string_equal(got(one), "EOF"); /* nobody reads it any more */
}

static void a_guest_that_does_not_read_is_not_read_for(void **state)
{
	struct fixture *f = *state;
	int in = add(f, AGENT_STDIN);
	size_t sent = 0, back = 0;
	char buf[8192];
	ssize_t n;

	f->v.buf_alloc = 5000;
	vsg_send(&f->v, VSG_REQUEST, PORT, AGENT_PORT_STREAM, 0, NULL, 0);
	memset(buf, 'x', sizeof(buf));
	while ((n = send(in, buf, sizeof(buf), 0)) > 0) {
		sent += (size_t)n;
		turn(f);
	}
	back = heard(f, buf, sizeof(buf));
	assert_int_equal(back, 5000);
	while (back < sent) {
		f->v.fwd_cnt = (uint32_t)back;
		vsg_send(&f->v, VSG_CREDIT_UPDATE, PORT, AGENT_PORT_STREAM, 0, NULL, 0);
		turn(f);
		n = (ssize_t)heard(f, buf, sizeof(buf));
		assert_true(n > 0);
		back += (size_t)n;
	}
	assert_int_equal(back, sent);
}

/* Let a client go. */
static void leave(struct fixture *f)
{
	close(f->client[--f->n]);
	turn(f);
}

static void input_of_a_client_that_went_at_once_arrives(void **state)
{
	struct fixture *f = *state;
	char buf[100];

	for (int i = 0; i < ATTACH_CLIENTS_MAX; i++) { /* before the app reads */
		assert_int_equal(send(add(f, AGENT_STDIN), "x", 1, 0), 1);
		leave(f);
	}
	assert_int_equal(try_add(f, APP, AGENT_STDIN), -EBUSY);
	vsg_send(&f->v, VSG_REQUEST, PORT, AGENT_PORT_STREAM, 0, NULL, 0);
	turn(f);
	assert_int_equal(heard(f, buf, sizeof(buf)), ATTACH_CLIENTS_MAX);
	for (int i = 0; i < 3; i++) { /* and while it does */
		assert_int_equal(send(add(f, AGENT_STDIN), "now", 3, 0), 3);
		leave(f);
		heard(f, buf, sizeof(buf));
		assert_string_equal(buf, "now");
	}
	add(f, AGENT_STDIN); /* nothing to say, nothing to wait for */
	leave(f);
	for (int i = 0; i < ATTACH_CLIENTS_MAX; i++)
		add(f, AGENT_STDIN);
}

static void input_of_one_that_went_waits_for_the_guest(void **state)
{
	struct fixture *f = *state;
	int in = add(f, AGENT_STDIN);
	char buf[8192];
	size_t back;

	f->v.buf_alloc = 1000;
	vsg_send(&f->v, VSG_REQUEST, PORT, AGENT_PORT_STREAM, 0, NULL, 0);
	memset(buf, 'x', sizeof(buf));
	assert_int_equal(send(in, buf, 3500, 0), 3500);
	leave(f);
	for (back = heard(f, buf, sizeof(buf)); back < 3500;) {
		f->v.fwd_cnt = (uint32_t)back;
		vsg_send(&f->v, VSG_CREDIT_UPDATE, PORT, AGENT_PORT_STREAM, 0, NULL, 0);
		turn(f);
		assert_true(heard(f, buf, sizeof(buf)) > 0);
		back += strlen(buf);
	}
	assert_int_equal(back, 3500);
}

/* The number of an app that goes may be another's. */
static void an_app_that_goes_takes_its_clients_along(void **state)
{
	struct fixture *f = *state;
	int in = add(f, AGENT_STDIN), out = add(f, AGENT_STDOUT), other = try_add(f, 1, AGENT_TTY);

	attach_offer(f->attach, APP, ATTACH_BIT(AGENT_STDIN));
	assert_string_equal(got(in), "");
	assert_string_equal(got(out), "EOF");
	attach_offer(f->attach, APP, 0);
	assert_string_equal(got(in), "EOF");
	assert_string_equal(got(other), "");
}

static void a_client_that_goes_makes_room(void **state)
{
	struct fixture *f = *state;

	for (int i = 0; i < ATTACH_CLIENTS_MAX; i++)
		add(f, AGENT_STDERR);
	assert_int_equal(try_add(f, APP, AGENT_STDERR), -EBUSY);
	close(f->client[--f->n]);
	turn(f);
	add(f, AGENT_STDERR);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(output_goes_to_every_client_of_its_stream),
		T(only_what_an_app_offers_can_be_attached_to),
		T(a_client_that_does_not_keep_up_is_sent_away),
		T(input_of_all_clients_is_the_apps),
		T(a_guest_that_does_not_read_is_not_read_for),
		T(input_of_a_client_that_went_at_once_arrives),
		T(input_of_one_that_went_waits_for_the_guest),
		T(an_app_that_goes_takes_its_clients_along),
		T(a_client_that_goes_makes_room),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/str.h"
#include "common/util.h"
#include "tests/unit/vsock_guest.h"
#include "vmm/metadata_link.h"
#include "vmm/metadata_serve.h"

#define FIRST	 3000  /* the guest's ports */
#define PATIENCE 60000 /* ms for what another thread does */
#define UUID	 "01234567-89ab-cdef-0123-456789abcdef"
#define GET	 "GET /t/acMetadata/v1/pod/uuid HTTP/1.1\r\n\r\n"
#define BIG	 (600U << 10) /* bytes of a manifest: more than a connection's credit */

struct fixture {
	struct vsg v;
	struct loop loop;
	struct metadata_link *link;
	int fds[METADATA_SLOTS]; /* the process's ends */
	int change;		 /* likewise */
	struct metadata *md;
	pthread_t server;
	bool serves;
	bool lost; /* metadata_link_ready() said so */
};

static bool on_accept(void *ctx, unsigned conn, uint32_t port)
{
	return port == AGENT_PORT_METADATA &&
	       metadata_link_accept(((struct fixture *)ctx)->link, conn);
}

static size_t on_data(void *ctx, unsigned conn, const struct iovec *iov, unsigned n, size_t len)
{
	struct fixture *f = ctx;

	assert_true(metadata_link_owns(f->link, conn));
	return metadata_link_data(f->link, conn, iov, n, len);
}

static void on_eof(void *ctx, unsigned conn)
{
	metadata_link_eof(((struct fixture *)ctx)->link, conn);
}

static void on_writable(void *ctx, unsigned conn)
{
	metadata_link_writable(((struct fixture *)ctx)->link, conn);
}

static void on_closed(void *ctx, unsigned conn)
{
	metadata_link_closed(((struct fixture *)ctx)->link, conn);
}

static const struct vsock_ops ops = {on_accept, on_data, on_eof, on_writable, on_closed};

static int setup(void **state)
{
	struct fixture *f = xcalloc(1, sizeof(*f));
	int ours[METADATA_SLOTS], pair[2];
	struct error err;

	assert_int_equal(loop_init(&f->loop, &err), 0);
	for (unsigned i = 0; i < METADATA_SLOTS; i++) {
		assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
		ours[i] = pair[0];
		f->fds[i] = pair[1];
	}
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	f->change = pair[1];
	vsg_init(&f->v, &ops, f);
	metadata_link_new(ours, pair[0], &f->link);
	assert_int_equal(metadata_link_join(f->link, f->v.vs, &f->loop, &err), 0);
	vsg_post(&f->v, 16);
	*state = f;
	return 0;
}

static void *serve(void *arg)
{
	struct fixture *f = arg;

	metadata_serve(f->md, f->change, f->fds, METADATA_SLOTS);
	return NULL;
}

static int setup_served(void **state)
{
	static const uint8_t key[METADATA_KEY_SIZE];
	cleanup_str struct str pod = STR_INIT;
	struct metadata_config config = {.uuid = UUID, .token = "t", .key = key};
	struct error err = ERROR_INIT;
	struct fixture *f;

	setup(state);
	f = *state;
	str_add(&pod, "{\"annotations\":[{\"name\":\"big\",\"value\":\"");
	while (pod.len < BIG)
		str_add(&pod, "0123456789abcdef");
	str_add(&pod, "\"}]}");
	config.pod = str_get(&pod);
	config.pod_len = pod.len;
	assert_int_equal(metadata_new(&config, &f->md, &err), 0);
	assert_int_equal(pthread_create(&f->server, NULL, serve, f), 0);
	f->serves = true;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	metadata_link_free(f->link); /* which ends the server */
	if (f->serves)
		pthread_join(f->server, NULL);
	for (unsigned i = 0; i < METADATA_SLOTS; i++)
		close_fd(&f->fds[i]);
	close_fd(&f->change);
	metadata_free(f->md);
	vsg_free(&f->v);
	loop_free(&f->loop);
	free(f);
	return 0;
}

/* What there is to do now, or within so many milliseconds. */
static void turn(struct fixture *f, int timeout_ms)
{
	struct loop_event events[8];
	int n = loop_wait(&f->loop, events, 8, timeout_ms);

	for (int i = 0; i < n; i++) {
		assert_int_equal(events[i].kind, LOOP_METADATA);
		f->lost |= !metadata_link_ready(f->link, events[i].index, events[i].events);
	}
}

static void dial(struct fixture *f, uint32_t port)
{
	vsg_send(&f->v, VSG_REQUEST, port, AGENT_PORT_METADATA, 0, NULL, 0);
}

static void say(struct fixture *f, uint32_t port, const char *text)
{
	vsg_send(&f->v, VSG_RW, port, AGENT_PORT_METADATA, 0, text, (uint32_t)strlen(text));
}

enum {
	DIALLED = 1,
	SHUT = 2,
	RESET = 4,
};

/* Take what has come for a port. */
static unsigned hear(struct fixture *f, uint32_t port, struct str *text)
{
	unsigned what = 0;
	struct vsg_packet p;

	while (vsg_recv(&f->v, &p)) {
		vsg_post(&f->v, 1);
		if (p.hdr.dst_port != port)
			continue;
		what |= p.hdr.op == VSG_RESPONSE ? DIALLED : 0;
		what |= p.hdr.op == VSG_SHUTDOWN ? SHUT : 0;
		what |= p.hdr.op == VSG_RST ? RESET : 0;
		str_addn(text, (const char *)p.data, p.len);
		f->v.fwd_cnt += (uint32_t)p.len;
		if (p.len)
			vsg_send(&f->v, VSG_CREDIT_UPDATE, port, AGENT_PORT_METADATA, 0, NULL, 0);
	}
	return what;
}

/* The whole of a conversation, from dialling to the end. */
static void converse(struct fixture *f, uint32_t port, const char *request, struct str *answer)
{
	unsigned what = 0;

	f->v.fwd_cnt = 0;
	dial(f, port);
	say(f, port, request);
	while (!((what |= hear(f, port, answer)) & SHUT))
		turn(f, PATIENCE);
	assert_int_equal(what, DIALLED | SHUT);
	vsg_send(&f->v, VSG_RST, port, AGENT_PORT_METADATA, 0, NULL, 0);
}

static void requests_are_answered_one_after_the_other_in_any_number(void **state)
{
	struct fixture *f = *state;

	for (uint32_t i = 0; i < 3 * METADATA_SLOTS; i++) {
		cleanup_str struct str answer = STR_INIT;

		converse(f, FIRST + i, GET, &answer);
		assert_true(str_starts_with(str_get(&answer), "HTTP/1.1 200 OK\r\n"));
		assert_true(str_ends_with(str_get(&answer), "\r\n\r\n" UUID));
	}
	assert_false(f->lost);
}

static void an_answer_may_be_larger_than_what_the_guest_takes_at_once(void **state)
{
	struct fixture *f = *state;
	cleanup_str struct str answer = STR_INIT;

	converse(f, FIRST, "GET /t/acMetadata/v1/pod/manifest HTTP/1.1\r\n\r\n", &answer);
	assert_true(answer.len > BIG);
	assert_true(str_ends_with(str_get(&answer), "cdef\"}]}"));
}

static void what_is_no_request_is_told_so(void **state)
{
	struct fixture *f = *state;
	cleanup_str struct str answer = STR_INIT;

	converse(f, FIRST, "HELO me\r\n", &answer);
	assert_true(str_starts_with(str_get(&answer), "HTTP/1.1 400 "));
}

static void half_a_request_and_no_more_is_told_so(void **state)
{
	struct fixture *f = *state;
	cleanup_str struct str answer = STR_INIT;

	dial(f, FIRST);
	say(f, FIRST, "GET /t/acMeta");
	vsg_send(&f->v, VSG_SHUTDOWN, FIRST, AGENT_PORT_METADATA, VSOCK_SHUTDOWN_SEND, NULL, 0);
	while (!(hear(f, FIRST, &answer) & SHUT))
		turn(f, PATIENCE);
	assert_true(str_starts_with(str_get(&answer), "HTTP/1.1 400 "));
}

static void guests_that_hang_up_leave_their_slots(void **state)
{
	struct fixture *f = *state;

	for (uint32_t i = 0; i < 3 * METADATA_SLOTS; i++) {
		cleanup_str struct str heard = STR_INIT;
		uint32_t port = FIRST + i;

		/* the process has to agree, so there may be none for a while */
		do {
			dial(f, port);
			turn(f, 0);
		} while (!(hear(f, port, &heard) & DIALLED));
		if (i % 3)
			say(f, port, i % 3 == 1 ? "GET /t/acMeta" : GET);
		vsg_send(&f->v, VSG_RST, port, AGENT_PORT_METADATA, 0, NULL, 0);
	}
	assert_false(f->lost);
}

#define GET_ID	"GET /t/acMetadata/v1/apps/a/image/id HTTP/1.1\r\n\r\n"
#define POD	"{\"apps\":[{\"name\":\"a\",\"image\":{\"id\":\"sha512-0\"}}]}"
#define IMAGE	"{}"
#define POD_LEN (sizeof(POD) - 1)

/* Tell of an app by a file. */
static void tell(struct fixture *f, uint32_t pod_len, uint32_t image_len)
{
	const struct metadata_change change = {pod_len, image_len};
	FILE *file = tmpfile();

	assert_non_null(file);
	assert_int_equal(fwrite(&change, sizeof(change), 1, file), 1);
	assert_int_equal(fputs(POD IMAGE, file) >= 0 && fflush(file) == 0, true);
	metadata_link_change(f->link, "a", fileno(file));
	fclose(file);
}

static void assert_answer(struct fixture *f, uint32_t port, const char *request, const char *begin)
{
	cleanup_str struct str answer = STR_INIT;

	converse(f, port, request, &answer);
	assert_true(str_starts_with(str_get(&answer), begin));
}

static void an_app_is_known_from_when_it_came_until_it_went(void **state)
{
	struct fixture *f = *state;

	assert_answer(f, FIRST, GET_ID, "HTTP/1.1 404 ");
	for (uint32_t i = 1; i < 40; i += 2) {
		tell(f, POD_LEN, sizeof(IMAGE) - 1);
		assert_answer(f, FIRST + i, GET_ID, "HTTP/1.1 200 ");
		metadata_link_change(f->link, "a", -1);
		assert_answer(f, FIRST + i + 1, GET_ID, "HTTP/1.1 404 ");
	}
	assert_false(f->lost);
}

static void a_file_of_no_sense_tells_of_no_app(void **state)
{
	static const uint32_t sizes[][2] = {
		{0, 0},
		{POD_LEN, 1},
		{POD_LEN, 1000},
		{POD_LEN + 1, 0},
		{UINT32_MAX, UINT32_MAX},
		{UINT32_MAX, 1},
	};
	struct fixture *f = *state;
	int ends[2];

	for (uint32_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		tell(f, sizes[i][0], sizes[i][1]);
		assert_answer(f, FIRST + i, GET_ID, "HTTP/1.1 404 ");
	}
	assert_int_equal(pipe(ends), 0);
	metadata_link_change(f->link, "a", ends[0]);
	assert_answer(f, FIRST + 100, GET_ID, "HTTP/1.1 404 ");
	close(ends[0]);
	close(ends[1]);
	assert_false(f->lost);
}

static void a_process_that_can_not_be_told_of_an_app_is_lost(void **state)
{
	struct fixture *f = *state;

	for (unsigned i = 0; i < 10000 && !f->lost; i++) {
		metadata_link_change(f->link, "a", -1);
		turn(f, 0);
	}
	assert_true(f->lost);
	metadata_link_change(f->link, "a", -1); /* nobody to tell */
}

static void there_is_a_slot_for_each_and_none_for_one_more(void **state)
{
	struct fixture *f = *state;
	cleanup_str struct str heard = STR_INIT;
	static const uint8_t bye = METADATA_BYE;
	uint8_t packet[16];

	for (uint32_t i = 0; i < METADATA_SLOTS; i++) {
		dial(f, FIRST + i);
		assert_int_equal(hear(f, FIRST + i, &heard), DIALLED);
	}
	dial(f, FIRST + METADATA_SLOTS);
	assert_int_equal(hear(f, FIRST + METADATA_SLOTS, &heard), RESET);

	/* one of them is free when the guest has hung up and the process has heard of it */
	vsg_send(&f->v, VSG_RST, FIRST + 3, AGENT_PORT_METADATA, 0, NULL, 0);
	dial(f, FIRST + METADATA_SLOTS);
	assert_int_equal(hear(f, FIRST + METADATA_SLOTS, &heard), RESET);
	assert_int_equal(recv(f->fds[3], packet, sizeof(packet), MSG_DONTWAIT), 1);
	assert_int_equal(packet[0], METADATA_EOF);
	assert_int_equal(recv(f->fds[3], packet, sizeof(packet), MSG_DONTWAIT), 1);
	assert_int_equal(packet[0], METADATA_BYE);
	assert_int_equal(send(f->fds[3], &bye, 1, 0), 1);
	turn(f, PATIENCE);
	dial(f, FIRST + METADATA_SLOTS);
	assert_int_equal(hear(f, FIRST + METADATA_SLOTS, &heard), DIALLED);
}

/* The process says something of no sense: it is not listened to any more. */
static void assert_loses(struct fixture *f, int fd, const void *packet, size_t len)
{
	cleanup_str struct str heard = STR_INIT;

	dial(f, FIRST);
	assert_int_equal(hear(f, FIRST, &heard), DIALLED);
	if (len)
		assert_int_equal(send(fd, packet, len, 0), len);
	else
		shutdown(fd, SHUT_RDWR);
	turn(f, PATIENCE);
	assert_true(f->lost);
	assert_int_equal(hear(f, FIRST, &heard), RESET);
	dial(f, FIRST + 1);
	assert_int_equal(hear(f, FIRST + 1, &heard), RESET);
	turn(f, 0); /* and the loop is not kept busy by it */
}

static void a_process_that_speaks_unasked_is_lost(void **state)
{
	struct fixture *f = *state;

	assert_loses(f, f->fds[1], "dhello", 6);
}

static void a_process_that_says_what_there_is_not_is_lost(void **state)
{
	struct fixture *f = *state;

	assert_loses(f, f->fds[0], "x", 1);
}

static void a_process_that_says_too_much_at_once_is_lost(void **state)
{
	static const uint8_t packet[2 + METADATA_CHUNK] = {METADATA_DATA};
	struct fixture *f = *state;

	assert_loses(f, f->fds[0], packet, sizeof(packet));
}

static void a_process_that_ends_is_lost(void **state)
{
	struct fixture *f = *state;

	assert_loses(f, f->fds[5], NULL, 0);
}

static void what_the_process_does_not_take_waits(void **state)
{
	static const char part[4096] = "part";
	struct fixture *f = *state;
	uint8_t packet[1 + METADATA_CHUNK];
	size_t sent = 0, got = 0;
	ssize_t n;

	dial(f, FIRST);
	/* less than the credit of a connection, and more than its socket takes */
	for (; sent < VSOCK_CREDIT - sizeof(part); sent += sizeof(part))
		vsg_send(&f->v, VSG_RW, FIRST, AGENT_PORT_METADATA, 0, part, sizeof(part));
	while (got < sent) {
		n = recv(f->fds[0], packet, sizeof(packet), MSG_DONTWAIT);
		if (n < 0) {
			turn(f, PATIENCE);
			continue;
		}
		assert_int_equal(packet[0], METADATA_DATA);
		got += (size_t)n - 1;
	}
	assert_int_equal(got, sent);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define SERVED(test) cmocka_unit_test_setup_teardown(test, setup_served, teardown)
#define ALONE(test)  cmocka_unit_test_setup_teardown(test, setup, teardown)
		SERVED(requests_are_answered_one_after_the_other_in_any_number),
		SERVED(an_answer_may_be_larger_than_what_the_guest_takes_at_once),
		SERVED(what_is_no_request_is_told_so),
		SERVED(half_a_request_and_no_more_is_told_so),
		SERVED(guests_that_hang_up_leave_their_slots),
		SERVED(an_app_is_known_from_when_it_came_until_it_went),
		SERVED(a_file_of_no_sense_tells_of_no_app),
		ALONE(a_process_that_can_not_be_told_of_an_app_is_lost),
		ALONE(there_is_a_slot_for_each_and_none_for_one_more),
		ALONE(a_process_that_speaks_unasked_is_lost),
		ALONE(a_process_that_says_what_there_is_not_is_lost),
		ALONE(a_process_that_says_too_much_at_once_is_lost),
		ALONE(a_process_that_ends_is_lost),
		ALONE(what_the_process_does_not_take_waits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

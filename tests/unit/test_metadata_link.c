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
	(void)ctx;
	(void)conn;
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

static void put_frame(struct str *out, uint8_t kind, const void *data, size_t len)
{
	const struct agent_metadata_hdr hdr = {.kind = kind, .len = (uint16_t)len};

	str_addn(out, (const char *)&hdr, sizeof(hdr));
	str_addn(out, data, len);
}

static void say_raw(struct fixture *f, uint32_t port, const void *bytes, size_t len)
{
	vsg_send(&f->v, VSG_RW, port, AGENT_PORT_METADATA, 0, bytes, (uint32_t)len);
}

static void say_frame(struct fixture *f, uint32_t port, uint8_t kind, const char *text)
{
	cleanup_str struct str frame = STR_INIT;

	put_frame(&frame, kind, text, strlen(text));
	say_raw(f, port, frame.s, frame.len);
}

static void say(struct fixture *f, uint32_t port, const char *text)
{
	say_frame(f, port, METADATA_DATA, text);
}

enum {
	DIALLED = 1,
	RESET = 4,
	BYE = 8,
};

/* Take the frames of what has been heard; BYE is the last. */
static unsigned take_frames(struct str *raw, struct str *text)
{
	struct agent_metadata_hdr hdr;
	size_t off = 0;
	unsigned what = 0;

	while (raw->len - off >= sizeof(hdr)) {
		assert_false(what & BYE);
		memcpy(&hdr, raw->s + off, sizeof(hdr));
		assert_true(hdr.kind == METADATA_DATA || hdr.kind == METADATA_BYE);
		assert_true(hdr.zero == 0 && hdr.len <= METADATA_CHUNK);
		if (raw->len - off - sizeof(hdr) < hdr.len)
			break;
		str_addn(text, raw->s + off + sizeof(hdr), hdr.len);
		off += sizeof(hdr) + hdr.len;
		what |= hdr.kind == METADATA_BYE ? BYE : 0;
	}
	memmove(raw->s, raw->s + off, raw->len - off);
	raw->len -= off;
	return what;
}

/* Take what has come for a port, raw. */
static unsigned hear(struct fixture *f, uint32_t port, struct str *text)
{
	unsigned what = 0;
	struct vsg_packet p;

	while (vsg_recv(&f->v, &p)) {
		vsg_post(&f->v, 1);
		if (p.hdr.dst_port != port)
			continue;
		what |= p.hdr.op == VSG_RESPONSE ? DIALLED : 0;
		what |= p.hdr.op == VSG_RST ? RESET : 0;
		str_addn(text, (const char *)p.data, p.len);
		f->v.fwd_cnt += (uint32_t)p.len;
		if (p.len)
			vsg_send(&f->v, VSG_CREDIT_UPDATE, port, AGENT_PORT_METADATA, 0, NULL, 0);
	}
	return what;
}

/* All frames up to the one that says BYE. */
static unsigned hear_answer(struct fixture *f, uint32_t port, struct str *answer)
{
	cleanup_str struct str raw = STR_INIT;
	unsigned what = 0;

	for (;;) {
		what |= hear(f, port, &raw);
		if (raw.len)
			what |= take_frames(&raw, answer);
		if (what & (BYE | RESET))
			break;
		turn(f, PATIENCE);
	}
	assert_int_equal(raw.len, 0);
	return what;
}

/* The whole of a conversation, from dialling to the end. */
static void converse(struct fixture *f, uint32_t port, const char *request, struct str *answer)
{
	f->v.fwd_cnt = 0;
	dial(f, port);
	say(f, port, request);
	assert_int_equal(hear_answer(f, port, answer), DIALLED | BYE);
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

static void a_connection_is_for_one_exchange_after_the_other(void **state)
{
	struct fixture *f = *state;

	dial(f, FIRST);
	for (uint32_t i = 0; i < 100; i++) {
		cleanup_str struct str answer = STR_INIT, said = STR_INIT;

		if (i) /* of the one before, which comes with the request */
			put_frame(&said, METADATA_BYE, NULL, 0);
		put_frame(&said, METADATA_DATA, GET, strlen(GET));
		if (i % 3 == 1) /* in pieces, each byte for itself */
			for (size_t k = 0; k < said.len; k++)
				say_raw(f, FIRST, said.s + k, 1);
		else
			say_raw(f, FIRST, said.s, said.len);
		assert_true(hear_answer(f, FIRST, &answer) & BYE);
		assert_true(str_ends_with(str_get(&answer), "\r\n\r\n" UUID));
		if (i % 7 == 0) { /* or for itself, the host's coming back at once */
			cleanup_str struct str none = STR_INIT;

			say_frame(f, FIRST, METADATA_BYE, "");
			say_frame(f, FIRST, METADATA_DATA, "GET");
			say_frame(f, FIRST, METADATA_BYE, "");
			assert_true(hear_answer(f, FIRST, &none) & BYE);
			say(f, FIRST, GET);
			assert_true(hear_answer(f, FIRST, &none) & BYE);
		}
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
	say_frame(f, FIRST, METADATA_EOF, "");
	assert_int_equal(hear_answer(f, FIRST, &answer), DIALLED | BYE);
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

	/* one that was used is free when the guest has hung up and the process has heard of it */
	say(f, FIRST + 3, "x");
	vsg_send(&f->v, VSG_RST, FIRST + 3, AGENT_PORT_METADATA, 0, NULL, 0);
	dial(f, FIRST + METADATA_SLOTS);
	assert_int_equal(hear(f, FIRST + METADATA_SLOTS, &heard), RESET);
	assert_int_equal(recv(f->fds[3], packet, sizeof(packet), MSG_DONTWAIT), 2);
	assert_memory_equal(packet, "dx", 2);
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
	say(f, FIRST, "x");
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
	for (; sent < VSOCK_CREDIT - 2 * sizeof(part); sent += sizeof(part)) {
		cleanup_str struct str frame = STR_INIT;

		put_frame(&frame, METADATA_DATA, part, sizeof(part));
		say_raw(f, FIRST, frame.s, frame.len);
	}
	while (got < sent) {
		n = recv(f->fds[0], packet, sizeof(packet), MSG_DONTWAIT);
		if (n < 0) {
			turn(f, PATIENCE);
			continue;
		}
		assert_int_equal(n, 1 + sizeof(part));
		assert_int_equal(packet[0], METADATA_DATA);
		assert_memory_equal(packet + 1, part, sizeof(part));
		got += (size_t)n - 1;
	}
	assert_int_equal(got, sent);
}

static void a_guest_whose_frames_make_no_sense_is_hung_up_on(void **state)
{
	static const struct {
		const char *bytes;
		size_t len;
		bool within; /* an exchange */
	} frames[] = {
		{"x\0\0", 4, false},	   /* no kind */
		{"d\1\0", 4, false},	   /* not zero */
		{"d\0\1\x20", 4, false},   /* too long by one */
		{"d\0\xff\xff", 4, true},  /* as long as can be said */
		{"e\0\1", 4, false},	   /* EOF has no data */
		{"b\0\1", 4, true},	   /* nor has BYE */
		{"b\0\0", 4, false},	   /* of what? */
		{"b\0\0\0d\0\0", 8, true}, /* it is not its turn */
		{"b\0\0\0b\0\0", 8, true},
	};
	struct fixture *f = *state;

	for (uint32_t i = 0; i < ARRAY_SIZE(frames); i++) {
		cleanup_str struct str heard = STR_INIT;
		uint32_t port = FIRST + i;
		uint8_t packet[4];
		static const uint8_t bye = METADATA_BYE;

		dial(f, port);
		if (frames[i].within)
			say(f, port, "x");
		say_raw(f, port, frames[i].bytes, frames[i].len);
		assert_int_equal(hear(f, port, &heard), DIALLED | RESET);
		if (!frames[i].within)
			continue;
		/* the process is told of one end, so that it is free for another guest */
		assert_int_equal(recv(f->fds[0], packet, sizeof(packet), MSG_DONTWAIT), 2);
		assert_int_equal(recv(f->fds[0], packet, sizeof(packet), MSG_DONTWAIT), 1);
		assert_int_equal(packet[0], METADATA_BYE);
		assert_int_equal(send(f->fds[0], &bye, 1, 0), 1);
		turn(f, PATIENCE);
		assert_true(recv(f->fds[0], packet, sizeof(packet), MSG_DONTWAIT) < 0);
	}
	assert_false(f->lost);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define SERVED(test) cmocka_unit_test_setup_teardown(test, setup_served, teardown)
#define ALONE(test)  cmocka_unit_test_setup_teardown(test, setup, teardown)
		SERVED(requests_are_answered_one_after_the_other_in_any_number),
		SERVED(a_connection_is_for_one_exchange_after_the_other),
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
		ALONE(a_guest_whose_frames_make_no_sense_is_hung_up_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

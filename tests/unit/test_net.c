/* SPDX-License-Identifier: Apache-2.0 */
/* virtio-net: frames both ways, back pressure, offloads, and drivers and networks that mean harm. */
#include "tests/unit/unit.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "tests/unit/guest_driver.h"
#include "vmm/net.h"

enum { RX, TX };

#define HDR NET_HEADER_SIZE

static const struct net_guard guard = {.mac = {2, 0, 0, 0, 0, 1}};

struct fixture {
	struct guest g;
	struct loop loop;
	struct net *net;
	int peer; /* the network's end */
};

/* Turns of the loop until nothing is left to do. */
static bool turn(struct fixture *f)
{
	struct loop_event events[8];
	bool there = true;
	int n;

	guest_run_loop(&f->g);
	while ((n = loop_wait(&f->loop, events, 8, 0)) > 0) {
		for (int i = 0; i < n; i++) {
			assert_int_equal(events[i].kind, LOOP_NET);
			if (!net_event(f->net, events[i].index, events[i].events))
				there = false;
		}
		guest_run_loop(&f->g);
	}
	return there;
}

static void make(struct fixture *f, const struct net_params *params, uint64_t features)
{
	struct error err = ERROR_INIT;

	guest_init(&f->g);
	assert_int_equal(loop_init(&f->loop, &err), 0);
	assert_int_equal(net_new(params, &f->loop, &f->g.mem, &f->net, &err), 0);
	guest_start(&f->g, &f->net->dev, features);
	turn(f);
}

static void stream(struct fixture *f, struct net_params *params)
{
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds),
			 0);
	f->peer = fds[1];
	params->backend = &net_stream;
	params->fd = fds[0];
	params->mtu = 1500;
	params->guard = guard;
}

static int setup(void **state)
{
	struct fixture *f = xcalloc(1, sizeof(*f));
	struct net_params params = {.index = 3};

	stream(f, &params);
	make(f, &params, UINT64_MAX);
	*state = f;
	return 0;
}

static void end(struct fixture *f)
{
	net_free(f->net);
	loop_free(&f->loop);
	guest_free(&f->g);
	close_fd(&f->peer);
	free(f);
}

static int teardown(void **state)
{
	end(*state);
	return 0;
}

/* A frame of ours: to anybody, from our MAC, then a pattern. */
static void make_frame(uint8_t *frame, size_t len, uint8_t seed)
{
	memset(frame, 0xff, 6);
	memcpy(frame + 6, guard.mac, 6);
	frame[12] = 0x08;
	frame[13] = 0x00;
	for (size_t i = NET_FRAME_MIN; i < len; i++)
		frame[i] = (uint8_t)(i * 7 + seed);
}

/* Put a frame into the tx queue, cut where the driver likes. */
static void add_tx(struct fixture *f, const struct net_header *header, const uint8_t *frame,
		   size_t len, size_t cut)
{
	uint8_t *whole = xcalloc(1, HDR + len);
	uint64_t gpa;

	memcpy(whole, header, HDR);
	memcpy(whole + HDR, frame, len);
	gpa = guest_put(&f->g, whole, HDR + len);
	free(whole);
	cut = MIN(cut, HDR + len - 1);
	guest_add(&f->g, TX,
		  (struct guest_buf[]){{gpa, (uint32_t)cut, false},
				       {gpa + cut, (uint32_t)(HDR + len - cut), false}},
		  2);
}

static void transmit(struct fixture *f, const struct net_header *header, const uint8_t *frame,
		     size_t len)
{
	uint32_t id, used;

	add_tx(f, header, frame, len, HDR);
	guest_kick(&f->g, TX);
	turn(f);
	assert_true(guest_used(&f->g, TX, &id, &used));
	assert_int_equal(used, 0);
}

static const struct net_header plain;

/* The peer's next frame; 0 when it has none. */
static size_t peer_get(struct fixture *f, uint8_t *frame, size_t max)
{
	uint32_t length;
	size_t got = 0;

	if (recv(f->peer, &length, 4, MSG_DONTWAIT) != 4)
		return 0;
	length = ntohl(length);
	assert_true(length <= max);
	while (got < length) {
		ssize_t n = recv(f->peer, frame + got, length - got, MSG_DONTWAIT);

		if (n < 0) {
			assert_int_equal(errno, EAGAIN);
			turn(f);
			continue;
		}
		assert_true(n > 0);
		got += (size_t)n;
	}
	return length;
}

static void peer_put(struct fixture *f, const uint8_t *frame, size_t len)
{
	uint32_t length = htonl((uint32_t)len);

	assert_int_equal(send(f->peer, &length, 4, 0), 4);
	assert_int_equal(send(f->peer, frame, len, 0), (ssize_t)len);
}

static uint64_t add_rx(struct fixture *f, uint32_t len)
{
	uint64_t gpa = guest_alloc(&f->g, len);

	memset(guest_ptr(&f->g, gpa), 0xaa, len);
	guest_add(&f->g, RX, (struct guest_buf[]){{gpa, len, true}}, 1);
	return gpa;
}

static void frames_leave_as_they_are_however_they_are_cut(void **state)
{
	static const size_t cuts[] = {1, 11, 12, 13, 26, 60, 92, 93, 1000};
	struct fixture *f = *state;
	uint8_t frame[1514], got[1514];
	uint32_t id, len = 0;

	for (size_t i = 0; i < ARRAY_SIZE(cuts); i++) {
		make_frame(frame, sizeof(frame), (uint8_t)i);
		add_tx(f, &plain, frame, sizeof(frame), cuts[i]);
		guest_kick(&f->g, TX);
		assert_true(guest_used(&f->g, TX, &id, &len));
		assert_int_equal(peer_get(f, got, sizeof(got)), sizeof(frame));
		assert_memory_equal(got, frame, sizeof(frame));
	}
	assert_int_equal(f->net->stats.tx_frames, ARRAY_SIZE(cuts));
	assert_int_equal(f->net->stats.tx_bytes, ARRAY_SIZE(cuts) * sizeof(frame));
}

static void a_frame_that_is_none_does_not_leave(void **state)
{
	struct fixture *f = *state;
	uint8_t frame[100], got[100];
	struct net_header h = plain;

	make_frame(frame, sizeof(frame), 1);
	transmit(f, &plain, frame, NET_FRAME_MIN - 1);
	/* a stream has no offloads, so no header may ask for one */
	h.flags = 1;
	transmit(f, &h, frame, sizeof(frame));
	h = plain;
	h.gso_type = 1;
	transmit(f, &h, frame, sizeof(frame));
	h.gso_type = 3;
	transmit(f, &h, frame, sizeof(frame));
	frame[6] = 4; /* another's MAC */
	transmit(f, &plain, frame, sizeof(frame));
	assert_int_equal(peer_get(f, got, sizeof(got)), 0);
	assert_int_equal(f->net->stats.tx_refused, 5);
	assert_false(guest_is_broken(&f->g));
}

static void the_longest_frame_passes_and_a_longer_one_does_not(void **state)
{
	struct fixture *f = *state;
	uint8_t *frame = xcalloc(1, NET_FRAME_MAX + 1), *got = xcalloc(1, 70000);

	make_frame(frame, NET_FRAME_MAX + 1, 9);
	transmit(f, &plain, frame, NET_FRAME_MAX + 1);
	assert_int_equal(f->net->stats.tx_refused, 1);
	transmit(f, &plain, frame, 65536); /* more than the stream's peer takes */
	assert_int_equal(f->net->stats.tx_dropped, 1);
	transmit(f, &plain, frame, 65535);
	assert_int_equal(peer_get(f, got, 70000), 65535);
	assert_memory_equal(got, frame, 65535);
	free(frame);
	free(got);
}

static void a_slow_network_gets_every_frame_whole(void **state)
{
	struct fixture *f = *state;
	uint8_t frame[9000], got[9000];
	unsigned sent = 0, received = 0;
	uint32_t id, len = 0;

	while (sent < 100) {
		make_frame(frame, sizeof(frame), (uint8_t)sent);
		f->g.next_buffer =
			GUEST_BUFFERS + (sent % 100) * 16384; /* none is reused in flight */
		add_tx(f, &plain, frame, sizeof(frame), HDR);
		guest_kick(&f->g, TX);
		sent++;
	}
	turn(f);
	assert_true(f->net->tx_blocked); /* a socket holds less */
	while (received < sent) {
		assert_int_equal(peer_get(f, got, sizeof(got)), sizeof(got));
		make_frame(frame, sizeof(frame), (uint8_t)received++);
		assert_memory_equal(got, frame, sizeof(frame));
		turn(f);
	}
	for (unsigned i = 0; i < sent; i++)
		assert_true(guest_used(&f->g, TX, &id, &len));
	assert_false(f->net->tx_blocked);
}

static void frames_arrive_in_one_buffer(void **state)
{
	struct fixture *f = *state;
	uint8_t frame[600];
	uint64_t gpa = add_rx(f, 2000);
	const uint8_t *got = guest_ptr(&f->g, gpa);
	uint32_t id, len = 0;

	guest_kick(&f->g, RX);
	make_frame(frame, sizeof(frame), 5);
	peer_put(f, frame, sizeof(frame));
	turn(f);
	assert_true(guest_used(&f->g, RX, &id, &len));
	assert_int_equal(len, HDR + sizeof(frame));
	assert_memory_equal(got + HDR, frame, sizeof(frame));
	assert_memory_equal(got, ((uint8_t[]){0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0}), HDR);
	assert_int_equal(got[HDR + sizeof(frame)], 0xaa);
	assert_int_not_equal(guest_interrupt(&f->g), 0);
}

static void long_frames_are_spread_over_buffers(void **state)
{
	struct fixture *f = *state;
	uint8_t frame[9000], got[9100];
	uint64_t gpa[3];
	uint32_t id, len = 0;
	size_t pos = 0;

	for (int i = 0; i < 3; i++)
		gpa[i] = add_rx(f, 4096);
	guest_kick(&f->g, RX);
	make_frame(frame, sizeof(frame), 6);
	peer_put(f, frame, sizeof(frame));
	turn(f);
	for (int i = 0; i < 3; i++) {
		assert_true(guest_used(&f->g, RX, &id, &len));
		memcpy(got + pos, guest_ptr(&f->g, gpa[i]), len);
		pos += len;
	}
	assert_int_equal(pos, HDR + sizeof(frame));
	assert_memory_equal(got + HDR, frame, sizeof(frame));
	assert_int_equal(got[10], 3); /* num_buffers */
	assert_false(guest_used(&f->g, RX, &id, &len));
}

static void without_buffers_frames_wait_and_nothing_is_lost(void **state)
{
	struct fixture *f = *state;
	uint8_t frame[5000];
	uint32_t id, len = 0;
	unsigned got = 0;

	for (unsigned i = 0; i < 10; i++) {
		make_frame(frame, sizeof(frame), (uint8_t)i);
		peer_put(f, frame, sizeof(frame));
	}
	turn(f);
	assert_true(f->net->rx_parked);
	assert_false(guest_used(&f->g, RX, &id, &len));
	for (unsigned i = 0; i < 20; i++) { /* each frame needs two of them */
		uint64_t gpa = add_rx(f, 4096);

		guest_kick(&f->g, RX);
		turn(f);
		if (i % 2 == 0)
			continue;
		make_frame(frame, sizeof(frame), (uint8_t)got++);
		assert_true(guest_used(&f->g, RX, &id, &len));
		assert_int_equal(len, 4096);
		assert_true(guest_used(&f->g, RX, &id, &len));
		assert_int_equal(len, HDR + sizeof(frame) - 4096);
		assert_memory_equal(guest_ptr(&f->g, gpa), frame + 4096 - HDR, len);
	}
	assert_int_equal(got, 10);
	assert_int_equal(f->net->stats.rx_dropped, 0);
}

static void a_driver_that_does_not_merge_loses_what_does_not_fit(void **state)
{
	struct fixture *f = xcalloc(1, sizeof(*f));
	struct net_params params = {.index = 0};
	uint8_t frame[3000];
	uint32_t id, len = 0;

	(void)state;
	stream(f, &params);
	make(f, &params, ~VIRTIO_NET_F_MRG_RXBUF);
	add_rx(f, 1526);
	guest_kick(&f->g, RX);
	make_frame(frame, sizeof(frame), 1);
	peer_put(f, frame, sizeof(frame));
	peer_put(f, frame, 1514);
	turn(f);
	assert_true(guest_used(&f->g, RX, &id, &len));
	assert_int_equal(len, HDR + 1514);
	assert_int_equal(f->net->stats.rx_dropped, 1);
	end(f);
}

static void framing_may_be_split_anywhere(void **state)
{
	struct fixture *f = *state;
	uint8_t frame[40], wire[2 * 44];
	uint32_t id, len = 0;

	for (int i = 0; i < 2; i++) {
		uint32_t length = htonl(sizeof(frame));

		make_frame(frame, sizeof(frame), (uint8_t)i);
		memcpy(wire + i * 44, &length, 4);
		memcpy(wire + i * 44 + 4, frame, sizeof(frame));
	}
	for (size_t cut = 1; cut < sizeof(wire); cut++) {
		for (int i = 0; i < 2; i++)
			add_rx(f, 100);
		guest_kick(&f->g, RX);
		assert_int_equal(send(f->peer, wire, cut, 0), (ssize_t)cut);
		turn(f);
		assert_int_equal(send(f->peer, wire + cut, sizeof(wire) - cut, 0),
				 (ssize_t)(sizeof(wire) - cut));
		turn(f);
		for (int i = 0; i < 2; i++) {
			assert_true(guest_used(&f->g, RX, &id, &len));
			assert_int_equal(len, HDR + sizeof(frame));
		}
		f->g.next_buffer = GUEST_BUFFERS;
	}
}

static void a_peer_that_is_gone_takes_the_link_down(void **state)
{
	struct fixture *f = *state;
	uint8_t frame[64];
	uint16_t status = 0;

	virtio_mmio_read(&f->net->dev, 0x106, &status, 2);
	assert_int_equal(status, 1);
	close_fd(&f->peer);
	assert_false(turn(f));
	assert_true(turn(f)); /* told once */
	virtio_mmio_read(&f->net->dev, 0x106, &status, 2);
	assert_int_equal(status, 0);
	make_frame(frame, sizeof(frame), 1);
	transmit(f, &plain, frame, sizeof(frame));
	assert_int_equal(f->net->stats.tx_dropped, 1);
	assert_false(guest_is_broken(&f->g));
}

static void a_peer_that_is_gone_does_not_keep_the_loop_busy(void **state)
{
	struct fixture *f = *state;
	uint8_t frame[64];

	make_frame(frame, sizeof(frame), 1);
	peer_put(f, frame, sizeof(frame));
	turn(f); /* parked, no buffers */
	close_fd(&f->peer);
	assert_false(turn(f));
	assert_int_equal(f->net->fd, -1);
}

static void nonsense_lengths_end_the_network(void **state)
{
	static const uint32_t lengths[] = {0, 13, 65536, 0x80000000, UINT32_MAX};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(lengths); i++) {
		struct fixture *f = xcalloc(1, sizeof(*f));
		struct net_params params = {.index = 0};
		uint32_t length = htonl(lengths[i]);

		stream(f, &params);
		make(f, &params, UINT64_MAX);
		assert_int_equal(send(f->peer, &length, 4, 0), 4);
		assert_false(turn(f));
		end(f);
	}
}

static void wrong_chains_break_the_device_only(void **state)
{
	struct fixture *f = *state;
	uint64_t gpa = guest_alloc(&f->g, 4096);
	uint8_t frame[64];

	guest_add(&f->g, TX, (struct guest_buf[]){{gpa, 11, false}}, 1);
	guest_kick(&f->g, TX);
	assert_true(guest_is_broken(&f->g));

	guest_start(&f->g, &f->net->dev, UINT64_MAX);
	guest_add(&f->g, TX, (struct guest_buf[]){{gpa, 100, false}, {gpa, 100, true}}, 2);
	guest_kick(&f->g, TX);
	assert_true(guest_is_broken(&f->g));

	make_frame(frame, sizeof(frame), 1);
	guest_start(&f->g, &f->net->dev, UINT64_MAX);
	guest_add(&f->g, RX, (struct guest_buf[]){{gpa, 11, true}}, 1);
	peer_put(f, frame, sizeof(frame));
	guest_kick(&f->g, RX);
	turn(f);
	assert_true(guest_is_broken(&f->g));

	guest_start(&f->g, &f->net->dev, UINT64_MAX);
	guest_add(&f->g, RX, (struct guest_buf[]){{gpa, 11, false}, {gpa, 100, true}}, 2);
	peer_put(f, frame, sizeof(frame));
	guest_kick(&f->g, RX);
	turn(f);
	assert_true(guest_is_broken(&f->g));
}

/* A back end that records. */
static uint64_t told[8];
static unsigned ntold;
static struct net_header last_header;

static enum net_sent record_send(struct net *net, struct iovec *iov, int n, size_t len)
{
	(void)net;
	(void)n;
	(void)len;
	memcpy(&last_header, iov[0].iov_base, HDR);
	return NET_SENT;
}

static bool record_receive(struct net *net, struct net_frame *ret)
{
	(void)net;
	ret->data = NULL;
	return true;
}

static void record_driver(struct net *net, uint64_t accepted)
{
	(void)net;
	if (ntold < ARRAY_SIZE(told))
		told[ntold++] = accepted;
}

static const struct net_backend record = {
	.features = VIRTIO_NET_F_CSUM | VIRTIO_NET_F_GUEST_CSUM | VIRTIO_NET_F_GUEST_TSO4 |
		    VIRTIO_NET_F_HOST_TSO4 | VIRTIO_NET_F_HOST_TSO6,
	.send = record_send,
	.receive = record_receive,
	.driver = record_driver,
};

static struct fixture *recorded(struct net_params *params, uint64_t features)
{
	struct fixture *f = xcalloc(1, sizeof(*f));

	stream(f, params);
	params->backend = &record;
	ntold = 0;
	make(f, params, features);
	return f;
}

static void offloads_mirror_each_driver(void **state)
{
	struct net_params params = {.index = 0};
	struct fixture *f = recorded(&params, UINT64_MAX);

	(void)state;
	assert_int_equal(ntold, 1);
	assert_true(told[0] & VIRTIO_NET_F_GUEST_TSO4);
	guest_start(&f->g, &f->net->dev, ~(VIRTIO_NET_F_GUEST_TSO4 | VIRTIO_NET_F_GUEST_CSUM));
	turn(f);
	assert_int_equal(ntold, 2);
	assert_false(told[1] & (VIRTIO_NET_F_GUEST_TSO4 | VIRTIO_NET_F_GUEST_CSUM));
	guest_start(&f->g, &f->net->dev, UINT64_MAX);
	turn(f);
	assert_int_equal(ntold, 3);
	assert_true(told[2] & VIRTIO_NET_F_GUEST_TSO4);
	end(f);
}

static void headers_may_ask_for_what_was_agreed_only(void **state)
{
	static const struct {
		struct net_header h;
		bool good;
	} cases[] = {
		{{.flags = 1, .csum_start = 34, .csum_offset = 16}, true},
		{{.flags = 1, .csum_start = 34, .csum_offset = 16, .num_buffers = 77}, true},
		{{.flags = 2}, false},
		{{.flags = 1, .csum_start = 65535, .csum_offset = 65535}, false},
		{{.flags = 1, .csum_start = 190, .csum_offset = 9}, false},
		{{.flags = 1, .csum_start = 190, .csum_offset = 8}, true},
		{{.flags = 1, .gso_type = 1, .gso_size = 1448, .csum_start = 34}, true},
		{{.flags = 1, .gso_type = 0x81, .gso_size = 1448, .csum_start = 34}, true},
		{{.flags = 1, .gso_type = 1, .csum_start = 34}, false},
		{{.gso_type = 1, .gso_size = 1448}, false},
		{{.flags = 1, .gso_type = 3, .gso_size = 1448, .csum_start = 34}, false},
		{{.flags = 1, .gso_type = 5, .gso_size = 1448, .csum_start = 34}, false},
		{{.gso_type = 0x80}, false},
	};
	struct net_params params = {.index = 0};
	struct fixture *f = recorded(&params, ~VIRTIO_NET_F_HOST_TSO6);
	struct net_header tcp6 = {.flags = 1, .gso_type = 4, .gso_size = 1428, .csum_start = 54};
	uint8_t frame[200];

	(void)state;
	make_frame(frame, sizeof(frame), 1);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		uint64_t before = f->net->stats.tx_frames;

		transmit(f, &cases[i].h, frame, sizeof(frame));
		if ((f->net->stats.tx_frames > before) != cases[i].good)
			fail_msg("case %zu", i);
		if (cases[i].good)
			assert_int_equal(last_header.num_buffers, 0);
	}
	transmit(f, &tcp6, frame, sizeof(frame)); /* this driver did not accept it */
	assert_int_equal(f->net->stats.tx_refused, 9);
	end(f);
}

static void a_rate_limit_holds_frames_and_lets_them_go(void **state)
{
	struct fixture *f = xcalloc(1, sizeof(*f));
	struct net_params params = {.index = 1, .tx_packets = 20, .rx_packets = 20};
	uint8_t frame[64], got[64];
	unsigned sent = 0, received = 0;
	uint32_t id, len = 0;

	(void)state;
	stream(f, &params);
	make(f, &params, UINT64_MAX);
	make_frame(frame, sizeof(frame), 1);
	for (int i = 0; i < 24; i++) {
		add_tx(f, &plain, frame, sizeof(frame), HDR);
		add_rx(f, 100);
		peer_put(f, frame, sizeof(frame));
	}
	guest_kick(&f->g, RX);
	guest_kick(&f->g, TX);
	turn(f);
	assert_in_range(f->net->stats.tx_frames, 20, 23);
	assert_in_range(f->net->stats.rx_frames, 20, 23);
	while (sent < 24 || received < 24) { /* the timer's event brings the rest */
		struct loop_event event;

		if (loop_wait(&f->loop, &event, 1, 10000) == 1)
			assert_true(net_event(f->net, event.index, event.events));
		turn(f);
		while (guest_used(&f->g, TX, &id, &len))
			sent++;
		while (guest_used(&f->g, RX, &id, &len))
			received++;
	}
	for (int i = 0; i < 24; i++)
		assert_int_equal(peer_get(f, got, sizeof(got)), sizeof(got));
	end(f);
}

static bool allows(const struct net_guard *g, const uint8_t *head, size_t len)
{
	return net_guard_allows(g, head, len);
}

static void a_guarded_nic_speaks_for_itself_only(void **state)
{
	struct net_guard g = guard;
	uint8_t frame[NET_GUARD_HEAD];

	(void)state;
	g.addresses = true;
	g.nip4 = g.nip6 = 1;
	memcpy(g.ip4[0], "\x0a\x01\x00\x05", 4);
	memset(g.ip6[0], 0x20, 16);
	make_frame(frame, sizeof(frame), 1);

	memcpy(frame + 26, "\x0a\x01\x00\x05", 4);
	assert_true(allows(&g, frame, 34));
	assert_false(allows(&g, frame, 33));
	frame[29] = 6;
	assert_false(allows(&g, frame, sizeof(frame)));
	memset(frame + 26, 0, 4); /* before DHCP has answered */
	assert_true(allows(&g, frame, sizeof(frame)));

	memcpy(frame + 12, "\x08\x06", 2);
	memcpy(frame + 22, g.mac, 6);
	memcpy(frame + 28, "\x0a\x01\x00\x05", 4);
	assert_true(allows(&g, frame, 42));
	assert_false(allows(&g, frame, 41));
	frame[27]++;
	assert_false(allows(&g, frame, 42));
	frame[27]--;
	frame[31]++;
	assert_false(allows(&g, frame, 42));

	memcpy(frame + 12, "\x86\xdd", 2);
	memset(frame + 22, 0x20, 16);
	frame[20] = 6;
	assert_true(allows(&g, frame, 54));
	frame[20] = 58;
	frame[54] = 136; /* an advertisement, of another's address */
	memset(frame + 62, 0x21, 16);
	assert_false(allows(&g, frame, sizeof(frame)));
	memset(frame + 62, 0x20, 16);
	assert_true(allows(&g, frame, sizeof(frame)));
	assert_false(allows(&g, frame, 77));
	frame[20] = 60; /* or hidden behind options */
	assert_false(allows(&g, frame, sizeof(frame)));
	frame[20] = 0;
	frame[54] = 58;
	frame[62] = 136;
	assert_false(allows(&g, frame, sizeof(frame)));
	frame[62] = 143;
	assert_true(allows(&g, frame, sizeof(frame)));
	frame[20] = 6;
	frame[22] = 0xfe;
	assert_false(allows(&g, frame, sizeof(frame)));

	memcpy(frame + 12, "\x88\x47", 2);
	assert_false(allows(&g, frame, sizeof(frame)));
	g.addresses = false;
	assert_true(allows(&g, frame, sizeof(frame)));
	frame[6] ^= 4;
	assert_false(allows(&g, frame, sizeof(frame)));
}

static void a_wrong_mtu_makes_no_nic(void **state)
{
	static const uint16_t mtus[] = {0, 67, 65522, 65535};
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(mtus); i++) {
		struct net_params params = {
			.backend = &net_stream, .fd = f->peer, .mtu = mtus[i], .guard = guard};
		struct error err = ERROR_INIT;
		struct net *net;

		assert_int_equal(net_new(&params, &f->loop, &f->g.mem, &net, &err), -EINVAL);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(frames_leave_as_they_are_however_they_are_cut,
						setup, teardown),
		cmocka_unit_test_setup_teardown(a_frame_that_is_none_does_not_leave, setup,
						teardown),
		cmocka_unit_test_setup_teardown(the_longest_frame_passes_and_a_longer_one_does_not,
						setup, teardown),
		cmocka_unit_test_setup_teardown(a_slow_network_gets_every_frame_whole, setup,
						teardown),
		cmocka_unit_test_setup_teardown(frames_arrive_in_one_buffer, setup, teardown),
		cmocka_unit_test_setup_teardown(long_frames_are_spread_over_buffers, setup,
						teardown),
		cmocka_unit_test_setup_teardown(without_buffers_frames_wait_and_nothing_is_lost,
						setup, teardown),
		cmocka_unit_test_setup_teardown(framing_may_be_split_anywhere, setup, teardown),
		cmocka_unit_test_setup_teardown(a_peer_that_is_gone_takes_the_link_down, setup,
						teardown),
		cmocka_unit_test_setup_teardown(a_peer_that_is_gone_does_not_keep_the_loop_busy,
						setup, teardown),
		cmocka_unit_test_setup_teardown(wrong_chains_break_the_device_only, setup,
						teardown),
		cmocka_unit_test_setup_teardown(a_wrong_mtu_makes_no_nic, setup, teardown),
		cmocka_unit_test(a_driver_that_does_not_merge_loses_what_does_not_fit),
		cmocka_unit_test(nonsense_lengths_end_the_network),
		cmocka_unit_test(offloads_mirror_each_driver),
		cmocka_unit_test(headers_may_ask_for_what_was_agreed_only),
		cmocka_unit_test(a_rate_limit_holds_frames_and_lets_them_go),
		cmocka_unit_test(a_guarded_nic_speaks_for_itself_only),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

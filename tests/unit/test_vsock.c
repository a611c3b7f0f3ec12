/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include "tests/unit/vsock_guest.h"

#define PORT 1025

/* The VMM's end: takes at most budget bytes, keeps what it took. */
struct end {
	struct vsg v;
	bool refuse;
	size_t budget, got_len;
	uint8_t got[2 * VSOCK_CREDIT];
	unsigned conn, accepted, eofs, closed, writables;
};

static bool end_accept(void *ctx, unsigned conn, uint32_t port)
{
	struct end *e = ctx;

	if (e->refuse || port != PORT)
		return false;
	e->conn = conn;
	e->accepted++;
	return true;
}

static size_t end_data(void *ctx, unsigned conn, const struct iovec *iov, unsigned n, size_t len)
{
	struct end *e = ctx;
	size_t took = 0, all = 0;

	(void)conn;
	for (unsigned i = 0; i < n; i++) {
		size_t part = MIN(iov[i].iov_len, e->budget);

		part = MIN(part, sizeof(e->got) - e->got_len);
		memcpy(e->got + e->got_len, iov[i].iov_base, part);
		e->got_len += part;
		e->budget -= part;
		took += part;
		all += iov[i].iov_len;
		if (part < iov[i].iov_len)
			e->budget = 0;
	}
	assert_true(all >= len);
	return took;
}

static void end_eof(void *ctx, unsigned conn)
{
	(void)conn;
	((struct end *)ctx)->eofs++;
}

static void end_writable(void *ctx, unsigned conn)
{
	(void)conn;
	((struct end *)ctx)->writables++;
}

static void end_closed(void *ctx, unsigned conn)
{
	(void)conn;
	((struct end *)ctx)->closed++;
}

static const struct vsock_ops ops = {end_accept, end_data, end_eof, end_writable, end_closed};

static int setup(void **state)
{
	struct end *e = xcalloc(1, sizeof(*e));

	e->budget = SIZE_MAX;
	vsg_init(&e->v, &ops, e);
	*state = e;
	return 0;
}

static int teardown(void **state)
{
	struct end *e = *state;

	vsg_free(&e->v);
	free(e);
	return 0;
}

static void expect(struct end *e, uint16_t op, uint32_t guest_port)
{
	struct vsg_packet p;

	assert_true(vsg_recv(&e->v, &p));
	assert_int_equal(p.hdr.op, op);
	assert_int_equal(p.hdr.src_cid, VSOCK_HOST_CID);
	assert_int_equal(p.hdr.dst_cid, VSOCK_GUEST_CID);
	assert_int_equal(p.hdr.dst_port, guest_port);
}

static void expect_nothing(struct end *e)
{
	struct vsg_packet p;

	assert_false(vsg_recv(&e->v, &p));
}

static void dial(struct end *e, uint32_t guest_port)
{
	vsg_post(&e->v, 1);
	vsg_send(&e->v, VSG_REQUEST, guest_port, PORT, 0, NULL, 0);
	expect(e, VSG_RESPONSE, guest_port);
}

static void the_guest_cid_is_in_the_configuration(void **state)
{
	struct end *e = *state;

	assert_int_equal(guest_read32(&e->v.g, 0x100), VSOCK_GUEST_CID);
	assert_int_equal(guest_read32(&e->v.g, 0x104), 0);
}

static void a_port_nobody_listens_at_is_refused(void **state)
{
	struct end *e = *state;

	vsg_post(&e->v, 2);
	vsg_send(&e->v, VSG_REQUEST, 100, PORT + 1, 0, NULL, 0);
	expect(e, VSG_RST, 100);
	e->refuse = true;
	vsg_send(&e->v, VSG_REQUEST, 100, PORT, 0, NULL, 0);
	expect(e, VSG_RST, 100);
	assert_int_equal(e->accepted, 0);
}

static void bytes_arrive_and_the_end_after_them(void **state)
{
	struct end *e = *state;

	dial(e, 100);
	vsg_send(&e->v, VSG_RW, 100, PORT, 0, "hello ", 6);
	vsg_send(&e->v, VSG_RW, 100, PORT, 0, "world", 5);
	assert_int_equal(e->got_len, 11);
	assert_memory_equal(e->got, "hello world", 11);
	assert_int_equal(e->eofs, 0);
	vsg_post(&e->v, 1);
	vsg_send(&e->v, VSG_SHUTDOWN, 100, PORT, 3, NULL, 0);
	assert_int_equal(e->eofs, 1);
	assert_int_equal(e->closed, 1);
	expect(e, VSG_RST, 100);
}

static void what_is_not_taken_is_kept_and_the_end_waits_for_it(void **state)
{
	struct end *e = *state;

	dial(e, 100);
	e->budget = 2;
	vsg_send(&e->v, VSG_RW, 100, PORT, 0, "abcdef", 6);
	vsg_send(&e->v, VSG_RW, 100, PORT, 0, "ghi", 3);
	vsg_send(&e->v, VSG_RST, 100, PORT, 0, NULL, 0);
	assert_int_equal(e->got_len, 2);
	assert_int_equal(e->eofs, 0);
	e->budget = 3;
	vsock_flush(e->v.vs, e->conn);
	assert_int_equal(e->got_len, 5);
	assert_int_equal(e->eofs, 0);
	e->budget = 100;
	vsock_flush(e->v.vs, e->conn);
	assert_memory_equal(e->got, "abcdefghi", 9);
	assert_int_equal(e->eofs, 1);
	assert_int_equal(e->closed, 1);
}

static void a_packet_from_another_cid_is_dropped(void **state)
{
	struct end *e = *state;
	struct vsg_hdr hdr = vsg_hdr(&e->v, VSG_REQUEST, 100, PORT, 0, 0);

	vsg_post(&e->v, 4);
	hdr.src_cid = 77;
	vsg_send_raw(&e->v, &hdr, NULL, 0);
	expect_nothing(e);
	assert_int_equal(e->accepted, 0);
	assert_int_equal(e->v.vs->dropped, 1);
}

static void packets_to_other_cids_and_of_other_types_are_reset(void **state)
{
	struct end *e = *state;
	struct vsg_hdr hdr = vsg_hdr(&e->v, VSG_REQUEST, 100, PORT, 0, 0);
	struct vsg_packet p;

	vsg_post(&e->v, 4);
	hdr.dst_cid = 9;
	vsg_send_raw(&e->v, &hdr, NULL, 0);
	assert_true(vsg_recv(&e->v, &p));
	assert_int_equal(p.hdr.op, VSG_RST);
	assert_int_equal(p.hdr.src_cid, 9);
	hdr.dst_cid = VSOCK_HOST_CID;
	hdr.type = 2;
	vsg_send_raw(&e->v, &hdr, NULL, 0);
	assert_true(vsg_recv(&e->v, &p));
	assert_int_equal(p.hdr.op, VSG_RST);
	assert_int_equal(p.hdr.type, 2);
	assert_int_equal(e->accepted, 0);
}

static void a_length_beyond_the_chain_resets_the_connection(void **state)
{
	struct end *e = *state;
	struct vsg_hdr hdr = vsg_hdr(&e->v, VSG_RW, 100, PORT, 0, 5);

	dial(e, 100);
	vsg_post(&e->v, 2);
	vsg_send_raw(&e->v, &hdr, "abcd", 4);
	expect(e, VSG_RST, 100);
	assert_int_equal(e->got_len, 0);
	assert_int_equal(e->closed, 1);
}

static void a_payload_over_64_kib_resets_the_connection(void **state)
{
	struct end *e = *state;
	static uint8_t big[VSOCK_PKT_MAX + 1];

	dial(e, 100);
	vsg_send(&e->v, VSG_RW, 100, PORT, 0, big, VSOCK_PKT_MAX);
	assert_int_equal(e->got_len, VSOCK_PKT_MAX);
	vsg_post(&e->v, 1);
	vsg_send(&e->v, VSG_RW, 100, PORT, 0, big, VSOCK_PKT_MAX + 1);
	expect(e, VSG_RST, 100);
	assert_int_equal(e->got_len, VSOCK_PKT_MAX);
}

static void a_header_cut_short_is_dropped(void **state)
{
	struct end *e = *state;
	uint32_t id, len;

	vsg_post(&e->v, 1);
	guest_add(&e->v.g, 1, (struct guest_buf[]){{VSG_TX, 43, false}}, 1);
	guest_kick(&e->v.g, 1);
	assert_true(guest_used(&e->v.g, 1, &id, &len));
	expect_nothing(e);
	assert_false(guest_is_broken(&e->v.g));
}

static void packets_of_no_connection_are_reset_but_resets_are_not(void **state)
{
	struct end *e = *state;

	vsg_post(&e->v, 6);
	vsg_send(&e->v, VSG_RW, 100, PORT, 0, "x", 1);
	expect(e, VSG_RST, 100);
	vsg_send(&e->v, VSG_RESPONSE, 101, PORT, 0, NULL, 0);
	expect(e, VSG_RST, 101);
	vsg_send(&e->v, VSG_CREDIT_REQUEST, 102, PORT, 0, NULL, 0);
	expect(e, VSG_RST, 102);
	vsg_send(&e->v, VSG_RST, 103, PORT, 0, NULL, 0);
	expect_nothing(e);
}

static void unknown_and_repeated_operations_end_the_connection(void **state)
{
	static const uint16_t ops_wrong[] = {0, VSG_REQUEST, VSG_RESPONSE, 8, 0xffff};
	struct end *e = *state;

	for (unsigned i = 0; i < ARRAY_SIZE(ops_wrong); i++) {
		dial(e, 100 + i);
		vsg_post(&e->v, 1);
		vsg_send(&e->v, ops_wrong[i], 100 + i, PORT, 0, NULL, 0);
		expect(e, VSG_RST, 100 + i);
		assert_int_equal(e->closed, i + 1);
	}
}

static void data_after_the_guest_said_it_sends_no_more_is_a_fault(void **state)
{
	struct end *e = *state;

	dial(e, 100);
	vsg_send(&e->v, VSG_SHUTDOWN, 100, PORT, 2, NULL, 0);
	assert_int_equal(e->eofs, 1);
	vsg_post(&e->v, 1);
	vsg_send(&e->v, VSG_RW, 100, PORT, 0, "x", 1);
	expect(e, VSG_RST, 100);
	assert_int_equal(e->got_len, 0);
}

static void more_than_the_credit_resets_the_connection(void **state)
{
	struct end *e = *state;
	static uint8_t chunk[VSOCK_PKT_MAX];

	dial(e, 100);
	e->budget = 0;
	for (unsigned i = 0; i < VSOCK_CREDIT / VSOCK_PKT_MAX; i++)
		vsg_send(&e->v, VSG_RW, 100, PORT, 0, chunk, sizeof(chunk));
	vsg_post(&e->v, 1);
	expect_nothing(e);
	vsg_send(&e->v, VSG_RW, 100, PORT, 0, chunk, 1);
	expect(e, VSG_RST, 100);
	/* what was within the credit is still delivered */
	e->budget = SIZE_MAX;
	vsock_flush(e->v.vs, e->conn);
	assert_int_equal(e->got_len, VSOCK_CREDIT);
	assert_int_equal(e->closed, 1);
}

static void a_credit_request_is_answered(void **state)
{
	struct end *e = *state;
	struct vsg_packet p;

	dial(e, 100);
	vsg_send(&e->v, VSG_RW, 100, PORT, 0, "abc", 3);
	vsg_post(&e->v, 1);
	vsg_send(&e->v, VSG_CREDIT_REQUEST, 100, PORT, 0, NULL, 0);
	assert_true(vsg_recv(&e->v, &p));
	assert_int_equal(p.hdr.op, VSG_CREDIT_UPDATE);
	assert_int_equal(p.hdr.buf_alloc, VSOCK_CREDIT);
	assert_int_equal(p.hdr.fwd_cnt, 3);
}

static void owed_packets_wait_for_a_buffer_and_tx_goes_on(void **state)
{
	struct end *e = *state;
	struct vsg_packet p;

	vsg_send(&e->v, VSG_REQUEST, 100, PORT, 0, NULL, 0);
	vsg_send(&e->v, VSG_RW, 100, PORT, 0, "abc", 3);
	vsg_send(&e->v, VSG_SHUTDOWN, 100, PORT, 3, NULL, 0);
	assert_int_equal(e->got_len, 3);
	expect_nothing(e);
	vsg_post(&e->v, 3);
	assert_true(vsg_recv(&e->v, &p)); /* one reset answers all of it */
	assert_int_equal(p.hdr.op, VSG_RST);
	expect_nothing(e);
	assert_int_equal(e->closed, 1);
}

static void a_storm_of_strays_is_answered_up_to_the_bound(void **state)
{
	struct end *e = *state;
	struct vsg_packet p;
	unsigned answers = 0;

	for (unsigned i = 0; i < 10 * VSOCK_STRAY_MAX; i++)
		vsg_send(&e->v, VSG_RW, 1000 + i, PORT, 0, "x", 1);
	assert_int_equal(e->v.vs->nstray, VSOCK_STRAY_MAX);
	for (unsigned round = 0; round < 100; round++) {
		vsg_post(&e->v, 1);
		if (vsg_recv(&e->v, &p))
			answers++;
	}
	assert_int_equal(answers, VSOCK_STRAY_MAX);
	assert_int_equal(e->v.vs->dropped, 9 * VSOCK_STRAY_MAX);
}

static void connections_are_bounded_and_their_slots_come_back(void **state)
{
	struct end *e = *state;
	struct vsg_packet p;

	for (unsigned i = 0; i < VSOCK_CONNS_MAX; i++)
		dial(e, 5000 + i);
	vsg_post(&e->v, 1);
	vsg_send(&e->v, VSG_REQUEST, 99, PORT, 0, NULL, 0);
	expect(e, VSG_RST, 99);
	assert_int_equal(e->accepted, VSOCK_CONNS_MAX);
	vsg_post(&e->v, 1);
	vsg_send(&e->v, VSG_RST, 5007, PORT, 0, NULL, 0);
	vsg_send(&e->v, VSG_REQUEST, 99, PORT, 0, NULL, 0);
	assert_true(vsg_recv(&e->v, &p));
	assert_int_equal(p.hdr.op, VSG_RESPONSE);
}

static void sending_stops_at_the_guests_credit_and_goes_on(void **state)
{
	struct end *e = *state;
	uint8_t data[3000];
	struct vsg_packet p;

	for (unsigned i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * 7);
	e->v.buf_alloc = 1000;
	dial(e, 100);
	vsg_post(&e->v, 8);
	assert_int_equal(vsock_send(e->v.vs, e->conn, data, sizeof(data)), 1000);
	assert_true(vsg_recv(&e->v, &p));
	assert_int_equal(p.hdr.op, VSG_RW);
	assert_int_equal(p.len, 1000);
	assert_memory_equal(p.data, data, 1000);
	expect_nothing(e);
	assert_int_equal(e->writables, 0);
	e->v.fwd_cnt = 600;
	vsg_send(&e->v, VSG_CREDIT_UPDATE, 100, PORT, 0, NULL, 0);
	assert_int_equal(e->writables, 1);
	assert_int_equal(vsock_send(e->v.vs, e->conn, data + 1000, 2000), 600);
	/* a guest that shrinks its buffer or counts what was never sent gets nothing */
	e->v.fwd_cnt = 5000;
	vsg_send(&e->v, VSG_CREDIT_UPDATE, 100, PORT, 0, NULL, 0);
	assert_int_equal(vsock_send(e->v.vs, e->conn, data, 100), 0);
	e->v.fwd_cnt = 600;
	e->v.buf_alloc = 10;
	vsg_send(&e->v, VSG_CREDIT_UPDATE, 100, PORT, 0, NULL, 0);
	assert_int_equal(vsock_send(e->v.vs, e->conn, data, 100), 0);
}

static void a_full_rx_queue_stops_sending_until_there_are_buffers(void **state)
{
	struct end *e = *state;
	static uint8_t data[20000];

	dial(e, 100);
	vsg_post(&e->v, 2);
	assert_int_equal(vsock_send(e->v.vs, e->conn, data, sizeof(data)), 2 * 4096);
	assert_int_equal(e->writables, 0);
	vsg_post(&e->v, 1);
	assert_int_equal(e->writables, 1);
	assert_int_equal(vsock_send(e->v.vs, e->conn, data, sizeof(data)), 4096);
}

static void our_shutdown_is_told_and_later_bytes_are_dropped(void **state)
{
	struct end *e = *state;
	struct vsg_packet p;

	dial(e, 100);
	vsg_post(&e->v, 1);
	vsock_shutdown(e->v.vs, e->conn, VSOCK_SHUTDOWN_RCV);
	assert_true(vsg_recv(&e->v, &p));
	assert_int_equal(p.hdr.op, VSG_SHUTDOWN);
	assert_int_equal(p.hdr.flags, VSOCK_SHUTDOWN_RCV);
	vsg_send(&e->v, VSG_RW, 100, PORT, 0, "late", 4);
	assert_int_equal(e->got_len, 0);
	vsg_post(&e->v, 1);
	vsg_send(&e->v, VSG_SHUTDOWN, 100, PORT, 3, NULL, 0);
	expect(e, VSG_RST, 100);
	assert_int_equal(e->eofs, 1);
}

static void a_reset_by_the_endpoint_is_silent_for_it(void **state)
{
	struct end *e = *state;

	dial(e, 100);
	e->budget = 0;
	vsg_send(&e->v, VSG_RW, 100, PORT, 0, "kept", 4);
	vsock_reset(e->v.vs, e->conn);
	vsg_post(&e->v, 1);
	expect(e, VSG_RST, 100);
	assert_int_equal(e->eofs + e->closed, 0);
	assert_int_equal(e->v.vs->conn[e->conn].state, VSOCK_FREE);
}

static void a_driver_reset_ends_connections_in_the_loop(void **state)
{
	struct end *e = *state;

	dial(e, 100);
	dial(e, 101);
	guest_write32(&e->v.g, 0x70, 0);
	assert_int_equal(e->closed, 0);
	vsock_wake(e->v.vs);
	assert_int_equal(e->eofs, 2);
	assert_int_equal(e->closed, 2);
	vsg_start(&e->v);
	dial(e, 100);
}

static void an_rx_buffer_without_room_for_a_header_breaks_the_device(void **state)
{
	struct end *e = *state;

	guest_add(&e->v.g, 0, (struct guest_buf[]){{VSG_RX, 43, true}}, 1);
	vsg_send(&e->v, VSG_RW, 100, PORT, 0, "x", 1);
	assert_true(guest_is_broken(&e->v.g));
}

/* A small generator, so that a failure repeats. */
static uint32_t next_random(uint32_t *state)
{
	*state = *state * 1664525 + 1013904223;
	return *state >> 8;
}

/*
 * A guest that keeps to the credit it was told sends a numbered stream while the endpoint takes
 * bytes in fits and starts: nothing is lost, doubled or reset, the guest is never told of room
 * there is not, and once all was taken it may send at least half the credit.
 */
static void credit_agrees_with_a_model(void **state)
{
	struct end *e = *state;
	static uint8_t chunk[VSOCK_PKT_MAX];
	uint32_t seed = 42, sent = 0, told = 0, taken = 0, byte = 0, checked = 0;
	struct vsg_packet p;

	dial(e, 100);
	e->budget = 0;
	for (unsigned step = 0; step < 4000; step++) {
		uint32_t n = 1 + next_random(&seed) % VSOCK_PKT_MAX;
		uint32_t room = VSOCK_CREDIT - (sent - told);

		if (vsg_waiting(&e->v) < 2)
			vsg_post(&e->v, 1);
		if (next_random(&seed) % 2 && room) {
			n = MIN(n, room);
			for (uint32_t i = 0; i < n; i++)
				chunk[i] = (uint8_t)((byte + i) * 31 >> 3);
			byte += n;
			sent += n;
			vsg_send(&e->v, VSG_RW, 100, PORT, 0, chunk, n);
		} else {
			e->budget = next_random(&seed) % (2 * VSOCK_PKT_MAX);
			vsock_flush(e->v.vs, e->conn);
			e->budget = 0;
		}
		taken += (uint32_t)e->got_len;
		for (size_t i = 0; i < e->got_len; i++, checked++)
			assert_int_equal(e->got[i], (uint8_t)(checked * 31 >> 3));
		e->got_len = 0;
		while (vsg_recv(&e->v, &p)) {
			assert_int_equal(p.hdr.op, VSG_CREDIT_UPDATE);
			told = p.hdr.fwd_cnt;
		}
		assert_true(taken - told < VSOCK_CREDIT); /* told of no more than was taken */
		if (taken == sent)
			assert_true(VSOCK_CREDIT - (sent - told) >= VSOCK_CREDIT / 2);
	}
	assert_true(sent > 4 * VSOCK_CREDIT);
	assert_int_equal(e->closed, 0);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(the_guest_cid_is_in_the_configuration),
		T(a_port_nobody_listens_at_is_refused),
		T(bytes_arrive_and_the_end_after_them),
		T(what_is_not_taken_is_kept_and_the_end_waits_for_it),
		T(a_packet_from_another_cid_is_dropped),
		T(packets_to_other_cids_and_of_other_types_are_reset),
		T(a_length_beyond_the_chain_resets_the_connection),
		T(a_payload_over_64_kib_resets_the_connection),
		T(a_header_cut_short_is_dropped),
		T(packets_of_no_connection_are_reset_but_resets_are_not),
		T(unknown_and_repeated_operations_end_the_connection),
		T(data_after_the_guest_said_it_sends_no_more_is_a_fault),
		T(more_than_the_credit_resets_the_connection),
		T(a_credit_request_is_answered),
		T(owed_packets_wait_for_a_buffer_and_tx_goes_on),
		T(a_storm_of_strays_is_answered_up_to_the_bound),
		T(connections_are_bounded_and_their_slots_come_back),
		T(sending_stops_at_the_guests_credit_and_goes_on),
		T(a_full_rx_queue_stops_sending_until_there_are_buffers),
		T(our_shutdown_is_told_and_later_bytes_are_dropped),
		T(a_reset_by_the_endpoint_is_silent_for_it),
		T(a_driver_reset_ends_connections_in_the_loop),
		T(an_rx_buffer_without_room_for_a_header_breaks_the_device),
		T(credit_agrees_with_a_model),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The vsock device against packets of any kind. Input: records of an action byte, then a header's
 * interesting fields; the endpoint takes what an action says. After each record what is kept of a
 * connection fits its credit, and nothing breaks the device.
 */
#include "tests/fuzz/fuzz.h"

#include <assert.h>

#include "tests/unit/vsock_guest.h"

struct record {
	uint8_t action, op, src, dst, flags, odd;
	uint16_t len;
	uint32_t buf_alloc, fwd_cnt;
} __attribute__((packed));

static struct vsg v;
static size_t budget;
static uint8_t payload[VSOCK_PKT_MAX + 16];

static bool on_accept(void *ctx, unsigned conn, uint32_t port)
{
	(void)ctx;
	(void)conn;
	return port % 4;
}

static size_t on_data(void *ctx, unsigned conn, const struct iovec *iov, unsigned n, size_t len)
{
	size_t took = MIN(len, budget);

	(void)ctx;
	assert(n && iov[0].iov_base);
	budget -= took;
	if (budget == 7)
		vsock_reset(v.vs, conn);
	return took;
}

static void on_end(void *ctx, unsigned conn)
{
	(void)ctx;
	assert(conn < VSOCK_CONNS_MAX);
}

static void on_writable(void *ctx, unsigned conn)
{
	(void)ctx;
	if (!(v.vs->conn[conn].our_shut & VSOCK_SHUTDOWN_SEND))
		vsock_send(v.vs, conn, payload, 1 + budget % 9000);
}

static const struct vsock_ops ops = {on_accept, on_data, on_end, on_writable, on_end};

static void act(const struct record *r)
{
	struct vsg_hdr hdr = vsg_hdr(&v, r->op, 100 + r->src % 8, r->dst, r->flags, r->len);
	unsigned conn = r->src % 4;
	struct vsg_packet p;

	budget = r->buf_alloc % 100000;
	hdr.buf_alloc = r->buf_alloc;
	hdr.fwd_cnt = r->fwd_cnt;
	if (r->odd & 1)
		hdr.src_cid = r->odd;
	if (r->odd & 2)
		hdr.dst_cid = r->odd;
	if (r->odd & 4)
		hdr.type = r->odd;
	switch (r->action % 8) {
	case 0:
		if (vsg_waiting(&v) < 8)
			vsg_post(&v, 1 + r->len % 4);
		break;
	case 1:
		vsock_flush(v.vs, conn);
		break;
	case 2:
		if (v.vs->conn[conn].state == VSOCK_OPEN)
			vsock_shutdown(v.vs, conn, r->flags & 3);
		break;
	case 3:
		if (v.vs->conn[conn].state == VSOCK_OPEN)
			on_writable(NULL, conn);
		break;
	default:
		vsg_send_raw(&v, &hdr, payload, r->odd & 8 ? r->len / 2 : r->len);
	}
	while (vsg_recv(&v, &p))
		;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct record r;

	if (!v.vs)
		vsg_init(&v, &ops, NULL);
	guest_write32(&v.g, 0x70, 0);
	vsock_wake(v.vs);
	for (unsigned i = 0; i < VSOCK_CONNS_MAX; i++)
		vsock_reset(v.vs, i); /* bytes that were kept */
	vsg_start(&v);
	for (; size >= sizeof(r); data += sizeof(r), size -= sizeof(r)) {
		memcpy(&r, data, sizeof(r));
		act(&r);
		assert(!guest_is_broken(&v.g));
		assert(v.vs->nstray <= VSOCK_STRAY_MAX);
		for (unsigned i = 0; i < VSOCK_CONNS_MAX; i++)
			assert(v.vs->conn[i].rx_cnt - v.vs->conn[i].fwd_cnt <= VSOCK_CREDIT);
	}
	return 0;
}

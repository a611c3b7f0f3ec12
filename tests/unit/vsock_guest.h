/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_UNIT_VSOCK_GUEST_H
#define TESTS_UNIT_VSOCK_GUEST_H

#include "tests/unit/guest_driver.h"
#include "vmm/vsock.h"

/*
 * A guest's vsock driver, for tests: packets in and out, one at a time, without any rule of its own.
 *
 *	struct vsg v;
 *	vsg_init(&v, &ops, ctx);
 *	vsg_post(&v, 4);                            buffers for packets from the host
 *	vsg_send(&v, VSG_REQUEST, 100, PORT, 0, NULL, 0);
 *	vsg_recv(&v, &packet)                       false: nothing came
 *	vsg_free(&v);
 */

enum {
	VSG_REQUEST = 1,
	VSG_RESPONSE,
	VSG_RST,
	VSG_SHUTDOWN,
	VSG_RW,
	VSG_CREDIT_UPDATE,
	VSG_CREDIT_REQUEST,
};

struct vsg_hdr {
	uint64_t src_cid, dst_cid;
	uint32_t src_port, dst_port, len;
	uint16_t type, op;
	uint32_t flags, buf_alloc, fwd_cnt;
} __attribute__((packed));

#define VSG_RX	   (1 * MIB)
#define VSG_RX_LEN 4140 /* a header and 4 KiB, as Linux has them */
#define VSG_TX	   (2 * MIB)

struct vsg {
	struct guest g;
	struct vsock *vs;
	uint32_t buf_alloc, fwd_cnt; /* what the guest says in its packets */
	unsigned posted;
};

struct vsg_packet {
	struct vsg_hdr hdr;
	uint8_t data[VSG_RX_LEN];
	size_t len;
};

static inline void vsg_start(struct vsg *v)
{
	guest_start(&v->g, &v->vs->dev, UINT64_MAX);
	v->posted = 0;
}

static inline void vsg_init(struct vsg *v, const struct vsock_ops *ops, void *ctx)
{
	struct error err;
	int r;

	memset(v, 0, sizeof(*v));
	guest_init(&v->g);
	r = vsock_new(ops, ctx, &v->g.mem, &v->vs, &err);
	assert(r == 0);
	v->buf_alloc = 256 << 10;
	vsg_start(v);
}

static inline void vsg_free(struct vsg *v)
{
	vsock_free(v->vs);
	guest_free(&v->g);
}

static inline void vsg_post(struct vsg *v, unsigned n)
{
	while (n--) {
		uint64_t gpa = VSG_RX + (uint64_t)(v->posted++ % v->g.q[0].size) * 8192;

		guest_add(&v->g, 0, (struct guest_buf[]){{gpa, VSG_RX_LEN, true}}, 1);
	}
	guest_kick(&v->g, 0);
}

/* Buffers the host has not used yet. */
static inline unsigned vsg_waiting(struct vsg *v)
{
	return (uint16_t)(v->posted - v->g.q[0].used[1]);
}

/* Any header; present is how many bytes follow it in the chain, whatever hdr.len says. */
static inline void vsg_send_raw(struct vsg *v, const struct vsg_hdr *hdr, const void *data,
				uint32_t present)
{
	uint32_t id, len;

	memcpy(guest_ptr(&v->g, VSG_TX), hdr, sizeof(*hdr));
	if (present)
		memcpy(guest_ptr(&v->g, VSG_TX + 64), data, present);
	guest_add(
		&v->g, 1,
		(struct guest_buf[]){{VSG_TX, sizeof(*hdr), false}, {VSG_TX + 64, present, false}},
		present ? 2 : 1);
	guest_kick(&v->g, 1);
	while (guest_used(&v->g, 1, &id, &len))
		assert(len == 0);
}

static inline struct vsg_hdr vsg_hdr(struct vsg *v, uint16_t op, uint32_t src, uint32_t dst,
				     uint32_t flags, uint32_t len)
{
	return (struct vsg_hdr){
		.src_cid = VSOCK_GUEST_CID,
		.dst_cid = VSOCK_HOST_CID,
		.src_port = src,
		.dst_port = dst,
		.len = len,
		.type = 1,
		.op = op,
		.flags = flags,
		.buf_alloc = v->buf_alloc,
		.fwd_cnt = v->fwd_cnt,
	};
}

static inline void vsg_send(struct vsg *v, uint16_t op, uint32_t src, uint32_t dst, uint32_t flags,
			    const void *data, uint32_t len)
{
	struct vsg_hdr hdr = vsg_hdr(v, op, src, dst, flags, len);

	vsg_send_raw(v, &hdr, data, len);
}

static inline bool vsg_recv(struct vsg *v, struct vsg_packet *ret)
{
	uint32_t id, len;
	uint8_t *p;

	if (!guest_used(&v->g, 0, &id, &len))
		return false;
	assert(len >= sizeof(ret->hdr) && len <= VSG_RX_LEN);
	p = guest_ptr(&v->g, v->g.q[0].desc[id].addr);
	memcpy(&ret->hdr, p, sizeof(ret->hdr));
	ret->len = len - sizeof(ret->hdr);
	memcpy(ret->data, p + sizeof(ret->hdr), ret->len);
	assert(ret->len == ret->hdr.len);
	return true;
}

#endif

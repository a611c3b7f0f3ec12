/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMM_VSOCK_PRIV_H
#define VMM_VSOCK_PRIV_H

#include "vmm/vsock.h"

/* Between the device's connections (vsock.c) and the packets from the guest (vsock_tx.c). */

enum {
	QUEUE_RX,
	QUEUE_TX,
	QUEUE_EVENT,
	QUEUES,
};

enum {
	VIRTIO_VSOCK_OP_REQUEST = 1,
	VIRTIO_VSOCK_OP_RESPONSE = 2,
	VIRTIO_VSOCK_OP_RST = 3,
	VIRTIO_VSOCK_OP_SHUTDOWN = 4,
	VIRTIO_VSOCK_OP_RW = 5,
	VIRTIO_VSOCK_OP_CREDIT_UPDATE = 6,
	VIRTIO_VSOCK_OP_CREDIT_REQUEST = 7,
};

#define VIRTIO_VSOCK_F_STREAM	 0
#define VIRTIO_VSOCK_TYPE_STREAM 1

struct virtio_vsock_hdr {
	uint64_t src_cid, dst_cid;
	uint32_t src_port, dst_port;
	uint32_t len;
	uint16_t type, op;
	uint32_t flags;
	uint32_t buf_alloc, fwd_cnt;
} __attribute__((packed));

_Static_assert(sizeof(struct virtio_vsock_hdr) == 44, "virtio 1.2 section 5.10.6");

/* struct vsock_conn.owed, in the order they are paid */
#define OWE_RESPONSE (1U << 0)
#define OWE_CREDIT   (1U << 1)
#define OWE_SHUTDOWN (1U << 2)
#define OWE_RST	     (1U << 3)

static inline struct vsock *vsock_of(struct virtio_device *dev)
{
	return (struct vsock *)dev;
}

/* Bytes of the guest's not taken yet. */
static inline uint32_t vsock_kept(const struct vsock_conn *c)
{
	return c->rx_cnt - c->fwd_cnt;
}

/* Tell the endpoint that the guest's bytes have ended, and let go of a slot nobody needs. */
void vsock_settle(struct vsock *vs, struct vsock_conn *c);
/* The connection ends for the guest; reset says whether it has to be told. */
void vsock_conn_end(struct vsock *vs, struct vsock_conn *c, bool reset);
/* Owe an open connection a packet, OWE_*. */
void vsock_owe(struct vsock_conn *c, uint8_t what);
/* n of the bytes received were taken by the endpoint. */
void vsock_taken(struct vsock_conn *c, size_t n);
/* Keep what is behind skip of iov, behind the used bytes that are kept already. */
void vsock_keep(struct vsock *vs, struct vsock_conn *c, const struct iovec *iov, unsigned n,
		size_t skip, uint32_t used);

/* One packet from the guest (for virtio_drain()). Nothing is ever written into its chain. */
int64_t vsock_tx(struct virtio_device *dev, struct vq_chain *chain);

#endif

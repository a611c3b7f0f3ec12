/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Packets from the guest: every rule a packet can break is looked at here, before anything is done
 * (virtio 1.2 section 5.10.6). What no connection can be blamed for is answered with an RST of its
 * own, or dropped; a connection whose guest end breaks a rule is reset.
 */
#include <assert.h>
#include <string.h>

#include "vmm/vsock_priv.h"

/* An RST for a packet that belongs to no connection; dropped when too many are owed already. */
static void stray(struct vsock *vs, const struct virtio_vsock_hdr *hdr)
{
	if (hdr->op == VIRTIO_VSOCK_OP_RST)
		return;
	if (vs->nstray == VSOCK_STRAY_MAX) {
		vs->dropped++;
		return;
	}
	vs->stray[vs->nstray].guest_cid = hdr->src_cid;
	vs->stray[vs->nstray].host_cid = hdr->dst_cid;
	vs->stray[vs->nstray].guest_port = hdr->src_port;
	vs->stray[vs->nstray].host_port = hdr->dst_port;
	vs->stray[vs->nstray].type = hdr->type;
	vs->nstray++;
}

static struct vsock_conn *conn_find(struct vsock *vs, const struct virtio_vsock_hdr *hdr,
				    enum vsock_conn_state state)
{
	for (unsigned i = 0; i < VSOCK_CONNS_MAX; i++) {
		struct vsock_conn *c = &vs->conn[i];

		if (c->state == state && c->guest_port == hdr->src_port &&
		    c->host_port == hdr->dst_port)
			return c;
	}
	return NULL;
}

static void on_request(struct vsock *vs, const struct virtio_vsock_hdr *hdr)
{
	struct vsock_conn *c = NULL;

	for (unsigned i = 0; i < VSOCK_CONNS_MAX && !c; i++)
		if (vs->conn[i].state == VSOCK_FREE)
			c = &vs->conn[i];
	if (!c) {
		stray(vs, hdr);
		return;
	}
	*c = (struct vsock_conn){
		.state = VSOCK_OPEN,
		.guest_port = hdr->src_port,
		.host_port = hdr->dst_port,
		.peer_alloc = hdr->buf_alloc,
		.peer_fwd = hdr->fwd_cnt,
	};
	if (!vs->ops->accept(vs->ctx, (unsigned)(c - vs->conn), hdr->dst_port)) {
		*c = (struct vsock_conn){.state = VSOCK_FREE};
		stray(vs, hdr);
	} else {
		vsock_owe(c, OWE_RESPONSE);
	}
}

static void on_rw(struct vsock *vs, struct vsock_conn *c, struct vq_chain *chain, uint32_t len)
{
	struct iovec iov[VQ_CHAIN_MAX];
	uint32_t before = vsock_kept(c);
	size_t took = 0;
	int n;

	if (len > VSOCK_CREDIT - before || c->peer_shut & VSOCK_SHUTDOWN_SEND) {
		vs->dropped++;
		vsock_conn_end(vs, c, true);
		return;
	}
	if (!len)
		return;
	n = vq_chain_read_iov(chain, len, iov);
	assert(n > 0); /* the caller compared len with what is there */
	c->rx_cnt += len;
	if (c->our_shut & VSOCK_SHUTDOWN_RCV)
		took = len; /* sent before the guest saw that nobody listens */
	else if (!before)
		took = vs->ops->data(vs->ctx, (unsigned)(c - vs->conn), iov, (unsigned)n, len);
	if (c->state != VSOCK_OPEN)
		return;
	if (took < len)
		vsock_keep(vs, c, iov, (unsigned)n, took, before);
	if (took)
		vsock_taken(c, took);
}

static void on_shutdown(struct vsock *vs, struct vsock_conn *c, uint32_t flags)
{
	c->peer_shut |= flags & (VSOCK_SHUTDOWN_RCV | VSOCK_SHUTDOWN_SEND);
	if (c->peer_shut == (VSOCK_SHUTDOWN_RCV | VSOCK_SHUTDOWN_SEND))
		vsock_conn_end(vs, c, true);
	else if (c->want_write && c->peer_shut & VSOCK_SHUTDOWN_RCV) {
		c->want_write = false; /* vsock_send() takes everything now */
		vs->ops->writable(vs->ctx, (unsigned)(c - vs->conn));
	}
	vsock_settle(vs, c);
}

static void on_packet(struct vsock *vs, struct vsock_conn *c, struct vq_chain *chain,
		      const struct virtio_vsock_hdr *hdr)
{
	c->peer_alloc = hdr->buf_alloc;
	c->peer_fwd = hdr->fwd_cnt;
	switch (hdr->op) {
	case VIRTIO_VSOCK_OP_RST:
		vsock_conn_end(vs, c, false);
		break;
	case VIRTIO_VSOCK_OP_SHUTDOWN:
		on_shutdown(vs, c, hdr->flags);
		break;
	case VIRTIO_VSOCK_OP_RW:
		on_rw(vs, c, chain, hdr->len);
		break;
	case VIRTIO_VSOCK_OP_CREDIT_UPDATE:
		break;
	case VIRTIO_VSOCK_OP_CREDIT_REQUEST:
		vsock_owe(c, OWE_CREDIT);
		break;
	default: /* REQUEST again, RESPONSE to nothing, unknown */
		vs->dropped++;
		vsock_conn_end(vs, c, true);
	}
}

/* One packet from the guest. Nothing is ever written into its chain. */
int64_t vsock_tx(struct virtio_device *dev, struct vq_chain *chain)
{
	struct vsock *vs = vsock_of(dev);
	struct virtio_vsock_hdr hdr;
	struct vsock_conn *c;
	size_t payload;

	if (vq_chain_read(chain, &hdr, sizeof(hdr)) != sizeof(hdr) ||
	    hdr.src_cid != VSOCK_GUEST_CID) {
		vs->dropped++;
		return 0;
	}
	payload = chain->read_len - sizeof(hdr);
	if (hdr.dst_cid != VSOCK_HOST_CID || hdr.type != VIRTIO_VSOCK_TYPE_STREAM) {
		stray(vs, &hdr);
		return 0;
	}
	c = conn_find(vs, &hdr, VSOCK_OPEN);
	if (hdr.len > payload || hdr.len > VSOCK_PKT_MAX) {
		vs->dropped++;
		if (c)
			vsock_conn_end(vs, c, true);
		else
			stray(vs, &hdr);
	} else if (c) {
		on_packet(vs, c, chain, &hdr);
	} else if ((c = conn_find(vs, &hdr, VSOCK_GONE)) && c->owed) {
		vs->dropped++; /* the owed RST is the answer */
	} else if (hdr.op == VIRTIO_VSOCK_OP_REQUEST) {
		on_request(vs, &hdr);
	} else {
		stray(vs, &hdr);
	}
	return 0;
}

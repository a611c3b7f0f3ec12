/* SPDX-License-Identifier: Apache-2.0 */
/*
 * virtio-vsock, device side.
 *
 * Packets from the guest (tx queue) are handled at once, always: what they carry is taken by the
 * endpoint or fits into the connection's buffer, since a guest that sends more than its credit is
 * reset. Packets to the guest need a buffer the guest has put into the rx queue, which it may
 * withhold. So nothing is queued: a connection remembers which packets it owes (a flag each, an
 * owed credit update has no history), resets owed to ports without a connection wait in a short
 * list, and payload stays with the endpoint, who is told by writable() when to go on. pump() pays
 * when the guest gives buffers.
 *
 * A connection is OPEN while the guest may use it. After a reset from either side, or when the
 * guest has shut down both directions, it is GONE: its ports name nothing any more, but its slot
 * stays until the RST is sent and the bytes already received are taken.
 *
 * Counters of bytes are 32 bits and wrap, as the specification has them; only differences count.
 */
#include "vmm/vsock_priv.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>

#include "common/util.h"

static uint8_t *buf_of(struct vsock *vs, const struct vsock_conn *c)
{
	return vs->buf + (size_t)(c - vs->conn) * VSOCK_CREDIT;
}

/* What the guest still has room for, 0 when its counters make no sense. */
static uint32_t peer_free(const struct vsock_conn *c)
{
	uint32_t flying = c->tx_cnt - c->peer_fwd;

	return flying < c->peer_alloc ? c->peer_alloc - flying : 0;
}

/*
 * Put one packet into the next buffer of the guest, with as much of the payload as fits there.
 * Returns the payload bytes sent, -1 when there is no buffer; the driver then notifies of the next.
 */
static int64_t rx_put(struct vsock *vs, struct virtio_vsock_hdr *hdr, const void *data, size_t len)
{
	struct virtqueue *vq = &vs->dev.vq[QUEUE_RX];
	struct vq_chain chain;
	enum vq_pop pop;

	if (!virtio_active(&vs->dev))
		return -1;
	do {
		pop = virtqueue_pop(vq, &chain);
	} while (pop == VQ_EMPTY && virtqueue_arm(vq));
	if (pop == VQ_EMPTY)
		return -1;
	if (pop == VQ_BROKEN || chain.write_len < sizeof(*hdr) + (len > 0)) {
		virtio_break(&vs->dev, pop == VQ_BROKEN ? vq->fault : "vsock rx buffer too small");
		return -1;
	}
	len = MIN(len, chain.write_len - sizeof(*hdr));
	hdr->len = (uint32_t)len;
	vq_chain_write(&chain, hdr, sizeof(*hdr));
	if (len)
		vq_chain_write(&chain, data, len);
	virtqueue_push(vq, &chain, (uint32_t)(sizeof(*hdr) + len));
	return (int64_t)len;
}

/* A packet of a connection; as every packet it carries our current credit. As rx_put(). */
static int64_t conn_put(struct vsock *vs, struct vsock_conn *c, uint16_t op, uint32_t flags,
			const void *data, size_t len)
{
	struct virtio_vsock_hdr hdr = {
		.src_cid = VSOCK_HOST_CID,
		.dst_cid = VSOCK_GUEST_CID,
		.src_port = c->host_port,
		.dst_port = c->guest_port,
		.type = VIRTIO_VSOCK_TYPE_STREAM,
		.op = op,
		.flags = flags,
		.buf_alloc = VSOCK_CREDIT,
		.fwd_cnt = c->fwd_cnt,
	};
	int64_t sent = rx_put(vs, &hdr, data, len);

	if (sent >= 0)
		c->fwd_told = hdr.fwd_cnt;
	return sent;
}

/* Send what the connection owes. False when a packet is still owed. */
static bool pay(struct vsock *vs, struct vsock_conn *c)
{
	static const struct {
		uint8_t owe;
		uint16_t op;
	} order[] = {
		{OWE_RESPONSE, VIRTIO_VSOCK_OP_RESPONSE},
		{OWE_CREDIT, VIRTIO_VSOCK_OP_CREDIT_UPDATE},
		{OWE_SHUTDOWN, VIRTIO_VSOCK_OP_SHUTDOWN},
		{OWE_RST, VIRTIO_VSOCK_OP_RST},
	};

	for (unsigned i = 0; i < ARRAY_SIZE(order) && c->owed; i++) {
		uint32_t flags = order[i].owe == OWE_SHUTDOWN ? c->our_shut : 0;

		if (!(c->owed & order[i].owe))
			continue;
		if (conn_put(vs, c, order[i].op, flags, NULL, 0) < 0)
			return false;
		c->owed &= (uint8_t)~order[i].owe;
	}
	return true;
}

static bool pay_stray(struct vsock *vs)
{
	while (vs->nstray) {
		struct virtio_vsock_hdr hdr = {
			.src_cid = vs->stray[vs->nstray - 1].host_cid,
			.dst_cid = vs->stray[vs->nstray - 1].guest_cid,
			.src_port = vs->stray[vs->nstray - 1].host_port,
			.dst_port = vs->stray[vs->nstray - 1].guest_port,
			.type = vs->stray[vs->nstray - 1].type,
			.op = VIRTIO_VSOCK_OP_RST,
		};

		if (rx_put(vs, &hdr, NULL, 0) < 0)
			return false;
		vs->nstray--;
	}
	return true;
}

/* Tell the endpoint that the guest's bytes have ended, and let go of a slot nobody needs. */
void vsock_settle(struct vsock *vs, struct vsock_conn *c)
{
	unsigned i = (unsigned)(c - vs->conn);

	if (c->state == VSOCK_FREE || vsock_kept(c))
		return;
	if ((c->state == VSOCK_GONE || c->peer_shut & VSOCK_SHUTDOWN_SEND) && !c->told_eof) {
		c->told_eof = true;
		if (!c->silent)
			vs->ops->eof(vs->ctx, i);
	}
	if (c->state != VSOCK_GONE || c->owed)
		return;
	if (c->touched)
		madvise(buf_of(vs, c), VSOCK_CREDIT, MADV_DONTNEED);
	if (!c->silent) {
		c->silent = true;
		vs->ops->closed(vs->ctx, i);
	}
	*c = (struct vsock_conn){.state = VSOCK_FREE};
}

/* The connection ends for the guest; reset says whether it has to be told. */
void vsock_conn_end(struct vsock *vs, struct vsock_conn *c, bool reset)
{
	c->state = VSOCK_GONE;
	c->want_write = false;
	c->owed = reset ? OWE_RST : 0;
	vsock_settle(vs, c);
}

void vsock_owe(struct vsock_conn *c, uint8_t what)
{
	if (c->state == VSOCK_OPEN)
		c->owed |= what;
}

/* Bytes were taken: the guest is told when its idea of the room has become half of it. */
void vsock_taken(struct vsock_conn *c, size_t n)
{
	assert(n <= vsock_kept(c));
	c->fwd_cnt += (uint32_t)n;
	if (c->fwd_cnt - c->fwd_told >= VSOCK_CREDIT / 2)
		vsock_owe(c, OWE_CREDIT);
}

/* Keep len bytes behind those that are kept already; there is room, the credit says so. */
void vsock_keep(struct vsock *vs, struct vsock_conn *c, const struct iovec *iov, unsigned n,
		size_t skip, uint32_t used)
{
	uint8_t *buf = buf_of(vs, c);

	for (unsigned i = 0; i < n; i++) {
		const uint8_t *src = iov[i].iov_base;
		size_t len = iov[i].iov_len;

		if (skip >= len) {
			skip -= len;
			continue;
		}
		src += skip;
		len -= skip;
		skip = 0;
		while (len) {
			uint32_t at = (c->buf_start + used) % VSOCK_CREDIT;
			size_t part = MIN(len, (size_t)(VSOCK_CREDIT - at));

			assert(used + part <= VSOCK_CREDIT);
			memcpy(buf + at, src, part);
			src += part;
			len -= part;
			used += (uint32_t)part;
			c->touched = true;
		}
	}
}

void vsock_flush(struct vsock *vs, unsigned conn)
{
	struct vsock_conn *c = &vs->conn[conn];

	assert(conn < VSOCK_CONNS_MAX);
	while (c->state != VSOCK_FREE && vsock_kept(c)) {
		uint32_t len = vsock_kept(c), first = MIN(len, VSOCK_CREDIT - c->buf_start);
		struct iovec iov[2] = {
			{buf_of(vs, c) + c->buf_start, first},
			{buf_of(vs, c), len - first},
		};
		size_t took = vs->ops->data(vs->ctx, conn, iov, len > first ? 2 : 1, len);

		if (c->state == VSOCK_FREE || c->silent)
			break;
		if (took) {
			vsock_taken(c, took);
			c->buf_start = (uint32_t)((c->buf_start + took) % VSOCK_CREDIT);
		}
		if (took < len)
			break;
	}
	vsock_settle(vs, c);
	if (c->owed)
		pay(vs, c);
	vsock_settle(vs, c);
	virtio_signal_used(&vs->dev, QUEUE_RX);
}

size_t vsock_send(struct vsock *vs, unsigned conn, const void *data, size_t len)
{
	struct vsock_conn *c = &vs->conn[conn];
	size_t done = 0;

	assert(conn < VSOCK_CONNS_MAX && c->state != VSOCK_FREE);
	assert(!(c->our_shut & VSOCK_SHUTDOWN_SEND));
	if (c->state != VSOCK_OPEN || c->peer_shut & VSOCK_SHUTDOWN_RCV)
		return len; /* nobody reads it; eof() or closed() says so */
	while (done < len && pay(vs, c)) {
		size_t n = MIN(MIN(len - done, (size_t)VSOCK_PKT_MAX), (size_t)peer_free(c));
		int64_t sent = -1;

		if (n)
			sent = conn_put(vs, c, VIRTIO_VSOCK_OP_RW, 0, (const uint8_t *)data + done,
					n);
		if (sent < 0)
			break;
		c->tx_cnt += (uint32_t)sent;
		done += (size_t)sent;
	}
	c->want_write = done < len;
	virtio_signal_used(&vs->dev, QUEUE_RX);
	return done;
}

void vsock_shutdown(struct vsock *vs, unsigned conn, unsigned flags)
{
	struct vsock_conn *c = &vs->conn[conn];

	assert(conn < VSOCK_CONNS_MAX);
	if (c->state != VSOCK_OPEN || (c->our_shut | flags) == c->our_shut)
		return;
	c->our_shut |= (uint8_t)flags;
	if (flags & VSOCK_SHUTDOWN_SEND)
		c->want_write = false;
	vsock_owe(c, OWE_SHUTDOWN);
	pay(vs, c);
	virtio_signal_used(&vs->dev, QUEUE_RX);
}

void vsock_reset(struct vsock *vs, unsigned conn)
{
	struct vsock_conn *c = &vs->conn[conn];

	assert(conn < VSOCK_CONNS_MAX);
	if (c->state == VSOCK_FREE)
		return;
	c->silent = true;
	c->fwd_cnt = c->rx_cnt;
	if (c->state == VSOCK_OPEN)
		vsock_conn_end(vs, c, true);
	if (c->owed)
		pay(vs, c);
	vsock_settle(vs, c);
	virtio_signal_used(&vs->dev, QUEUE_RX);
}

/* Pay everybody, then let those go on that wait to send. */
static void pump(struct vsock *vs)
{
	bool room = virtio_active(&vs->dev) && pay_stray(vs);

	for (unsigned i = 0; i < VSOCK_CONNS_MAX && room; i++) {
		unsigned at = (vs->next + i) % VSOCK_CONNS_MAX;
		struct vsock_conn *c = &vs->conn[at];

		if (c->owed)
			room = pay(vs, c);
		vsock_settle(vs, c);
		if (room && c->want_write && peer_free(c)) {
			c->want_write = false;
			vs->ops->writable(vs->ctx, at);
		}
		if (!room)
			vs->next = at; /* the first to be served when there are buffers again */
	}
	virtio_signal_used(&vs->dev, QUEUE_RX);
}

static void vsock_notify(struct virtio_device *dev, unsigned queue)
{
	if (queue == QUEUE_TX)
		virtio_drain(dev, QUEUE_TX, vsock_tx);
	/* the event queue's buffers wait for a restored snapshot, whose first event they carry */
	if (queue != QUEUE_EVENT)
		pump(vsock_of(dev));
}

static void vsock_config_read(struct virtio_device *dev, uint32_t off, void *dst, uint32_t len)
{
	const uint64_t guest_cid = VSOCK_GUEST_CID;

	(void)dev;
	virtio_config_copy(&guest_cid, sizeof(guest_cid), off, dst, len);
}

/* In a vCPU thread: only mark, the endpoint hears of it in the loop (vsock_wake()). */
static void vsock_driver_reset(struct virtio_device *dev)
{
	struct vsock *vs = vsock_of(dev);
	uint64_t one = 1;
	bool any = false;

	vs->nstray = 0;
	for (unsigned i = 0; i < VSOCK_CONNS_MAX; i++) {
		if (vs->conn[i].state == VSOCK_FREE)
			continue;
		any = true;
		vs->conn[i].state = VSOCK_GONE;
		vs->conn[i].owed = 0;
		vs->conn[i].want_write = false;
	}
	if (any)
		(void)!write(vs->wakefd, &one, sizeof(one));
}

void vsock_wake(struct vsock *vs)
{
	uint64_t n;

	(void)!read(vs->wakefd, &n, sizeof(n));
	vsock_lock(vs);
	for (unsigned i = 0; i < VSOCK_CONNS_MAX; i++)
		vsock_settle(vs, &vs->conn[i]);
	vsock_unlock(vs);
}

void vsock_lock(struct vsock *vs)
{
	pthread_mutex_lock(&vs->dev.lock);
}

void vsock_unlock(struct vsock *vs)
{
	pthread_mutex_unlock(&vs->dev.lock);
}

static const struct virtio_ops vsock_virtio_ops = {
	.config_read = vsock_config_read,
	.reset = vsock_driver_reset,
	.notify = vsock_notify,
};

int vsock_new(const struct vsock_ops *ops, void *ctx, const struct gmem *mem, struct vsock **ret,
	      struct error *err)
{
	/* Linux fills the rx queue when it starts, 4 KiB an entry: what little goes there needs 16
	 */
	static const uint16_t sizes[QUEUES] = {16, 64, 8};
	struct vsock *vs = xcalloc(1, sizeof(*vs));
	void *buf = mmap(NULL, (size_t)VSOCK_CONNS_MAX * VSOCK_CREDIT, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	vs->ops = ops;
	vs->ctx = ctx;
	vs->dev.ops = &vsock_virtio_ops;
	vs->dev.name = "vsock";
	vs->dev.id = VIRTIO_ID_VSOCK;
	vs->dev.offered = UINT64_C(1) << VIRTIO_VSOCK_F_STREAM;
	vs->dev.nqueues = QUEUES;
	for (unsigned i = 0; i < QUEUES; i++)
		vs->dev.vq[i].size_max = sizes[i];
	vs->wakefd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (buf == MAP_FAILED || vs->wakefd < 0)
		error_errno(err, "vsock buffers");
	else if (virtio_init(&vs->dev, mem, err) == 0) {
		vs->buf = buf;
		*ret = vs;
		return 0;
	}
	if (buf != MAP_FAILED)
		munmap(buf, (size_t)VSOCK_CONNS_MAX * VSOCK_CREDIT);
	close_fd(&vs->wakefd);
	free(vs);
	return err->code;
}

void vsock_free(struct vsock *vs)
{
	if (!vs)
		return;
	virtio_free(&vs->dev);
	munmap(vs->buf, (size_t)VSOCK_CONNS_MAX * VSOCK_CREDIT);
	close(vs->wakefd);
	free(vs);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * virtio-net.
 *
 * Out: a chain of the tx queue is one frame. Its header and the bytes the guard looks at are copied
 * once, checked and sent from the copy; the rest goes straight from guest memory to the host. When
 * the network has no room, or a rate limit none, the chain is put back and the queue stands until
 * there is.
 *
 * In: a frame is read into a buffer of the back end's, then copied to as many of the driver's
 * buffers as it needs. When the driver has none, the frame waits, and nothing more is read: the
 * network's own queues fill and drop, as a wire does. The next notification of the rx queue goes on.
 *
 * Offloads mirror what the driver accepted: it leaves checksums and segmentation to the host, and is
 * left with them, only as far as it said. The back end learns it at the first event of a driver's
 * session, because the system call for it is the loop thread's alone.
 */
#include "vmm/net.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>

#include "common/clock.h"
#include "common/util.h"

enum { QUEUE_RX, QUEUE_TX, QUEUES };

#define FRAMES_AT_ONCE 64 /* received before the loop gets its turn */
#define MTU_MIN	       68 /* RFC 791 */

#define HDR_F_NEEDS_CSUM 1
#define HDR_GSO_NONE	 0
#define HDR_GSO_TCPV4	 1
#define HDR_GSO_TCPV6	 4
#define HDR_GSO_ECN	 0x80
#define STATUS_LINK_UP	 1

struct virtio_net_config {
	uint8_t mac[6];
	uint16_t status;
	uint16_t max_virtqueue_pairs;
	uint16_t mtu;
};
_Static_assert(sizeof(struct virtio_net_config) == 12, "virtio 1.2 section 5.1.4");

static struct net *to_net(struct virtio_device *dev)
{
	return container_of(dev, struct net, dev);
}

static void config_read(struct virtio_device *dev, uint32_t off, void *dst, uint32_t len)
{
	const struct net *net = to_net(dev);
	struct virtio_net_config config = {
		.status = net->fd >= 0 ? STATUS_LINK_UP : 0,
		.max_virtqueue_pairs = 1,
		.mtu = net->mtu,
	};

	memcpy(config.mac, net->guard.mac, sizeof(config.mac));
	virtio_config_copy(&config, sizeof(config), off, dst, len);
}

/* What the loop waits for: neither a driver without buffers nor a full network may keep it busy. */
static void watch(struct net *net)
{
	uint32_t events = 0;

	if (net->fd < 0)
		return;
	if (virtio_active(&net->dev) && !net->rx_parked)
		events |= EPOLLIN;
	if (virtio_active(&net->dev) && net->tx_blocked)
		events |= EPOLLOUT;
	loop_set(net->loop, net->fd, events, LOOP_NET, NET_EVENT(net->index, 0));
}

/* Come back when a rate limit lets n more bytes of a frame pass. */
static void wait_for_limit(struct net *net, const struct ratelimit *bytes,
			   const struct ratelimit *packets, size_t n)
{
	uint64_t ns = MAX(ratelimit_wait_ns(bytes, n), ratelimit_wait_ns(packets, 1));
	const struct itimerspec at = {
		.it_value = {.tv_sec = (time_t)(ns / 1000000000),
			     .tv_nsec = (long)(ns % 1000000000) + 1},
	};

	timerfd_settime(net->timer, 0, &at, NULL);
}

static bool limits_allow(struct net *net, struct ratelimit *bytes, struct ratelimit *packets,
			 size_t n)
{
	uint64_t now;

	if (!bytes->rate && !packets->rate)
		return true;
	now = clock_now_ns();
	if (ratelimit_ready(bytes, n, now) && ratelimit_ready(packets, 1, now))
		return true;
	wait_for_limit(net, bytes, packets, n);
	return false;
}

static void count(struct ratelimit *bytes, struct ratelimit *packets, size_t n)
{
	ratelimit_take(bytes, n);
	ratelimit_take(packets, 1);
}

/* The network is gone for good: the guest sees its link go down. */
static void lose(struct net *net)
{
	loop_del(net->loop, net->fd);
	close_fd(&net->fd);
	net->frame.data = NULL;
	virtio_signal_config(&net->dev);
}

/* Out */

static bool accepted(const struct net *net, uint64_t feature)
{
	return net->dev.accepted & feature;
}

/* Whether a frame may leave its checksum and segmentation to us as the header says. */
static bool header_sound(const struct net *net, const struct net_header *h, size_t len)
{
	bool sums = h->flags & HDR_F_NEEDS_CSUM;

	if (h->flags & ~HDR_F_NEEDS_CSUM || (sums && !accepted(net, VIRTIO_NET_F_CSUM)))
		return false;
	if (sums && (size_t)h->csum_start + h->csum_offset + 2 > len)
		return false;
	switch (h->gso_type & ~HDR_GSO_ECN) {
	case HDR_GSO_NONE:
		return !h->gso_type;
	case HDR_GSO_TCPV4:
		return sums && h->gso_size && accepted(net, VIRTIO_NET_F_HOST_TSO4);
	case HDR_GSO_TCPV6:
		return sums && h->gso_size && accepted(net, VIRTIO_NET_F_HOST_TSO6);
	default:
		return false;
	}
}

static void count_sent(struct net *net, const struct net_header *header, size_t len)
{
	net->stats.tx_frames++;
	net->stats.tx_bytes += len;
	net->stats.tx_segmented += header->gso_type != HDR_GSO_NONE;
	net->stats.tx_unsummed += header->flags & HDR_F_NEEDS_CSUM;
}

static int64_t transmit(struct net *net, struct vq_chain *chain, struct net_header *header,
			size_t len)
{
	struct iovec iov[2 + VQ_CHAIN_MAX];
	uint8_t head[NET_GUARD_HEAD];
	size_t head_len = vq_chain_read(chain, head, sizeof(head));
	int n;

	if (!net_guard_allows(&net->guard, head, head_len)) {
		net->stats.tx_refused++;
		return 0;
	}
	if (!limits_allow(net, &net->tx_bytes, &net->tx_packets, len))
		return -1;
	iov[0] = (struct iovec){header, NET_HEADER_SIZE};
	iov[1] = (struct iovec){head, head_len};
	n = vq_chain_read_iov(chain, len - head_len, &iov[2]);
	switch (net->backend->send(net, iov, 2 + n, len)) {
	case NET_SENT:
		count(&net->tx_bytes, &net->tx_packets, len);
		count_sent(net, header, len);
		return 0;
	case NET_LATER:
		net->tx_blocked = true;
		watch(net);
		return -1;
	case NET_DROPPED:
		break;
	}
	net->stats.tx_dropped++;
	return 0;
}

static int64_t do_tx(struct virtio_device *dev, struct vq_chain *chain)
{
	struct net *net = to_net(dev);
	struct net_header header;
	size_t len;

	if (chain->nwrite || vq_chain_read(chain, &header, sizeof(header)) < sizeof(header)) {
		virtio_break(dev, "frame without a header, or with a writable buffer");
		return -1;
	}
	len = chain->read_len - sizeof(header);
	header.num_buffers = 0;
	if (len < NET_FRAME_MIN || len > NET_FRAME_MAX || !header_sound(net, &header, len)) {
		net->stats.tx_refused++;
		return 0;
	}
	if (net->fd < 0) {
		net->stats.tx_dropped++;
		return 0;
	}
	return transmit(net, chain, &header, len);
}

/* In */

static void scatter(const struct iovec *iov, int n, const void *src)
{
	const uint8_t *p = src;

	for (int i = 0; i < n; i++) {
		memcpy(iov[i].iov_base, p, iov[i].iov_len);
		p += iov[i].iov_len;
	}
}

/* The driver's buffers a frame is in: what the used ring will say of them. */
struct rx_buffers {
	unsigned n;
	struct {
		uint16_t head;
		uint32_t written;
	} used[NET_QUEUE_SIZE];
	struct iovec header[NET_HEADER_SIZE]; /* its place in the first */
	int nheader;
};

static void rx_undo(struct virtqueue *vq, const struct rx_buffers *buffers)
{
	for (unsigned i = 0; i < buffers->n; i++)
		virtqueue_unpop(vq);
}

/*
 * Copy frame bytes from *pos on into the queue's next buffer, behind the header's place in the first
 * one. False: there is none, or the driver broke a rule.
 */
static bool rx_fill(struct net *net, struct rx_buffers *buffers, size_t *pos)
{
	struct virtqueue *vq = &net->dev.vq[QUEUE_RX];
	struct vq_chain chain;
	enum vq_pop pop;

	/* armed before what was taken is put back: the driver is to tell of buffers beyond those */
	do
		pop = virtqueue_pop(vq, &chain);
	while (pop == VQ_EMPTY && virtqueue_arm(vq));
	if (pop == VQ_BROKEN)
		virtio_break(&net->dev, vq->fault);
	if (pop != VQ_CHAIN)
		return false;
	if (chain.nread) {
		virtio_break(&net->dev, "receive buffer with a readable part");
		return false;
	}
	if (!buffers->n) {
		buffers->nheader = vq_chain_write_iov(&chain, NET_HEADER_SIZE, buffers->header);
		if (buffers->nheader < 0) {
			virtio_break(&net->dev, "receive buffer shorter than a header");
			return false;
		}
	}
	*pos += vq_chain_write(&chain, net->frame.data + *pos, net->frame.len - *pos);
	buffers->used[buffers->n].head = chain.head;
	buffers->used[buffers->n++].written = (uint32_t)chain.write_pos;
	return true;
}

static void rx_push(struct net *net, const struct rx_buffers *buffers)
{
	struct vq_chain chain;

	net->frame.header.num_buffers = (uint16_t)buffers->n;
	scatter(buffers->header, buffers->nheader, &net->frame.header);
	for (unsigned i = 0; i < buffers->n; i++) {
		chain.head = buffers->used[i].head;
		chain.write_len = buffers->used[i].written;
		virtqueue_push(&net->dev.vq[QUEUE_RX], &chain, buffers->used[i].written);
	}
	net->stats.rx_frames++;
	net->stats.rx_segmented += net->frame.header.gso_type != HDR_GSO_NONE;
	net->stats.rx_bytes += net->frame.len;
}

/* Give the frame to the driver, or drop it. False: it has to wait for buffers. */
static bool deliver(struct net *net)
{
	bool merge = accepted(net, VIRTIO_NET_F_MRG_RXBUF);
	struct rx_buffers buffers = {.n = 0};
	size_t pos = 0;

	do {
		if (!rx_fill(net, &buffers, &pos)) {
			rx_undo(&net->dev.vq[QUEUE_RX], &buffers);
			return false;
		}
	} while (pos < net->frame.len && merge && buffers.n < NET_QUEUE_SIZE);

	if (pos < net->frame.len) {
		rx_undo(&net->dev.vq[QUEUE_RX], &buffers);
		net->stats.rx_dropped++;
	} else {
		rx_push(net, &buffers);
	}
	net->frame.data = NULL;
	return true;
}

/* Have a frame in hand. False: there is none now, or the network is gone. */
static bool receive(struct net *net)
{
	if (net->frame.data)
		return true;
	if (net->fd < 0)
		return false;
	if (!net->backend->receive(net, &net->frame)) {
		lose(net);
		return false;
	}
	if (net->frame.data && !accepted(net, VIRTIO_NET_F_GUEST_CSUM))
		net->frame.header.flags = 0;
	return net->frame.data;
}

static void rx_work(struct net *net)
{
	unsigned budget = FRAMES_AT_ONCE;

	while (budget && !net->rx_parked && receive(net)) {
		size_t len = net->frame.len;

		if (!limits_allow(net, &net->rx_bytes, &net->rx_packets, len)) {
			net->rx_parked = true;
		} else if (!deliver(net)) {
			if (!virtio_active(&net->dev))
				return;
			net->rx_parked = true;
		} else {
			count(&net->rx_bytes, &net->rx_packets, len);
			budget--;
		}
	}
	virtio_signal_used(&net->dev, QUEUE_RX);
	if (!budget)
		virtio_kick(&net->dev, QUEUE_RX);
}

/* Events */

/* The first thing of a driver's session: the back end learns what it accepted. */
static void begin(struct net *net)
{
	if (net->reported || net->fd < 0)
		return;
	net->reported = true;
	if (net->backend->driver)
		net->backend->driver(net, net->dev.accepted);
}

static void notify(struct virtio_device *dev, unsigned queue)
{
	struct net *net = to_net(dev);

	begin(net);
	if (queue == QUEUE_RX) {
		net->rx_parked = false;
		rx_work(net);
	} else if (!net->tx_blocked) {
		virtio_drain(dev, queue, do_tx);
	}
	watch(net);
}

static void activate(struct virtio_device *dev)
{
	virtio_kick(dev, QUEUE_RX); /* the loop begins to listen */
}

/* By a vCPU's thread: the loop finds out at its next event. */
static void reset(struct virtio_device *dev)
{
	struct net *net = to_net(dev);

	net->rx_parked = net->tx_blocked = net->reported = false;
	net->frame.data = NULL;
}

static void on_timer(struct net *net)
{
	uint64_t n;

	(void)!read(net->timer, &n, sizeof(n));
	net->rx_parked = false;
	virtio_kick(&net->dev, QUEUE_RX);
	virtio_kick(&net->dev, QUEUE_TX);
}

static void on_fd(struct net *net, uint32_t events)
{
	bool listens = virtio_active(&net->dev) && !net->rx_parked;

	if (events & EPOLLOUT && (!net->backend->flush || net->backend->flush(net))) {
		net->tx_blocked = false;
		virtio_kick(&net->dev, QUEUE_TX);
	}
	if (listens && events & ~(uint32_t)EPOLLOUT)
		rx_work(net);
	else if (events & (EPOLLHUP | EPOLLERR))
		lose(net); /* it can not be told to be quiet until someone listens */
	watch(net);
}

bool net_event(struct net *net, uint32_t index, uint32_t events)
{
	bool there;

	pthread_mutex_lock(&net->dev.lock);
	there = net->fd >= 0;
	if (index & 1)
		on_timer(net);
	else if (there)
		on_fd(net, events);
	there = !there || net->fd >= 0;
	pthread_mutex_unlock(&net->dev.lock);
	return there;
}

static const struct virtio_ops net_ops = {
	.config_read = config_read,
	.activate = activate,
	.reset = reset,
	.notify = notify,
};

static int listen_to(struct net *net, struct error *err)
{
	int r;

	net->timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	if (net->timer < 0)
		return error_errno(err, "net: timerfd");
	r = loop_add(net->loop, net->timer, EPOLLIN, LOOP_NET, NET_EVENT(net->index, 1), err);
	if (r == 0)
		r = loop_add(net->loop, net->fd, 0, LOOP_NET, NET_EVENT(net->index, 0), err);
	return r;
}

int net_new(const struct net_params *params, struct loop *loop, const struct gmem *mem,
	    struct net **ret, struct error *err)
{
	struct net *net;
	uint64_t now = clock_now_ns();
	int r;

	if (params->mtu < MTU_MIN || params->mtu > NET_MTU_MAX)
		return error_set(err, -EINVAL, "net: MTU %u", params->mtu);
	net = xcalloc(1, sizeof(*net));
	net->dev = (struct virtio_device){
		.ops = &net_ops,
		.name = "net",
		.id = VIRTIO_ID_NET,
		.offered = params->backend->features | VIRTIO_NET_F_MAC | VIRTIO_NET_F_MTU |
			   VIRTIO_NET_F_STATUS | VIRTIO_NET_F_MRG_RXBUF,
		.nqueues = QUEUES,
		.vq = {{.size_max = NET_QUEUE_SIZE}, {.size_max = NET_QUEUE_SIZE}},
	};
	net->backend = params->backend;
	net->loop = loop;
	net->index = params->index;
	net->fd = params->fd;
	net->mtu = params->mtu;
	net->guard = params->guard;
	net->in = xcalloc(1, NET_IN_SIZE);
	net->out = xcalloc(1, NET_OUT_SIZE);
	ratelimit_init(&net->rx_bytes, params->rx_bytes, 0, now);
	ratelimit_init(&net->rx_packets, params->rx_packets, 0, now);
	ratelimit_init(&net->tx_bytes, params->tx_bytes, 0, now);
	ratelimit_init(&net->tx_packets, params->tx_packets, 0, now);
	net->timer = -1;
	r = virtio_init(&net->dev, mem, err);
	if (r == 0) {
		r = listen_to(net, err);
		if (r < 0)
			virtio_free(&net->dev);
	}
	if (r < 0) {
		close_fd(&net->timer);
		free(net->in);
		free(net->out);
		free(net);
		return r;
	}
	*ret = net;
	return 0;
}

void net_free(struct net *net)
{
	if (!net)
		return;
	virtio_free(&net->dev);
	close_fd(&net->fd);
	close_fd(&net->timer);
	free(net->in);
	free(net->out);
	free(net);
}

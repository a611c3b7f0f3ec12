/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMM_NET_H
#define VMM_NET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "common/error.h"
#include "vmm/loop.h"
#include "vmm/net_guard.h"
#include "vmm/ratelimit.h"
#include "vmm/virtio.h"

/*
 * virtio-net (virtio 1.2 section 5.1): a NIC over a TAP device, or over a stream socket that carries
 * Ethernet frames (passt). One queue pair; no control queue.
 */

#define NET_FRAME_MAX  65562 /* bytes: 64 KiB of IP, Ethernet, a VLAN tag, and some */
#define NET_FRAME_MIN  14
#define NET_MTU_MAX    65521 /* what IPv4 fits in a frame passt takes */
#define NET_QUEUE_SIZE 256

/* Before every frame in the queues (struct virtio_net_hdr_v1). */
struct net_header {
	uint8_t flags;
	uint8_t gso_type;
	uint16_t hdr_len;
	uint16_t gso_size;
	uint16_t csum_start;
	uint16_t csum_offset;
	uint16_t num_buffers;
};
#define NET_HEADER_SIZE 12
_Static_assert(sizeof(struct net_header) == NET_HEADER_SIZE, "virtio 1.2 section 5.1.6");

/* Features, as bits */
#define VIRTIO_NET_F_CSUM	(UINT64_C(1) << 0)
#define VIRTIO_NET_F_GUEST_CSUM (UINT64_C(1) << 1)
#define VIRTIO_NET_F_MTU	(UINT64_C(1) << 3)
#define VIRTIO_NET_F_MAC	(UINT64_C(1) << 5)
#define VIRTIO_NET_F_GUEST_TSO4 (UINT64_C(1) << 7)
#define VIRTIO_NET_F_GUEST_TSO6 (UINT64_C(1) << 8)
#define VIRTIO_NET_F_HOST_TSO4	(UINT64_C(1) << 11)
#define VIRTIO_NET_F_HOST_TSO6	(UINT64_C(1) << 12)
#define VIRTIO_NET_F_MRG_RXBUF	(UINT64_C(1) << 15)
#define VIRTIO_NET_F_STATUS	(UINT64_C(1) << 16)

struct net;

enum net_sent {
	NET_SENT,
	NET_LATER,   /* no room now: the same frame again when the descriptor can be written */
	NET_DROPPED, /* the network would not have it */
};

/* A frame from the network; data stays the back end's until it is asked for the next. */
struct net_frame {
	struct net_header header;
	const uint8_t *data; /* NULL: none */
	size_t len;
};

struct net_backend {
	uint64_t features; /* checksum and segmentation work it takes off the guest, or gives it */
	/* iov[0] is the header, the rest the frame, len bytes of it. May change iov. */
	enum net_sent (*send)(struct net *net, struct iovec *iov, int n, size_t len);
	/* Finish what NET_SENT left half-sent. False: there is still no room. NULL: never needed. */
	bool (*flush)(struct net *net);
	/* The next frame, ret->data NULL when there is none now. False: the network is gone. */
	bool (*receive)(struct net *net, struct net_frame *ret);
	/* The driver that accepted these features begins, or (0) is gone. NULL: nothing to do. */
	void (*driver)(struct net *net, uint64_t accepted);
};
extern const struct net_backend net_tap, net_stream;

struct net_stats {
	uint64_t rx_frames, rx_bytes, tx_frames, tx_bytes;
	uint64_t rx_dropped;		    /* did not fit the driver's buffers */
	uint64_t rx_segmented;		    /* larger than the network's: segments put together */
	uint64_t tx_refused;		    /* malformed, or not from this NIC's addresses */
	uint64_t tx_dropped;		    /* the network did not take them */
	uint64_t tx_segmented, tx_unsummed; /* frames whose work was left to the host */
};

struct net {
	struct virtio_device dev;
	const struct net_backend *backend;
	struct loop *loop;
	uint32_t index; /* of this NIC, in loop events */
	int fd;		/* owned: the TAP device or the socket; -1 when the network is gone */
	int timer;	/* owned timerfd: a rate limit lets go on */
	uint16_t mtu;
	struct net_guard guard;
	struct ratelimit rx_bytes, rx_packets, tx_bytes, tx_packets;
	bool rx_parked;		/* the driver gave no buffers: nothing is read until it does */
	bool tx_blocked;	/* the network takes nothing now */
	bool reported;		/* features of this driver session are with the back end */
	struct net_frame frame; /* read, but not delivered yet */
	struct net_stats stats;
	/* the back end's: what it received, and (stream) what is left of a frame to be sent */
	uint8_t *in, *out;
	size_t in_pos, in_len, out_pos, out_len;
};

#define NET_IN_SIZE  (2 * NET_FRAME_MAX)
#define NET_OUT_SIZE (NET_FRAME_MAX + 4)

struct net_params {
	const struct net_backend *backend;
	int fd; /* non-blocking; a TAP device with IFF_VNET_HDR and TUNSETVNETHDRSZ 12 */
	uint32_t index;
	uint16_t mtu; /* 68 to NET_MTU_MAX */
	struct net_guard guard;
	uint64_t rx_bytes, rx_packets, tx_bytes, tx_packets; /* a second; 0: no limit */
};

/* LOOP_NET's index: of the NIC, and whether it is the timer's event. */
#define NET_EVENT(index, timer) ((index) << 1 | (timer))
#define NET_EVENT_NIC(event)	((event) >> 1)

/*
 * Make a NIC and have the loop look after it. On success fd is its own, otherwise it stays the
 * caller's.
 */
int net_new(const struct net_params *params, struct loop *loop, const struct gmem *mem,
	    struct net **ret, struct error *err) __attribute__((nonnull));
void net_free(struct net *net);

/* A LOOP_NET event. False when the network is gone (once): tell the user; the guest sees no link. */
bool net_event(struct net *net, uint32_t index, uint32_t events) __attribute__((nonnull));

#endif

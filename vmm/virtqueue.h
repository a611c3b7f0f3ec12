/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMM_VIRTQUEUE_H
#define VMM_VIRTQUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "common/gmem.h"

/*
 * The split virtqueue, device side (virtio 1.2 section 2.7). Geometry is set before DRIVER_OK,
 * checked once by virtqueue_start() and frozen from then until reset.
 *
 * A chain is walked once, when it is popped: every descriptor is copied, checked and turned into a
 * host iovec; devices see only struct vq_chain and never a guest address. A driver that breaks a
 * rule breaks its queue: fault says which rule, and nothing moves until reset.
 */

#define VIRTQUEUE_SIZE_MAX 256 /* entries we offer; Linux never needs more for our devices */
#define VQ_CHAIN_MAX	   256 /* descriptors of one chain: the ring's, or the indirect table's */

struct virtqueue {
	/* set by the transport before DRIVER_OK */
	uint16_t size; /* power of two, 1..size_max; 0 until the driver has said */
	uint16_t size_max;
	bool ready;
	uint64_t desc_gpa, avail_gpa, used_gpa;

	/* frozen by virtqueue_start() */
	const struct gmem *mem;
	const uint8_t *desc;
	const uint8_t *avail;
	uint8_t *used;
	bool event_idx, indirect;
	const char *fault; /* the rule the driver broke, or NULL while the queue is sound */

	uint16_t last_avail; /* next avail entry to look at */
	uint16_t used_idx;   /* next used entry to write */
	uint16_t signalled;  /* used_idx when the driver was last considered for a notification */
};

/* One request: readable bytes (from the driver), then writable ones, as host iovecs. */
struct vq_chain {
	uint16_t head;
	unsigned nread, nwrite;
	struct iovec iov[VQ_CHAIN_MAX]; /* nread readable ones, then nwrite writable ones */
	size_t read_len, write_len;	/* their total bytes */
	size_t read_pos, write_pos; /* consumed by vq_chain_read(), _write() and the _iov() ones */

	/* where read_pos and write_pos are: an iovec and bytes of it; virtqueue.c's */
	struct vq_cursor {
		unsigned iov;
		size_t offset;
	} reader, writer;
};

enum vq_pop {
	VQ_EMPTY,
	VQ_CHAIN,
	VQ_BROKEN, /* vq->fault is set: the device must set NEEDS_RESET */
};

/* Check the geometry against guest memory and freeze it. False, with fault set, when it is wrong.
 */
bool virtqueue_start(struct virtqueue *vq, const struct gmem *mem, bool event_idx, bool indirect)
	__attribute__((nonnull));
/* Back to the state before set-up; size_max stays. */
void virtqueue_reset(struct virtqueue *vq) __attribute__((nonnull));

enum vq_pop virtqueue_pop(struct virtqueue *vq, struct vq_chain *ret) __attribute__((nonnull));
/* Put the chain popped last back, so that the next pop gives it again (no buffer fits now). */
void virtqueue_unpop(struct virtqueue *vq) __attribute__((nonnull));
/* Return a chain to the driver; written = bytes really put in its writable part, at most write_len.
 */
void virtqueue_push(struct virtqueue *vq, const struct vq_chain *chain, uint32_t written)
	__attribute__((nonnull));
/* Whether the driver wants an interrupt for what was pushed since the last call. */
bool virtqueue_should_signal(struct virtqueue *vq) __attribute__((nonnull));
/*
 * Ask for a notification when more comes, before the device sleeps. True when something came
 * meanwhile and the caller must go on instead.
 */
bool virtqueue_arm(struct virtqueue *vq) __attribute__((nonnull));

/* Copy the next bytes of the readable part out, or into the writable part; how many fitted. */
size_t vq_chain_read(struct vq_chain *chain, void *dst, size_t len) __attribute__((nonnull));
size_t vq_chain_write(struct vq_chain *chain, const void *src, size_t len) __attribute__((nonnull));
/*
 * The next len bytes of a part as iovecs (at most VQ_CHAIN_MAX at iov), consumed. Returns how many
 * iovecs, or -1 when the part holds fewer than len bytes (nothing is consumed then).
 */
int vq_chain_read_iov(struct vq_chain *chain, size_t len, struct iovec *iov)
	__attribute__((nonnull));
int vq_chain_write_iov(struct vq_chain *chain, size_t len, struct iovec *iov)
	__attribute__((nonnull));

#endif

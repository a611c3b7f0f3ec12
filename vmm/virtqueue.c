/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The split virtqueue, device side.
 *
 * The rings and the descriptors are the guest's memory and change while we look, from a vCPU of a
 * guest that may be hostile. So: ring addresses become host pointers once, when the driver sets
 * DRIVER_OK, after a check that the whole ring lies in one region; every index and descriptor is
 * loaded into a local once, checked, and only the local is used; a descriptor's buffer becomes a
 * host iovec, or the queue breaks. What a device gets is private to us, but for the bytes the
 * iovecs point at.
 *
 * The walk takes as many steps as the queue (or the indirect table) has entries at the most, which
 * also is what stops a loop, and allocates nothing. A queue that broke keeps the reason in fault
 * and gives VQ_BROKEN until it is reset.
 */
#include "vmm/virtqueue.h"

#include <assert.h>
#include <string.h>

#include "common/util.h"

#define VIRTQ_DESC_F_NEXT	   1
#define VIRTQ_DESC_F_WRITE	   2
#define VIRTQ_DESC_F_INDIRECT	   4
#define VIRTQ_AVAIL_F_NO_INTERRUPT 1

#define DESC_SIZE      16 /* bytes of a descriptor */
#define RING_IDX       2  /* offset of idx in both rings */
#define RING_ENTRIES   4  /* offset of ring[] in both rings */
#define USED_ELEM_SIZE 8

struct desc {
	uint64_t addr;
	uint32_t len;
	uint16_t flags;
	uint16_t next;
};

/*
 * Copy a descriptor once. The empty asm makes both words opaque, so that the compiler can not go
 * back to guest memory for a value that was checked already.
 */
static inline struct desc desc_load(const uint8_t *p)
{
	uint64_t lo, hi;

	memcpy(&lo, p, sizeof(lo));
	memcpy(&hi, p + sizeof(lo), sizeof(hi));
	__asm__ volatile("" : "+r"(lo), "+r"(hi));
	return (struct desc){
		.addr = lo,
		.len = (uint32_t)hi,
		.flags = (uint16_t)(hi >> 32),
		.next = (uint16_t)(hi >> 48),
	};
}

static bool fail(struct virtqueue *vq, const char *why)
{
	vq->fault = why;
	return false;
}

static size_t avail_bytes(const struct virtqueue *vq)
{
	return RING_ENTRIES + 2 * (size_t)vq->size + 2;
}

static size_t used_bytes(const struct virtqueue *vq)
{
	return RING_ENTRIES + USED_ELEM_SIZE * (size_t)vq->size + 2;
}

bool virtqueue_start(struct virtqueue *vq, const struct gmem *mem, bool event_idx, bool indirect)
{
	if (!vq->size || vq->size & (vq->size - 1) || vq->size > vq->size_max)
		return fail(vq, "queue size is not a power of two in range");
	if (vq->desc_gpa % DESC_SIZE || vq->avail_gpa % 2 || vq->used_gpa % 4)
		return fail(vq, "ring is not aligned");

	vq->desc = gmem_ptr(mem, vq->desc_gpa, DESC_SIZE * (uint64_t)vq->size);
	vq->avail = gmem_ptr(mem, vq->avail_gpa, avail_bytes(vq));
	vq->used = gmem_ptr(mem, vq->used_gpa, used_bytes(vq));
	if (!vq->desc || !vq->avail || !vq->used)
		return fail(vq, "ring is not in guest memory");

	vq->mem = mem;
	vq->event_idx = event_idx;
	vq->indirect = indirect;
	vq->last_avail = 0;
	vq->used_idx = 0;
	vq->signalled = 0;
	return true;
}

void virtqueue_reset(struct virtqueue *vq)
{
	*vq = (struct virtqueue){.size_max = vq->size_max};
}

/* Add a descriptor's buffer to the chain: in memory, readable ones before writable ones. */
static bool chain_add(struct virtqueue *vq, struct vq_chain *chain, const struct desc *desc)
{
	unsigned n = chain->nread + chain->nwrite;
	bool write = desc->flags & VIRTQ_DESC_F_WRITE;
	void *p;

	if (!write && chain->nwrite)
		return fail(vq, "readable descriptor after a writable one");
	if (!desc->len)
		return true;
	if (n == VQ_CHAIN_MAX)
		return fail(vq, "chain is too long");
	p = gmem_ptr(vq->mem, desc->addr, desc->len);
	if (!p)
		return fail(vq, "buffer is not in guest memory");

	chain->iov[n] = (struct iovec){.iov_base = p, .iov_len = desc->len};
	if (write) {
		chain->nwrite++;
		chain->write_len += desc->len;
	} else {
		chain->nread++;
		chain->read_len += desc->len;
	}
	return true;
}

/* The table an INDIRECT descriptor points at; *ret_entries is its length. */
static const uint8_t *indirect_table(struct virtqueue *vq, const struct desc *desc,
				     unsigned *ret_entries)
{
	const uint8_t *table;

	if (!vq->indirect) {
		fail(vq, "indirect descriptor without the feature");
		return NULL;
	}
	if (desc->flags & VIRTQ_DESC_F_NEXT) {
		fail(vq, "indirect descriptor with a next one");
		return NULL;
	}
	if (!desc->len || desc->len % DESC_SIZE || desc->len / DESC_SIZE > vq->size) {
		fail(vq, "indirect table of a wrong length");
		return NULL;
	}
	table = gmem_ptr(vq->mem, desc->addr, desc->len);
	if (!table) {
		fail(vq, "indirect table is not in guest memory");
		return NULL;
	}
	*ret_entries = desc->len / DESC_SIZE;
	return table;
}

/*
 * Walk the chain from head. An INDIRECT descriptor can only be the last of the ring's, so the walk
 * changes tables once at the most and goes on there, with that table's length as the new bound.
 */
static bool chain_walk(struct virtqueue *vq, struct vq_chain *chain, uint16_t head)
{
	const uint8_t *table = vq->desc;
	unsigned entries = vq->size, index = head, steps = 0;
	bool in_table = false; /* said apart: a table may lie where the ring's descriptors do */

	for (;;) {
		struct desc desc;

		if (index >= entries)
			return fail(vq, "descriptor index out of range");
		if (steps++ == entries)
			return fail(vq, "descriptors form a loop");
		desc = desc_load(table + (size_t)index * DESC_SIZE);

		if (desc.flags & VIRTQ_DESC_F_INDIRECT) {
			if (in_table)
				return fail(vq, "indirect descriptor in an indirect table");
			table = indirect_table(vq, &desc, &entries);
			if (!table)
				return false;
			in_table = true;
			index = 0;
			steps = 0;
			continue;
		}
		if (!chain_add(vq, chain, &desc))
			return false;
		if (!(desc.flags & VIRTQ_DESC_F_NEXT))
			return true;
		index = desc.next;
	}
}

enum vq_pop virtqueue_pop(struct virtqueue *vq, struct vq_chain *ret)
{
	uint16_t waiting, head;

	if (vq->fault)
		return VQ_BROKEN;
	waiting = (uint16_t)(gmem_load_le16(vq->avail + RING_IDX) - vq->last_avail);
	if (!waiting)
		return VQ_EMPTY;
	if (waiting > vq->size) {
		fail(vq, "available index jumped");
		return VQ_BROKEN;
	}
	head = gmem_load_le16(vq->avail + RING_ENTRIES + 2 * (vq->last_avail & (vq->size - 1)));

	ret->head = head;
	ret->nread = ret->nwrite = 0;
	ret->read_len = ret->write_len = 0;
	ret->read_pos = ret->write_pos = 0;
	if (!chain_walk(vq, ret, head))
		return VQ_BROKEN;
	ret->reader = (struct vq_cursor){.iov = 0};
	ret->writer = (struct vq_cursor){.iov = ret->nread};
	vq->last_avail++;
	return VQ_CHAIN;
}

void virtqueue_unpop(struct virtqueue *vq)
{
	vq->last_avail--;
}

void virtqueue_push(struct virtqueue *vq, const struct vq_chain *chain, uint32_t written)
{
	uint8_t *elem = vq->used + RING_ENTRIES + USED_ELEM_SIZE * (vq->used_idx & (vq->size - 1));
	const uint32_t entry[2] = {chain->head, written};

	assert(written <= chain->write_len);
	memcpy(elem, entry, sizeof(entry));
	vq->used_idx++;
	gmem_store_le16(vq->used + RING_IDX, vq->used_idx);
}

bool virtqueue_should_signal(struct virtqueue *vq)
{
	uint16_t old = vq->signalled, new = vq->used_idx, event;

	if (vq->fault || old == new)
		return false;
	vq->signalled = new;
	__atomic_thread_fence(__ATOMIC_SEQ_CST); /* used.idx is out before we look at their wish */
	if (!vq->event_idx)
		return !(gmem_load_le16(vq->avail) & VIRTQ_AVAIL_F_NO_INTERRUPT);
	event = gmem_load_le16(vq->avail + RING_ENTRIES + 2 * (size_t)vq->size);
	return (uint16_t)(new - event - 1) < (uint16_t)(new - old);
}

bool virtqueue_arm(struct virtqueue *vq)
{
	if (vq->fault)
		return false;
	/* Without EVENT_IDX flags stays 0, "notify always": NO_NOTIFY is never set. */
	if (vq->event_idx)
		gmem_store_le16(vq->used + RING_ENTRIES + USED_ELEM_SIZE * (size_t)vq->size,
				vq->last_avail);
	__atomic_thread_fence(__ATOMIC_SEQ_CST); /* our wish is out before the last look */
	return gmem_load_le16(vq->avail + RING_IDX) != vq->last_avail;
}

/* The next bytes at the cursor, at most max, of one iovec. The caller knows that there are some. */
static struct iovec cursor_next(const struct vq_chain *chain, struct vq_cursor *cursor, size_t max)
{
	const struct iovec *from = &chain->iov[cursor->iov];
	struct iovec piece = {
		.iov_base = (uint8_t *)from->iov_base + cursor->offset,
		.iov_len = MIN(max, from->iov_len - cursor->offset),
	};

	cursor->offset += piece.iov_len;
	if (cursor->offset == from->iov_len)
		*cursor = (struct vq_cursor){.iov = cursor->iov + 1};
	return piece;
}

static int cursor_take(const struct vq_chain *chain, struct vq_cursor *cursor, size_t len,
		       struct iovec *iov)
{
	int n = 0;

	while (len) {
		iov[n] = cursor_next(chain, cursor, len);
		len -= iov[n++].iov_len;
	}
	return n;
}

size_t vq_chain_read(struct vq_chain *chain, void *dst, size_t len)
{
	size_t todo = MIN(len, chain->read_len - chain->read_pos), done = 0;

	while (done < todo) {
		struct iovec piece = cursor_next(chain, &chain->reader, todo - done);

		memcpy((uint8_t *)dst + done, piece.iov_base, piece.iov_len);
		done += piece.iov_len;
	}
	chain->read_pos += done;
	return done;
}

size_t vq_chain_write(struct vq_chain *chain, const void *src, size_t len)
{
	size_t todo = MIN(len, chain->write_len - chain->write_pos), done = 0;

	while (done < todo) {
		struct iovec piece = cursor_next(chain, &chain->writer, todo - done);

		memcpy(piece.iov_base, (const uint8_t *)src + done, piece.iov_len);
		done += piece.iov_len;
	}
	chain->write_pos += done;
	return done;
}

int vq_chain_read_iov(struct vq_chain *chain, size_t len, struct iovec *iov)
{
	if (len > chain->read_len - chain->read_pos)
		return -1;
	chain->read_pos += len;
	return cursor_take(chain, &chain->reader, len, iov);
}

int vq_chain_write_iov(struct vq_chain *chain, size_t len, struct iovec *iov)
{
	if (len > chain->write_len - chain->write_pos)
		return -1;
	chain->write_pos += len;
	return cursor_take(chain, &chain->writer, len, iov);
}

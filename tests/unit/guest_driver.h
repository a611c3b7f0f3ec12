/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_UNIT_GUEST_DRIVER_H
#define TESTS_UNIT_GUEST_DRIVER_H

#include <assert.h>
#include <poll.h>
#include <string.h>
#include <sys/mman.h>

#include "common/util.h"
#include "vmm/virtio.h"

/*
 * The other side of a virtio device, for tests: guest memory, and a driver as simple as can be.
 *
 *	struct guest g;
 *	guest_init(&g);                          memory
 *	x_new(..., &g.mem, &x, &err);            the device under test
 *	guest_start(&g, &x->dev, UINT64_MAX);    status machine, features, every queue
 *	guest_add(&g, 0, (struct guest_buf[]){ { gpa, len, true } }, 1);
 *	guest_kick(&g, 0);                       notify, and the device loop's turn
 *	guest_used(&g, 0, &id, &len);            what came back
 *	guest_free(&g);
 *
 * Well behaved by itself; rings and descriptors lie open for tests that are not.
 */

#define GUEST_LOW_SIZE	(4 * MIB)
#define GUEST_HIGH_BASE (4 * GIB) /* a second region, so that there is a hole */
#define GUEST_HIGH_SIZE (1 * MIB)
#define GUEST_BUFFERS	(1 * MIB) /* rings are below, guest_alloc() begins here */

struct guest_desc {
	uint64_t addr;
	uint32_t len;
	uint16_t flags, next;
};

#define GUEST_NEXT     1
#define GUEST_WRITE    2
#define GUEST_INDIRECT 4

struct guest_queue {
	uint16_t size;
	struct guest_desc *desc;
	uint16_t *avail; /* flags, idx, ring[size], used_event */
	uint16_t *used;	 /* flags, idx, {u32 id, u32 len}[size], avail_event */
	uint16_t next_desc, last_used;
};

struct guest {
	struct gmem mem;
	struct virtio_device *dev;
	struct guest_queue q[VIRTIO_MAX_QUEUES];
	uint64_t next_buffer;
};

struct guest_buf {
	uint64_t gpa;
	uint32_t len;
	bool write; /* by the device */
};

static inline void *guest_map(size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	assert(p != MAP_FAILED);
	return p;
}

static inline void guest_init(struct guest *g)
{
	memset(g, 0, sizeof(*g));
	g->mem.nregions = 2;
	g->mem.region[0] = (struct gmem_region){
		.gpa = 0, .size = GUEST_LOW_SIZE, .hva = guest_map(GUEST_LOW_SIZE)};
	g->mem.region[1] = (struct gmem_region){
		.gpa = GUEST_HIGH_BASE, .size = GUEST_HIGH_SIZE, .hva = guest_map(GUEST_HIGH_SIZE)};
	g->next_buffer = GUEST_BUFFERS;
}

static inline void guest_free(struct guest *g)
{
	munmap(g->mem.region[0].hva, GUEST_LOW_SIZE);
	munmap(g->mem.region[1].hva, GUEST_HIGH_SIZE);
}

static inline void *guest_ptr(struct guest *g, uint64_t gpa)
{
	void *p = gmem_ptr(&g->mem, gpa, 1);

	assert(p);
	return p;
}

/* len bytes of zeroed guest memory. */
static inline uint64_t guest_alloc(struct guest *g, uint64_t len)
{
	uint64_t gpa = g->next_buffer;

	g->next_buffer += ALIGN_UP(len, UINT64_C(16));
	assert(g->next_buffer <= GUEST_LOW_SIZE);
	return gpa;
}

/* Guest memory that holds len bytes of src. */
static inline uint64_t guest_put(struct guest *g, const void *src, uint64_t len)
{
	uint64_t gpa = guest_alloc(g, len);

	memcpy(guest_ptr(g, gpa), src, len);
	return gpa;
}

static inline uint32_t guest_read32(struct guest *g, uint64_t offset)
{
	uint32_t value = 0xdeadbeef;

	virtio_mmio_read(g->dev, offset, &value, sizeof(value));
	return value;
}

static inline void guest_write32(struct guest *g, uint64_t offset, uint32_t value)
{
	virtio_mmio_write(g->dev, offset, &value, sizeof(value));
}

static inline uint64_t guest_offered(struct guest *g)
{
	uint64_t low, high;

	guest_write32(g, 0x14, 0);
	low = guest_read32(g, 0x10);
	guest_write32(g, 0x14, 1);
	high = guest_read32(g, 0x10);
	return low | high << 32;
}

/* Up to FEATURES_OK, accepting what is offered of features. */
static inline void guest_negotiate(struct guest *g, struct virtio_device *dev, uint64_t features)
{
	g->dev = dev;
	guest_write32(g, 0x70, 0);
	guest_write32(g, 0x70, 1);
	guest_write32(g, 0x70, 3);
	features &= guest_offered(g);
	guest_write32(g, 0x24, 0);
	guest_write32(g, 0x20, (uint32_t)features);
	guest_write32(g, 0x24, 1);
	guest_write32(g, 0x20, (uint32_t)(features >> 32));
	guest_write32(g, 0x70, 11);
}

/* Rings of one queue, 32 KiB apart from the next queue's; size 0 takes the device's maximum. */
static inline void guest_setup_queue(struct guest *g, unsigned queue, uint16_t size)
{
	uint64_t base = 0x10000 + (uint64_t)queue * 0x8000;
	struct guest_queue *q = &g->q[queue];

	guest_write32(g, 0x30, queue);
	if (!size)
		size = (uint16_t)guest_read32(g, 0x34);
	memset(guest_ptr(g, base), 0, 0x8000);
	*q = (struct guest_queue){.size = size,
				  .desc = guest_ptr(g, base),
				  .avail = guest_ptr(g, base + 0x4000),
				  .used = guest_ptr(g, base + 0x5000)};
	guest_write32(g, 0x38, size);
	guest_write32(g, 0x80, (uint32_t)base);
	guest_write32(g, 0x84, 0);
	guest_write32(g, 0x90, (uint32_t)base + 0x4000);
	guest_write32(g, 0x94, 0);
	guest_write32(g, 0xa0, (uint32_t)base + 0x5000);
	guest_write32(g, 0xa4, 0);
	guest_write32(g, 0x44, 1);
}

/* A queue without device or transport: rings where guest_setup_queue(g, 0, size) puts them. */
static inline void guest_bare_queue(struct guest *g, struct virtqueue *vq, uint16_t size,
				    bool event_idx, bool indirect)
{
	const uint64_t base = 0x10000;
	bool started;

	memset(guest_ptr(g, base), 0, 0x8000);
	g->q[0] = (struct guest_queue){.size = size,
				       .desc = guest_ptr(g, base),
				       .avail = guest_ptr(g, base + 0x4000),
				       .used = guest_ptr(g, base + 0x5000)};
	virtqueue_reset(vq);
	vq->size_max = VIRTQUEUE_SIZE_MAX;
	vq->size = size;
	vq->desc_gpa = base;
	vq->avail_gpa = base + 0x4000;
	vq->used_gpa = base + 0x5000;
	started = virtqueue_start(vq, &g->mem, event_idx, indirect);
	assert(started);
	(void)started;
}

static inline void guest_start(struct guest *g, struct virtio_device *dev, uint64_t features)
{
	guest_negotiate(g, dev, features);
	for (unsigned i = 0; i < dev->nqueues; i++)
		guest_setup_queue(g, i, 0);
	guest_write32(g, 0x70, 15);
	assert(guest_read32(g, 0x70) == 15);
}

/* Make head available without a look at what it is. */
static inline void guest_publish(struct guest *g, unsigned queue, uint16_t head)
{
	struct guest_queue *q = &g->q[queue];

	q->avail[2 + q->avail[1] % q->size] = head;
	__atomic_store_n(&q->avail[1], (uint16_t)(q->avail[1] + 1), __ATOMIC_RELEASE);
}

/*
 * Make a chain of n buffers available; returns its head. Descriptors are taken round the table: the
 * caller has not more of them in flight than there are.
 */
static inline uint16_t guest_add(struct guest *g, unsigned queue, const struct guest_buf *buf,
				 unsigned n)
{
	struct guest_queue *q = &g->q[queue];
	uint16_t head = q->next_desc;

	assert(n && n <= q->size);
	for (unsigned i = 0; i < n; i++) {
		uint16_t next = (uint16_t)((q->next_desc + 1) % q->size);

		q->desc[q->next_desc] = (struct guest_desc){
			.addr = buf[i].gpa,
			.len = buf[i].len,
			.flags = (uint16_t)((buf[i].write ? GUEST_WRITE : 0) |
					    (i + 1 < n ? GUEST_NEXT : 0)),
			.next = next,
		};
		q->next_desc = next;
	}
	guest_publish(g, queue, head);
	return head;
}

/* The device loop: every queue that was kicked gets its turn, until none is. */
static inline void guest_run_loop(struct guest *g)
{
	bool again;

	do {
		again = false;
		for (unsigned i = 0; i < g->dev->nqueues; i++) {
			struct pollfd p = {.fd = g->dev->kickfd[i], .events = POLLIN};

			if (poll(&p, 1, 0) == 1) {
				virtio_queue_notified(g->dev, i);
				again = true;
			}
		}
	} while (again);
}

static inline void guest_kick(struct guest *g, unsigned queue)
{
	guest_write32(g, 0x50, queue);
	guest_run_loop(g);
}

/* Take the next used entry; false when there is none. */
static inline bool guest_used(struct guest *g, unsigned queue, uint32_t *ret_id, uint32_t *ret_len)
{
	struct guest_queue *q = &g->q[queue];
	uint32_t entry[2];

	if (q->last_used == __atomic_load_n(&q->used[1], __ATOMIC_ACQUIRE))
		return false;
	memcpy(entry, &q->used[2 + 4 * (q->last_used % q->size)], sizeof(entry));
	q->last_used++;
	/* With EVENT_IDX: an interrupt for the next one, please. */
	q->avail[2 + q->size] = q->last_used;
	*ret_id = entry[0];
	*ret_len = entry[1];
	return true;
}

/* The interrupt handler: the causes, acknowledged; 0 when there was no edge since the last call. */
static inline uint32_t guest_interrupt(struct guest *g)
{
	uint32_t isr;
	uint64_t count;

	if (read(g->dev->irqfd, &count, sizeof(count)) != sizeof(count))
		return 0;
	isr = guest_read32(g, 0x60);
	guest_write32(g, 0x64, isr);
	return isr;
}

/* Whether the device broke itself because of us. */
static inline bool guest_is_broken(struct guest *g)
{
	return guest_read32(g, 0x70) & VIRTIO_CONFIG_S_NEEDS_RESET;
}

#endif

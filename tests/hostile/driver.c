/* SPDX-License-Identifier: Apache-2.0 */
/* A driver that works, to be hostile with. */
#include "tests/hostile/guest.h"

/* Looks at a device, each an exit of some microseconds: seconds altogether. */
#define STATUS_POLLS 200000
/* Looks at memory, where an instruction may cost half a microsecond: seconds too. */
#define MEMORY_POLLS 2000000

struct device devices[DEVICES_MAX];
unsigned ndevices;

void find_devices(void)
{
	for (unsigned i = 0; i < DEVICES_MAX; i++) {
		struct device *dev = &devices[ndevices];

		dev->base = VIRTIO_BASE + i * 0x1000;
		dev->index = i;
		if (read32(dev, 0) != 0x74726976 || !read32(dev, 8))
			continue;
		dev->id = read32(dev, 8);
		while (dev->nqueues < QUEUES_MAX) {
			write32(dev, REG_QUEUE_SEL, dev->nqueues);
			if (!read32(dev, REG_SIZE_MAX))
				break;
			dev->nqueues++;
		}
		ndevices++;
	}
}

struct device *find_device(unsigned id)
{
	for (unsigned i = 0; i < ndevices; i++)
		if (devices[i].id == id)
			return &devices[i];
	return NULL;
}

void negotiate(struct device *dev)
{
	write32(dev, REG_STATUS, 0);
	write32(dev, REG_STATUS, 1);
	write32(dev, REG_STATUS, 3);
	for (uint32_t half = 0; half < 2; half++) {
		write32(dev, REG_DEVICE_SEL, half);
		write32(dev, REG_DRIVER_SEL, half);
		write32(dev, REG_DRIVER, read32(dev, 0x10));
	}
	write32(dev, REG_STATUS, 11);
}

void set_queue(struct device *dev, unsigned queue, unsigned size, uint64_t desc, uint64_t avail,
	       uint64_t used)
{
	write32(dev, REG_QUEUE_SEL, queue);
	write32(dev, REG_SIZE, size);
	write32(dev, REG_DESC, (uint32_t)desc);
	write32(dev, REG_DESC + 4, (uint32_t)(desc >> 32));
	write32(dev, REG_AVAIL, (uint32_t)avail);
	write32(dev, REG_AVAIL + 4, (uint32_t)(avail >> 32));
	write32(dev, REG_USED, (uint32_t)used);
	write32(dev, REG_USED + 4, (uint32_t)(used >> 32));
	write32(dev, REG_READY, 1);
}

void bring_up(struct device *dev)
{
	negotiate(dev);
	for (unsigned i = 0; i < dev->nqueues; i++) {
		uint64_t base = RINGS + dev->index * UINT64_C(0x40000) + i * UINT64_C(0x8000);
		struct queue *q = &dev->q[i];

		write32(dev, REG_QUEUE_SEL, i);
		q->size = read32(dev, REG_SIZE_MAX);
		q->desc = (volatile struct desc *)(uintptr_t)base;
		q->avail = (volatile uint16_t *)(uintptr_t)(base + 0x4000);
		q->used = (volatile uint16_t *)(uintptr_t)(base + 0x5000);
		zero(q->avail, 8 + 2 * (size_t)q->size);
		zero(q->used, 8 + 8 * (size_t)q->size);
		set_queue(dev, i, q->size, base, base + 0x4000, base + 0x5000);
	}
	write32(dev, REG_STATUS, RUNNING);
}

void set_desc(struct queue *q, unsigned i, uint64_t addr, uint32_t len, uint16_t flags,
	      uint16_t next)
{
	q->desc[i].addr = addr;
	q->desc[i].len = len;
	q->desc[i].flags = flags;
	q->desc[i].next = next;
}

void publish(struct queue *q, uint16_t head)
{
	q->avail[2 + q->avail[1] % q->size] = head;
	barrier();
	q->avail[1]++;
}

void kick(const struct device *dev, unsigned queue)
{
	write32(dev, REG_NOTIFY, queue);
}

bool becomes_broken(const struct device *dev)
{
	for (unsigned i = 0; i < STATUS_POLLS; i++)
		if (read32(dev, REG_STATUS) & NEEDS_RESET)
			return true;
	return false;
}

bool becomes_used(const struct queue *q, uint16_t idx)
{
	for (unsigned i = 0; i < MEMORY_POLLS; i++)
		if (q->used[1] == idx)
			return true;
	return false;
}

bool request(struct device *dev, unsigned queue, uint64_t in, uint32_t in_len, uint64_t out,
	     uint32_t out_len)
{
	struct queue *q = &dev->q[queue];
	uint16_t idx = q->used[1];

	set_desc(q, 0, in, in_len, out_len ? NEXT : 0, 1);
	set_desc(q, 1, out, out_len, WRITE, 0);
	publish(q, 0);
	kick(dev, queue);
	return becomes_used(q, (uint16_t)(idx + 1));
}

int block_read(struct device *dev, uint64_t sector, uint64_t addr, uint32_t len)
{
	static volatile struct {
		uint32_t type, reserved;
		uint64_t sector;
		uint8_t status;
	} req;
	struct queue *q = &dev->q[0];
	uint16_t idx = q->used[1];

	req.type = req.reserved = 0;
	req.sector = sector;
	req.status = 0xee;
	set_desc(q, 0, (uintptr_t)&req, 16, NEXT, 1);
	set_desc(q, 1, addr, len, NEXT | WRITE, 2);
	set_desc(q, 2, (uintptr_t)&req.status, 1, WRITE, 0);
	publish(q, 0);
	kick(dev, 0);
	return becomes_used(q, (uint16_t)(idx + 1)) ? req.status : -1;
}

bool is_read_only(const struct device *dev)
{
	write32(dev, REG_DEVICE_SEL, 0);
	return read32(dev, 0x10) & 1U << 5;
}

void check_alive(struct device *dev)
{
	write32(dev, REG_STATUS, 0);
	check(read32(dev, REG_STATUS) == 0, "reset resets", dev, 0);
	bring_up(dev);
	check(read32(dev, REG_STATUS) == RUNNING, "comes up again", dev, 0);
	if (dev->id == ID_BLOCK) {
		volatile uint32_t *p = (volatile uint32_t *)BUF;

		*p = 0;
		check(block_read(dev, 0, BUF, 512) == 0, "reads again", dev, 0);
		check(!is_read_only(dev) || *p == 0x50495254, "reads what is there", dev,
		      0); /* "TRIP" */
		*p = 0;
	}
}

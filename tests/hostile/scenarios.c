/* SPDX-License-Identifier: Apache-2.0 */
/* Registers, races with a second CPU, storms, requests of each device, memory pulled away. */
#include "tests/hostile/guest.h"

#define MIB   UINT64_C(0x100000)
#define BLOCK (128 * MIB) /* virtio-mem's */

#define VSOCK_PACKETS 2000 /* of a half */

/* -- registers */

void scenario_registers(void)
{
	for (unsigned d = 0; d < ndevices; d++) {
		struct device *dev = &devices[d];

		/* nothing but aligned words has an effect: least of all on the status */
		bring_up(dev);
		for (unsigned offset = 0; offset < REG_CONFIG; offset++)
			for (unsigned width = 1; width <= 8; width *= 2)
				if (width != 4 || offset % 4)
					io_access(dev->base + offset, width, ~UINT64_C(0));
		check(read32(dev, REG_STATUS) == RUNNING, "other widths do nothing", dev, 0);
		check_alive(dev);
		/* everything everywhere, also across the end of the window */
		for (unsigned i = 0; i < 4000; i++)
			io_access(dev->base + random32() % 0x200, 1U << random32() % 4,
				  (uint64_t)random32() << 32 | random32());
		for (unsigned offset = 0xff0; offset < 0x1000; offset++)
			io_access(dev->base + offset, 8, random32());
		check_alive(dev);
	}
	/* windows without a device, and what lies around them */
	for (unsigned i = 0; i < 400; i++)
		io_access(VIRTIO_BASE + (ndevices << 12) + random32() % 0x40000,
			  1U << random32() % 4, random32());
	io_access(VIRTIO_BASE - 4, 8, 1);
	for (unsigned i = 0; i < 400; i++)
		io_access(IOAPIC_BASE + random32() % 0x60, 1U << random32() % 4, random32());
}

/* -- a second CPU that rewrites rings and descriptors */

static uint64_t wild_address(uint32_t r)
{
	static const uint64_t edges[] = {BUF,	      0x7fff000, 0x8000000,
					 VIRTIO_BASE, HIGH_BASE, UINT64_MAX - 15};

	if (r & 8)
		return BUF + (r >> 4) % (BUF_SIZE / 2);
	return edges[(r >> 4) % (sizeof(edges) / sizeof(edges[0]))];
}

static void rewrite(void)
{
	static const uint32_t len[] = {0, 1, 16, 512, 4096, 0x100000, 0x7fffffff, 0xffffffff};
	static uint32_t seed = 88172645;

	while (!second_stop) {
		struct device *dev = &devices[(seed >> 8) % ndevices];
		struct queue *q = &dev->q[(seed >> 16) % dev->nqueues];
		unsigned i;

		seed = seed * 1664525 + 1013904223;
		if (!q->size)
			continue;
		i = (seed >> 4) % 8;
		set_desc(q, i, wild_address(seed >> 3), len[seed >> 13 & 7],
			 (uint16_t)(seed >> 20 & 7), (uint16_t)(seed >> 24 & 7));
		q->avail[2 + (seed >> 5) % q->size] = (uint16_t)(seed >> 27 & 15);
		if (seed >> 30 == 3)
			q->avail[1]++;
	}
}

void scenario_rewrite(void)
{
	unsigned broken = 0, used = 0;

	for (unsigned d = 0; d < ndevices; d++)
		bring_up(&devices[d]);
	start_second(rewrite);
	/* where the two CPUs share a processor of the host it takes longer until both have come to something */
	for (unsigned i = 0; i < 3000 || ((broken <= 10 || used <= 10) && i < 300000); i++) {
		struct device *dev = &devices[random32() % ndevices];
		unsigned queue = random32() % dev->nqueues;

		kick(dev, queue);
		used += dev->q[queue].used[1] != 0;
		if (read32(dev, REG_STATUS) & NEEDS_RESET) {
			broken++;
			bring_up(dev);
		}
	}
	stop_second();
	check(broken > 10, "the second CPU breaks queues", NULL, 0);
	check(used > 10, "and some requests pass", NULL, 0);
	zero((volatile void *)BUF, 4096);
	for (unsigned d = 0; d < ndevices; d++)
		check_alive(&devices[d]);
}

/* -- reset while requests are worked */

static void reset_all_the_time(void)
{
	struct device *dev = find_device(ID_BLOCK);
	unsigned wait = 0;

	while (!second_stop) {
		for (unsigned i = 0; i < wait % 500; i++)
			pause();
		wait += 37;
		write32(dev, REG_STATUS, 0);
		write32(dev, REG_ACK, 3);
		bring_up(dev);
	}
}

void scenario_reset(void)
{
	static volatile struct {
		uint32_t type, reserved;
		uint64_t sector;
		uint8_t status;
	} req;
	struct device *dev = find_device(ID_BLOCK);

	bring_up(dev);
	start_second(reset_all_the_time);
	for (unsigned round = 0; round < 1500; round++) {
		struct queue *q = &dev->q[0];

		set_desc(q, 0, (uintptr_t)&req, 16, NEXT, 1);
		for (unsigned i = 1; i <= 8; i++)
			set_desc(q, i, BUF, MIB, NEXT | WRITE, (uint16_t)(i + 1));
		set_desc(q, 9, (uintptr_t)&req.status, 1, WRITE, 0);
		publish(q, 0);
		publish(q, 0);
		kick(dev, 0);
		(void)read32(dev, REG_ISR);
	}
	stop_second();
	check_alive(dev);
}

/* -- notify storms */

static void storm(void)
{
	unsigned d = 0;

	while (!second_stop) {
		struct device *dev = &devices[d++ % ndevices];

		for (uint32_t value = 0; value < 10; value++)
			write32(dev, REG_NOTIFY, value);
		write32(dev, REG_NOTIFY, 0xffffffff);
		io_access(dev->base + REG_NOTIFY, 2, 0);
		io_access(dev->base + REG_NOTIFY, 8, 0);
	}
}

/* A read of one sector that is always available: the queue never runs dry. */
static void refill(struct device *dev, unsigned rounds)
{
	static volatile struct {
		uint32_t type, reserved;
		uint64_t sector;
		uint8_t status;
	} req;
	struct queue *q = &dev->q[0];

	set_desc(q, 0, (uintptr_t)&req, 16, NEXT, 1);
	set_desc(q, 1, BUF + 8192, 512, NEXT | WRITE, 2);
	set_desc(q, 2, (uintptr_t)&req.status, 1, WRITE, 0);
	for (unsigned i = 0; i < q->size; i++)
		q->avail[2 + i] = 0;
	kick(dev, 0);
	while (rounds--) {
		q->avail[1] = (uint16_t)(q->used[1] + q->size);
		barrier();
	}
}

void scenario_storm(void)
{
	for (unsigned d = 0; d < ndevices; d++)
		bring_up(&devices[d]);
	start_second(storm);
	refill(find_device(ID_BLOCK), 100000);
	stop_second();
	for (unsigned d = 0; d < ndevices; d++) {
		check(read32(&devices[d], REG_STATUS) == RUNNING, "a storm breaks nothing",
		      &devices[d], 0);
		check_alive(&devices[d]);
	}
}

/* The same without an end: the VMM must still hear signals. */
void scenario_forever(void)
{
	for (unsigned d = 0; d < ndevices; d++)
		bring_up(&devices[d]);
	start_second(storm);
	for (;;)
		refill(find_device(ID_BLOCK), UINT32_MAX);
}

/* -- requests that no driver makes */

/* DISCARD and WRITE_ZEROES of any number of ranges anywhere. */
static void wild_ranges(struct device *dev)
{
	static const uint64_t sectors[] = {0, 8, 131071, 131072, UINT64_MAX, UINT64_MAX >> 9};
	static const uint32_t counts[] = {0, 1, 131072, 131073, 1U << 21, UINT32_MAX};
	static volatile struct {
		uint32_t type, reserved;
		uint64_t sector;
		uint8_t status;
	} req;
	volatile struct {
		uint64_t sector;
		uint32_t n, flags;
	} *const range = (void *)(BUF + MIB);
	struct queue *q = &dev->q[0];
	unsigned answered = 0, wrong = 0;

	for (unsigned i = 0; i < 300; i++) {
		uint32_t r = random32(), n = r % 16 ? r % 4 : r % 40;
		uint16_t idx = q->used[1];

		for (uint32_t k = 0; k < n; k++) {
			range[k].sector = sectors[random32() % 6];
			range[k].n = counts[random32() % 6];
			range[k].flags = random32() % 4 ? 0 : random32() % 4;
		}
		req.type = r & 0x100 ? 11 : 13;
		req.status = 0xee;
		set_desc(q, 0, (uintptr_t)&req, 16, NEXT, 1);
		set_desc(q, 1, BUF + MIB, n * 16 + (r & 0x200 ? 0 : r % 16), NEXT, 2);
		set_desc(q, 2, (uintptr_t)&req.status, 1, WRITE, 0);
		publish(q, 0);
		kick(dev, 0);
		answered += becomes_used(q, (uint16_t)(idx + 1));
		wrong += req.status > 2 || (n == 0 && req.status == 0);
	}
	check(answered == 300, "each range request is answered", dev, 0);
	check(wrong == 0, "no range request has a status that is none", dev, 0);
	check_alive(dev);
}

static void wild_block(struct device *dev)
{
	static volatile struct {
		uint32_t type, reserved;
		uint64_t sector;
		uint8_t status;
	} req;
	struct queue *q = &dev->q[0];
	unsigned answered = 0;

	for (unsigned i = 0; i < 300; i++) {
		uint16_t idx = q->used[1];

		req.type = random32() % 16;
		req.sector = random32() % 2 ? random32() % 300 : (uint64_t)random32() << 32;
		set_desc(q, 0, (uintptr_t)&req, 16, NEXT, 1);
		set_desc(q, 1, BUF + random32() % 4096, random32() % 5000,
			 (uint16_t)(NEXT | (random32() & WRITE)), 2);
		set_desc(q, 2, (uintptr_t)&req.status, 1, WRITE, 0);
		publish(q, 0);
		kick(dev, 0);
		answered += becomes_used(q, (uint16_t)(idx + 1));
	}
	check(answered == 300, "each block request is answered", dev, 0);
	if (!is_read_only(dev)) {
		wild_ranges(dev);
		return;
	}
	req.type = 1; /* a read-only disk is not written */
	req.sector = 0;
	req.status = 0xee;
	set_desc(q, 1, BUF + 8192, 512, NEXT, 2);
	publish(q, 0);
	kick(dev, 0);
	check(becomes_used(q, 301) && req.status == 1, "a write is an error", dev, 0);
	check_alive(dev);
}

/*
 * Packets to vsock: no header is all nonsense, so that some get further. In the first half none is
 * to init's own port; in the second one sooner or later passes for init and then hangs up, which
 * ends the pod, as it should.
 */
void scenario_vsock(void)
{
	struct device *dev = find_device(ID_VSOCK);
	volatile uint64_t *const packet = (volatile uint64_t *)(BUF + MIB);
	struct queue *rx = &dev->q[0], *tx = &dev->q[1];

	bring_up(dev);
	for (unsigned i = 0; i < 8; i++) {
		set_desc(rx, i, BUF + 2 * MIB + i * 8192, i == 7 ? 10 : 4096, WRITE, 0);
		publish(rx, (uint16_t)i);
	}
	for (unsigned i = 0; i < 2 * VSOCK_PACKETS; i++) {
		uint32_t r = random32(), port = i < VSOCK_PACKETS ? 1025 + r % 2 : 1024 + r % 3;

		if (i == VSOCK_PACKETS) {
			check_alive(dev);
			print("hostile: vsock is half way\n");
		}

		packet[0] = r & 0x100 ? 3 : random32() % 8;
		packet[1] = r & 0x200 || r & 0x400 ? 2 : random32() % 8;
		packet[2] = (uint64_t)port << 32 | (random32() % 300);
		packet[3] = (uint64_t)(r & 0x800 ? 1 : random32() % 4) << 32 |
			    (r & 0x1000 ? 64 : random32());
		packet[3] |= (uint64_t)(random32() % 9) << 48;
		packet[4] = (uint64_t)random32() << 32 | random32() % 4;
		packet[5] = random32();
		set_desc(tx, 0, BUF + MIB, 44, NEXT, 1);
		set_desc(tx, 1, BUF + 3 * MIB, r & 0x2000 ? 64 : random32() % 70000, 0, 0);
		publish(tx, 0);
		kick(dev, 1);
		/* let it be worked now and then; otherwise pile up */
		for (unsigned k = 0; r % 64 == 0 && tx->used[1] != tx->avail[1] && k < 10000; k++)
			pause();
		if (read32(dev, REG_STATUS) & NEEDS_RESET)
			bring_up(dev);
		if (r % 16 == 0) {
			publish(rx, r >> 16 & 7);
			kick(dev, 0);
		}
	}
	check_alive(dev);
}

static void wild_mem(struct device *dev)
{
	volatile struct {
		uint16_t type, pad0[3];
		uint64_t addr;
		uint16_t n, pad1[3];
	} *const req = (void *)(BUF + MIB);
	uint64_t base = read32(dev, REG_CONFIG + 16) | (uint64_t)read32(dev, REG_CONFIG + 20) << 32;
	unsigned answered = 0;

	for (unsigned i = 0; i < 200; i++) {
		req->type = (uint16_t)(random32() % 5);
		req->addr =
			random32() % 2 ? base + random32() % 3 * BLOCK : (uint64_t)random32() << 12;
		req->n = random32() % 2 ? 1 : (uint16_t)random32();
		answered += request(dev, 0, BUF + MIB, 24, BUF + MIB + 64, 10);
	}
	check(answered == 200, "each memory request is answered", dev, 0);
	check_alive(dev);
}

static void wild_balloon(struct device *dev)
{
	volatile uint32_t *const pfn = (volatile uint32_t *)(BUF + MIB);

	/* page numbers in BUF, past RAM and anywhere above it, never ours */
	for (unsigned i = 0; i < 1024; i++)
		pfn[i] = i % 3 == 0 ? (BUF + 8 * MIB) / 4096 + random32() % 1024
				    : 0x8000 + random32() % 0xfff00000;
	check(request(dev, 0, BUF + MIB, 4096, 0, 0), "pages are taken", dev, 0);
	check(request(dev, 1, BUF + MIB, 4096, 0, 0), "pages are given back", dev, 1);
	set_desc(&dev->q[2], 0, BUF + 8 * MIB, (uint32_t)(16 * MIB), WRITE, 0);
	publish(&dev->q[2], 0);
	kick(dev, 2);
	check(becomes_used(&dev->q[2], 1), "ranges are reported", dev, 2);
	write32(dev, REG_CONFIG, 0xffffffff);
	write32(dev, REG_CONFIG + 4, 0xffffffff);
	check_alive(dev);
}

void scenario_requests(void)
{
	for (unsigned d = 0; d < ndevices; d++) {
		struct device *dev = &devices[d];

		bring_up(dev);
		if (dev->id == ID_BLOCK)
			wild_block(dev);
		else if (dev->id == ID_MEM)
			wild_mem(dev);
		else if (dev->id == ID_BALLOON)
			wild_balloon(dev);
		zero((volatile void *)BUF, 16384);
	}
}

/* -- memory pulled away from under running rings */

static bool mem_request(struct device *dev, uint16_t type, uint64_t addr)
{
	volatile uint64_t *const req = (volatile uint64_t *)(BUF + MIB);

	req[0] = type;
	req[1] = addr;
	req[2] = 1;
	req[8] = 0xff;
	return request(dev, 0, BUF + MIB, 24, BUF + MIB + 64, 10) && (uint16_t)req[8] == 0;
}

static void unplug_rings(struct device *mem, struct device *blk)
{
	uint64_t base = read32(mem, REG_CONFIG + 16) | (uint64_t)read32(mem, REG_CONFIG + 20) << 32;
	struct queue *q = &blk->q[0];

	bring_up(mem);
	check(mem_request(mem, 0, base), "a block is plugged", mem, 0);
	negotiate(blk);
	q->desc = (volatile struct desc *)(uintptr_t)base;
	q->avail = (volatile uint16_t *)(uintptr_t)(base + 0x4000);
	q->used = (volatile uint16_t *)(uintptr_t)(base + 0x5000);
	q->size = 64;
	set_queue(blk, 0, 64, base, base + 0x4000, base + 0x5000);
	write32(blk, REG_STATUS, RUNNING);
	check(block_read(blk, 0, base + 0x100000, 4096) == 0, "rings in it work", blk, 0);
	check(mem_request(mem, 1, base), "the block is unplugged", mem, 0);
	/* the rings are zeroes now, wherever the writes of a guest go that has no memory there */
	kick(blk, 0);
	check(becomes_broken(blk), "rings that are gone break the queue", blk, 0);
	bring_up(blk);
	set_desc(q, 0, base, 16, 0, 0);
	publish(q, 0);
	kick(blk, 0);
	check(becomes_broken(blk), "a buffer that is gone too", blk, 0);
}

static void inflate_rings(struct device *balloon, struct device *blk)
{
	volatile uint32_t *const pfn = (volatile uint32_t *)(BUF + MIB);
	uint64_t rings = RINGS + blk->index * UINT64_C(0x40000);

	bring_up(balloon);
	bring_up(blk);
	check(block_read(blk, 0, BUF, 512) == 0, "a read before", blk, 0);
	for (unsigned i = 0; i < 8; i++)
		pfn[i] = (uint32_t)(rings / 4096 + i);
	check(request(balloon, 0, BUF + MIB, 32, 0, 0), "the rings' pages are taken", balloon, 0);
	kick(blk, 0);
	check(becomes_broken(blk), "an empty ring is an index that jumped", blk, 0);
}

void scenario_undermine(void)
{
	struct device *mem = find_device(ID_MEM), *balloon = find_device(ID_BALLOON);
	struct device *blk = find_device(ID_BLOCK);

	for (unsigned i = 0; i < 5; i++) {
		unplug_rings(mem, blk);
		inflate_rings(balloon, blk);
	}
	check_alive(mem);
	check_alive(balloon);
	check_alive(blk);
}

/* -- ends */

void scenario_triple(void)
{
	static const struct {
		uint16_t limit;
		uint64_t base;
	} __attribute__((packed)) none = {0, 0};

	for (unsigned d = 0; d < ndevices; d++)
		bring_up(&devices[d]);
	__asm__ volatile("lidt %0; ud2" ::"m"(none));
}

void scenario_halt(void)
{
	for (;;)
		__asm__ volatile("cli; hlt");
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Every rule of the split virtqueue broken, on every queue of every device. */
#include "tests/hostile/guest.h"

#define MMIO	0xd0000000
#define TABLE	(BUF + 0x100000)
#define NOWHERE UINT64_C(0x7000000000)

static volatile struct desc *const table = (volatile struct desc *)TABLE;

static void set_table(unsigned i, uint64_t addr, uint32_t len, uint16_t flags, uint16_t next)
{
	table[i].addr = addr;
	table[i].len = len;
	table[i].flags = flags;
	table[i].next = next;
}

static void bad_head(struct queue *q)
{
	publish(q, (uint16_t)q->size);
}

static void wild_head(struct queue *q)
{
	publish(q, 0xffff);
}

static void next_out_of_range(struct queue *q)
{
	set_desc(q, 0, BUF, 1, NEXT, (uint16_t)q->size);
	publish(q, 0);
}

static void loop_of_one(struct queue *q)
{
	set_desc(q, 0, BUF, 1, NEXT, 0);
	publish(q, 0);
}

static void loop_of_empty(struct queue *q)
{
	set_desc(q, 0, BUF, 0, NEXT, 1);
	set_desc(q, 1, BUF, 0, NEXT, 0);
	publish(q, 0);
}

static void loop_of_all(struct queue *q)
{
	for (unsigned i = 0; i < q->size; i++)
		set_desc(q, i, BUF, 16, NEXT, (uint16_t)((i + 1) % q->size));
	publish(q, 1);
}

static void loop_in_table(struct queue *q)
{
	set_table(0, BUF, 1, NEXT, 1);
	set_table(1, BUF, 1, NEXT, 0);
	set_desc(q, 0, TABLE, 32, INDIRECT, 0);
	publish(q, 0);
}

static void ring_as_table(struct queue *q)
{
	set_desc(q, 0, (uintptr_t)q->desc, 16, INDIRECT, 0);
	publish(q, 0);
}

static void table_in_table(struct queue *q)
{
	set_table(0, TABLE, 16, INDIRECT, 0);
	set_desc(q, 0, TABLE, 16, INDIRECT, 0);
	publish(q, 0);
}

static void table_with_next(struct queue *q)
{
	set_table(0, BUF, 1, 0, 0);
	set_desc(q, 0, TABLE, 16, INDIRECT | NEXT, 1);
	set_desc(q, 1, BUF, 1, 0, 0);
	publish(q, 0);
}

static void table_next_out_of_range(struct queue *q)
{
	set_table(0, BUF, 1, NEXT, 1);
	set_desc(q, 0, TABLE, 16, INDIRECT, 0);
	publish(q, 0);
}

static void table_of_nothing(struct queue *q)
{
	set_desc(q, 0, TABLE, 0, INDIRECT, 0);
	publish(q, 0);
}

static void table_of_a_half(struct queue *q)
{
	set_desc(q, 0, TABLE, 24, INDIRECT, 0);
	publish(q, 0);
}

static void table_too_long(struct queue *q)
{
	set_desc(q, 0, TABLE, 16 * (q->size + 1), INDIRECT, 0);
	publish(q, 0);
}

static void table_of_4_gib(struct queue *q)
{
	set_desc(q, 0, TABLE, 0xfffffff0, INDIRECT, 0);
	publish(q, 0);
}

static void table_nowhere(struct queue *q)
{
	set_desc(q, 0, NOWHERE, 16, INDIRECT, 0);
	publish(q, 0);
}

static void readable_after_writable(struct queue *q)
{
	set_desc(q, 0, BUF, 16, WRITE | NEXT, 1);
	set_desc(q, 1, BUF, 16, 0, 0);
	publish(q, 0);
}

static void buffer_of_4_gib(struct queue *q)
{
	set_desc(q, 0, BUF, 0xffffffff, WRITE, 0);
	publish(q, 0);
}

static void buffer_that_wraps(struct queue *q)
{
	set_desc(q, 0, UINT64_MAX - 15, 32, WRITE, 0);
	publish(q, 0);
}

static void buffer_at_the_top(struct queue *q)
{
	set_desc(q, 0, UINT64_MAX, 1, 0, 0);
	publish(q, 0);
}

static void buffer_in_a_device(struct queue *q)
{
	set_desc(q, 0, MMIO, 16, WRITE, 0);
	publish(q, 0);
}

static void buffer_over_the_end(struct queue *q)
{
	set_desc(q, 0, 0x7fff000, 0x2000, WRITE, 0); /* RAM ends at 128 MiB */
	publish(q, 0);
}

static void buffer_that_is_not_plugged(struct queue *q)
{
	set_desc(q, 0, HIGH_BASE + 0x1000, 16, WRITE, 0);
	publish(q, 0);
}

static void index_jumps(struct queue *q)
{
	set_desc(q, 0, BUF, 1, 0, 0);
	q->avail[1] = (uint16_t)(q->avail[1] + q->size + 1);
}

static void index_goes_back(struct queue *q)
{
	q->avail[1] = (uint16_t)(q->avail[1] - 1);
}

static const struct {
	const char *name;
	void (*set)(struct queue *q);
} wrongs[] = {
	{"head", bad_head},
	{"wild head", wild_head},
	{"next", next_out_of_range},
	{"loop of one", loop_of_one},
	{"loop of empty buffers", loop_of_empty},
	{"loop of all", loop_of_all},
	{"loop in a table", loop_in_table},
	{"the ring as table", ring_as_table},
	{"table in a table", table_in_table},
	{"table with next", table_with_next},
	{"next in a table", table_next_out_of_range},
	{"table of nothing", table_of_nothing},
	{"table of a half", table_of_a_half},
	{"table too long", table_too_long},
	{"table of 4 GiB", table_of_4_gib},
	{"table nowhere", table_nowhere},
	{"readable after writable", readable_after_writable},
	{"buffer of 4 GiB", buffer_of_4_gib},
	{"buffer that wraps", buffer_that_wraps},
	{"buffer at the top", buffer_at_the_top},
	{"buffer in a device", buffer_in_a_device},
	{"buffer over the end", buffer_over_the_end},
	{"buffer not plugged", buffer_that_is_not_plugged},
	{"index jumps", index_jumps},
	{"index goes back", index_goes_back},
};

/* vsock takes buffers of its first and third queue only when it has something to say. */
static bool looks_at_once(const struct device *dev, unsigned queue)
{
	return dev->id != ID_VSOCK || queue == 1;
}

void scenario_rules(void)
{
	for (unsigned d = 0; d < ndevices; d++) {
		struct device *dev = &devices[d];

		for (unsigned queue = 0; queue < dev->nqueues; queue++) {
			for (unsigned i = 0; i < sizeof(wrongs) / sizeof(wrongs[0]); i++) {
				bring_up(dev);
				check(read32(dev, REG_STATUS) == RUNNING, "comes up", dev, queue);
				wrongs[i].set(&dev->q[queue]);
				kick(dev, queue);
				if (looks_at_once(dev, queue))
					check(becomes_broken(dev), wrongs[i].name, dev, queue);
				/* broken is broken: nothing more is taken */
				publish(&dev->q[queue], 0);
				kick(dev, queue);
			}
		}
		check_alive(dev);
	}
}

/* Chains that are within the rules but as large as they can be, on every queue. */
void scenario_lengths(void)
{
	for (unsigned d = 0; d < ndevices; d++) {
		struct device *dev = &devices[d];

		for (unsigned queue = 0; queue < dev->nqueues; queue++) {
			for (uint16_t write = 0; write <= WRITE; write += WRITE) {
				struct queue *q = &dev->q[queue];

				/* a release of memory here must not take our own: only BUF */
				bring_up(dev);
				for (unsigned i = 0; i < q->size; i++)
					set_desc(q, i, BUF, BUF_SIZE,
						 (uint16_t)(write | (i + 1 < q->size ? NEXT : 0)),
						 (uint16_t)(i + 1));
				publish(q, 0);
				publish(q, 0);
				kick(dev, queue);
			}
		}
		check_alive(dev);
	}
}

/* Rings where no ring can be: DRIVER_OK says so, and the device stands still. */
void scenario_geometry(void)
{
	static const struct {
		uint32_t size;
		uint64_t desc, avail, used;
	} bad[] = {
		{0, RINGS, RINGS + 0x4000, RINGS + 0x5000},
		{3, RINGS, RINGS + 0x4000, RINGS + 0x5000},
		{0x8000, RINGS, RINGS + 0x4000, RINGS + 0x5000},
		{0x10008, RINGS, RINGS + 0x4000, RINGS + 0x5000},
		{0xffffffff, RINGS, RINGS + 0x4000, RINGS + 0x5000},
		{8, RINGS + 8, RINGS + 0x4000, RINGS + 0x5000},
		{8, RINGS, RINGS + 0x4001, RINGS + 0x5000},
		{8, RINGS, RINGS + 0x4000, RINGS + 0x5002},
		{8, MMIO, RINGS + 0x4000, RINGS + 0x5000},
		{8, RINGS, MMIO, RINGS + 0x5000},
		{8, RINGS, RINGS + 0x4000, MMIO},
		{8, UINT64_MAX - 15, RINGS + 0x4000, RINGS + 0x5000},
		{8, RINGS, UINT64_MAX - 1, RINGS + 0x5000},
		{8, RINGS, RINGS + 0x4000, UINT64_MAX - 3},
		{8, 0x7ffffc0, RINGS + 0x4000, RINGS + 0x5000},
		{8, RINGS, 0x7fffffe, RINGS + 0x5000},
		{8, RINGS, RINGS + 0x4000, 0x7fffffc},
		{8, HIGH_BASE, RINGS + 0x4000, RINGS + 0x5000},
	};

	for (unsigned d = 0; d < ndevices; d++) {
		struct device *dev = &devices[d];

		for (unsigned queue = 0; queue < dev->nqueues; queue++) {
			for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
				negotiate(dev);
				set_queue(dev, queue, bad[i].size, bad[i].desc, bad[i].avail,
					  bad[i].used);
				write32(dev, REG_STATUS, RUNNING);
				check(read32(dev, REG_STATUS) == (RUNNING | NEEDS_RESET),
				      "bad geometry is told", dev, queue);
				kick(dev, queue);
			}
			/* all three rings on one spot: odd, harmless, garbage */
			negotiate(dev);
			zero((volatile void *)RINGS, 4096);
			set_queue(dev, queue, 8, RINGS, RINGS, RINGS);
			write32(dev, REG_STATUS, RUNNING);
			for (unsigned i = 0; i < 20; i++) {
				*(volatile uint32_t *)RINGS = random32();
				kick(dev, queue);
			}
			/* frozen: what is written now moves nothing */
			bring_up(dev);
			set_queue(dev, queue, 8, MMIO, MMIO, MMIO);
			kick(dev, queue);
			check(read32(dev, REG_STATUS) == RUNNING, "geometry is frozen", dev, queue);
		}
		check_alive(dev);
	}
}

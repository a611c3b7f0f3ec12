/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The split virtqueue, by the rules of virtio 1.2 section 2.7 in the order the device side meets
 * them: geometry; 1 available index; 2 head; 3 walk; 4 indirect tables; 5 order of directions;
 * 6 buffers; 7 used ring; 8 interrupts; 9 sleeping. Then chains as devices read them.
 */
#include "tests/unit/unit.h"

#include "tests/unit/guest_driver.h"

#define BUF	 GUEST_BUFFERS
#define LOW_END	 GUEST_LOW_SIZE
#define HIGH_END (GUEST_HIGH_BASE + GUEST_HIGH_SIZE)

struct fixture {
	struct guest g;
	struct guest_queue *q;
	struct virtqueue vq;
	struct vq_chain chain;
};

static void start(struct fixture *f, uint16_t size, bool event_idx, bool indirect)
{
	guest_bare_queue(&f->g, &f->vq, size, event_idx, indirect);
}

static int setup(void **state)
{
	struct fixture *f = xcalloc(1, sizeof(*f));

	guest_init(&f->g);
	f->q = &f->g.q[0];
	start(f, 8, false, true);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	guest_free(&f->g);
	free(f);
	return 0;
}

static void expect_broken(struct fixture *f, const char *why)
{
	assert_int_equal(virtqueue_pop(&f->vq, &f->chain), VQ_BROKEN);
	assert_string_equal(f->vq.fault, why);
	/* and it stays so, whatever the driver does next, until reset */
	f->q->avail[1] = f->vq.last_avail;
	assert_int_equal(virtqueue_pop(&f->vq, &f->chain), VQ_BROKEN);
	assert_false(virtqueue_arm(&f->vq));
	assert_false(virtqueue_should_signal(&f->vq));
	start(f, f->vq.size, f->vq.event_idx, f->vq.indirect);
	assert_int_equal(virtqueue_pop(&f->vq, &f->chain), VQ_EMPTY);
}

static void set_desc(struct fixture *f, uint16_t i, uint64_t addr, uint32_t len, uint16_t flags,
		     uint16_t next)
{
	f->q->desc[i] = (struct guest_desc){addr, len, flags, next};
}

/* An indirect table of n entries at the start of the buffers, each {BUF + 4096, 16} and linked. */
static struct guest_desc *make_table(struct fixture *f, unsigned n)
{
	struct guest_desc *table = guest_ptr(&f->g, BUF);

	for (unsigned i = 0; i < n; i++)
		table[i] = (struct guest_desc){.addr = BUF + 4096,
					       .len = 16,
					       .flags = i + 1 < n ? GUEST_NEXT : 0,
					       .next = (uint16_t)(i + 1)};
	return table;
}

/* -- geometry */

static bool starts(struct fixture *f, uint16_t size, uint64_t desc, uint64_t avail, uint64_t used)
{
	virtqueue_reset(&f->vq);
	f->vq.size = size;
	f->vq.desc_gpa = desc;
	f->vq.avail_gpa = avail;
	f->vq.used_gpa = used;
	return virtqueue_start(&f->vq, &f->g.mem, true, true);
}

static void geometry_refuses_a_size_that_is_no_power_of_two_in_range(void **state)
{
	struct fixture *f = *state;

	f->vq.size_max = 64;
	assert_true(starts(f, 1, 0, 0x1000, 0x2000));
	assert_true(starts(f, 64, 0, 0x1000, 0x2000));
	assert_false(starts(f, 0, 0, 0x1000, 0x2000));
	assert_false(starts(f, 3, 0, 0x1000, 0x2000));
	assert_false(starts(f, 63, 0, 0x1000, 0x2000));
	assert_false(starts(f, 128, 0, 0x1000, 0x2000));
	assert_false(starts(f, 0x8000, 0, 0x1000, 0x2000));
}

static void geometry_refuses_rings_that_are_not_aligned(void **state)
{
	struct fixture *f = *state;

	assert_true(starts(f, 8, 16, 0x1002, 0x2004));
	assert_false(starts(f, 8, 8, 0x1000, 0x2000));
	assert_false(starts(f, 8, 0, 0x1001, 0x2000));
	assert_false(starts(f, 8, 0, 0x1000, 0x2002));
}

static void geometry_refuses_rings_that_are_not_wholly_in_memory(void **state)
{
	struct fixture *f = *state;
	/* sizes by the specification: 16 N, 6 + 2 N, 6 + 8 N; addresses keep their alignment */
	const uint64_t desc = 16 * 8, avail = 6 + 2 * 8, used = ALIGN_UP(6 + 8 * 8, 4);

	assert_true(starts(f, 8, LOW_END - desc, 0x1000, 0x2000));
	assert_false(starts(f, 8, LOW_END - desc + 16, 0x1000, 0x2000));
	assert_true(starts(f, 8, 0, LOW_END - avail, 0x2000));
	assert_false(starts(f, 8, 0, LOW_END - avail + 2, 0x2000));
	assert_true(starts(f, 8, 0, 0x1000, LOW_END - used));
	assert_false(starts(f, 8, 0, 0x1000, LOW_END - used + 4));
	assert_true(starts(f, 8, HIGH_END - desc, GUEST_HIGH_BASE, GUEST_HIGH_BASE + 0x1000));
	assert_false(starts(f, 8, HIGH_END, 0x1000, 0x2000));
	assert_false(starts(f, 8, UINT64_MAX - 15, 0x1000, 0x2000));
	assert_false(starts(f, 8, 0, UINT64_MAX - 1, 0x2000));
	assert_false(starts(f, 8, 0, 0x1000, UINT64_MAX - 3));
}

static void geometry_is_frozen_once_started(void **state)
{
	struct fixture *f = *state;

	guest_add(&f->g, 0, (struct guest_buf[]){{BUF, 10, false}}, 1);
	f->vq.desc_gpa = f->vq.avail_gpa = f->vq.used_gpa = UINT64_MAX;
	assert_int_equal(virtqueue_pop(&f->vq, &f->chain), VQ_CHAIN);
	virtqueue_push(&f->vq, &f->chain, 0);
	assert_int_equal(f->q->used[1], 1);
}

static void reset_forgets_all_but_the_maximum(void **state)
{
	struct fixture *f = *state;

	virtqueue_reset(&f->vq);
	assert_int_equal(f->vq.size_max, VIRTQUEUE_SIZE_MAX);
	assert_int_equal(f->vq.size, 0);
	assert_false(f->vq.ready);
	assert_null(f->vq.desc);
	assert_null(f->vq.fault);
}

/* -- rule 1: available index */

static void rule1_an_unchanged_index_is_an_empty_queue(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(virtqueue_pop(&f->vq, &f->chain), VQ_EMPTY);
	assert_null(f->vq.fault);
}

static void rule1_an_index_as_far_as_the_queue_is_long_is_fine(void **state)
{
	struct fixture *f = *state;

	for (uint16_t i = 0; i < 8; i++)
		guest_add(&f->g, 0, (struct guest_buf[]){{BUF, 1, false}}, 1);
	for (uint16_t i = 0; i < 8; i++)
		assert_int_equal(virtqueue_pop(&f->vq, &f->chain), VQ_CHAIN);
	assert_int_equal(virtqueue_pop(&f->vq, &f->chain), VQ_EMPTY);
}

static void rule1_an_index_that_jumps_breaks(void **state)
{
	struct fixture *f = *state;

	f->q->avail[1] = 9;
	expect_broken(f, "available index jumped");
	f->q->avail[1] = 0xffff; /* backwards is far forwards */
	expect_broken(f, "available index jumped");
}

static void rule1_the_index_wraps_at_65536(void **state)
{
	struct fixture *f = *state;

	f->q->avail[1] = f->vq.last_avail = 0xfffe;
	for (unsigned i = 0; i < 4; i++) {
		uint16_t head = guest_add(&f->g, 0, (struct guest_buf[]){{BUF + i, 1, false}}, 1);

		assert_int_equal(virtqueue_pop(&f->vq, &f->chain), VQ_CHAIN);
		assert_int_equal(f->chain.head, head);
	}
	assert_int_equal(f->vq.last_avail, 2);
}

/* -- rule 2: head */

static void rule2_a_head_out_of_range_breaks(void **state)
{
	struct fixture *f = *state;

	guest_publish(&f->g, 0, 8);
	expect_broken(f, "descriptor index out of range");
	guest_publish(&f->g, 0, 0xffff);
	expect_broken(f, "descriptor index out of range");
}

/* -- rule 3: walk */

static void rule3_a_chain_of_every_descriptor_is_fine(void **state)
{
	struct fixture *f = *state;
	struct guest_buf buf[8];

	for (unsigned i = 0; i < 8; i++)
		buf[i] = (struct guest_buf){BUF + 100 * i, 10, i >= 3};
	guest_add(&f->g, 0, buf, 8);
	assert_int_equal(virtqueue_pop(&f->vq, &f->chain), VQ_CHAIN);
	assert_int_equal(f->chain.nread, 3);
	assert_int_equal(f->chain.nwrite, 5);
	assert_int_equal(f->chain.read_len, 30);
	assert_int_equal(f->chain.write_len, 50);
	for (unsigned i = 0; i < 8; i++) {
		assert_ptr_equal(f->chain.iov[i].iov_base, guest_ptr(&f->g, buf[i].gpa));
		assert_int_equal(f->chain.iov[i].iov_len, 10);
	}
}

static void rule3_a_next_out_of_range_breaks(void **state)
{
	struct fixture *f = *state;

	set_desc(f, 0, BUF, 1, GUEST_NEXT, 8);
	guest_publish(&f->g, 0, 0);
	expect_broken(f, "descriptor index out of range");
}

static void rule3_a_loop_breaks(void **state)
{
	struct fixture *f = *state;

	set_desc(f, 0, BUF, 1, GUEST_NEXT, 0); /* of one */
	guest_publish(&f->g, 0, 0);
	expect_broken(f, "descriptors form a loop");

	for (uint16_t i = 0; i < 8; i++) /* of all */
		set_desc(f, i, BUF, 1, GUEST_NEXT, (i + 1) % 8);
	guest_publish(&f->g, 0, 3);
	expect_broken(f, "descriptors form a loop");

	set_desc(f, 0, BUF, 0, GUEST_NEXT, 1); /* of empty buffers, behind a tail */
	set_desc(f, 1, BUF, 0, GUEST_NEXT, 2);
	set_desc(f, 2, BUF, 0, GUEST_NEXT, 1);
	guest_publish(&f->g, 0, 0);
	expect_broken(f, "descriptors form a loop");
}

/* -- rule 4: indirect tables */

static void rule4_an_indirect_table_is_walked_with_its_own_length(void **state)
{
	struct fixture *f = *state;
	struct guest_desc *table = make_table(f, 8);

	set_desc(f, 5, BUF, 8 * 16, GUEST_INDIRECT, 0);
	guest_publish(&f->g, 0, 5);
	assert_int_equal(virtqueue_pop(&f->vq, &f->chain), VQ_CHAIN);
	assert_int_equal(f->chain.head, 5);
	assert_int_equal(f->chain.nread, 8);

	table[0].next = 2; /* past a table of two, inside the ring */
	set_desc(f, 5, BUF, 2 * 16, GUEST_INDIRECT, 0);
	guest_publish(&f->g, 0, 5);
	expect_broken(f, "descriptor index out of range");

	table = make_table(f, 4);
	table[3].flags = GUEST_NEXT;
	table[3].next = 1;
	set_desc(f, 5, BUF, 4 * 16, GUEST_INDIRECT, 0);
	guest_publish(&f->g, 0, 5);
	expect_broken(f, "descriptors form a loop");
}

static void rule4_write_on_the_indirect_descriptor_is_ignored(void **state)
{
	struct fixture *f = *state;

	make_table(f, 1);
	set_desc(f, 0, BUF, 16, GUEST_INDIRECT | GUEST_WRITE, 0);
	guest_publish(&f->g, 0, 0);
	assert_int_equal(virtqueue_pop(&f->vq, &f->chain), VQ_CHAIN);
	assert_int_equal(f->chain.nread, 1);
	assert_int_equal(f->chain.nwrite, 0);
}

static void rule4_direct_descriptors_before_an_indirect_one_are_legal(void **state)
{
	struct fixture *f = *state;

	make_table(f, 2);
	set_desc(f, 0, BUF + 8192, 100, GUEST_NEXT, 1);
	set_desc(f, 1, BUF, 2 * 16, GUEST_INDIRECT, 0);
	guest_publish(&f->g, 0, 0);
	assert_int_equal(virtqueue_pop(&f->vq, &f->chain), VQ_CHAIN);
	assert_int_equal(f->chain.nread, 3);
	assert_int_equal(f->chain.read_len, 132);
}

static void rule4_a_table_not_negotiated_breaks(void **state)
{
	struct fixture *f = *state;

	start(f, 8, false, false);
	make_table(f, 1);
	set_desc(f, 0, BUF, 16, GUEST_INDIRECT, 0);
	guest_publish(&f->g, 0, 0);
	expect_broken(f, "indirect descriptor without the feature");
}

static void rule4_a_table_in_a_table_breaks(void **state)
{
	struct fixture *f = *state;
	struct guest_desc *table = make_table(f, 2);

	table[1] = (struct guest_desc){.addr = BUF, .len = 16, .flags = GUEST_INDIRECT};
	set_desc(f, 0, BUF, 2 * 16, GUEST_INDIRECT, 0);
	guest_publish(&f->g, 0, 0);
	expect_broken(f, "indirect descriptor in an indirect table");
}

static void rule4_a_table_that_is_the_ring_itself_is_a_table_all_the_same(void **state)
{
	struct fixture *f = *state;

	set_desc(f, 0, f->vq.desc_gpa, 16, GUEST_INDIRECT, 0);
	guest_publish(&f->g, 0, 0);
	expect_broken(f, "indirect descriptor in an indirect table");
}

static void rule4_indirect_together_with_next_breaks(void **state)
{
	struct fixture *f = *state;

	make_table(f, 1);
	set_desc(f, 0, BUF, 16, GUEST_INDIRECT | GUEST_NEXT, 1);
	guest_publish(&f->g, 0, 0);
	expect_broken(f, "indirect descriptor with a next one");
}

static void rule4_a_table_of_a_wrong_length_breaks(void **state)
{
	static const uint32_t wrong[] = {0, 8, 15, 17, 9 * 16, 0xfffffff0, 0xffffffff};
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		make_table(f, 8);
		set_desc(f, 0, BUF, wrong[i], GUEST_INDIRECT, 0);
		guest_publish(&f->g, 0, 0);
		expect_broken(f, "indirect table of a wrong length");
	}
}

static void rule4_a_table_not_wholly_in_memory_breaks(void **state)
{
	static const uint64_t wrong[] = {LOW_END - 16, LOW_END, HIGH_END - 31, UINT64_MAX - 15};
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		set_desc(f, 0, wrong[i], 2 * 16, GUEST_INDIRECT, 0);
		guest_publish(&f->g, 0, 0);
		expect_broken(f, "indirect table is not in guest memory");
	}
}

static void rule4_a_table_need_not_be_aligned(void **state)
{
	struct fixture *f = *state;
	const struct guest_desc desc = {.addr = BUF + 4096, .len = 7, .flags = GUEST_WRITE};

	memcpy(guest_ptr(&f->g, BUF + 3), &desc, sizeof(desc));
	set_desc(f, 0, BUF + 3, 16, GUEST_INDIRECT, 0);
	guest_publish(&f->g, 0, 0);
	assert_int_equal(virtqueue_pop(&f->vq, &f->chain), VQ_CHAIN);
	assert_int_equal(f->chain.write_len, 7);
}

/* Direct descriptors, then one that points at a table of the rest: total in all. */
static void long_chain(struct fixture *f, unsigned total)
{
	unsigned table = total / 2, direct = total - table;

	make_table(f, table);
	for (unsigned i = 0; i < direct; i++)
		set_desc(f, (uint16_t)i, BUF, 1, GUEST_NEXT, (uint16_t)(i + 1));
	set_desc(f, (uint16_t)direct, BUF, 16 * table, GUEST_INDIRECT, 0);
	guest_publish(&f->g, 0, 0);
}

static void rule4_a_chain_longer_than_we_hold_breaks(void **state)
{
	struct fixture *f = *state;

	start(f, 256, false, true);
	long_chain(f, VQ_CHAIN_MAX);
	assert_int_equal(virtqueue_pop(&f->vq, &f->chain), VQ_CHAIN);
	assert_int_equal(f->chain.nread, VQ_CHAIN_MAX);
	long_chain(f, VQ_CHAIN_MAX + 1);
	expect_broken(f, "chain is too long");
	long_chain(f, 500);
	expect_broken(f, "chain is too long");
}

/* -- rule 5: readable before writable */

static void rule5_readable_after_writable_breaks(void **state)
{
	struct fixture *f = *state;
	struct guest_desc *table;

	guest_add(&f->g, 0, (struct guest_buf[]){{BUF, 1, true}, {BUF, 1, false}}, 2);
	expect_broken(f, "readable descriptor after a writable one");

	table = make_table(f, 2); /* across the start of a table too */
	table[0].flags = GUEST_NEXT;
	set_desc(f, 0, BUF + 8192, 1, GUEST_WRITE | GUEST_NEXT, 1);
	set_desc(f, 1, BUF, 2 * 16, GUEST_INDIRECT, 0);
	guest_publish(&f->g, 0, 0);
	expect_broken(f, "readable descriptor after a writable one");
}

/* -- rule 6: buffers */

static void rule6_a_buffer_up_to_the_last_byte_of_memory_is_fine(void **state)
{
	static const struct guest_buf fine[] = {
		{0, LOW_END, true},
		{LOW_END - 1, 1, true},
		{GUEST_HIGH_BASE, GUEST_HIGH_SIZE, true},
		{HIGH_END - 4096, 4096, true},
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(fine); i++) {
		guest_add(&f->g, 0, &fine[i], 1);
		assert_int_equal(virtqueue_pop(&f->vq, &f->chain), VQ_CHAIN);
		assert_ptr_equal(f->chain.iov[0].iov_base, guest_ptr(&f->g, fine[i].gpa));
		assert_int_equal(f->chain.write_len, fine[i].len);
	}
}

static void rule6_a_buffer_outside_memory_breaks(void **state)
{
	static const struct guest_buf wrong[] = {
		{LOW_END, 1, true},
		{LOW_END - 1, 2, true},
		{0, LOW_END + 1, true},
		{0, UINT32_MAX, true},
		{0xd0000000, 16, true},
		{GUEST_HIGH_BASE - 1, 2, true},
		{HIGH_END, 1, true},
		{HIGH_END - 1, 2, false},
		{UINT64_MAX, 1, true},
		{UINT64_MAX, 2, true},
		{UINT64_MAX - 0xfff, 0x1000, true},
		{UINT64_MAX - 0xfff, 0x2000, false},
		{1, UINT32_MAX, false},
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		guest_add(&f->g, 0, &wrong[i], 1);
		expect_broken(f, "buffer is not in guest memory");
	}
}

static void rule6_a_buffer_in_a_block_that_is_not_plugged_breaks(void **state)
{
	static const uint8_t plugged[16] = {[0] = 1, [1] = 1};
	struct fixture *f = *state;

	f->g.mem.region[1].plugged = plugged;
	f->g.mem.region[1].block_shift = 16;
	guest_add(&f->g, 0, (struct guest_buf[]){{GUEST_HIGH_BASE + 0x8000, 0x18000, true}}, 1);
	assert_int_equal(virtqueue_pop(&f->vq, &f->chain), VQ_CHAIN);
	guest_add(&f->g, 0, (struct guest_buf[]){{GUEST_HIGH_BASE + 0x8000, 0x18001, true}}, 1);
	expect_broken(f, "buffer is not in guest memory");
}

static void rule6_an_empty_buffer_is_skipped_wherever_it_points(void **state)
{
	struct fixture *f = *state;

	guest_add(&f->g, 0,
		  (struct guest_buf[]){{UINT64_MAX, 0, false}, {BUF, 5, false}, {LOW_END, 0, true}},
		  3);
	assert_int_equal(virtqueue_pop(&f->vq, &f->chain), VQ_CHAIN);
	assert_int_equal(f->chain.nread, 1);
	assert_int_equal(f->chain.nwrite, 0);
	assert_int_equal(f->chain.read_len, 5);
}

/* -- rule 7: used ring */

static void rule7_push_writes_the_entry_and_then_the_index(void **state)
{
	struct fixture *f = *state;
	uint32_t id, len;

	f->vq.used_idx = f->q->used[1] = f->q->last_used = 0xffff; /* wraps */
	for (uint32_t i = 0; i < 3; i++) {
		uint16_t head = guest_add(&f->g, 0, (struct guest_buf[]){{BUF, 9, true}}, 1);

		assert_int_equal(virtqueue_pop(&f->vq, &f->chain), VQ_CHAIN);
		assert_false(guest_used(&f->g, 0, &id, &len));
		virtqueue_push(&f->vq, &f->chain, i);
		assert_true(guest_used(&f->g, 0, &id, &len));
		assert_int_equal(id, head);
		assert_int_equal(len, i);
	}
	assert_int_equal(f->q->used[1], 2);
}

/* -- rule 8: interrupts */

static void push_one(struct fixture *f)
{
	guest_add(&f->g, 0, (struct guest_buf[]){{BUF, 1, true}}, 1);
	assert_int_equal(virtqueue_pop(&f->vq, &f->chain), VQ_CHAIN);
	virtqueue_push(&f->vq, &f->chain, 1);
}

static void rule8_without_event_idx_the_flag_decides(void **state)
{
	struct fixture *f = *state;

	assert_false(virtqueue_should_signal(&f->vq)); /* nothing was pushed */
	push_one(f);
	assert_true(virtqueue_should_signal(&f->vq));
	assert_false(virtqueue_should_signal(&f->vq)); /* once */
	f->q->avail[0] = 1;
	push_one(f);
	assert_false(virtqueue_should_signal(&f->vq));
}

static void rule8_with_event_idx_the_wanted_entry_decides(void **state)
{
	/* old and new used index, what the driver waits for, and whether it is among them */
	static const struct {
		uint16_t old, new, event;
		bool signal;
	} table[] = {
		{0, 1, 0, true},	   {0, 1, 1, false},	  {0, 3, 2, true},
		{0, 3, 3, false},	   {5, 7, 4, false},	  {5, 7, 5, true},
		{0xfffe, 1, 0, true},	   {0xfffe, 1, 1, false}, {0xfffe, 1, 0xffff, true},
		{0xffff, 0, 0xffff, true}, {7, 7, 6, false},	  {7, 8, 0x8007, false},
	};
	struct fixture *f = *state;

	start(f, 8, true, true);
	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		f->vq.signalled = table[i].old;
		f->vq.used_idx = table[i].new;
		f->q->avail[2 + 8] = table[i].event;
		f->q->avail[0] = 1; /* the flag means nothing now */
		assert_int_equal(virtqueue_should_signal(&f->vq), table[i].signal);
		assert_int_equal(f->vq.signalled, table[i].new);
	}
}

/* -- rule 9: sleeping */

static void rule9_arm_says_where_we_are_and_looks_again(void **state)
{
	struct fixture *f = *state;

	start(f, 8, true, true);
	push_one(f);
	assert_false(virtqueue_arm(&f->vq));
	assert_int_equal(f->q->used[2 + 4 * 8], 1); /* avail_event */
	guest_add(&f->g, 0, (struct guest_buf[]){{BUF, 1, true}}, 1);
	assert_true(virtqueue_arm(&f->vq));
}

static void rule9_without_event_idx_nothing_past_the_ring_is_written(void **state)
{
	struct fixture *f = *state;

	f->q->used[2 + 4 * 8] = 0x5555;
	push_one(f);
	assert_false(virtqueue_arm(&f->vq));
	assert_int_equal(f->q->used[2 + 4 * 8], 0x5555);
	assert_int_equal(f->q->used[0], 0);
}

/* -- chains as devices see them */

static void unpop_gives_the_same_chain_again(void **state)
{
	struct fixture *f = *state;
	uint16_t head = guest_add(&f->g, 0, (struct guest_buf[]){{BUF, 3, true}}, 1);

	assert_int_equal(virtqueue_pop(&f->vq, &f->chain), VQ_CHAIN);
	virtqueue_unpop(&f->vq);
	f->chain.head = 99;
	assert_int_equal(virtqueue_pop(&f->vq, &f->chain), VQ_CHAIN);
	assert_int_equal(f->chain.head, head);
	assert_int_equal(virtqueue_pop(&f->vq, &f->chain), VQ_EMPTY);
}

static void a_chain_is_read_and_written_across_its_buffers(void **state)
{
	struct fixture *f = *state;
	char out[16] = "";

	memcpy(guest_ptr(&f->g, BUF), "abc", 3);
	memcpy(guest_ptr(&f->g, BUF + 100), "defgh", 5);
	guest_add(&f->g, 0,
		  (struct guest_buf[]){{BUF, 3, false},
				       {BUF + 100, 5, false},
				       {BUF + 200, 2, true},
				       {BUF + 300, 3, true}},
		  4);
	assert_int_equal(virtqueue_pop(&f->vq, &f->chain), VQ_CHAIN);
	assert_int_equal(vq_chain_read(&f->chain, out, 2), 2);
	assert_memory_equal(out, "ab", 2);
	assert_int_equal(vq_chain_read(&f->chain, out, 4), 4);
	assert_memory_equal(out, "cdef", 4);
	assert_int_equal(vq_chain_read(&f->chain, out, sizeof(out)), 2);
	assert_memory_equal(out, "gh", 2);
	assert_int_equal(vq_chain_read(&f->chain, out, sizeof(out)), 0);
	assert_int_equal(f->chain.read_pos, 8);

	assert_int_equal(vq_chain_write(&f->chain, "uvwxyz", 1), 1);
	assert_int_equal(vq_chain_write(&f->chain, "vwxyz", 5), 4);
	assert_int_equal(vq_chain_write(&f->chain, "z", 1), 0);
	assert_int_equal(f->chain.write_pos, 5);
	assert_memory_equal(guest_ptr(&f->g, BUF + 200), "uv", 3);
	assert_memory_equal(guest_ptr(&f->g, BUF + 300), "wxy", 4);
}

static void iovecs_cut_a_chain_where_asked_and_take_all_or_nothing(void **state)
{
	struct fixture *f = *state;
	struct iovec iov[VQ_CHAIN_MAX];
	uint8_t *base = guest_ptr(&f->g, BUF);

	guest_add(&f->g, 0,
		  (struct guest_buf[]){{BUF, 10, false},
				       {BUF + 100, 10, false},
				       {BUF + 200, 4, true},
				       {BUF + 300, 4, true}},
		  4);
	assert_int_equal(virtqueue_pop(&f->vq, &f->chain), VQ_CHAIN);
	assert_int_equal(vq_chain_read_iov(&f->chain, 21, iov), -1);
	assert_int_equal(f->chain.read_pos, 0);
	assert_int_equal(vq_chain_read_iov(&f->chain, 0, iov), 0);
	assert_int_equal(vq_chain_read_iov(&f->chain, 4, iov), 1);
	assert_int_equal(vq_chain_read_iov(&f->chain, 8, iov), 2);
	assert_ptr_equal(iov[0].iov_base, base + 4);
	assert_int_equal(iov[0].iov_len, 6);
	assert_ptr_equal(iov[1].iov_base, base + 100);
	assert_int_equal(iov[1].iov_len, 2);
	assert_int_equal(vq_chain_read_iov(&f->chain, 9, iov), -1);
	assert_int_equal(vq_chain_read_iov(&f->chain, 8, iov), 1);
	assert_ptr_equal(iov[0].iov_base, base + 102);
	assert_int_equal(vq_chain_read_iov(&f->chain, SIZE_MAX, iov), -1);

	assert_int_equal(vq_chain_write_iov(&f->chain, 9, iov), -1);
	assert_int_equal(vq_chain_write_iov(&f->chain, 8, iov), 2);
	assert_ptr_equal(iov[1].iov_base, base + 300);
	assert_int_equal(f->chain.write_pos, 8);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(geometry_refuses_a_size_that_is_no_power_of_two_in_range),
		TEST(geometry_refuses_rings_that_are_not_aligned),
		TEST(geometry_refuses_rings_that_are_not_wholly_in_memory),
		TEST(geometry_is_frozen_once_started),
		TEST(reset_forgets_all_but_the_maximum),
		TEST(rule1_an_unchanged_index_is_an_empty_queue),
		TEST(rule1_an_index_as_far_as_the_queue_is_long_is_fine),
		TEST(rule1_an_index_that_jumps_breaks),
		TEST(rule1_the_index_wraps_at_65536),
		TEST(rule2_a_head_out_of_range_breaks),
		TEST(rule3_a_chain_of_every_descriptor_is_fine),
		TEST(rule3_a_next_out_of_range_breaks),
		TEST(rule3_a_loop_breaks),
		TEST(rule4_an_indirect_table_is_walked_with_its_own_length),
		TEST(rule4_write_on_the_indirect_descriptor_is_ignored),
		TEST(rule4_direct_descriptors_before_an_indirect_one_are_legal),
		TEST(rule4_a_table_not_negotiated_breaks),
		TEST(rule4_a_table_in_a_table_breaks),
		TEST(rule4_a_table_that_is_the_ring_itself_is_a_table_all_the_same),
		TEST(rule4_indirect_together_with_next_breaks),
		TEST(rule4_a_table_of_a_wrong_length_breaks),
		TEST(rule4_a_table_not_wholly_in_memory_breaks),
		TEST(rule4_a_table_need_not_be_aligned),
		TEST(rule4_a_chain_longer_than_we_hold_breaks),
		TEST(rule5_readable_after_writable_breaks),
		TEST(rule6_a_buffer_up_to_the_last_byte_of_memory_is_fine),
		TEST(rule6_a_buffer_outside_memory_breaks),
		TEST(rule6_a_buffer_in_a_block_that_is_not_plugged_breaks),
		TEST(rule6_an_empty_buffer_is_skipped_wherever_it_points),
		TEST(rule7_push_writes_the_entry_and_then_the_index),
		TEST(rule8_without_event_idx_the_flag_decides),
		TEST(rule8_with_event_idx_the_wanted_entry_decides),
		TEST(rule9_arm_says_where_we_are_and_looks_again),
		TEST(rule9_without_event_idx_nothing_past_the_ring_is_written),
		TEST(unpop_gives_the_same_chain_again),
		TEST(a_chain_is_read_and_written_across_its_buffers),
		TEST(iovecs_cut_a_chain_where_asked_and_take_all_or_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include <errno.h>
#include <unistd.h>

#include "tests/unit/guest_driver.h"
#include "tests/unit/vu_backend.h"
#include "vmm/fs.h"

struct fixture {
	struct guest g;
	struct vu_backend b;
	struct fs *fs;
	int memfd;
};

static int setup(void **state)
{
	struct fixture *f = xcalloc(1, sizeof(*f));
	struct error err = ERROR_INIT;

	guest_init(&f->g);
	vu_init(&f->b);
	f->memfd = memfd_create("guest", MFD_CLOEXEC);
	assert_int_equal(fs_new("v0", f->b.front, &f->g.mem, f->memfd, &f->fs, &err), 0);
	vu_greet(&f->b);
	assert_int_equal(fs_meet(f->fs, &err), 0);
	vu_skip(&f->b);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	fs_free(f->fs);
	vu_free(&f->b);
	guest_free(&f->g);
	close(f->memfd);
	free(f);
	return 0;
}

/* The device loop's turn, if it was called. */
static bool run_loop(struct fixture *f)
{
	struct pollfd p = {.fd = f->fs->dev.wakefd, .events = POLLIN};

	if (poll(&p, 1, 0) != 1)
		return false;
	virtio_queue_notified(&f->fs->dev, 0);
	return true;
}

static void ack_start(struct fixture *f, unsigned nqueues)
{
	vu_ack(&f->b, VU_SET_FEATURES);
	vu_ack(&f->b, VU_SET_MEM_TABLE);
	for (unsigned i = 0; i < nqueues; i++)
		vu_ack_queue(&f->b);
}

static void ack_stop(struct fixture *f, unsigned nqueues)
{
	for (uint32_t i = 0; i < nqueues; i++) {
		const uint32_t state[] = {i, 0};

		vu_put(&f->b, VU_GET_VRING_BASE, VU_REPLY, state, sizeof(state));
	}
}

static void start(struct fixture *f)
{
	ack_start(f, 2);
	guest_start(&f->g, &f->fs->dev, UINT64_MAX);
	assert_true(run_loop(f));
	assert_false(f->fs->vu.dead);
}

static bool hung_up(struct fixture *f)
{
	struct pollfd p = {.fd = f->b.front, .events = POLLRDHUP};

	return poll(&p, 1, 0) == 1;
}

static void the_configuration_is_the_tag_and_one_queue(void **state)
{
	struct fixture *f = *state;
	uint8_t config[48];

	f->g.dev = &f->fs->dev;
	assert_int_equal(guest_read32(&f->g, 0x8), VIRTIO_ID_FS);
	for (unsigned i = 0; i < sizeof(config); i++)
		virtio_mmio_read(&f->fs->dev, 0x100 + i, &config[i], 1);
	assert_string_equal((char *)config, "v0");
	assert_int_equal(config[35], 0);
	assert_int_equal(config[36], 1);
	for (unsigned i = 37; i < sizeof(config); i++)
		assert_int_equal(config[i], 0);
}

static void a_tag_fits_or_is_refused(void **state)
{
	struct fixture *f = *state;
	struct error err = ERROR_INIT;
	struct fs *fs = NULL;

	assert_int_equal(
		fs_new("123456789012345678901234567890123456", -1, &f->g.mem, -1, &fs, &err), 0);
	fs_free(fs);
	assert_int_equal(
		fs_new("1234567890123456789012345678901234567", -1, &f->g.mem, -1, &fs, &err),
		-EINVAL);
	assert_int_equal(fs_new("", -1, &f->g.mem, -1, &fs, &err), -EINVAL);
}

static void offered_is_what_both_have(void **state)
{
	struct fixture *f = *state;
	struct error err = ERROR_INIT;

	vu_put_u64(&f->b, VU_GET_FEATURES, VIRTIO_F_VERSION_1 | UINT64_C(1) << 30 | 0xff);
	vu_put_u64(&f->b, VU_GET_PROTOCOL_FEATURES, VU_REPLY_ACK);
	vu_ack(&f->b, VU_SET_OWNER);
	assert_int_equal(fs_meet(f->fs, &err), 0);
	f->g.dev = &f->fs->dev;
	assert_int_equal(guest_offered(&f->g), VIRTIO_F_VERSION_1);
	vu_put_u64(&f->b, VU_GET_FEATURES, UINT64_C(1) << 30);
	vu_put_u64(&f->b, VU_GET_PROTOCOL_FEATURES, VU_REPLY_ACK);
	vu_ack(&f->b, VU_SET_OWNER);
	assert_int_equal(fs_meet(f->fs, &err), -EPROTO);
}

static void the_back_end_gets_the_queues_when_the_driver_is_ready(void **state)
{
	struct fixture *f = *state;
	struct vu_message m;

	guest_negotiate(&f->g, &f->fs->dev, UINT64_MAX);
	assert_false(run_loop(f));
	assert_false(vu_take(&f->b, &m));
	start(f);
	m = vu_expect(&f->b, VU_SET_FEATURES);
	assert_int_equal(m.u64[0], f->fs->dev.accepted | UINT64_C(1) << 30);
	vu_expect(&f->b, VU_SET_MEM_TABLE);
	assert_int_equal(vu_expect(&f->b, VU_SET_VRING_NUM).u32[1], VIRTQUEUE_SIZE_MAX);
	vu_expect(&f->b, VU_SET_VRING_BASE);
	m = vu_expect(&f->b, VU_SET_VRING_ADDR);
	assert_int_equal(m.u64[1], f->fs->dev.vq[0].desc_gpa);
}

static void queues_the_driver_has_not_made_are_not_told(void **state)
{
	struct fixture *f = *state;
	struct vu_message m;
	unsigned enabled = 0;

	ack_start(f, 1);
	guest_negotiate(&f->g, &f->fs->dev, UINT64_MAX);
	guest_setup_queue(&f->g, 1, 0);
	guest_write32(&f->g, 0x70, 15);
	assert_true(run_loop(f));
	assert_false(f->fs->vu.dead);
	while (vu_take(&f->b, &m)) {
		assert_false(m.request == VU_SET_VRING_ENABLE && m.u32[0] != 1);
		enabled += m.request == VU_SET_VRING_ENABLE;
		while (m.nfds)
			close(m.fd[--m.nfds]);
	}
	assert_int_equal(enabled, 1);
}

static void a_ring_outside_of_memory_never_gets_to_the_back_end(void **state)
{
	struct fixture *f = *state;
	struct vu_message m;

	guest_negotiate(&f->g, &f->fs->dev, UINT64_MAX);
	guest_setup_queue(&f->g, 0, 0);
	guest_write32(&f->g, 0x44, 0);
	guest_write32(&f->g, 0x84, 0x7fffffff);
	guest_write32(&f->g, 0x44, 1);
	guest_write32(&f->g, 0x70, 15);
	assert_true(guest_is_broken(&f->g));
	assert_true(run_loop(f));
	assert_false(vu_take(&f->b, &m));
	assert_non_null(virtio_take_fault(&f->fs->dev));
}

static void notifications_and_interrupts_go_by_without_us(void **state)
{
	struct fixture *f = *state;
	const uint64_t one = 1;
	uint64_t count;

	start(f);
	guest_write32(&f->g, 0x50, 1);
	assert_false(run_loop(f));
	assert_int_equal(read(f->fs->dev.kickfd[1], &count, sizeof(count)), sizeof(count));
	assert_int_equal(count, 1);
	/* the back end's interrupt: the driver finds the reason, as often as it looks */
	assert_int_equal(write(f->fs->dev.irqfd, &one, sizeof(one)), sizeof(one));
	assert_int_equal(guest_interrupt(&f->g), 1);
	assert_int_equal(write(f->fs->dev.irqfd, &one, sizeof(one)), sizeof(one));
	assert_int_equal(guest_interrupt(&f->g), 1);
}

static void a_reset_waits_until_the_queues_are_let_go_and_all_begins_again(void **state)
{
	struct fixture *f = *state;

	for (int i = 0; i < 3; i++) {
		start(f);
		vu_skip(&f->b);
		ack_stop(f, 2);
		guest_write32(&f->g, 0x70, 0);
		assert_int_equal(vu_expect(&f->b, VU_GET_VRING_BASE).u32[0], 0);
		assert_int_equal(vu_expect(&f->b, VU_GET_VRING_BASE).u32[0], 1);
		assert_int_equal(guest_read32(&f->g, 0x70), 0);
		assert_false(f->fs->vu.dead);
	}
	/* stopped is stopped */
	guest_write32(&f->g, 0x70, 0);
	assert_false(vu_take(&f->b, &(struct vu_message){.request = 0}));
}

static void a_reset_before_the_loop_came_starts_nothing(void **state)
{
	struct fixture *f = *state;

	guest_start(&f->g, &f->fs->dev, UINT64_MAX);
	guest_write32(&f->g, 0x70, 0);
	assert_true(run_loop(f));
	assert_false(vu_take(&f->b, &(struct vu_message){.request = 0}));
	start(f);
}

static void a_back_end_that_fails_at_the_start_is_hung_up_on(void **state)
{
	struct fixture *f = *state;

	guest_start(&f->g, &f->fs->dev, UINT64_MAX);
	vu_ack(&f->b, VU_SET_FEATURES);
	vu_put_u64(&f->b, VU_SET_MEM_TABLE, 1);
	assert_true(run_loop(f));
	assert_true(f->fs->vu.dead);
	assert_int_equal(f->fs->why.code, -EIO);
	assert_true(hung_up(f));
	fs_lost(f->fs);
	assert_true(guest_is_broken(&f->g));
	assert_true(guest_interrupt(&f->g) & 2);
}

static void a_back_end_that_is_gone_at_a_reset_does_not_hold_the_driver(void **state)
{
	struct fixture *f = *state;

	start(f);
	close_fd(&f->b.back);
	guest_write32(&f->g, 0x70, 0);
	assert_int_equal(guest_read32(&f->g, 0x70), 0);
	assert_true(f->fs->vu.dead);
	assert_true(run_loop(f));
	assert_true(hung_up(f));
	/* nor does what the driver does then */
	guest_start(&f->g, &f->fs->dev, UINT64_MAX);
	assert_true(run_loop(f));
	guest_write32(&f->g, 0x70, 0);
}

static void the_driver_is_told_of_a_back_end_that_was_lost(void **state)
{
	struct fixture *f = *state;

	start(f);
	close_fd(&f->b.back);
	fs_lost(f->fs);
	assert_true(guest_is_broken(&f->g));
	assert_true(guest_interrupt(&f->g) & 2);
	assert_null(virtio_take_fault(&f->fs->dev)); /* it is not the driver's */
}

/* In the place of the device: a window without one. */
static int setup_slot(void **state)
{
	struct error err = ERROR_INIT;
	struct fixture *f;

	setup(state);
	f = *state;
	fs_free(f->fs);
	assert_int_equal(fs_new("v1", -1, &f->g.mem, f->memfd, &f->fs, &err), 0);
	f->g.dev = &f->fs->dev;
	return 0;
}

static void fill(struct fixture *f)
{
	struct error err = ERROR_INIT;

	assert_int_equal(fs_fill(f->fs, f->b.front, UINT64_MAX, &err), 0);
	assert_int_equal(guest_read32(&f->g, 0x8), VIRTIO_ID_FS);
	start(f);
	vu_skip(&f->b);
}

static void a_slot_is_a_device_while_it_is_filled(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(guest_read32(&f->g, 0x8), 0);
	for (int i = 0; i < 2; i++) {
		fill(f);
		ack_stop(f, 2);
		guest_write32(&f->g, 0x70, 0);
		guest_write32(&f->g, 0x70, 1); /* as Linux does when it has unbound the driver */
		assert_true(fs_empty(f->fs));
		assert_int_equal(guest_read32(&f->g, 0x8), 0);
		vu_skip(&f->b);
	}
}

static void a_slot_offers_what_its_back_end_has(void **state)
{
	struct fixture *f = *state;
	struct error err = ERROR_INIT;

	assert_int_equal(fs_fill(f->fs, f->b.front, VIRTIO_F_RING_EVENT_IDX, &err), -EPROTO);
	assert_int_equal(guest_read32(&f->g, 0x8), 0);
	assert_int_equal(fs_fill(f->fs, f->b.front, VIRTIO_F_VERSION_1 | 0xff, &err), 0);
	assert_int_equal(guest_offered(&f->g), VIRTIO_F_VERSION_1);
}

static void a_guest_that_drives_an_empty_slot_gets_none(void **state)
{
	struct fixture *f = *state;
	struct error err = ERROR_INIT;

	guest_start(&f->g, &f->fs->dev, UINT64_MAX);
	run_loop(f);
	assert_int_equal(fs_fill(f->fs, f->b.front, UINT64_MAX, &err), -EBUSY);
	guest_write32(&f->g, 0x70, 0);
	run_loop(f);
	assert_false(vu_take(&f->b, &(struct vu_message){.request = 0}));
	fill(f);
}

static void a_slot_the_guest_does_not_let_go_of_is_told_so(void **state)
{
	struct fixture *f = *state;

	fill(f);
	assert_false(fs_empty(f->fs));
	assert_true(guest_is_broken(&f->g));
	/* nobody is asked when it does later */
	guest_write32(&f->g, 0x70, 0);
	run_loop(f);
	assert_false(vu_take(&f->b, &(struct vu_message){.request = 0}));
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
#define S(f) cmocka_unit_test_setup_teardown(f, setup_slot, teardown)
	const struct CMUnitTest tests[] = {
		T(the_configuration_is_the_tag_and_one_queue),
		T(a_tag_fits_or_is_refused),
		T(offered_is_what_both_have),
		T(the_back_end_gets_the_queues_when_the_driver_is_ready),
		T(queues_the_driver_has_not_made_are_not_told),
		T(a_ring_outside_of_memory_never_gets_to_the_back_end),
		T(notifications_and_interrupts_go_by_without_us),
		T(a_reset_waits_until_the_queues_are_let_go_and_all_begins_again),
		T(a_reset_before_the_loop_came_starts_nothing),
		T(a_back_end_that_fails_at_the_start_is_hung_up_on),
		T(a_back_end_that_is_gone_at_a_reset_does_not_hold_the_driver),
		T(the_driver_is_told_of_a_back_end_that_was_lost),
		S(a_slot_is_a_device_while_it_is_filled),
		S(a_slot_offers_what_its_back_end_has),
		S(a_guest_that_drives_an_empty_slot_gets_none),
		S(a_slot_the_guest_does_not_let_go_of_is_told_so),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

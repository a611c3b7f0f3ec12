/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The virtio-mmio transport: each register, the status machine (every value in every state),
 * access widths, notifications, interrupts, reset, and virtio_drain().
 */
#include "tests/unit/unit.h"

#include <pthread.h>
#include <sched.h>

#include "tests/unit/guest_driver.h"

#define FEATURE_A (UINT64_C(1) << 3)
#define FEATURE_B (UINT64_C(1) << 40)
#define OFFERED                                                                                    \
	(FEATURE_A | FEATURE_B | VIRTIO_F_VERSION_1 | VIRTIO_F_RING_INDIRECT_DESC |                \
	 VIRTIO_F_RING_EVENT_IDX)

#define STATUS	   0x70
#define ISR	   0x60
#define ACK	   0x64
#define QUEUE_SEL  0x30
#define SIZE_MAX_  0x34
#define QUEUE_SIZE 0x38
#define READY	   0x44
#define CONFIG	   0x100

#define NEEDS_RESET VIRTIO_CONFIG_S_NEEDS_RESET
#define FAILED	    VIRTIO_CONFIG_S_FAILED

/* A device with two queues that copies what it reads into what it writes. */
struct echo {
	struct virtio_device dev;
	uint8_t config[12];
	unsigned activated, resets, notified[2];
	/* what do_chain does beside */
	struct guest *refill; /* makes the same chain available again */
	bool refuse, give_up;
	unsigned chains;
};

struct fixture {
	struct guest g;
	struct echo echo;
};

static struct echo *to_echo(struct virtio_device *dev)
{
	return container_of(dev, struct echo, dev);
}

static void echo_config_read(struct virtio_device *dev, uint32_t off, void *dst, uint32_t len)
{
	virtio_config_copy(to_echo(dev)->config, sizeof(to_echo(dev)->config), off, dst, len);
}

static void echo_config_write(struct virtio_device *dev, uint32_t off, const void *src,
			      uint32_t len)
{
	if (off < 12 && len <= 12 - off)
		memcpy(to_echo(dev)->config + off, src, len);
}

static void echo_activate(struct virtio_device *dev)
{
	to_echo(dev)->activated++;
}

static void echo_reset(struct virtio_device *dev)
{
	to_echo(dev)->resets++;
}

static int64_t echo_chain(struct virtio_device *dev, struct vq_chain *chain)
{
	struct echo *echo = to_echo(dev);
	uint8_t buf[256];

	if (echo->refuse)
		return -1;
	echo->chains++;
	if (echo->give_up) {
		virtio_break(dev, "given up");
		return -1;
	}
	if (echo->refill)
		guest_publish(echo->refill, 0, chain->head);
	return (int64_t)vq_chain_write(chain, buf, vq_chain_read(chain, buf, sizeof(buf)));
}

static void echo_notify(struct virtio_device *dev, unsigned queue)
{
	to_echo(dev)->notified[queue]++;
	virtio_drain(dev, queue, echo_chain);
}

static const struct virtio_ops echo_ops = {
	.config_read = echo_config_read,
	.config_write = echo_config_write,
	.activate = echo_activate,
	.reset = echo_reset,
	.notify = echo_notify,
};

static int setup(void **state)
{
	struct fixture *f = xcalloc(1, sizeof(*f));
	struct error err = ERROR_INIT;

	guest_init(&f->g);
	f->echo.dev = (struct virtio_device){
		.ops = &echo_ops,
		.name = "echo",
		.id = 42,
		.offered = FEATURE_A | FEATURE_B,
		.nqueues = 2,
		.vq = {{.size_max = 16}, {.size_max = 64}},
	};
	memcpy(f->echo.config, "abcdefghijkl", 12);
	assert_int_equal(virtio_init(&f->echo.dev, &f->g.mem, &err), 0);
	f->g.dev = &f->echo.dev;
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	virtio_free(&f->echo.dev);
	guest_free(&f->g);
	free(f);
	return 0;
}

/* Reset, then go on to one of the states of the way up. */
static void go_to(struct fixture *f, uint32_t status)
{
	static const uint32_t way[] = {0, 1, 3, 11, 15};

	for (size_t i = 0; i < ARRAY_SIZE(way) && way[i] <= status; i++) {
		guest_write32(&f->g, STATUS, way[i]);
		if (way[i] == 3) {
			guest_write32(&f->g, 0x24, 1);
			guest_write32(&f->g, 0x20, (uint32_t)(VIRTIO_F_VERSION_1 >> 32));
		}
	}
	assert_int_equal(guest_read32(&f->g, STATUS), status);
}

static void echo_once(struct fixture *f, unsigned queue)
{
	uint64_t in = guest_put(&f->g, "hello", 5), out = guest_alloc(&f->g, 16);
	uint32_t id, len;

	guest_add(&f->g, queue, (struct guest_buf[]){{in, 5, false}, {out, 16, true}}, 2);
	guest_kick(&f->g, queue);
	assert_true(guest_used(&f->g, queue, &id, &len));
	assert_int_equal(len, 5);
	assert_memory_equal(guest_ptr(&f->g, out), "hello", 6);
}

/* -- registers */

static void identity_is_virtio_mmio_version_2(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(guest_read32(&f->g, 0x00), 0x74726976);
	assert_int_equal(guest_read32(&f->g, 0x04), 2);
	assert_int_equal(guest_read32(&f->g, 0x08), 42);
	assert_int_not_equal(guest_read32(&f->g, 0x0c), 0);
}

static void registers_that_are_write_only_or_none_read_as_zero(void **state)
{
	static const uint16_t readable[] = {0x00, 0x04, 0x08, 0x0c, 0x10, 0x34, 0x44,
					    0x60, 0x70, 0xb0, 0xb4, 0xb8, 0xbc, 0xfc};
	struct fixture *f = *state;

	go_to(f, 11);
	for (uint64_t offset = 0; offset < CONFIG; offset += 4) {
		bool known = false;

		for (size_t i = 0; i < ARRAY_SIZE(readable); i++)
			known |= readable[i] == offset;
		if (known)
			continue;
		if (offset != 0x50 && offset != STATUS)
			guest_write32(&f->g, offset, 1);
		assert_int_equal(guest_read32(&f->g, offset), 0);
	}
}

static void shared_memory_regions_do_not_exist(void **state)
{
	struct fixture *f = *state;

	for (uint32_t sel = 0; sel < 3; sel++) {
		guest_write32(&f->g, 0xac, sel);
		for (uint64_t offset = 0xb0; offset <= 0xbc; offset += 4)
			assert_int_equal(guest_read32(&f->g, offset), UINT32_MAX);
	}
}

static void accesses_of_other_widths_or_places_do_nothing(void **state)
{
	static const uint8_t junk[8] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
	struct fixture *f = *state;
	uint8_t data[8];

	go_to(f, 3);
	for (uint64_t offset = 0; offset < CONFIG; offset++) {
		for (uint32_t len = 1; len <= 8; len++) {
			if (len == 4 && offset % 4 == 0)
				continue;
			virtio_mmio_write(f->g.dev, offset, junk, len);
			memset(data, 0x55, sizeof(data));
			virtio_mmio_read(f->g.dev, offset, data, len);
			for (uint32_t i = 0; i < 8; i++)
				assert_int_equal(data[i], i < len ? 0 : 0x55);
		}
	}
	/* nothing of it had an effect */
	assert_int_equal(guest_read32(&f->g, STATUS), 3);
	assert_int_equal(f->echo.dev.queue_sel, 0);
	assert_int_equal(f->echo.dev.device_sel, 0);
	assert_int_equal(f->echo.dev.driver_sel, 1);
	assert_true(f->echo.dev.accepted == VIRTIO_F_VERSION_1);
	guest_run_loop(&f->g);
	assert_int_equal(f->echo.notified[0], 0);
}

static void offsets_past_the_window_do_nothing(void **state)
{
	struct fixture *f = *state;

	for (unsigned i = 0; i < 3; i++) {
		const uint64_t offset =
			(uint64_t[]){VIRTIO_MMIO_SIZE, UINT32_MAX - 3, UINT64_MAX - 3}[i];

		guest_write32(&f->g, offset, 1);
		assert_int_equal(guest_read32(&f->g, offset), 0);
	}
}

/* -- features */

static void device_features_come_in_two_halves(void **state)
{
	struct fixture *f = *state;

	assert_true(guest_offered(&f->g) == OFFERED);
	guest_write32(&f->g, 0x14, 2);
	assert_int_equal(guest_read32(&f->g, 0x10), 0);
	guest_write32(&f->g, 0x14, UINT32_MAX);
	assert_int_equal(guest_read32(&f->g, 0x10), 0);
}

static void driver_features_are_taken_in_state_driver_only(void **state)
{
	static const uint32_t states[] = {0, 1, 3, 11, 15};
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(states); i++) {
		uint64_t before;

		go_to(f, states[i]);
		before = f->echo.dev.accepted;
		guest_write32(&f->g, 0x24, 0);
		guest_write32(&f->g, 0x20, (uint32_t)FEATURE_A);
		assert_int_equal(f->echo.dev.accepted != before, states[i] == 3);
		guest_write32(&f->g, 0x24, 2); /* selects nothing */
		before = f->echo.dev.accepted;
		guest_write32(&f->g, 0x20, UINT32_MAX);
		assert_true(f->echo.dev.accepted == before);
	}
}

static void features_ok_is_refused(struct fixture *f, uint64_t features, bool refused)
{
	go_to(f, 3);
	for (uint32_t half = 0; half < 2; half++) {
		guest_write32(&f->g, 0x24, half);
		guest_write32(&f->g, 0x20, (uint32_t)(features >> (32 * half)));
	}
	guest_write32(&f->g, STATUS, 11);
	assert_int_equal(guest_read32(&f->g, STATUS), refused ? 3 : 11);
}

static void features_ok_is_refused_without_version_1_or_with_what_was_not_offered(void **state)
{
	struct fixture *f = *state;

	features_ok_is_refused(f, VIRTIO_F_VERSION_1, false);
	features_ok_is_refused(f, OFFERED, false);
	features_ok_is_refused(f, 0, true);
	features_ok_is_refused(f, FEATURE_A, true);
	for (unsigned bit = 0; bit < 64; bit++)
		features_ok_is_refused(f, OFFERED | UINT64_C(1) << bit,
				       !(OFFERED & UINT64_C(1) << bit));
}

/* -- status */

static void status_every_value_in_every_state_does_what_it_should(void **state)
{
	static const uint32_t way[] = {0, 1, 3, 11, 15};
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(way); i++) {
		for (uint32_t v = 0; v < 0x200; v++) {
			uint32_t said = v & ~(uint32_t)NEEDS_RESET, expected = way[i];

			go_to(f, way[i]);
			guest_write32(&f->g, STATUS, v);
			if (!v)
				expected = 0;
			else if (i + 1 < ARRAY_SIZE(way) && said == way[i + 1])
				expected = said;
			else if (said == (way[i] | FAILED))
				expected = said;
			assert_int_equal(guest_read32(&f->g, STATUS), expected);
		}
	}
}

static void status_failed_leaves_by_reset_only(void **state)
{
	struct fixture *f = *state;

	go_to(f, 3);
	guest_write32(&f->g, STATUS, 3 | FAILED);
	guest_write32(&f->g, 0x24, 1);
	guest_write32(&f->g, 0x20, 1);
	guest_write32(&f->g, STATUS, 11 | FAILED);
	guest_write32(&f->g, STATUS, 11);
	assert_int_equal(guest_read32(&f->g, STATUS), 3 | FAILED);
	guest_write32(&f->g, STATUS, 0);
	assert_int_equal(guest_read32(&f->g, STATUS), 0);
}

static void status_operations_are_called_at_their_steps(void **state)
{
	struct fixture *f = *state;

	go_to(f, 11);
	assert_int_equal(f->echo.activated, 0);
	assert_int_equal(f->echo.resets, 1);
	guest_write32(&f->g, STATUS, 15);
	guest_write32(&f->g, STATUS, 15);
	assert_int_equal(f->echo.activated, 1);
	guest_write32(&f->g, STATUS, 0);
	assert_int_equal(f->echo.resets, 2);
}

/* -- queue registers */

static void queue_registers_are_writable_between_features_ok_and_driver_ok(void **state)
{
	static const uint64_t registers[] = {QUEUE_SIZE, READY, 0x80, 0x84, 0x90, 0x94, 0xa0, 0xa4};
	static const uint32_t states[] = {0, 1, 3, 11, 15};
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(states); i++) {
		for (size_t k = 0; k < ARRAY_SIZE(registers); k++) {
			const struct virtqueue *vq = &f->echo.dev.vq[1];
			struct virtqueue before;

			go_to(f, states[i]);
			guest_write32(&f->g, QUEUE_SEL, 1);
			before = *vq;
			guest_write32(&f->g, registers[k], 1);
			assert_int_equal(memcmp(&before, vq, sizeof(before)) != 0, states[i] == 11);
		}
	}
}

static void queue_addresses_are_taken_in_halves(void **state)
{
	struct fixture *f = *state;
	struct virtqueue *vq = &f->echo.dev.vq[0];

	go_to(f, 11);
	for (uint64_t low = 0x80; low <= 0xa0; low += 0x10) {
		guest_write32(&f->g, low, 0x11111111);
		guest_write32(&f->g, low + 4, 0x22222222);
		guest_write32(&f->g, low, 0x33333333);
	}
	assert_true(vq->desc_gpa == 0x2222222233333333);
	assert_true(vq->avail_gpa == 0x2222222233333333);
	assert_true(vq->used_gpa == 0x2222222233333333);
}

static void a_ready_queue_keeps_its_registers(void **state)
{
	struct fixture *f = *state;
	struct virtqueue before;

	go_to(f, 11);
	guest_setup_queue(&f->g, 0, 8);
	assert_int_equal(guest_read32(&f->g, READY), 1);
	before = f->echo.dev.vq[0];
	for (uint64_t offset = 0x80; offset <= 0xa4; offset += 4)
		guest_write32(&f->g, offset, 0x1000);
	guest_write32(&f->g, QUEUE_SIZE, 4);
	assert_memory_equal(&before, &f->echo.dev.vq[0], sizeof(before));

	guest_write32(&f->g, READY, 0); /* taken back, it can be set up anew */
	assert_int_equal(guest_read32(&f->g, READY), 0);
	guest_write32(&f->g, QUEUE_SIZE, 4);
	assert_int_equal(f->echo.dev.vq[0].size, 4);
}

static void a_queue_that_does_not_exist_reads_as_zero_and_takes_nothing(void **state)
{
	static const uint32_t none[] = {2, 8, 9, 0x100, UINT32_MAX};
	struct fixture *f = *state;

	go_to(f, 11);
	guest_write32(&f->g, QUEUE_SEL, 0);
	assert_int_equal(guest_read32(&f->g, SIZE_MAX_), 16);
	guest_write32(&f->g, QUEUE_SEL, 1);
	assert_int_equal(guest_read32(&f->g, SIZE_MAX_), 64);
	for (size_t i = 0; i < ARRAY_SIZE(none); i++) {
		struct virtqueue before[VIRTIO_MAX_QUEUES];

		memcpy(before, f->echo.dev.vq, sizeof(before));
		guest_write32(&f->g, QUEUE_SEL, none[i]);
		assert_int_equal(guest_read32(&f->g, SIZE_MAX_), 0);
		guest_write32(&f->g, QUEUE_SIZE, 8);
		guest_write32(&f->g, READY, 1);
		guest_write32(&f->g, 0x80, 0x1000);
		assert_int_equal(guest_read32(&f->g, READY), 0);
		assert_memory_equal(before, f->echo.dev.vq, sizeof(before));
	}
}

static void a_queue_set_up_wrongly_needs_a_reset_at_driver_ok(void **state)
{
	static const struct {
		uint64_t offset;
		uint32_t value;
	} wrong[] = {
		{QUEUE_SIZE, 0},
		{QUEUE_SIZE, 12},
		{QUEUE_SIZE, 32},
		{QUEUE_SIZE, 65536 + 8},
		{0x80, 8},
		{0x84, 2},
		{0x90, 1},
		{0x90, GUEST_LOW_SIZE - 8},
		{0x94, UINT32_MAX},
		{0xa0, 2},
		{0xa0, GUEST_LOW_SIZE - 8},
		{0xa4, 0x80000000},
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		unsigned activated = f->echo.activated;

		go_to(f, 11);
		guest_interrupt(&f->g);
		guest_setup_queue(&f->g, 0, 16);
		guest_write32(&f->g, READY, 0);
		guest_write32(&f->g, wrong[i].offset, wrong[i].value);
		guest_write32(&f->g, READY, 1);
		guest_write32(&f->g, STATUS, 15);
		assert_int_equal(guest_read32(&f->g, STATUS), 15 | NEEDS_RESET);
		assert_int_equal(guest_interrupt(&f->g), 2);
		assert_int_equal(f->echo.activated, activated);
		guest_kick(&f->g, 0);
		assert_int_equal(f->echo.notified[0], 0);
		assert_int_equal(f->echo.dev.faults, i + 1);
	}
	guest_start(&f->g, &f->echo.dev, UINT64_MAX);
	echo_once(f, 0);
}

static void geometry_is_frozen_from_driver_ok(void **state)
{
	struct fixture *f = *state;

	guest_start(&f->g, &f->echo.dev, UINT64_MAX);
	guest_write32(&f->g, QUEUE_SEL, 0);
	guest_write32(&f->g, READY, 0);
	for (uint64_t offset = 0x80; offset <= 0xa4; offset += 4)
		guest_write32(&f->g, offset, UINT32_MAX);
	guest_write32(&f->g, QUEUE_SIZE, 4);
	guest_write32(&f->g, READY, 1);
	guest_write32(&f->g, STATUS, 15);
	echo_once(f, 0);
}

/* -- notifications and interrupts */

static void notify_reaches_the_queue_it_names(void **state)
{
	struct fixture *f = *state;

	guest_start(&f->g, &f->echo.dev, UINT64_MAX);
	echo_once(f, 1);
	assert_int_equal(f->echo.notified[0], 0);
	assert_int_equal(f->echo.notified[1], 1);
	echo_once(f, 0);
	assert_int_equal(f->echo.notified[0], 1);
}

static void notify_without_cause_is_harmless(void **state)
{
	struct fixture *f = *state;

	for (unsigned i = 0; i < 2; i++) { /* before the driver is there */
		guest_kick(&f->g, i);
		assert_int_equal(f->echo.notified[i], 0);
	}
	guest_negotiate(&f->g, &f->echo.dev, UINT64_MAX);
	guest_setup_queue(&f->g, 0, 0);
	guest_write32(&f->g, STATUS, 15);
	guest_kick(&f->g, 1); /* a queue that is not ready */
	assert_int_equal(f->echo.notified[1], 0);
	guest_kick(&f->g, 2); /* queues that do not exist */
	guest_kick(&f->g, UINT32_MAX);
	for (unsigned i = 0; i < 10; i++)
		guest_kick(&f->g, 0); /* nothing to do */
	assert_int_equal(guest_read32(&f->g, STATUS), 15);
	echo_once(f, 0);
}

static void interrupt_status_keeps_causes_until_acknowledged(void **state)
{
	struct fixture *f = *state;

	guest_start(&f->g, &f->echo.dev, UINT64_MAX);
	echo_once(f, 0);
	virtio_signal_config(&f->echo.dev);
	assert_int_equal(guest_read32(&f->g, ISR), 3);
	guest_write32(&f->g, ISR, 0); /* read-only */
	assert_int_equal(guest_read32(&f->g, ISR), 3);
	guest_write32(&f->g, ACK, 1);
	assert_int_equal(guest_read32(&f->g, ISR), 2);
	guest_write32(&f->g, ACK, 0xfffffffd);
	assert_int_equal(guest_read32(&f->g, ISR), 2);
	guest_write32(&f->g, ACK, 2);
	assert_int_equal(guest_read32(&f->g, ISR), 0);
}

/* -- configuration */

static void configuration_takes_widths_1_2_4_and_8_and_reads_zero_past_its_end(void **state)
{
	struct fixture *f = *state;

	for (uint64_t offset = 0; offset < VIRTIO_MMIO_SIZE - CONFIG; offset++) {
		for (uint32_t len = 1; len <= 8; len++) {
			bool fine = len == 1 || len == 2 || len == 4 || len == 8;
			uint8_t data[8] = {0};

			virtio_mmio_read(f->g.dev, CONFIG + offset, data, len);
			for (uint32_t i = 0; i < len; i++)
				assert_int_equal(data[i], fine && offset + i < 12
								  ? "abcdefghijkl"[offset + i]
								  : 0);
		}
	}
	virtio_mmio_write(f->g.dev, CONFIG + 1, "X", 1);
	virtio_mmio_write(f->g.dev, CONFIG + 2, "YYY", 3);
	virtio_mmio_write(f->g.dev, CONFIG + 11, "ZZ", 2);
	virtio_mmio_write(f->g.dev, CONFIG + 4, "12345678", 8);
	assert_memory_equal(f->echo.config, "aXcd12345678", 12);
}

static void configuration_changes_bump_the_generation_and_interrupt_a_running_driver(void **state)
{
	struct fixture *f = *state;
	uint32_t generation = guest_read32(&f->g, 0xfc);

	virtio_signal_config(&f->echo.dev);
	assert_int_equal(guest_read32(&f->g, 0xfc), generation + 1);
	assert_int_equal(guest_interrupt(&f->g), 0);
	guest_start(&f->g, &f->echo.dev, UINT64_MAX);
	virtio_signal_config(&f->echo.dev);
	assert_int_equal(guest_read32(&f->g, 0xfc), generation + 2);
	assert_int_equal(guest_interrupt(&f->g), 2);
}

/* -- reset */

static void reset_forgets_the_session(void **state)
{
	struct fixture *f = *state;

	guest_start(&f->g, &f->echo.dev, UINT64_MAX);
	echo_once(f, 0);
	guest_write32(&f->g, QUEUE_SEL, 1);
	guest_write32(&f->g, STATUS, 0);
	assert_int_equal(guest_read32(&f->g, STATUS), 0);
	assert_int_equal(guest_read32(&f->g, ISR), 0);
	assert_int_equal(f->echo.dev.accepted, 0);
	assert_int_equal(f->echo.dev.queue_sel, 0);
	for (uint32_t i = 0; i < 2; i++) {
		guest_write32(&f->g, QUEUE_SEL, i);
		assert_int_equal(guest_read32(&f->g, READY), 0);
		assert_int_equal(f->echo.dev.vq[i].size, 0);
	}
	guest_start(&f->g, &f->echo.dev, UINT64_MAX);
	echo_once(f, 0);
}

/* Another vCPU resets and sets up all the time while the loop works the queue. */
struct resetter {
	struct guest g; /* shares memory and device */
	const struct echo *echo;
	bool done;
};

#define RESETS 2000

static void *reset_all_the_time(void *arg)
{
	struct resetter *r = arg;

	for (unsigned round = 0; round < RESETS; round++) {
		unsigned before = __atomic_load_n(&r->echo->chains, __ATOMIC_RELAXED);

		guest_start(&r->g, r->g.dev, UINT64_MAX);
		for (unsigned i = 0; i < 4; i++)
			guest_add(&r->g, 0,
				  (struct guest_buf[]){{GUEST_BUFFERS, 64, false},
						       {GUEST_BUFFERS + 64, 64, true}},
				  2);
		guest_write32(&r->g, 0x50, 0);
		/* every other time into the work, else before it */
		for (unsigned i = 0; round % 2 && i < 1000; i++) {
			if (__atomic_load_n(&r->echo->chains, __ATOMIC_RELAXED) != before)
				break;
			sched_yield();
		}
	}
	__atomic_store_n(&r->done, true, __ATOMIC_RELEASE);
	return NULL;
}

static void reset_in_flight_is_survived(void **state)
{
	struct fixture *f = *state;
	struct resetter r = {.g = f->g, .echo = &f->echo};
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, reset_all_the_time, &r), 0);
	while (!__atomic_load_n(&r.done, __ATOMIC_ACQUIRE)) {
		guest_run_loop(&f->g);
		sched_yield();
	}
	pthread_join(thread, NULL);
	assert_true(f->echo.chains > 0);
	assert_int_equal(f->echo.dev.faults, 0);
	assert_true(f->echo.resets >= RESETS);
	guest_start(&f->g, &f->echo.dev, UINT64_MAX);
	echo_once(f, 0);
}

/* -- virtio_drain() */

static void drain_works_everything_and_interrupts_once(void **state)
{
	struct fixture *f = *state;
	uint32_t id, len;
	uint64_t edges;

	guest_start(&f->g, &f->echo.dev, UINT64_MAX);
	for (unsigned i = 0; i < 10; i++)
		guest_add(&f->g, 0, (struct guest_buf[]){{GUEST_BUFFERS, 8, false}}, 1);
	guest_kick(&f->g, 0);
	for (unsigned i = 0; i < 10; i++)
		assert_true(guest_used(&f->g, 0, &id, &len));
	assert_int_equal(read(f->echo.dev.irqfd, &edges, sizeof(edges)), sizeof(edges));
	assert_int_equal(edges, 1);
}

static void drain_lets_the_loop_go_on_when_the_driver_never_stops(void **state)
{
	struct fixture *f = *state;

	guest_start(&f->g, &f->echo.dev, UINT64_MAX);
	f->echo.refill = &f->g;
	guest_add(&f->g, 0, (struct guest_buf[]){{GUEST_BUFFERS, 8, false}}, 1);
	for (unsigned turn = 1; turn <= 3; turn++) {
		virtio_queue_notified(f->g.dev, 0);
		assert_int_equal(f->echo.chains, turn * 16); /* the queue's size */
	}
	f->echo.refill = NULL;
	guest_run_loop(&f->g); /* it kicked itself: the rest is not forgotten */
	assert_int_equal(f->echo.chains, 3 * 16 + 1);
}

static void drain_keeps_a_chain_the_device_can_not_take_yet(void **state)
{
	struct fixture *f = *state;
	uint32_t id, len;

	guest_start(&f->g, &f->echo.dev, UINT64_MAX);
	f->echo.refuse = true;
	guest_add(&f->g, 0, (struct guest_buf[]){{GUEST_BUFFERS, 8, false}}, 1);
	guest_kick(&f->g, 0);
	assert_false(guest_used(&f->g, 0, &id, &len));
	assert_int_equal(guest_interrupt(&f->g), 0);
	f->echo.refuse = false;
	guest_kick(&f->g, 0);
	assert_true(guest_used(&f->g, 0, &id, &len));
}

static void a_broken_rule_stops_the_device_until_reset(void **state)
{
	struct fixture *f = *state;
	uint32_t id, len;

	guest_start(&f->g, &f->echo.dev, UINT64_MAX);
	guest_publish(&f->g, 0, 999);
	guest_kick(&f->g, 0);
	assert_int_equal(guest_read32(&f->g, STATUS), 15 | NEEDS_RESET);
	assert_int_equal(guest_interrupt(&f->g), 2);
	assert_int_equal(f->echo.dev.faults, 1);
	assert_string_equal(f->echo.dev.fault, "descriptor index out of range");
	guest_add(&f->g, 1, (struct guest_buf[]){{GUEST_BUFFERS, 8, false}}, 1);
	guest_kick(&f->g, 1); /* the other queue too */
	assert_false(guest_used(&f->g, 1, &id, &len));

	f->echo.give_up = true;
	guest_start(&f->g, &f->echo.dev, UINT64_MAX);
	guest_add(&f->g, 0, (struct guest_buf[]){{GUEST_BUFFERS, 8, false}}, 1);
	guest_kick(&f->g, 0);
	assert_true(guest_is_broken(&f->g));
	assert_false(guest_used(&f->g, 0, &id, &len));
	assert_string_equal(f->echo.dev.fault, "given up");
	assert_int_equal(f->echo.dev.faults, 2);

	f->echo.give_up = false;
	guest_start(&f->g, &f->echo.dev, UINT64_MAX);
	echo_once(f, 0);
}

static void faults_are_told_to_the_loop_but_a_few_only(void **state)
{
	struct fixture *f = *state;

	assert_null(virtio_take_fault(&f->echo.dev));
	for (unsigned i = 0; i < 10; i++) {
		uint64_t kicks;

		go_to(f, 11);
		guest_setup_queue(&f->g, 0, 16);
		guest_write32(&f->g, READY, 0);
		guest_write32(&f->g, 0xa4, 77);
		guest_write32(&f->g, READY, 1);
		guest_write32(&f->g, STATUS, 15);
		assert_int_equal(read(f->echo.dev.kickfd[0], &kicks, sizeof(kicks)), sizeof(kicks));
		if (i < VIRTIO_FAULTS_TOLD)
			assert_string_equal(virtio_take_fault(&f->echo.dev),
					    "ring is not in guest memory");
		assert_null(virtio_take_fault(&f->echo.dev));
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(identity_is_virtio_mmio_version_2),
		TEST(registers_that_are_write_only_or_none_read_as_zero),
		TEST(shared_memory_regions_do_not_exist),
		TEST(accesses_of_other_widths_or_places_do_nothing),
		TEST(offsets_past_the_window_do_nothing),
		TEST(device_features_come_in_two_halves),
		TEST(driver_features_are_taken_in_state_driver_only),
		TEST(features_ok_is_refused_without_version_1_or_with_what_was_not_offered),
		TEST(status_every_value_in_every_state_does_what_it_should),
		TEST(status_failed_leaves_by_reset_only),
		TEST(status_operations_are_called_at_their_steps),
		TEST(queue_registers_are_writable_between_features_ok_and_driver_ok),
		TEST(queue_addresses_are_taken_in_halves),
		TEST(a_ready_queue_keeps_its_registers),
		TEST(a_queue_that_does_not_exist_reads_as_zero_and_takes_nothing),
		TEST(a_queue_set_up_wrongly_needs_a_reset_at_driver_ok),
		TEST(geometry_is_frozen_from_driver_ok),
		TEST(notify_reaches_the_queue_it_names),
		TEST(notify_without_cause_is_harmless),
		TEST(interrupt_status_keeps_causes_until_acknowledged),
		TEST(configuration_takes_widths_1_2_4_and_8_and_reads_zero_past_its_end),
		TEST(configuration_changes_bump_the_generation_and_interrupt_a_running_driver),
		TEST(reset_forgets_the_session),
		TEST(reset_in_flight_is_survived),
		TEST(drain_works_everything_and_interrupts_once),
		TEST(drain_lets_the_loop_go_on_when_the_driver_never_stops),
		TEST(drain_keeps_a_chain_the_device_can_not_take_yet),
		TEST(a_broken_rule_stops_the_device_until_reset),
		TEST(faults_are_told_to_the_loop_but_a_few_only),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

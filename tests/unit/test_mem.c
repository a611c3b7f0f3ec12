/* SPDX-License-Identifier: Apache-2.0 */
/* virtio-mem: what is plugged, what may be, and that the three books of it agree. */
#include "tests/unit/unit.h"

#include <errno.h>

#include "tests/unit/guest_driver.h"
#include "vmm/mem.h"

#define BASE   (8 * GIB)
#define BLOCKS 6

enum { PLUG, UNPLUG, UNPLUG_ALL, STATE };
enum { ACK, NACK, BUSY, ERROR };
enum { PLUGGED, UNPLUGGED, MIXED };

struct fixture {
	struct guest g;
	struct mem *mem;
	uint8_t *hva;
	uint8_t slots[BLOCKS]; /* what the machine was told */
	unsigned plugs;
	int refuse_at; /* the how-manieth plug fails, -1: none */
};

static int plug(void *ctx, uint64_t gpa, uint64_t len, bool on)
{
	struct fixture *f = ctx;
	uint64_t block = (gpa - BASE) / MEM_BLOCK_SIZE;

	assert_int_equal(len, MEM_BLOCK_SIZE);
	assert_true(gpa >= BASE && block < BLOCKS && gpa % MEM_BLOCK_SIZE == 0);
	assert_int_equal(f->slots[block], !on);
	if (on && (int)f->plugs++ == f->refuse_at)
		return -ENOMEM;
	f->slots[block] = on;
	return 0;
}

static int setup(void **state)
{
	struct fixture *f = xcalloc(1, sizeof(*f));
	struct error err = ERROR_INIT;
	struct mem_params params = {
		.gpa = BASE,
		.size = BLOCKS * MEM_BLOCK_SIZE,
		.requested = 4 * MEM_BLOCK_SIZE,
		.plug = plug,
		.ctx = f,
	};

	f->refuse_at = -1;
	params.hva = f->hva = mmap(NULL, params.size, PROT_READ | PROT_WRITE,
				   MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	assert_ptr_not_equal(f->hva, MAP_FAILED);
	guest_init(&f->g);
	assert_int_equal(mem_new(&params, &f->g.mem, &f->mem, &err), 0);
	guest_start(&f->g, &f->mem->dev, UINT64_MAX);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	mem_free(f->mem);
	munmap(f->hva, BLOCKS * MEM_BLOCK_SIZE);
	guest_free(&f->g);
	free(f);
	return 0;
}

struct answer {
	uint16_t type, padding[3], state;
};

static struct answer request_at(struct fixture *f, uint16_t type, uint64_t addr, uint16_t n)
{
	const struct {
		uint16_t type, padding0[3];
		uint64_t addr;
		uint16_t n, padding1[3];
	} req = {.type = type, .addr = addr, .n = n};
	struct answer answer;
	uint64_t in = guest_put(&f->g, &req, sizeof(req)), out = guest_alloc(&f->g, sizeof(answer));
	uint32_t id, len;

	guest_add(&f->g, 0,
		  (struct guest_buf[]){{in, sizeof(req), false}, {out, sizeof(answer), true}}, 2);
	guest_kick(&f->g, 0);
	assert_true(guest_used(&f->g, 0, &id, &len));
	assert_int_equal(len, sizeof(answer));
	memcpy(&answer, guest_ptr(&f->g, out), sizeof(answer));
	return answer;
}

static int request(struct fixture *f, uint16_t type, uint64_t block, uint16_t n)
{
	return request_at(f, type, BASE + block * MEM_BLOCK_SIZE, n).type;
}

static uint64_t config(struct fixture *f, uint64_t offset)
{
	uint64_t value = 0;

	virtio_mmio_read(&f->mem->dev, 0x100 + offset, &value, sizeof(value));
	return value;
}

/* Each block as expected ("1" plugged) with us, the machine and in the configuration. */
static void expect(struct fixture *f, const char *blocks)
{
	uint64_t bytes = 0;

	for (unsigned i = 0; i < BLOCKS; i++) {
		bool on = blocks[i] == '1';

		assert_int_equal(f->mem->plugged[i], on);
		assert_int_equal(f->slots[i], on);
		assert_int_equal(request_at(f, STATE, BASE + i * MEM_BLOCK_SIZE, 1).state,
				 on ? PLUGGED : UNPLUGGED);
		bytes += on * MEM_BLOCK_SIZE;
	}
	assert_true(config(f, 40) == bytes);
}

static void the_configuration_describes_the_region(void **state)
{
	struct fixture *f = *state;

	assert_true(config(f, 0) == 128 * MIB);
	assert_true(config(f, 8) == 0); /* node, padding */
	assert_true(config(f, 16) == BASE);
	assert_true(config(f, 24) == BLOCKS * MEM_BLOCK_SIZE);
	assert_true(config(f, 32) == BLOCKS * MEM_BLOCK_SIZE);
	assert_true(config(f, 40) == 0);
	assert_true(config(f, 48) == 4 * MEM_BLOCK_SIZE);
	assert_true(guest_offered(&f->g) & 1 << 1); /* UNPLUGGED_INACCESSIBLE */
	expect(f, "000000");
}

static void blocks_are_plugged_and_unplugged(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(request(f, PLUG, 1, 3), ACK);
	expect(f, "011100");
	assert_int_equal(request(f, UNPLUG, 2, 1), ACK);
	expect(f, "010100");
	assert_int_equal(request(f, PLUG, 4, 2), ACK);
	expect(f, "010111");
	assert_int_equal(request(f, UNPLUG_ALL, 77, 99), ACK); /* its fields mean nothing */
	expect(f, "000000");
}

static void no_more_is_plugged_than_requested(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(request(f, PLUG, 0, 5), NACK);
	expect(f, "000000");
	assert_int_equal(request(f, PLUG, 0, 4), ACK);
	assert_int_equal(request(f, PLUG, 4, 1), NACK);
	expect(f, "111100");
	assert_true(mem_request(f->mem, 5 * MEM_BLOCK_SIZE));
	assert_int_equal(request(f, PLUG, 4, 1), ACK);
	assert_true(mem_request(f->mem, MEM_BLOCK_SIZE)); /* takes nothing away by itself */
	expect(f, "111110");
	assert_int_equal(request(f, PLUG, 5, 1), NACK);
}

static void a_new_request_is_told_to_the_driver(void **state)
{
	struct fixture *f = *state;

	guest_interrupt(&f->g);
	assert_true(mem_request(f->mem, 0));
	assert_int_equal(guest_interrupt(&f->g), 2);
	assert_true(config(f, 48) == 0);
	assert_false(mem_request(f->mem, 7 * MEM_BLOCK_SIZE));
	assert_false(mem_request(f->mem, MEM_BLOCK_SIZE / 2));
	assert_false(mem_request(f->mem, UINT64_MAX));
	assert_int_equal(guest_interrupt(&f->g), 0);
}

static void wrong_blocks_are_an_error_and_change_nothing(void **state)
{
	static const struct {
		uint64_t addr;
		uint16_t n;
	} wrong[] = {
		{BASE, 0},
		{BASE + 4096, 1},
		{BASE + MEM_BLOCK_SIZE - 1, 1},
		{BASE - MEM_BLOCK_SIZE, 1},
		{BASE - MEM_BLOCK_SIZE, 2},
		{BASE + BLOCKS * MEM_BLOCK_SIZE, 1},
		{BASE + (BLOCKS - 1) * MEM_BLOCK_SIZE, 2},
		{BASE, UINT16_MAX},
		{0, 1},
		{UINT64_MAX - MEM_BLOCK_SIZE + 1, 1},
		{UINT64_MAX, UINT16_MAX},
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
		for (int type = PLUG; type <= STATE; type++)
			if (type != UNPLUG_ALL)
				assert_int_equal(
					request_at(f, (uint16_t)type, wrong[i].addr, wrong[i].n)
						.type,
					ERROR);
	assert_int_equal(request(f, PLUG, 1, 2), ACK);
	assert_int_equal(request(f, PLUG, 0, 2), ERROR);   /* one of them is */
	assert_int_equal(request(f, UNPLUG, 2, 2), ERROR); /* one of them is not */
	assert_int_equal(request(f, 4, 0, 1), ERROR);
	assert_int_equal(request(f, UINT16_MAX, 0, 1), ERROR);
	expect(f, "011000");
}

static void state_tells_plugged_unplugged_and_mixed(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(request(f, PLUG, 1, 2), ACK);
	assert_int_equal(request_at(f, STATE, BASE, 2).state, MIXED);
	assert_int_equal(request_at(f, STATE, BASE + MEM_BLOCK_SIZE, 2).state, PLUGGED);
	assert_int_equal(request_at(f, STATE, BASE + 3 * MEM_BLOCK_SIZE, 3).state, UNPLUGGED);
	assert_int_equal(request_at(f, STATE, BASE, BLOCKS).state, MIXED);
}

static void a_plug_the_host_refuses_is_undone_and_busy(void **state)
{
	struct fixture *f = *state;

	f->refuse_at = 2;
	assert_int_equal(request(f, PLUG, 0, 4), BUSY);
	expect(f, "000000");
	assert_int_equal(request(f, PLUG, 0, 4), ACK);
	expect(f, "111100");
}

static void unplugging_gives_the_pages_back(void **state)
{
	struct fixture *f = *state;
	unsigned char resident;

	assert_int_equal(request(f, PLUG, 0, 2), ACK);
	f->hva[5] = 1;
	f->hva[MEM_BLOCK_SIZE + 5] = 1;
	assert_int_equal(request(f, UNPLUG, 1, 1), ACK);
	assert_int_equal(mincore(f->hva + MEM_BLOCK_SIZE, 4096, &resident), 0);
	assert_false(resident & 1);
	assert_int_equal(f->hva[MEM_BLOCK_SIZE + 5], 0);
	assert_int_equal(f->hva[5], 1); /* the neighbour keeps its own */
}

static void reset_keeps_the_memory(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(request(f, PLUG, 0, 2), ACK);
	guest_start(&f->g, &f->mem->dev, UINT64_MAX);
	expect(f, "110000");
}

static void a_request_that_is_too_short_breaks_the_device(void **state)
{
	struct fixture *f = *state;
	const struct guest_buf wrong[][2] = {
		{{0x100000, 23, false}, {0x100100, 10, true}},
		{{0x100000, 24, false}, {0x100100, 9, true}},
	};

	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		guest_add(&f->g, 0, wrong[i], 2);
		guest_kick(&f->g, 0);
		assert_true(guest_is_broken(&f->g));
		guest_start(&f->g, &f->mem->dev, UINT64_MAX);
	}
	expect(f, "000000");
}

static void a_region_that_is_not_in_whole_blocks_is_refused(void **state)
{
	const struct mem_params fine = {
		.gpa = BASE, .size = 2 * MEM_BLOCK_SIZE, .requested = MEM_BLOCK_SIZE, .plug = plug};
	struct mem_params wrong[7] = {fine, fine, fine, fine, fine, fine, fine};
	struct gmem gmem = {.nregions = 0};
	struct mem *mem = NULL;

	(void)state;
	wrong[0].gpa += 4096;
	wrong[1].size += 4096;
	wrong[2].requested += 4096;
	wrong[3].size = 0;
	wrong[4].requested = 3 * MEM_BLOCK_SIZE;
	wrong[5].gpa = UINT64_MAX - MEM_BLOCK_SIZE + 1;
	wrong[6].size = MEM_REGION_MAX + MEM_BLOCK_SIZE;
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		struct error err = ERROR_INIT;

		assert_int_equal(mem_new(&wrong[i], &gmem, &mem, &err), -EINVAL);
		assert_null(mem);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_configuration_describes_the_region),
		TEST(blocks_are_plugged_and_unplugged),
		TEST(no_more_is_plugged_than_requested),
		TEST(a_new_request_is_told_to_the_driver),
		TEST(wrong_blocks_are_an_error_and_change_nothing),
		TEST(state_tells_plugged_unplugged_and_mixed),
		TEST(a_plug_the_host_refuses_is_undone_and_busy),
		TEST(unplugging_gives_the_pages_back),
		TEST(reset_keeps_the_memory),
		TEST(a_request_that_is_too_short_breaks_the_device),
		cmocka_unit_test(a_region_that_is_not_in_whole_blocks_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* virtio-blk: disks made of segments, writable disks, and requests that are not what they should be. */
#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/timerfd.h>

#include "tests/unit/guest_driver.h"
#include "vmm/blk.h"

enum { IN = 0, OUT = 1, FLUSH = 4, GET_ID = 8, DISCARD = 11, WRITE_ZEROES = 13 };
enum { OK = 0, IOERR = 1, UNSUPP = 2, UNTOUCHED = 0xee };

#define SECTOR 512
#define SERIAL "0123456789abcdefghijklmnop" /* longer than GET_ID can say */

struct request {
	uint32_t type, reserved;
	uint64_t sector;
};

struct range {
	uint64_t sector;
	uint32_t n, flags;
};

struct fixture {
	struct guest g;
	struct blk *blk;
	uint64_t data; /* a MiB of guest memory */
	uint64_t status;
};

/* A file of len bytes, each its distance from the start divided by 256, plus first. */
static int make_file(size_t len, uint8_t first, int flags)
{
	int fd = memfd_create("disk", MFD_CLOEXEC), same;
	char path[64];

	for (size_t i = 0; i < len; i++) {
		uint8_t byte = (uint8_t)(first + i / 256);

		assert_int_equal(pwrite(fd, &byte, 1, (off_t)i), 1);
	}
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	same = open(path, flags | O_CLOEXEC);
	assert_true(same >= 0);
	close(fd);
	return same;
}

static void make_device(struct fixture *f, const struct blk_params *params)
{
	struct error err = ERROR_INIT;

	guest_init(&f->g);
	assert_int_equal(blk_new(params, &f->g.mem, &f->blk, &err), 0);
	guest_start(&f->g, &f->blk->dev, UINT64_MAX);
	f->data = guest_alloc(&f->g, MIB);
	f->status = guest_alloc(&f->g, 1);
}

static void make_disk(struct fixture *f, const struct blk_segment *segments, size_t n,
		      bool writable)
{
	make_device(f, &(struct blk_params){.name = "blk0",
					    .serial = SERIAL,
					    .segments = segments,
					    .nsegments = n,
					    .writable = writable});
}

/* [0, 5000) data from 10, zeroes, [12288, 16384) data from 100, [16384, 16884) data from 200 */
#define IMAGE_SIZE 20480

static int setup_image(void **state)
{
	struct fixture *f = xcalloc(1, sizeof(*f));
	const struct blk_segment segments[] = {
		{make_file(5000, 10, O_RDONLY), 0, 5000},
		{make_file(9000, 100, O_RDONLY), 12288, 4096},
		{make_file(500, 200, O_RDONLY), 16384, 500},
	};

	make_disk(f, segments, ARRAY_SIZE(segments), false);
	*state = f;
	return 0;
}

static uint8_t image_byte(uint64_t i)
{
	if (i < 5000)
		return (uint8_t)(10 + i / 256);
	if (i >= 12288 && i < 16384)
		return (uint8_t)(100 + (i - 12288) / 256);
	if (i >= 16384 && i < 16884)
		return (uint8_t)(200 + (i - 16384) / 256);
	return 0;
}

#define WRITABLE_SIZE 65536

static int setup_writable(void **state)
{
	struct fixture *f = xcalloc(1, sizeof(*f));
	const struct blk_segment segment = {make_file(WRITABLE_SIZE, 1, O_RDWR), 0, WRITABLE_SIZE};

	make_disk(f, &segment, 1, true);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	blk_free(f->blk);
	guest_free(&f->g);
	free(f);
	return 0;
}

static uint8_t *data(struct fixture *f)
{
	return guest_ptr(&f->g, f->data);
}

/* A request as Linux makes it: header, data, status. Returns the status; used.len is checked. */
static int request(struct fixture *f, uint32_t type, uint64_t sector, uint32_t len)
{
	const struct request req = {.type = type, .sector = sector};
	bool in = type == IN || type == GET_ID;
	struct guest_buf buf[3] = {{guest_put(&f->g, &req, sizeof(req)), sizeof(req), false},
				   {f->data, len, in},
				   {f->status, 1, true}};
	uint8_t *status = guest_ptr(&f->g, f->status);
	uint32_t id, used;

	*status = UNTOUCHED;
	guest_add(&f->g, 0, buf, 3);
	guest_kick(&f->g, 0);
	assert_true(guest_used(&f->g, 0, &id, &used));
	if (type == IN && *status == OK)
		assert_int_equal(used, len + 1);
	else if (type != GET_ID)
		assert_int_equal(used, 1);
	f->g.next_buffer -= 16;
	return *status;
}

static int request_ranges(struct fixture *f, uint32_t type, const struct range *range, unsigned n)
{
	memcpy(data(f), range, n * sizeof(*range));
	return request(f, type, 0, n * (uint32_t)sizeof(*range));
}

static uint64_t config(struct fixture *f, uint64_t offset, uint32_t len)
{
	uint64_t value = 0;

	virtio_mmio_read(&f->blk->dev, 0x100 + offset, &value, len);
	return value;
}

/* -- images */

static void an_image_says_its_size_limits_and_that_it_is_read_only(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(config(f, 0, 8), IMAGE_SIZE / SECTOR);
	assert_int_equal(config(f, 8, 4), MIB);
	assert_int_equal(config(f, 12, 4), 62);
	for (uint64_t offset = 16; offset < 64; offset += 4)
		assert_int_equal(config(f, offset, 4), 0);
	assert_true(guest_offered(&f->g) & 1 << 5); /* RO */
	assert_true(guest_offered(&f->g) & 1 << 9); /* FLUSH */
	assert_false(guest_offered(&f->g) & (1 << 13 | 1 << 14));
}

static int setup_slot(void **state)
{
	struct fixture *f = xcalloc(1, sizeof(*f));

	make_device(f, &(struct blk_params){.name = "blk0", .serial = "", .slot = true});
	*state = f;
	return 0;
}

static void a_slot_has_no_size_until_it_is_filled_and_none_after(void **state)
{
	struct fixture *f = *state;
	struct error err = ERROR_INIT;
	uint64_t generation = 0, later = 0;

	assert_int_equal(config(f, 0, 8), 0);
	assert_true(guest_offered(&f->g) & 1 << 5); /* RO */
	assert_int_equal(request(f, IN, 0, SECTOR), IOERR);
	for (unsigned i = 0; i < 2; i++) {
		const struct blk_segment segment = {make_file(5000, (uint8_t)(7 + i), O_RDONLY), 0,
						    5000};
		const struct blk_segment writable = {make_file(5000, 1, O_RDWR), 0, 5000};

		assert_int_equal(blk_fill(f->blk, &writable, 1, &err), -EINVAL);
		assert_int_equal(blk_fill(f->blk, &segment, 0, &err), -EINVAL);
		close(writable.fd);
		assert_int_equal(config(f, 0, 8), 0);
		virtio_mmio_read(&f->blk->dev, 0xfc, &generation, 4);
		assert_int_equal(blk_fill(f->blk, &segment, 1, &err), 0);
		virtio_mmio_read(&f->blk->dev, 0xfc, &later, 4);
		assert_true(later != generation);
		assert_int_equal(config(f, 0, 8), 8192 / SECTOR);
		assert_int_equal(request(f, IN, 0, SECTOR), OK);
		assert_int_equal(data(f)[0], 7 + i);
		blk_empty(f->blk);
		assert_int_equal(fcntl(segment.fd, F_GETFD), -1); /* it was the disk's */
		assert_int_equal(config(f, 0, 8), 0);
		assert_int_equal(request(f, IN, 0, SECTOR), IOERR);
	}
}

static void every_range_of_an_image_reads_as_its_segments_and_zeroes(void **state)
{
	struct fixture *f = *state;

	for (uint64_t from = 0; from < IMAGE_SIZE / SECTOR; from++) {
		for (uint64_t to = from; to <= IMAGE_SIZE / SECTOR; to++) {
			uint32_t len = (uint32_t)((to - from) * SECTOR);

			memset(data(f), 0xcc, len + 1);
			assert_int_equal(request(f, IN, from, len), OK);
			for (uint32_t i = 0; i < len; i++)
				assert_int_equal(data(f)[i], image_byte(from * SECTOR + i));
			assert_int_equal(data(f)[len], 0xcc);
		}
	}
}

static void a_read_may_be_scattered_anyhow_with_the_status_at_its_very_end(void **state)
{
	struct fixture *f = *state;
	const struct request req = {.type = IN, .sector = 8};
	uint64_t header = guest_put(&f->g, &req, sizeof(req));
	const struct guest_buf buf[] = {
		{header, 3, false},	      {header + 3, 13, false},	{f->data, 1, true},
		{f->data + 1, 700, true},     {f->data + 701, 0, true}, {f->data + 701, 3395, true},
		{f->data + 4096, 4097, true}, /* 4096 of data and the status */
	};
	uint32_t id, used;

	data(f)[8192] = UNTOUCHED;
	guest_add(&f->g, 0, buf, ARRAY_SIZE(buf));
	guest_kick(&f->g, 0);
	assert_true(guest_used(&f->g, 0, &id, &used));
	assert_int_equal(used, 8193);
	assert_int_equal(data(f)[8192], OK);
	for (uint32_t i = 0; i < 8192; i++)
		assert_int_equal(data(f)[i], image_byte(8 * SECTOR + i));
}

static void reads_past_the_end_fail_whatever_the_arithmetic(void **state)
{
	static const struct {
		uint64_t sector;
		uint32_t len;
	} wrong[] = {
		{IMAGE_SIZE / SECTOR, SECTOR},
		{IMAGE_SIZE / SECTOR - 1, 2 * SECTOR},
		{0, IMAGE_SIZE + SECTOR},
		{UINT64_MAX, SECTOR},
		{UINT64_MAX - 1, 2 * SECTOR},
		{UINT64_MAX / SECTOR + 1, SECTOR}, /* times 512 wraps to 0 */
		{UINT64_C(1) << 55, SECTOR},
		{UINT64_C(1) << 63, SECTOR},
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		data(f)[0] = 0xcc;
		assert_int_equal(request(f, IN, wrong[i].sector, wrong[i].len), IOERR);
		assert_int_equal(data(f)[0], 0xcc);
	}
	assert_int_equal(request(f, IN, 0, 100), IOERR); /* no whole sectors */
	assert_int_equal(request(f, IN, IMAGE_SIZE / SECTOR, 0), OK);
}

static void nothing_writes_to_an_image(void **state)
{
	struct fixture *f = *state;
	const struct range range = {.sector = 0, .n = 1};

	assert_int_equal(request(f, OUT, 0, SECTOR), IOERR);
	assert_int_equal(request(f, OUT, 0, 0), IOERR);
	assert_int_equal(request_ranges(f, DISCARD, &range, 1), UNSUPP);
	assert_int_equal(request_ranges(f, WRITE_ZEROES, &range, 1), UNSUPP);
	assert_int_equal(request(f, FLUSH, 0, 0), OK);
	assert_int_equal(request(f, IN, 0, SECTOR), OK);
	assert_int_equal(data(f)[0], 10);
}

static void a_file_cut_short_meanwhile_is_an_io_error(void **state)
{
	struct fixture *f = *state;
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", f->blk->segments[1].fd);
	assert_int_equal(truncate(path, 1000), 0);
	assert_int_equal(request(f, IN, 24, SECTOR), OK);
	assert_int_equal(request(f, IN, 24, 4096), IOERR);
	assert_int_equal(request(f, IN, 0, SECTOR), OK);
}

static void the_serial_is_20_bytes_or_what_fits(void **state)
{
	struct fixture *f = *state;

	memset(data(f), 0xcc, 32);
	assert_int_equal(request(f, GET_ID, 0, 20), OK);
	assert_memory_equal(data(f), SERIAL, 20);
	memset(data(f), 0xcc, 32);
	assert_int_equal(request(f, GET_ID, 0, 5), OK);
	assert_memory_equal(data(f), SERIAL, 5);
	assert_int_equal(data(f)[5], 0xcc);
	assert_int_equal(request(f, GET_ID, 0, 4096), OK);
	assert_int_equal(data(f)[20], 0xcc);
}

static void other_request_types_are_unsupported(void **state)
{
	static const uint32_t types[] = {2, 3, 5, 6, 7, 9, 10, 12, 14, 26, UINT32_MAX};
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(types); i++)
		assert_int_equal(request(f, types[i], 0, SECTOR), UNSUPP);
}

static void a_request_without_header_or_status_breaks_the_device(void **state)
{
	struct fixture *f = *state;
	const struct request req = {.type = IN};
	uint64_t header = guest_put(&f->g, &req, sizeof(req));
	const struct guest_buf wrong[][2] = {
		{{header, 15, false}, {f->status, 1, true}},
		{{header, 16, false}, {f->status, 0, true}},
		{{header, 16, false}, {f->data, 16, false}},
		{{header, 16, true}, {f->status, 1, true}},
		{{header, 0, false}, {f->status, 0, true}},
	};

	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		guest_add(&f->g, 0, wrong[i], 2);
		guest_kick(&f->g, 0);
		assert_true(guest_is_broken(&f->g));
		guest_start(&f->g, &f->blk->dev, UINT64_MAX);
		assert_int_equal(request(f, IN, 0, SECTOR), OK);
	}
}

/* -- writable disks */

static void what_is_written_is_read_again(void **state)
{
	struct fixture *f = *state;
	uint8_t byte;

	assert_false(guest_offered(&f->g) & 1 << 5);
	for (uint32_t i = 0; i < 4096; i++)
		data(f)[i] = (uint8_t)(i * 7);
	assert_int_equal(request(f, OUT, 3, 4096), OK);
	assert_int_equal(request(f, FLUSH, 0, 0), OK);
	memset(data(f), 0, 6 * KIB);
	assert_int_equal(request(f, IN, 2, 4096 + 2 * SECTOR), OK);
	assert_int_equal(data(f)[SECTOR - 1], 1 + 1535 / 256);
	for (uint32_t i = 0; i < 4096; i++)
		assert_int_equal(data(f)[SECTOR + i], (uint8_t)(i * 7));
	assert_int_equal(data(f)[SECTOR + 4096], 1 + (3 * SECTOR + 4096) / 256);
	assert_int_equal(pread(f->blk->segments[0].fd, &byte, 1, 3 * SECTOR + 1), 1);
	assert_int_equal(byte, 7);
}

static void writes_past_the_end_fail_and_write_nothing(void **state)
{
	struct fixture *f = *state;
	struct stat st;

	assert_int_equal(request(f, OUT, WRITABLE_SIZE / SECTOR, SECTOR), IOERR);
	assert_int_equal(request(f, OUT, WRITABLE_SIZE / SECTOR - 1, 2 * SECTOR), IOERR);
	assert_int_equal(request(f, OUT, UINT64_MAX / SECTOR + 1, SECTOR), IOERR);
	assert_int_equal(request(f, OUT, 0, 100), IOERR);
	assert_int_equal(fstat(f->blk->segments[0].fd, &st), 0);
	assert_int_equal(st.st_size, WRITABLE_SIZE);
	assert_int_equal(request(f, IN, WRITABLE_SIZE / SECTOR - 1, SECTOR), OK);
	assert_int_equal(data(f)[0], (uint8_t)(1 + (WRITABLE_SIZE - SECTOR) / 256));
}

static uint64_t blocks(struct fixture *f)
{
	struct stat st;

	assert_int_equal(fstat(f->blk->segments[0].fd, &st), 0);
	return (uint64_t)st.st_blocks;
}

static void discard_frees_the_files_blocks(void **state)
{
	struct fixture *f = *state;
	const struct range ranges[] = {{.sector = 8, .n = 16}, {.sector = 64, .n = 8}};
	uint64_t before = blocks(f);

	assert_int_equal(config(f, 36, 4), 1 << 21);
	assert_int_equal(config(f, 40, 4), 16);
	assert_int_equal(config(f, 44, 4), 8);
	assert_int_equal(request_ranges(f, DISCARD, ranges, 2), OK);
	assert_int_equal(blocks(f), before - 24);
	assert_int_equal(request(f, IN, 8, SECTOR), OK);
	assert_int_equal(data(f)[0], 0);
	assert_int_equal(request(f, IN, 7, SECTOR), OK);
	assert_int_equal(data(f)[0], 1 + 7 * 2);
}

static void write_zeroes_zeroes_with_and_without_unmap(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(config(f, 48, 4), 1 << 21);
	assert_int_equal(config(f, 52, 4), 16);
	assert_int_equal(config(f, 56, 1), 1);
	for (uint32_t flags = 0; flags < 2; flags++) {
		const struct range range = {.sector = 3 + 20 * flags, .n = 5, .flags = flags};

		assert_int_equal(request_ranges(f, WRITE_ZEROES, &range, 1), OK);
		assert_int_equal(request(f, IN, range.sector - 1, 7 * SECTOR), OK);
		assert_int_not_equal(data(f)[SECTOR - 1], 0);
		for (uint32_t i = 0; i < 5 * SECTOR; i++)
			assert_int_equal(data(f)[SECTOR + i], 0);
		assert_int_not_equal(data(f)[6 * SECTOR], 0);
	}
}

static void wrong_ranges_fail_and_the_right_ones_beside_them_do_nothing(void **state)
{
	static const struct {
		uint32_t type;
		struct range range;
		int status;
	} wrong[] = {
		{DISCARD, {.sector = 0, .n = 1, .flags = 1}, UNSUPP},
		{DISCARD, {.sector = 0, .n = 1, .flags = 0x80000000}, UNSUPP},
		{WRITE_ZEROES, {.sector = 0, .n = 1, .flags = 2}, UNSUPP},
		{DISCARD, {.sector = WRITABLE_SIZE / SECTOR, .n = 1}, IOERR},
		{WRITE_ZEROES, {.sector = 1, .n = WRITABLE_SIZE / SECTOR}, IOERR},
		{DISCARD, {.sector = UINT64_MAX, .n = 1}, IOERR},
		{WRITE_ZEROES, {.sector = UINT64_MAX - 1, .n = 2}, IOERR},
		{DISCARD, {.sector = UINT64_MAX / SECTOR + 1, .n = 1}, IOERR},
		{WRITE_ZEROES, {.sector = 0, .n = UINT32_MAX}, IOERR},
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		const struct range ranges[2] = {{.sector = 8, .n = 8}, wrong[i].range};

		assert_int_equal(request_ranges(f, wrong[i].type, ranges, 2), wrong[i].status);
		assert_int_equal(request(f, IN, 8, SECTOR), OK);
		assert_int_not_equal(data(f)[0], 0);
	}
	assert_int_equal(request(f, DISCARD, 0, 0), IOERR);
	assert_int_equal(request(f, DISCARD, 0, 17), IOERR);
	memset(data(f), 0, 17 * sizeof(struct range));
	assert_int_equal(request(f, DISCARD, 0, 16 * sizeof(struct range)), OK);
	assert_int_equal(request(f, DISCARD, 0, 17 * sizeof(struct range)), IOERR);
}

/* -- limits */

static uint64_t fake_ns;

static uint64_t fake_now(void)
{
	return fake_ns;
}

/* Put a request on the queue, and say whether it was answered. */
static bool ask(struct fixture *f, uint32_t type, uint32_t len)
{
	const struct request req = {.type = type};
	const struct guest_buf buf[3] = {{guest_put(&f->g, &req, sizeof(req)), sizeof(req), false},
					 {f->data, len, type == IN},
					 {f->status, 1, true}};
	uint32_t id, used;

	guest_add(&f->g, 0, buf, 3);
	guest_kick(&f->g, 0);
	return guest_used(&f->g, 0, &id, &used);
}

static bool answered(struct fixture *f)
{
	uint32_t id, used;

	guest_run_loop(&f->g);
	return guest_used(&f->g, 0, &id, &used);
}

static bool timer_runs(const struct blk *blk)
{
	struct itimerspec left;

	assert_int_equal(timerfd_gettime(blk->timer, &left), 0);
	return left.it_value.tv_sec || left.it_value.tv_nsec;
}

struct limited {
	struct fixture f;
	struct loop loop;
	struct blk_limit limit;
};

static int setup_limited(void **state)
{
	struct limited *l = xcalloc(1, sizeof(*l));
	const struct blk_segment segment = {make_file(WRITABLE_SIZE, 1, O_RDWR), 0, WRITABLE_SIZE};
	struct blk_params params = {.name = "blk0",
				    .serial = SERIAL,
				    .segments = &segment,
				    .nsegments = 1,
				    .writable = true,
				    .limits = {NULL, &l->limit},
				    .loop = &l->loop,
				    .index = 5};
	struct error err = ERROR_INIT;

	fake_ns = 1000000000;
	ratelimit_init(&l->limit.bytes, 8192, 0, fake_ns);
	ratelimit_init(&l->limit.ops, 3, 0, fake_ns);
	assert_int_equal(loop_init(&l->loop, &err), 0);
	guest_init(&l->f.g);
	assert_int_equal(blk_new(&params, &l->f.g.mem, &l->f.blk, &err), 0);
	l->f.blk->now = fake_now;
	guest_start(&l->f.g, &l->f.blk->dev, UINT64_MAX);
	l->f.data = guest_alloc(&l->f.g, MIB);
	l->f.status = guest_alloc(&l->f.g, 1);
	*state = l;
	return 0;
}

static int teardown_limited(void **state)
{
	struct limited *l = *state;

	blk_free(l->f.blk);
	guest_free(&l->f.g);
	loop_free(&l->loop);
	free(l);
	return 0;
}

static void a_disk_stands_until_its_limit_of_bytes_has_room(void **state)
{
	struct limited *l = *state;

	assert_true(ask(&l->f, IN, 6144));
	assert_false(timer_runs(l->f.blk));
	assert_false(ask(&l->f, IN, 4096));
	assert_true(timer_runs(l->f.blk));
	/* somebody asks too early, and again when half a second has earned 4096 */
	virtio_kick(&l->f.blk->dev, 0);
	assert_false(answered(&l->f));
	fake_ns += 500000000;
	virtio_kick(&l->f.blk->dev, 0);
	assert_true(answered(&l->f));
	assert_int_equal(*(uint8_t *)guest_ptr(&l->f.g, l->f.status), OK);
}

static void a_disk_stands_until_its_limit_of_requests_has_room(void **state)
{
	struct limited *l = *state;

	for (int i = 0; i < 3; i++)
		assert_true(ask(&l->f, FLUSH, 0));
	assert_false(ask(&l->f, FLUSH, 0));
	assert_true(timer_runs(l->f.blk));
	fake_ns += 333333334;
	virtio_kick(&l->f.blk->dev, 0);
	assert_true(answered(&l->f));
}

static void a_limits_timer_lets_the_disk_go_on(void **state)
{
	const struct itimerspec now = {.it_value.tv_nsec = 1};
	struct limited *l = *state;
	struct loop_event event;

	for (int i = 0; i < 3; i++)
		assert_true(ask(&l->f, FLUSH, 0));
	assert_false(ask(&l->f, FLUSH, 0));
	fake_ns += 1000000000;
	assert_int_equal(timerfd_settime(l->f.blk->timer, 0, &now, NULL), 0);
	assert_int_equal(loop_wait(&l->loop, &event, 1, -1), 1);
	assert_int_equal(event.kind, LOOP_DISK);
	assert_int_equal(event.index, 5);
	blk_timer(l->f.blk);
	assert_true(answered(&l->f));
}

static void a_reset_forgets_what_stands(void **state)
{
	struct limited *l = *state;

	assert_true(ask(&l->f, IN, 8192));
	assert_false(ask(&l->f, IN, 8192));
	guest_start(&l->f.g, &l->f.blk->dev, UINT64_MAX);
	fake_ns += 2000000000;
	assert_true(ask(&l->f, IN, 4096));
}

/* -- the host's failures */

static void what_the_host_can_not_write_is_an_io_error_and_told_once(void **state)
{
	const struct rlimit small = {4096, RLIM_INFINITY};
	struct fixture *f = *state;
	struct rlimit old;

	assert_int_equal(blk_take_error(f->blk), 0);
	assert_int_equal(request(f, OUT, 0, SECTOR), OK);
	assert_int_equal(blk_take_error(f->blk), 0);
	signal(SIGXFSZ, SIG_IGN);
	getrlimit(RLIMIT_FSIZE, &old);
	assert_int_equal(ftruncate(f->blk->segments[0].fd, 4096), 0);
	setrlimit(RLIMIT_FSIZE, &small);
	assert_int_equal(request(f, OUT, 16, SECTOR), IOERR);
	setrlimit(RLIMIT_FSIZE, &old);
	assert_int_equal(blk_take_error(f->blk), EFBIG);
	assert_int_equal(blk_take_error(f->blk), 0);
	assert_int_equal(request(f, OUT, 0, SECTOR), OK);
	/* the guest's own mistakes are not the host's */
	assert_int_equal(request(f, OUT, UINT64_MAX, SECTOR), IOERR);
	assert_int_equal(blk_take_error(f->blk), 0);
}

/* -- making disks */

static void expect_refused(const struct blk_segment *segments, size_t n, bool writable)
{
	const struct blk_params params = {.name = "blk7",
					  .serial = "",
					  .segments = segments,
					  .nsegments = n,
					  .writable = writable};
	struct error err = ERROR_INIT;
	struct blk *blk = NULL;
	struct gmem mem = {.nregions = 0};

	assert_int_equal(blk_new(&params, &mem, &blk, &err), -EINVAL);
	assert_null(blk);
	assert_int_equal(strncmp(err.msg, "blk7: ", 6), 0);
}

static void what_is_no_disk_is_refused(void **state)
{
	int ro = make_file(8192, 0, O_RDONLY), rw = make_file(8192, 0, O_RDWR);
	struct blk_segment many[BLK_SEGMENTS_MAX + 1];

	(void)state;
	expect_refused(many, 0, false);
	for (size_t i = 0; i < ARRAY_SIZE(many); i++)
		many[i] = (struct blk_segment){ro, i * 4096, 1};
	expect_refused(many, ARRAY_SIZE(many), false);
	expect_refused((struct blk_segment[]){{ro, 0, 0}}, 1, false);
	expect_refused((struct blk_segment[]){{ro, 0, 8193}}, 1, false);
	expect_refused((struct blk_segment[]){{ro, 0, UINT64_MAX}}, 1, false);
	expect_refused((struct blk_segment[]){{ro, 512, 4096}}, 1, false);
	expect_refused((struct blk_segment[]){{ro, UINT64_MAX - 4095, 4096}}, 1, false);
	expect_refused((struct blk_segment[]){{ro, 0, 4097}, {ro, 4096, 1}}, 2, false);
	expect_refused((struct blk_segment[]){{ro, 4096, 1}, {ro, 0, 1}}, 2, false);
	expect_refused((struct blk_segment[]){{rw, 0, 8192}}, 1, false);
	expect_refused((struct blk_segment[]){{ro, 0, 8192}}, 1, true);
	expect_refused((struct blk_segment[]){{rw, 0, 8191}}, 1, true);
	expect_refused((struct blk_segment[]){{rw, 4096, 4096}}, 1, true);
	expect_refused((struct blk_segment[]){{rw, 0, 4096}, {rw, 4096, 4096}}, 2, true);
	close(ro);
	close(rw);
	ro = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	expect_refused((struct blk_segment[]){{ro, 0, 1}}, 1, false);
	close(ro);
}

#define IMAGE(name)    cmocka_unit_test_setup_teardown(name, setup_image, teardown)
#define LIMITED(name)  cmocka_unit_test_setup_teardown(name, setup_limited, teardown_limited)
#define WRITABLE(name) cmocka_unit_test_setup_teardown(name, setup_writable, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		IMAGE(an_image_says_its_size_limits_and_that_it_is_read_only),
		IMAGE(every_range_of_an_image_reads_as_its_segments_and_zeroes),
		IMAGE(a_read_may_be_scattered_anyhow_with_the_status_at_its_very_end),
		IMAGE(reads_past_the_end_fail_whatever_the_arithmetic),
		IMAGE(nothing_writes_to_an_image),
		IMAGE(a_file_cut_short_meanwhile_is_an_io_error),
		IMAGE(the_serial_is_20_bytes_or_what_fits),
		IMAGE(other_request_types_are_unsupported),
		IMAGE(a_request_without_header_or_status_breaks_the_device),
		WRITABLE(what_is_written_is_read_again),
		WRITABLE(writes_past_the_end_fail_and_write_nothing),
		WRITABLE(discard_frees_the_files_blocks),
		WRITABLE(write_zeroes_zeroes_with_and_without_unmap),
		WRITABLE(wrong_ranges_fail_and_the_right_ones_beside_them_do_nothing),
		WRITABLE(what_the_host_can_not_write_is_an_io_error_and_told_once),
		LIMITED(a_disk_stands_until_its_limit_of_bytes_has_room),
		LIMITED(a_disk_stands_until_its_limit_of_requests_has_room),
		LIMITED(a_limits_timer_lets_the_disk_go_on),
		LIMITED(a_reset_forgets_what_stands),
		cmocka_unit_test_setup_teardown(
			a_slot_has_no_size_until_it_is_filled_and_none_after, setup_slot, teardown),
		cmocka_unit_test(what_is_no_disk_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

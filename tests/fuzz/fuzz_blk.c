/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Block requests, read-only disk of several files or a writable one. Input: a byte that picks the
 * disk, then requests; each is a header, a shape (how the driver cut its buffers), and data. After
 * each request: the image is what it was, and the writable file is not longer than it was.
 */
#include "tests/fuzz/fuzz.h"

#include <assert.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "tests/unit/guest_driver.h"
#include "vmm/blk.h"

#define DISK_SIZE 16384
#define DATA	  GUEST_BUFFERS
#define DATA_MAX  65536

struct request {
	uint32_t type, reserved;
	uint64_t sector;
	uint8_t shape[8]; /* a buffer each: two bits of flags, the rest of length */
} __attribute__((packed));

static struct guest g;
static struct blk *disk[2];

static int make_file(size_t len, bool writable)
{
	int fd = memfd_create("disk", MFD_CLOEXEC), same;
	uint8_t bytes[DISK_SIZE];
	char path[64];

	memset(bytes, 0x42, sizeof(bytes));
	assert(write(fd, bytes, len) == (ssize_t)len);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	same = open(path, (writable ? O_RDWR : O_RDONLY) | O_CLOEXEC);
	assert(same >= 0);
	close(fd);
	return same;
}

static void make_disks(void)
{
	const struct blk_segment image[] = {
		{make_file(5000, false), 0, 5000},
		{make_file(100, false), 12288, 100},
	};
	const struct blk_segment file = {make_file(DISK_SIZE, true), 0, DISK_SIZE};
	struct blk_params params = {
		.name = "image", .serial = "fuzz", .segments = image, .nsegments = 2};
	struct error err = ERROR_INIT;
	int r;

	guest_init(&g);
	r = blk_new(&params, &g.mem, &disk[0], &err);
	assert(r == 0);
	params = (struct blk_params){
		.name = "file", .serial = "", .segments = &file, .nsegments = 1, .writable = true};
	r = blk_new(&params, &g.mem, &disk[1], &err);
	assert(r == 0);
}

/* Make a chain of the shape: lengths are odd, whole sectors, or beyond memory. */
static void add(const struct request *req)
{
	static const uint32_t unit[] = {1, 16, 512, 1 << 20};
	struct guest_buf buf[1 + sizeof(req->shape)];
	unsigned n = 0;
	uint64_t gpa = DATA;

	memcpy(guest_ptr(&g, DATA - 16), req, 16);
	buf[n++] = (struct guest_buf){DATA - 16, 16, false};
	for (size_t i = 0; i < sizeof(req->shape); i++) {
		uint32_t len = unit[req->shape[i] >> 1 & 3] * (req->shape[i] >> 3);

		if (req->shape[i] == 0xff)
			break;
		buf[n++] = (struct guest_buf){gpa, len, req->shape[i] & 1};
		gpa += len % DATA_MAX;
	}
	guest_add(&g, 0, buf, n);
}

static void check(const struct blk *blk)
{
	uint8_t byte;
	struct stat st;

	assert(fstat(blk->segments[0].fd, &st) == 0);
	assert(st.st_size == (blk->writable ? DISK_SIZE : 5000));
	if (!blk->writable)
		assert(pread(blk->segments[0].fd, &byte, 1, 4999) == 1 && byte == 0x42);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct request req;
	struct blk *blk;

	if (!size)
		return 0;
	if (!disk[0])
		make_disks();
	blk = disk[*data++ & 1];
	size--;
	guest_start(&g, &blk->dev, UINT64_MAX);
	while (size >= sizeof(req)) {
		size_t len;

		memcpy(&req, data, sizeof(req));
		data += sizeof(req);
		size -= sizeof(req);
		len = MIN(size, (size_t)256);
		memcpy(guest_ptr(&g, DATA), data, len);
		data += len;
		size -= len;
		add(&req);
		guest_kick(&g, 0);
		if (guest_is_broken(&g))
			guest_start(&g, &blk->dev, UINT64_MAX);
		check(blk);
	}
	return 0;
}

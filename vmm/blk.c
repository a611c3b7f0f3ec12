/* SPDX-License-Identifier: Apache-2.0 */
/*
 * virtio-blk over host files.
 *
 * What the disk consists of is blk_segments.c's; here are the device and its requests.
 *
 * A request is worked where it is popped, on the device loop's thread: preadv() and pwritev() go
 * straight between the file and the guest's buffers. Image data is mostly in the host's page cache,
 * where that is a copy; a miss makes the pod's other devices wait for the host's disk, which only
 * that pod notices, and saves each pod a thread pool and each request two context switches.
 *
 * A rate limit that has no room left for a request puts it back, and the queue stands until a timer
 * says that there is.
 *
 * Whatever length the driver gives is bounded by BLK_DATA_MAX, whatever sector by the capacity, and
 * the number of system calls by the descriptors and segments a request can touch.
 */
#include "vmm/blk.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/falloc.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/util.h"
#include "vmm/blk_priv.h"

#define STATUS_SIZE 1

/* What a request may be: Linux honours both, so a request over the product is no request of its. */
#define BLK_SIZE_MAX ((uint32_t)(1 * MIB)) /* bytes of a segment of a request */
#define BLK_SEG_MAX  (BLK_QUEUE_SIZE - 2)  /* segments: header and status need two descriptors */
#define BLK_DATA_MAX ((uint64_t)BLK_SIZE_MAX * BLK_SEG_MAX)

#define BLK_RANGES_MAX	      16	 /* ranges of one DISCARD or WRITE_ZEROES */
#define BLK_RANGE_SECTORS_MAX (1U << 21) /* sectors of a range: 1 GiB */

#define VIRTIO_BLK_F_SIZE_MAX	  (UINT64_C(1) << 1)
#define VIRTIO_BLK_F_SEG_MAX	  (UINT64_C(1) << 2)
#define VIRTIO_BLK_F_RO		  (UINT64_C(1) << 5)
#define VIRTIO_BLK_F_FLUSH	  (UINT64_C(1) << 9)
#define VIRTIO_BLK_F_DISCARD	  (UINT64_C(1) << 13)
#define VIRTIO_BLK_F_WRITE_ZEROES (UINT64_C(1) << 14)

enum {
	VIRTIO_BLK_T_IN = 0,
	VIRTIO_BLK_T_OUT = 1,
	VIRTIO_BLK_T_FLUSH = 4,
	VIRTIO_BLK_T_GET_ID = 8,
	VIRTIO_BLK_T_DISCARD = 11,
	VIRTIO_BLK_T_WRITE_ZEROES = 13,
};

enum blk_status {
	VIRTIO_BLK_S_OK = 0,
	VIRTIO_BLK_S_IOERR = 1,
	VIRTIO_BLK_S_UNSUPP = 2,
};

#define VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP 1

struct virtio_blk_config {
	uint64_t capacity;
	uint32_t size_max;
	uint32_t seg_max;
	uint8_t geometry[4];
	uint32_t blk_size;
	uint8_t topology[8];
	uint8_t writeback;
	uint8_t unused0;
	uint16_t num_queues;
	uint32_t max_discard_sectors;
	uint32_t max_discard_seg;
	uint32_t discard_sector_alignment;
	uint32_t max_write_zeroes_sectors;
	uint32_t max_write_zeroes_seg;
	uint8_t write_zeroes_may_unmap;
	uint8_t unused1[3];
} __attribute__((packed));
_Static_assert(offsetof(struct virtio_blk_config, write_zeroes_may_unmap) == 56, "virtio 5.2.4");

struct virtio_blk_req {
	uint32_t type;
	uint32_t reserved;
	uint64_t sector;
};

struct virtio_blk_range {
	uint64_t sector;
	uint32_t num_sectors;
	uint32_t flags;
};

static struct blk *to_blk(struct virtio_device *dev)
{
	return container_of(dev, struct blk, dev);
}

static void config_read(struct virtio_device *dev, uint32_t off, void *dst, uint32_t len)
{
	const struct blk *blk = to_blk(dev);
	struct virtio_blk_config config = {
		.capacity = blk->sectors,
		.size_max = BLK_SIZE_MAX,
		.seg_max = BLK_SEG_MAX,
	};

	if (blk->writable) {
		config.max_discard_sectors = BLK_RANGE_SECTORS_MAX;
		config.max_discard_seg = BLK_RANGES_MAX;
		config.discard_sector_alignment = DISK_ALIGN / SECTOR;
		config.max_write_zeroes_sectors = BLK_RANGE_SECTORS_MAX;
		config.max_write_zeroes_seg = BLK_RANGES_MAX;
		config.write_zeroes_may_unmap = 1;
	}
	virtio_config_copy(&config, sizeof(config), off, dst, len);
}

static bool in_disk(const struct blk *blk, uint64_t sector, uint64_t count)
{
	return count <= blk->sectors && sector <= blk->sectors - count;
}

void blk_note_error(struct blk *blk, int error)
{
	if (!blk->error)
		blk->error = error;
}

static enum blk_status do_in(struct blk *blk, struct vq_chain *chain, uint64_t sector)
{
	uint64_t len = chain->write_len - STATUS_SIZE;

	if (len % SECTOR || len > BLK_DATA_MAX || !in_disk(blk, sector, len / SECTOR))
		return VIRTIO_BLK_S_IOERR;
	if (!blk_read_segments(blk, chain, sector * SECTOR, len))
		return VIRTIO_BLK_S_IOERR;
	return VIRTIO_BLK_S_OK;
}

static enum blk_status do_out(struct blk *blk, struct vq_chain *chain, uint64_t sector)
{
	uint64_t len = chain->read_len - chain->read_pos;
	struct iovec iov[VQ_CHAIN_MAX];
	int n;

	if (!blk->writable)
		return VIRTIO_BLK_S_IOERR;
	if (len % SECTOR || len > BLK_DATA_MAX || !in_disk(blk, sector, len / SECTOR))
		return VIRTIO_BLK_S_IOERR;
	n = vq_chain_read_iov(chain, len, iov);
	if (n < 0 || !blk_transfer(blk, blk->segments[0].fd, iov, n, sector * SECTOR, true))
		return VIRTIO_BLK_S_IOERR;
	return VIRTIO_BLK_S_OK;
}

static enum blk_status do_flush(struct blk *blk)
{
	if (blk->writable && fdatasync(blk->segments[0].fd) < 0) {
		blk_note_error(blk, errno);
		return VIRTIO_BLK_S_IOERR;
	}
	return VIRTIO_BLK_S_OK;
}

static enum blk_status do_get_id(const struct blk *blk, struct vq_chain *chain)
{
	vq_chain_write(chain, blk->serial,
		       MIN(sizeof(blk->serial), chain->write_len - STATUS_SIZE));
	return VIRTIO_BLK_S_OK;
}

static enum blk_status check_range(const struct blk *blk, const struct virtio_blk_range *range,
				   uint32_t allowed_flags)
{
	if (range->flags & ~allowed_flags)
		return VIRTIO_BLK_S_UNSUPP;
	if (range->num_sectors > BLK_RANGE_SECTORS_MAX ||
	    !in_disk(blk, range->sector, range->num_sectors))
		return VIRTIO_BLK_S_IOERR;
	return VIRTIO_BLK_S_OK;
}

/* Make a range read as zeroes, without its blocks if unmap. */
static enum blk_status zero_range(struct blk *blk, const struct virtio_blk_range *range, bool unmap)
{
	int fd = blk->segments[0].fd;
	off_t offset = (off_t)(range->sector * SECTOR);
	off_t len = (off_t)range->num_sectors * SECTOR;

	if (!len)
		return VIRTIO_BLK_S_OK;
	if (!unmap && !fallocate(fd, FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE, offset, len))
		return VIRTIO_BLK_S_OK;
	/* Not every file system can zero without freeing (tmpfs); a hole reads the same. */
	if (!unmap && errno != EOPNOTSUPP) {
		blk_note_error(blk, errno);
		return VIRTIO_BLK_S_IOERR;
	}
	if (!fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset, len))
		return VIRTIO_BLK_S_OK;
	if (errno == EOPNOTSUPP)
		return VIRTIO_BLK_S_UNSUPP;
	blk_note_error(blk, errno);
	return VIRTIO_BLK_S_IOERR;
}

/* DISCARD and WRITE_ZEROES: all ranges are copied and checked before the first is worked. */
static enum blk_status do_ranges(struct blk *blk, struct vq_chain *chain, bool discard)
{
	struct virtio_blk_range ranges[BLK_RANGES_MAX];
	size_t len = chain->read_len - chain->read_pos, n = len / sizeof(ranges[0]);
	enum blk_status status = VIRTIO_BLK_S_OK;

	if (!blk->writable)
		return VIRTIO_BLK_S_UNSUPP;
	if (!n || n > BLK_RANGES_MAX || len % sizeof(ranges[0]))
		return VIRTIO_BLK_S_IOERR;
	vq_chain_read(chain, ranges, len);
	for (size_t i = 0; i < n && status == VIRTIO_BLK_S_OK; i++)
		status = check_range(blk, &ranges[i],
				     discard ? 0 : VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP);
	for (size_t i = 0; i < n && status == VIRTIO_BLK_S_OK; i++)
		status = zero_range(blk, &ranges[i], discard || ranges[i].flags);
	return status;
}

/* Bytes a request moves one way, as far as a limit counts them: its header is some of them. */
static uint64_t data_of(const struct vq_chain *chain)
{
	uint64_t len = MAX(chain->read_len, chain->write_len);

	return MIN(len, BLK_DATA_MAX);
}

/* Come back when all limits have room. */
static void wait_for_limits(struct blk *blk, uint64_t bytes)
{
	uint64_t ns = 0;
	struct itimerspec at;

	for (unsigned i = 0; i < BLK_LIMITS_MAX; i++) {
		if (!blk->limits[i])
			continue;
		ns = MAX(ns, ratelimit_wait_ns(&blk->limits[i]->bytes, bytes));
		ns = MAX(ns, ratelimit_wait_ns(&blk->limits[i]->ops, 1));
	}
	at = (struct itimerspec){.it_value = {.tv_sec = (time_t)(ns / 1000000000),
					      .tv_nsec = (long)(ns % 1000000000)}};
	if (ns == 0)
		at.it_value.tv_nsec = 1;
	timerfd_settime(blk->timer, 0, &at, NULL);
}

/* Whether the limits let a request pass; it is counted then. */
static bool limits_allow(struct blk *blk, uint64_t bytes)
{
	uint64_t now = blk->timer < 0 ? 0 : blk->now();
	bool ready = true;

	for (unsigned i = 0; i < BLK_LIMITS_MAX; i++)
		if (blk->limits[i])
			ready = ratelimit_ready(&blk->limits[i]->bytes, bytes, now) &&
				ratelimit_ready(&blk->limits[i]->ops, 1, now) && ready;
	if (!ready) {
		wait_for_limits(blk, bytes);
		return false;
	}
	for (unsigned i = 0; i < BLK_LIMITS_MAX; i++) {
		if (!blk->limits[i])
			continue;
		ratelimit_take(&blk->limits[i]->bytes, bytes);
		ratelimit_take(&blk->limits[i]->ops, 1);
	}
	return true;
}

static int64_t do_request(struct virtio_device *dev, struct vq_chain *chain)
{
	struct blk *blk = to_blk(dev);
	const struct iovec *last;
	struct virtio_blk_req req;
	enum blk_status status;

	if (!limits_allow(blk, data_of(chain)))
		return -1;
	if (!chain->write_len || vq_chain_read(chain, &req, sizeof(req)) != sizeof(req)) {
		virtio_break(dev, "block request without header or status");
		return -1;
	}
	switch (req.type) {
	case VIRTIO_BLK_T_IN:
		status = do_in(blk, chain, req.sector);
		break;
	case VIRTIO_BLK_T_OUT:
		status = do_out(blk, chain, req.sector);
		break;
	case VIRTIO_BLK_T_FLUSH:
		status = do_flush(blk);
		break;
	case VIRTIO_BLK_T_GET_ID:
		status = do_get_id(blk, chain);
		break;
	case VIRTIO_BLK_T_DISCARD:
	case VIRTIO_BLK_T_WRITE_ZEROES:
		status = do_ranges(blk, chain, req.type == VIRTIO_BLK_T_DISCARD);
		break;
	default:
		status = VIRTIO_BLK_S_UNSUPP;
		break;
	}
	/* The status is the very last writable byte, however the driver split its buffers. */
	last = &chain->iov[chain->nread + chain->nwrite - 1];
	((uint8_t *)last->iov_base)[last->iov_len - 1] = (uint8_t)status;
	return STATUS_SIZE + (status == VIRTIO_BLK_S_OK ? (int64_t)chain->write_pos : 0);
}

static void notify(struct virtio_device *dev, unsigned queue)
{
	virtio_drain(dev, queue, do_request);
}

static const struct virtio_ops blk_ops = {
	.config_read = config_read,
	.notify = notify,
};

void blk_limit_init(struct blk_limit *limit, uint64_t bytes, uint64_t ops)
{
	uint64_t now = clock_now_ns();

	ratelimit_init(&limit->bytes, bytes, 0, now);
	ratelimit_init(&limit->ops, ops, 0, now);
}

static int add_limits(struct blk *blk, const struct blk_params *params, struct error *err)
{
	bool any = false;

	for (unsigned i = 0; i < BLK_LIMITS_MAX; i++) {
		const struct blk_limit *limit = params->limits[i];

		if (!limit || (!limit->bytes.rate && !limit->ops.rate))
			continue;
		blk->limits[i] = params->limits[i];
		any = true;
	}
	if (!any)
		return 0;
	blk->timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	if (blk->timer < 0)
		return error_errno(err, "%s: timer", params->name);
	return loop_add(params->loop, blk->timer, EPOLLIN, LOOP_DISK, params->index, err);
}

int blk_new(const struct blk_params *params, const struct gmem *mem, struct blk **ret,
	    struct error *err)
{
	uint64_t bytes = 0;
	struct blk *blk;
	int r;

	r = blk_check_segments(params, &bytes, err);
	if (r < 0)
		return r;
	blk = xcalloc(1, sizeof(*blk));
	snprintf(blk->name, sizeof(blk->name), "%s", params->name);
	memcpy(blk->serial, params->serial, strnlen(params->serial, sizeof(blk->serial)));
	blk->writable = params->writable;
	blk->timer = -1;
	blk->now = clock_now_ns;
	blk->sectors = bytes / SECTOR;
	blk->dev = (struct virtio_device){
		.ops = &blk_ops,
		.name = blk->name,
		.id = VIRTIO_ID_BLOCK,
		.offered = VIRTIO_BLK_F_SIZE_MAX | VIRTIO_BLK_F_SEG_MAX | VIRTIO_BLK_F_FLUSH |
			   (blk->writable ? VIRTIO_BLK_F_DISCARD | VIRTIO_BLK_F_WRITE_ZEROES
					  : VIRTIO_BLK_F_RO),
		.nqueues = 1,
		.vq[0].size_max = BLK_QUEUE_SIZE,
	};
	r = virtio_init(&blk->dev, mem, err);
	if (r == 0) {
		r = add_limits(blk, params, err);
		if (r < 0)
			virtio_free(&blk->dev);
	}
	if (r < 0) {
		close_fd(&blk->timer);
		free(blk);
		return r;
	}
	blk_take_segments(blk, params->segments, params->nsegments);
	*ret = blk;
	return 0;
}

void blk_free(struct blk *blk)
{
	if (!blk)
		return;
	virtio_free(&blk->dev);
	close_fd(&blk->timer);
	blk_drop_segments(blk);
	free(blk);
}

void blk_timer(struct blk *blk)
{
	uint64_t ticks;

	if (read(blk->timer, &ticks, sizeof(ticks)) > 0)
		virtio_kick(&blk->dev, 0);
}

int blk_take_error(struct blk *blk)
{
	int error = blk->error;

	if (error <= 0)
		return 0;
	blk->error = -error;
	return error;
}

int blk_fill(struct blk *blk, const struct blk_segment *segments, size_t n, struct error *err)
{
	const struct blk_params params = {.name = blk->name, .segments = segments, .nsegments = n};
	uint64_t bytes = 0;
	int r = blk_check_segments(&params, &bytes, err);

	if (r < 0)
		return r;
	pthread_mutex_lock(&blk->dev.lock);
	assert(!blk->writable && !blk->sectors);
	blk_drop_segments(blk);
	blk_take_segments(blk, segments, n);
	blk->sectors = bytes / SECTOR;
	virtio_signal_config(&blk->dev);
	pthread_mutex_unlock(&blk->dev.lock);
	return 0;
}

void blk_empty(struct blk *blk)
{
	pthread_mutex_lock(&blk->dev.lock);
	blk_drop_segments(blk);
	blk->sectors = 0;
	virtio_signal_config(&blk->dev);
	pthread_mutex_unlock(&blk->dev.lock);
}

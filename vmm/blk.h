/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMM_BLK_H
#define VMM_BLK_H

#include "vmm/loop.h"
#include "vmm/ratelimit.h"
#include "vmm/virtio.h"

/* virtio-blk (virtio 1.2 section 5.2): a disk that is host files one after the other. */

#define BLK_SERIAL_MAX	 20   /* bytes of the answer to GET_ID */
#define BLK_SEGMENTS_MAX 1024 /* files of a disk; a layered image has about 130 */
#define BLK_QUEUE_SIZE	 64   /* requests in flight; each costs the guest memory and set-up time */

/* A file's place on the disk. What lies between segments reads as zeroes. */
struct blk_segment {
	int fd;
	uint64_t offset; /* where its first byte is on the disk: a multiple of 4096 */
	uint64_t length; /* bytes of the file, from its start; not 0 */
};

/* What may be asked a second of the disks that share it; a rate of 0 is none. */
struct blk_limit {
	struct ratelimit bytes, ops;
};

#define BLK_LIMITS_MAX 2 /* of one disk: its app's and the pod's */

struct blk {
	struct virtio_device dev;
	struct blk_limit *limits[BLK_LIMITS_MAX]; /* the caller's; NULL: none */
	int timer;				  /* owned timerfd: a limit lets go on; -1: none */
	uint64_t (*now)(void);			  /* nanoseconds */
	int error; /* of the host, the first one; told when negative */
	bool writable;
	uint64_t sectors; /* of 512 bytes */
	char name[16];
	char serial[BLK_SERIAL_MAX];  /* NUL-padded */
	struct blk_segment *segments; /* ascending, apart; descriptors owned */
	size_t nsegments;
};

struct blk_params {
	const char *name;		    /* "blk0" */
	const char *serial;		    /* cut to BLK_SERIAL_MAX */
	const struct blk_segment *segments; /* ascending by offset, not overlapping */
	size_t nsegments;
	/*
	 * One segment, opened O_RDWR, length a multiple of 512. Otherwise the disk is read-only: to
	 * the driver by the RO feature, to a driver that writes nevertheless by refusal, and the
	 * descriptors must be O_RDONLY, so that no fault of ours can write an image either.
	 */
	bool writable;
	struct blk_limit *limits[BLK_LIMITS_MAX]; /* kept; NULL: none */
	struct loop *loop;			  /* with limits */
	uint32_t index;				  /* of its LOOP_DISK events */
	bool slot; /* there may be no segments: a disk of no size, until blk_fill() */
};

/*
 * Make a disk. On success the segments' descriptors are the disk's; otherwise they stay the
 * caller's. -EINVAL when the segments are no disk or a file is shorter than its segment.
 */
int blk_new(const struct blk_params *params, const struct gmem *mem, struct blk **ret,
	    struct error *err) __attribute__((nonnull));
/*
 * Put segments on a slot that is empty, as for blk_new(); take them away again. The driver is told that
 * the size has changed. What it still reads of a disk that has gone fails.
 */
int blk_fill(struct blk *blk, const struct blk_segment *segments, size_t n, struct error *err)
	__attribute__((nonnull));
void blk_empty(struct blk *blk) __attribute__((nonnull));
void blk_free(struct blk *blk);

/* No rate: no limit. */
void blk_limit_init(struct blk_limit *limit, uint64_t bytes, uint64_t ops) __attribute__((nonnull));

/* For a LOOP_DISK event: a limit lets the disk go on. */
void blk_timer(struct blk *blk) __attribute__((nonnull));

/* The errno of the first request the host could not do, once; else 0. The guest sees I/O errors. */
int blk_take_error(struct blk *blk) __attribute__((nonnull));

#endif

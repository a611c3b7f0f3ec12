/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMM_BLK_H
#define VMM_BLK_H

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

struct blk {
	struct virtio_device dev;
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
};

/*
 * Make a disk. On success the segments' descriptors are the disk's; otherwise they stay the
 * caller's. -EINVAL when the segments are no disk or a file is shorter than its segment.
 */
int blk_new(const struct blk_params *params, const struct gmem *mem, struct blk **ret,
	    struct error *err) __attribute__((nonnull));
void blk_free(struct blk *blk);

#endif

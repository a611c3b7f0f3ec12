/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMM_BLK_PRIV_H
#define VMM_BLK_PRIV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "common/error.h"
#include "vmm/blk.h"
#include "vmm/virtqueue.h"

/* Between a disk's requests (blk.c) and the files it consists of (blk_segments.c). */

#define SECTOR	   512
#define DISK_ALIGN 4096 /* segments begin and the disk ends on multiples of this */

/* Whether params' segments are a disk, and of how many bytes; blk_new() says when they are none. */
int blk_check_segments(const struct blk_params *params, uint64_t *ret_bytes, struct error *err)
	__attribute__((nonnull));
/* The descriptors are the disk's from then on; close them. */
void blk_take_segments(struct blk *blk, const struct blk_segment *segments, size_t n)
	__attribute__((nonnull(1)));
void blk_drop_segments(struct blk *blk) __attribute__((nonnull));

/* blk.c: the host could not do a request; what blk_take_error() says of it. */
void blk_note_error(struct blk *blk, int error) __attribute__((nonnull));

/*
 * preadv() or pwritev() until all is moved; iov is used up. False on any failure, a file that ends
 * before too.
 */
bool blk_transfer(struct blk *blk, int fd, struct iovec *iov, int n, uint64_t offset, bool write)
	__attribute__((nonnull));
/* Fill len bytes of the chain's writable part from the disk at pos, a range within it. */
bool blk_read_segments(struct blk *blk, struct vq_chain *chain, uint64_t pos, uint64_t len)
	__attribute__((nonnull));

#endif

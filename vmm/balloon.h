/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMM_BALLOON_H
#define VMM_BALLOON_H

#include "vmm/virtio.h"

/* virtio-balloon (virtio 1.2 section 5.5): the guest's free memory goes back to the host. */

struct balloon {
	struct virtio_device dev;
	uint32_t num_pages; /* target, pages of 4 KiB */
	uint32_t actual;    /* what the driver says it has given; only shown, never computed with */
	uint64_t released;  /* bytes given back so far, by either way; for stats */
};

int balloon_new(const struct gmem *mem, struct balloon **ret, struct error *err)
	__attribute__((nonnull));
void balloon_free(struct balloon *balloon);

/* In bytes: what is asked for and what the driver says it has given, and both ways' released. */
struct balloon_state {
	uint64_t target, actual, released;
};
void balloon_get(struct balloon *balloon, struct balloon_state *ret) __attribute__((nonnull));

/* Ask the guest to give bytes (rounded down to pages) of its memory. From any thread. */
void balloon_set_target(struct balloon *balloon, uint64_t bytes) __attribute__((nonnull));

#endif

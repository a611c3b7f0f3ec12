/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMM_MEM_H
#define VMM_MEM_H

#include "common/util.h"
#include "vmm/virtio.h"

/* virtio-mem (virtio 1.2 section 5.15): memory beyond what the pod booted with. */

/*
 * A block is what is plugged or not, and what becomes a memory slot. 128 MiB is a memory section of
 * Linux on x86: the driver then works in whole sections ("big block mode"), with one request each
 * and no bookkeeping for parts of one.
 */
#define MEM_BLOCK_SHIFT 27
#define MEM_BLOCK_SIZE	(UINT64_C(1) << MEM_BLOCK_SHIFT)
#define MEM_REGION_MAX	(UINT64_C(1) << 40) /* bytes: 8192 blocks, well below KVM's slots */

struct mem_params {
	uint64_t gpa;	    /* of the region, a multiple of MEM_BLOCK_SIZE */
	uint64_t size;	    /* of the region, likewise */
	uint8_t *hva;	    /* size bytes, mapped and untouched; must stay mapped for good */
	uint64_t requested; /* bytes the guest shall plug: whole blocks, up to size */
	/*
	 * Make [gpa, gpa + len), one block, memory of the guest or not: a memory slot comes or
	 * goes, and gmem_region.plugged with it. 0 or a negative errno; taking away does not fail.
	 * Called by the device loop.
	 */
	int (*plug)(void *ctx, uint64_t gpa, uint64_t len, bool on);
	void *ctx;
};

struct mem {
	struct virtio_device dev;
	struct mem_params region;
	uint64_t plugged_size; /* bytes */
	uint64_t nblocks;
	uint8_t *plugged; /* one byte a block: 1 when it is */
};

/* -EINVAL when params are not as said there. Nothing is plugged at first. */
int mem_new(const struct mem_params *params, const struct gmem *mem, struct mem **ret,
	    struct error *err) __attribute__((nonnull));
void mem_free(struct mem *mem);

/*
 * Ask the guest to plug or unplug until bytes (a multiple of MEM_BLOCK_SIZE, up to the region's
 * size) are plugged. From any thread. False when bytes is not as said.
 */
bool mem_request(struct mem *mem, uint64_t bytes) __attribute__((nonnull));

#endif

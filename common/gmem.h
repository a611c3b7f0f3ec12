/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COMMON_GMEM_H
#define COMMON_GMEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Guest memory: a short table of regions, and the only way to touch them.
 *
 * Guest physical addresses and lengths are the guest's, so every access is checked against one
 * region in arithmetic that can not wrap, and fails closed. The guest changes its memory while we
 * look: a value is loaded once into a local, checked, then used.
 *
 * A region may be populated in blocks (virtio-mem); then plugged tells which exist, and an access
 * that touches a block that does not exist fails.
 */

#define GMEM_MAX_REGIONS 4 /* RAM below 3 GiB, RAM above 4 GiB, hot-pluggable, one to spare */

struct gmem_region {
	uint64_t gpa;
	uint64_t size;
	uint8_t *hva;
	const uint8_t *plugged; /* one byte a block, non-zero when it exists; NULL: all exist */
	unsigned block_shift;	/* log2 of a block's bytes */
};

struct gmem {
	struct gmem_region region[GMEM_MAX_REGIONS];
	unsigned nregions;
};

/* The host address of [gpa, gpa + len) if it lies wholly in one region, else NULL. len may be 0. */
void *gmem_ptr(const struct gmem *mem, uint64_t gpa, uint64_t len) __attribute__((nonnull));

/* Copy in or out. False, and nothing copied, when the range is not wholly in one region. */
bool gmem_read(const struct gmem *mem, uint64_t gpa, void *dst, size_t len)
	__attribute__((nonnull));
bool gmem_write(const struct gmem *mem, uint64_t gpa, const void *src, size_t len)
	__attribute__((nonnull));
bool gmem_zero(const struct gmem *mem, uint64_t gpa, uint64_t len) __attribute__((nonnull));

/*
 * Give the whole host pages of [p, p + len) back to the host; p is from gmem_ptr(). Shared memory
 * reads as zeroes from then on, a private mapping of a file as the file. A hint: what the host can
 * not take back stays.
 */
void gmem_release(void *p, size_t len) __attribute__((nonnull));

/* Single loads and stores of shared ring fields through checked pointers from gmem_ptr(). */
static inline uint16_t gmem_load_le16(const void *p)
{
	return __atomic_load_n((const uint16_t *)p, __ATOMIC_ACQUIRE);
}

static inline void gmem_store_le16(void *p, uint16_t v)
{
	__atomic_store_n((uint16_t *)p, v, __ATOMIC_RELEASE);
}

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "virtio rings are little endian");

#endif

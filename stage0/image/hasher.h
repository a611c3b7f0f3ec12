/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE0_IMAGE_HASHER_H
#define STAGE0_IMAGE_HASHER_H

#include <stddef.h>
#include <stdint.h>

#include "common/hash.h"

/*
 * A digest computed beside the caller, in a thread: the caller fills blocks and pushes them. The
 * block pushed last may still be read by the caller until it asks for the next one.
 */

#define HASHER_BLOCK (256 * 1024)

struct hasher;

/* threaded: false computes in the caller, for when there is no second core. */
struct hasher *hasher_new(enum hash_alg alg, int threaded) __attribute__((returns_nonnull));
/* HASHER_BLOCK bytes to fill; waits while all blocks are still to be hashed. */
void *hasher_block(struct hasher *hasher) __attribute__((nonnull, returns_nonnull));
/* The block got len bytes; hash them. */
void hasher_push(struct hasher *hasher, size_t len) __attribute__((nonnull));
/* Wait for everything pushed and give the digest. Only hasher_free() may follow. */
void hasher_final(struct hasher *hasher, uint8_t *digest) __attribute__((nonnull));
void hasher_free(struct hasher *hasher); /* NULL is fine */
static inline void hasher_freep(struct hasher **hasher)
{
	hasher_free(*hasher);
}
#define cleanup_hasher cleanup(hasher_freep)

#endif

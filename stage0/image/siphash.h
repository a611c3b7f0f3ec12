/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE0_IMAGE_SIPHASH_H
#define STAGE0_IMAGE_SIPHASH_H

#include <stddef.h>
#include <stdint.h>

/*
 * SipHash-2-4 (Aumasson, Bernstein 2012): a hash of len bytes under a secret key, so that nobody who
 * does not know the key can make names that collide in a table.
 */
uint64_t siphash(const uint64_t key[2], const void *bytes, size_t len) __attribute__((nonnull));

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COMMON_HASH_H
#define COMMON_HASH_H

#include <stddef.h>
#include <stdint.h>

/* Streaming digests over libcrypto, and their hexadecimal form. */

enum hash_alg {
	HASH_SHA256,
	HASH_SHA384,
	HASH_SHA512,
};

#define HASH_MAX_SIZE 64 /* bytes of the longest digest */
#define HASH_HEX_MAX  (2 * HASH_MAX_SIZE + 1)

struct hash; /* a digest being computed */

struct hash *hash_new(enum hash_alg alg) __attribute__((returns_nonnull));
void hash_update(struct hash *hash, const void *data, size_t len) __attribute__((nonnull(1)));
/* Write the digest (hash_size() bytes). Call once; only hash_free() may follow. */
void hash_final(struct hash *hash, uint8_t *digest) __attribute__((nonnull));
void hash_free(struct hash *hash); /* NULL is fine */
static inline void hash_freep(struct hash **hash)
{
	hash_free(*hash);
}
#define cleanup_hash cleanup(hash_freep)

size_t hash_size(enum hash_alg alg);

/* HMAC (RFC 2104) with SHA-512 over parts, one after the other; HASH_MAX_SIZE bytes at mac. */
struct hash_part {
	const void *data;
	size_t len;
};
void hash_hmac_sha512(const void *key, size_t key_len, const struct hash_part *parts, size_t nparts,
		      uint8_t *mac) __attribute__((nonnull));

/* Lower-case hexadecimal of len bytes, NUL-terminated: 2 * len + 1 bytes at hex. */
void hash_hex(const uint8_t *digest, size_t len, char *hex) __attribute__((nonnull));

#endif

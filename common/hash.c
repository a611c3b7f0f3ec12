/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libcrypto's digests by their own names rather than through EVP: nothing is looked up or loaded, so
 * the first digest of a process costs no milliseconds, and a static program gets the digests alone.
 */
#define OPENSSL_SUPPRESS_DEPRECATED
#include "common/hash.h"

#include <assert.h>
#include <openssl/sha.h>
#include <string.h>

#include "common/util.h"

struct hash {
	enum hash_alg alg;
	union {
		SHA256_CTX sha256;
		SHA512_CTX sha512; /* SHA-384, too */
	} u;
};

struct hash *hash_new(enum hash_alg alg)
{
	struct hash *hash = xcalloc(1, sizeof(*hash));

	hash->alg = alg;
	switch (alg) {
	case HASH_SHA256:
		SHA256_Init(&hash->u.sha256);
		break;
	case HASH_SHA384:
		SHA384_Init(&hash->u.sha512);
		break;
	case HASH_SHA512:
		SHA512_Init(&hash->u.sha512);
		break;
	}
	return hash;
}

void hash_update(struct hash *hash, const void *data, size_t len)
{
	if (len == 0)
		return;
	if (hash->alg == HASH_SHA256)
		SHA256_Update(&hash->u.sha256, data, len);
	else
		SHA512_Update(&hash->u.sha512, data, len);
}

void hash_final(struct hash *hash, uint8_t *digest)
{
	switch (hash->alg) {
	case HASH_SHA256:
		SHA256_Final(digest, &hash->u.sha256);
		break;
	case HASH_SHA384:
		SHA384_Final(digest, &hash->u.sha512);
		break;
	case HASH_SHA512:
		SHA512_Final(digest, &hash->u.sha512);
		break;
	}
}

void hash_free(struct hash *hash)
{
	free(hash);
}

size_t hash_size(enum hash_alg alg)
{
	switch (alg) {
	case HASH_SHA256:
		return 32;
	case HASH_SHA384:
		return 48;
	case HASH_SHA512:
		return 64;
	}
	assert(!"unknown digest");
	return 0;
}

void hash_hex(const uint8_t *digest, size_t len, char *hex)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < len; i++) {
		*hex++ = digits[digest[i] >> 4];
		*hex++ = digits[digest[i] & 15];
	}
	*hex = '\0';
}

#define SHA512_BLOCK 128

/* H((key ^ pad) || parts) */
static void hash_padded(const uint8_t *key, uint8_t pad, const struct hash_part *parts, size_t n,
			uint8_t *digest)
{
	cleanup_hash struct hash *hash = hash_new(HASH_SHA512);
	uint8_t block[SHA512_BLOCK];

	for (size_t i = 0; i < sizeof(block); i++)
		block[i] = key[i] ^ pad;
	hash_update(hash, block, sizeof(block));
	for (size_t i = 0; i < n; i++)
		hash_update(hash, parts[i].data, parts[i].len);
	hash_final(hash, digest);
}

void hash_hmac_sha512(const void *key, size_t key_len, const struct hash_part *parts, size_t nparts,
		      uint8_t *mac)
{
	uint8_t block[SHA512_BLOCK] = {0}, inner[HASH_MAX_SIZE];
	const struct hash_part of_inner = {inner, sizeof(inner)};

	if (key_len > sizeof(block)) {
		cleanup_hash struct hash *hash = hash_new(HASH_SHA512);

		hash_update(hash, key, key_len);
		hash_final(hash, block);
	} else {
		memcpy(block, key, key_len);
	}
	hash_padded(block, 0x36, parts, nparts, inner);
	hash_padded(block, 0x5c, &of_inner, 1, mac);
}

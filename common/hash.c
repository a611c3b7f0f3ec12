/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libcrypto's digests by their own names rather than through EVP: nothing is looked up or loaded, so
 * the first digest of a process costs no milliseconds, and a static program gets the digests alone.
 */
#define OPENSSL_SUPPRESS_DEPRECATED
#include "common/hash.h"

#include <assert.h>
#include <openssl/sha.h>

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

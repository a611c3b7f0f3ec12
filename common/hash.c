/* SPDX-License-Identifier: Apache-2.0 */
#include "common/hash.h"

#include <assert.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>

#include "common/util.h"

struct hash {
	EVP_MD_CTX *ctx;
};

static const EVP_MD *hash_md(enum hash_alg alg)
{
	switch (alg) {
	case HASH_SHA256:
		return EVP_sha256();
	case HASH_SHA384:
		return EVP_sha384();
	case HASH_SHA512:
		return EVP_sha512();
	}
	assert(!"unknown digest");
	return NULL;
}

struct hash *hash_new(enum hash_alg alg)
{
	struct hash *hash = xcalloc(1, sizeof(*hash));

	/* milliseconds for a configuration that says nothing about the built-in digests */
	OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG, NULL);
	hash->ctx = EVP_MD_CTX_new();
	/* the built-in digests fail for want of memory only, and x...() ends the process then */
	if (!hash->ctx || !EVP_DigestInit_ex(hash->ctx, hash_md(alg), NULL))
		abort();
	return hash;
}

void hash_update(struct hash *hash, const void *data, size_t len)
{
	if (len > 0 && !EVP_DigestUpdate(hash->ctx, data, len))
		abort();
}

void hash_final(struct hash *hash, uint8_t *digest)
{
	if (!EVP_DigestFinal_ex(hash->ctx, digest, NULL))
		abort();
}

void hash_free(struct hash *hash)
{
	if (!hash)
		return;
	EVP_MD_CTX_free(hash->ctx);
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

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE0_ATTEST_QUOTE_H
#define STAGE0_ATTEST_QUOTE_H

#include <stdbool.h>

#include "stage0/attest/bytes.h"

/*
 * A TPM's quote: PCR values, signed together with a nonce by a key that signs nothing but what the
 * TPM itself says. The structures are the TPM's (TPM 2.0 Library, part 2), read by tpm2-tss and
 * checked by libcrypto; no TPM is needed.
 */

#define QUOTE_NONCE_MAX	 64   /* bytes: what TPMs take as qualifying data */
#define QUOTE_BLOB_MAX	 1024 /* bytes of each structure; those of P-384 keys have about 200 */
#define QUOTE_NAME_MAX	 50   /* bytes of a key's Name: digest algorithm and digest */
#define QUOTE_HEX_MAX(n) (2 * (n) + 1)

struct quote {
	struct bytes nonce;
	struct bytes quoted;	/* TPMS_ATTEST */
	struct bytes signature; /* TPMT_SIGNATURE */
	struct bytes public;	/* TPM2B_PUBLIC, as the stock tools read it */
	struct pcr_set pcrs;
};

void quote_free(struct quote *quote) __attribute__((nonnull));

/* The members nonce, quoted, signature, public and pcrs of a document. */
int quote_from_json(struct json_object *doc, struct quote *ret, struct error *err)
	__attribute__((nonnull(2, 3)));
void quote_add_json(struct json_object *doc, const struct quote *quote) __attribute__((nonnull));

/* TPM2B_PUBLIC of a TPMT_PUBLIC, which it must be to the last byte. */
int quote_public_from_tpmt(const void *tpmt, size_t len, struct bytes *ret, struct error *err)
	__attribute__((nonnull));

/* The Name of the key in quote->public: what identifies it. In hexadecimal. */
int quote_key_name(const struct quote *quote, char name[QUOTE_HEX_MAX(QUOTE_NAME_MAX)],
		   struct error *err) __attribute__((nonnull));
/* The same key as a SubjectPublicKeyInfo in DER. */
int quote_key_der(const struct quote *quote, struct bytes *ret, struct error *err)
	__attribute__((nonnull));

/*
 * Whether this is a quote, of a key that only TPMs have, that answers nonce, and of exactly the PCR
 * values in it. Each failure has a message of its own.
 */
int quote_verify(const struct quote *quote, const void *nonce, size_t nonce_len, struct error *err)
	__attribute__((nonnull));

#endif

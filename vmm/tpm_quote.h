/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMM_TPM_QUOTE_H
#define VMM_TPM_QUOTE_H

#include <stddef.h>
#include <stdint.h>

#include "common/error.h"
#include "common/eventlog.h"
#include "vmm/tis.h"

/*
 * What the host asks of a pod's TPM: the PCRs' values, and a quote over them.
 *
 * The key is a primary object of the platform hierarchy, whose password only the host knows: a
 * restricted signing key, ECDSA over P-256 with SHA-256. It is the same each time, being derived
 * from the TPM's seed, and is made for each quote and removed after it. A guest that holds all of
 * the TPM's memory for objects does not keep the host from it: one is saved for the time and put
 * back to where it was.
 */

#define TPM_NONCE_MAX	  64   /* bytes: what a TPM takes, as long as its longest digest */
#define TPM_AUTH_SIZE	  32   /* bytes of the platform hierarchy's password */
#define TPM_ATTEST_MAX	  512  /* bytes of a TPMS_ATTEST: about 180 */
#define TPM_SIGNATURE_MAX 256  /* bytes of a TPMT_SIGNATURE: about 72 */
#define TPM_PUBLIC_MAX	  256  /* bytes of a TPMT_PUBLIC: about 88 */
#define TPM_QUOTE_WAIT_MS 5000 /* for each answer, and for a command of the guest's to end */

struct tpm_quote {
	uint32_t mask; /* PCRs whose values are there */
	struct pcrs pcrs;
	uint8_t quoted[TPM_ATTEST_MAX], signature[TPM_SIGNATURE_MAX], public[TPM_PUBLIC_MAX];
	size_t quoted_len, signature_len, public_len; /* 0: values only */
};

/* The values of the PCRs of mask, both banks. tis is borrowed from the guest meanwhile. */
int tpm_quote_read(struct tis *tis, uint32_t mask, struct tpm_quote *ret, struct error *err)
	__attribute__((nonnull));

/* Those, and a quote over them with nonce; auth is the platform hierarchy's password. */
int tpm_quote_make(struct tis *tis, const uint8_t auth[TPM_AUTH_SIZE], const uint8_t *nonce,
		   size_t nonce_len, uint32_t mask, struct tpm_quote *ret, struct error *err)
	__attribute__((nonnull));

#endif

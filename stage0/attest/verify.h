/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE0_ATTEST_VERIFY_H
#define STAGE0_ATTEST_VERIFY_H

#include "stage0/attest/evidence.h"

/*
 * Verification of evidence. What is checked of the key is the caller's choice (quote_trust.h); here
 * it is whether what the key signed is what is wanted.
 */

/*
 * The quote answers nonce, the event log gives the quoted values and says what is expected. Every
 * PCR of the log must have been quoted, in one bank at least.
 */
int verify_pod(const struct evidence *evidence, const void *nonce, size_t nonce_len,
	       const struct eventlog *expected, struct error *err) __attribute__((nonnull));

/*
 * The host's quote answers nonce, its records give its PCR 15, and among them are the launch of
 * evidence's pod and the key that pod's quote is signed with.
 */
int verify_host(const struct host_evidence *host, const struct evidence *evidence,
		const void *nonce, size_t nonce_len, struct error *err) __attribute__((nonnull));

/*
 * What is extended into the host's PCR 15, and what verify_host() looks for. At a launch, rkt's
 * record (rkt-behaviour 10.1): the pod manifest's text, and stage1's arguments, of which the pod's
 * UUID is the last; at a quote the Name of the pod's key. The caller frees it.
 */
char *record_of_launch(const char *manifest, const char *args)
	__attribute__((nonnull, returns_nonnull));
char *record_of_key(const char *pod, const char *key_name)
	__attribute__((nonnull, returns_nonnull));
/* PCR = H(PCR || H(record)) for a SHA-256 PCR; a record may be its digest in hexadecimal. */
void record_extend(uint8_t pcr[SHA256_SIZE], const char *record) __attribute__((nonnull));

#endif

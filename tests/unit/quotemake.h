/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_UNIT_QUOTEMAKE_H
#define TESTS_UNIT_QUOTEMAKE_H

#include <openssl/evp.h>
#include <tss2/tss2_tpm2_types.h>

#include "stage0/attest/evidence.h"

/*
 * Quotes made without a TPM: what a TPM would sign, and everything it would not. A test changes
 * what it wants in the plan, then has the parts made.
 */
struct quote_plan {
	TPMA_OBJECT attributes;
	TPM2_GENERATED magic;
	TPMI_ST_ATTEST type;
	const void *nonce;
	size_t nonce_len;
	uint32_t mask[BANKS];
	struct pcrs pcrs;
	EVP_PKEY *key;
};

/* A key on P-256. */
EVP_PKEY *quotemake_key(void);
/* A plan of a good quote over what a log gives, of the PCRs the log has. */
struct quote_plan quotemake_plan(EVP_PKEY *key, const struct eventlog *log, const char *nonce);
/* Make it. The caller quote_free()s it. */
struct quote quotemake(const struct quote_plan *plan);
/* A log like a pod's, with one record about text. */
struct eventlog quotemake_log(const char *text);
/* Evidence of a pod. The caller evidence_free()s it. */
struct evidence quotemake_evidence(EVP_PKEY *key, const struct eventlog *log, const char *nonce);

#endif

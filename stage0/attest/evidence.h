/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE0_ATTEST_EVIDENCE_H
#define STAGE0_ATTEST_EVIDENCE_H

#include "common/str.h"
#include "common/uuid.h"
#include "stage0/attest/quote.h"

/*
 * The files that evidence is handed over in.
 *
 * Of a pod:   {"kind":"tripod-quote","version":1,"pod":UUID,
 *              "nonce":HEX,"quoted":B64,"signature":B64,"public":B64,"pcrs":{...},
 *              "eventlog":B64,"certificates":PEM,"endorsement":PEM}
 * Of a host:  {"kind":"tripod-host-quote","version":1,
 *              "nonce",...,"pcrs" as above,"start":HEX,"records":[TEXT,...]}
 *
 * certificates: of the pod's key, then of who issued it, and so on; endorsement: of the TPM's own
 * key. Both may be absent. start is the value the host's PCR 15 (SHA-256) had before records, each
 * of which was extended into it: PCR = H(PCR || H(record)). Records that are not about the pod are
 * there as their digests, 64 hexadecimal digits: what else the host runs is nobody's business.
 */

#define EVIDENCE_PEM_MAX     (64 << 10) /* bytes: some ten certificates */
#define EVIDENCE_RECORDS_MAX 4096	/* records of a host */
#define HOST_PCR	     15		/* the one rkt's records go to */

struct evidence {
	char pod[UUID_TEXT_LEN + 1];
	struct quote quote;
	struct bytes log;
	char *certificates; /* or NULL */
	char *endorsement;  /* or NULL */
};

struct host_evidence {
	struct quote quote;
	uint8_t start[SHA256_SIZE];
	struct strv records;
};

int evidence_parse(const char *text, size_t len, struct evidence *ret, struct error *err)
	__attribute__((nonnull));
struct json_object *evidence_json(const struct evidence *evidence) __attribute__((nonnull));
void evidence_free(struct evidence *evidence) __attribute__((nonnull));

int host_evidence_parse(const char *text, size_t len, struct host_evidence *ret, struct error *err)
	__attribute__((nonnull));
struct json_object *host_evidence_json(const struct host_evidence *evidence)
	__attribute__((nonnull));
void host_evidence_free(struct host_evidence *evidence) __attribute__((nonnull));

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE0_ATTEST_HOST_TPM_H
#define STAGE0_ATTEST_HOST_TPM_H

#include "stage0/attest/evidence.h"

/*
 * The host's own TPM, through tpm2-tss: what is launched is recorded in its PCR 15, so that a quote
 * of the host, whose other PCRs say what firmware and kernel it runs, speaks for its pods too.
 * A TPM may not answer: to be called by child_call().
 */

#define HOST_TPM_DEFAULT "device:/dev/tpmrm0" /* the kernel's resource manager */

enum host_tpm_use {
	HOST_TPM_OFF,
	HOST_TPM_AUTO, /* when there is one; what fails is a warning */
	HOST_TPM_ON,
};

struct host_tpm;

/* "auto", "on" or "off", of --host-tpm. */
int host_tpm_use_parse(const char *text, enum host_tpm_use *ret, struct error *err)
	__attribute__((nonnull));

/* Whether there may be one. -ENOENT: the default's device is not there, or not for this user. */
int host_tpm_find(const char *tcti, struct error *err) __attribute__((nonnull(2)));

/*
 * Connect by a TCTI configuration ("device:/dev/tpmrm0", "swtpm:port=..."; NULL: the default).
 */
int host_tpm_open(const char *tcti, struct host_tpm **ret, struct error *err)
	__attribute__((nonnull(2, 3)));
void host_tpm_free(struct host_tpm *tpm); /* NULL is fine */
static inline void host_tpm_freep(struct host_tpm **tpm)
{
	host_tpm_free(*tpm);
}
#define cleanup_host_tpm cleanup(host_tpm_freep)

/*
 * Extend PCR 15, in every active bank, by a record, and remember its digest in the data directory:
 * without the digests the PCR's value tells nobody anything. One process at a time does so.
 */
int host_tpm_record(struct host_tpm *tpm, const char *data_dir, const char *record,
		    struct error *err) __attribute__((nonnull));

/*
 * The host's quote over nonce, with what explains its PCR 15. Of the remembered records those whose
 * text is in texts are given as text. *ret is the caller's to free.
 */
int host_tpm_quote(struct host_tpm *tpm, const char *data_dir, const struct bytes *nonce,
		   const struct strv *texts, struct host_evidence *ret, struct error *err)
	__attribute__((nonnull));

#endif

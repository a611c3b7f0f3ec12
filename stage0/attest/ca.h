/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE0_ATTEST_CA_H
#define STAGE0_ATTEST_CA_H

#include "stage0/attest/quote.h"
#include "stage0/pod.h"

/*
 * A local certificate authority for the TPMs of pods: a directory as swtpm_localca(8) keeps one,
 * made by it when it is empty. It signs the endorsement keys of the TPMs that swtpm_setup(8)
 * makes, and, on our side, the keys that quote.
 *
 * In the pod's directory: tpm-state/, the TPM as it was made, and tpm-ca/, where the authority is
 * and the certificates of the endorsement keys.
 */

#define CA_SETUP_TIMEOUT_MS                                                                        \
	60000 /* usual is below a second; the first makes the authority's keys */

/* Make the pod's TPM with certified endorsement keys. dir: the authority's directory. */
int ca_make_tpm(const char *dir, const struct pods *pods, const struct pod *pod, struct error *err)
	__attribute__((nonnull));

/*
 * Certificates for evidence, in PEM: one of the quote's key, made now and valid for a day, followed
 * by the authority's own; and those of the endorsement keys. Both NULL when the pod's TPM was not
 * made with an authority. The caller frees them.
 */
int ca_certificates(const struct pod *pod, const struct quote *quote, char **ret_certificates,
		    char **ret_endorsement, struct error *err) __attribute__((nonnull));

#endif

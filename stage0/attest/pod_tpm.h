/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE0_ATTEST_POD_TPM_H
#define STAGE0_ATTEST_POD_TPM_H

#include "common/json.h"
#include "stage0/attest/evidence.h"
#include "stage0/pod.h"

/*
 * What a launch says about TPMs: the pod's own, which stage1 makes and measures into
 * (docs/measurement.md), and the host's, which records the launch.
 */

struct tpm_options {
	char *tpm; /* auto, on, off */
	char *ca;
	char *required; /* --require-measured */
	char *host;	/* --host-tpm: auto, on, off */
	char *host_tcti;
};

/* The words, and that they go together. */
int tpm_options_check(const struct tpm_options *options, struct error *err)
	__attribute__((nonnull));

/* Write the pod's files tpm, require-measured and tpm-state/. */
int pod_tpm_write(const struct tpm_options *options, const struct pods *pods, const struct pod *pod,
		  struct error *err) __attribute__((nonnull));

/*
 * Record a launch in the host's TPM: rkt's record (rkt-behaviour 10.1), of the pod's manifest (NULL:
 * it was prepared before) and stage1's arguments. With --host-tpm=auto what fails is a warning in
 * *ret_warning, which the caller frees; NULL when there is none.
 */
int pod_tpm_record(const struct tpm_options *options, const struct pods *pods,
		   const struct pod *pod, struct json_object *manifest, const struct strv *argv,
		   char **ret_warning, struct error *err)
	__attribute__((nonnull(1, 2, 3, 5, 6, 7)));

/*
 * Have the host's TPM vouch for the key of a pod's quote: record its Name, once, and with ret give
 * the host's own quote over the same nonce. Nothing is done for a pod whose launch was not recorded,
 * which is an error when ret is given or with --host-tpm=on. *ret_warning as above.
 */
int pod_tpm_vouch(const struct tpm_options *options, const struct pods *pods, const struct pod *pod,
		  const struct quote *quote, struct host_evidence *ret, char **ret_warning,
		  struct error *err) __attribute__((nonnull(1, 2, 3, 4, 6, 7)));

/*
 * The PCR values of the pod's launch: what its event log gives. -ENOENT: there is none.
 */
int pod_tpm_pcrs(const struct pod *pod, struct pcr_set *ret, struct error *err)
	__attribute__((nonnull));

#endif

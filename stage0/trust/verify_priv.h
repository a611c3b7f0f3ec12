/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE0_TRUST_VERIFY_PRIV_H
#define STAGE0_TRUST_VERIFY_PRIV_H

#include "stage0/trust/openpgp.h"
#include "stage0/trust/verify.h"

/* What the confined child works on, and its two steps (confine.h). arg is a struct verify_job,
 * result a struct signers. */
struct verify_job {
	struct rnp rnp;
	const struct keyring *keys;
	const void *signature;
	size_t len;
	int fd;	     /* the bytes that were signed, until the end of file; -1: none */
	bool failed; /* reading them */
};

int verify_child_prepare(void *arg, struct error *err) __attribute__((nonnull));
int verify_child_run(void *arg, void *result, struct error *err) __attribute__((nonnull));

/* What the signatures say of themselves and of their keys; none is valid, for want of bytes. */
int verify_signers(const struct keyring *keys, const void *signature, size_t len,
		   struct signers *ret, struct error *err) __attribute__((nonnull));

#endif

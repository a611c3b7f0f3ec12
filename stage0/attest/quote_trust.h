/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE0_ATTEST_QUOTE_TRUST_H
#define STAGE0_ATTEST_QUOTE_TRUST_H

#include "stage0/attest/evidence.h"

/* Who says that a quote's key is the key of a TPM. */

/* The key has this Name (hexadecimal). */
int quote_trust_name(const struct quote *quote, const char *name, struct error *err)
	__attribute__((nonnull));

/* The key is the one in a file: SubjectPublicKeyInfo in PEM, or TPM2B_PUBLIC. */
int quote_trust_key(const struct quote *quote, const char *file, size_t len, struct error *err)
	__attribute__((nonnull));

/*
 * The first of certificates (PEM) is the key's and names the pod as its subject, and the others lead
 * from it to one in roots (PEM).
 */
int quote_trust_certificates(const struct quote *quote, const char *pod, const char *certificates,
			     const char *roots, struct error *err)
	__attribute__((nonnull(1, 2, 4, 5)));

#endif

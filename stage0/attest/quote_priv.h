/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE0_ATTEST_QUOTE_PRIV_H
#define STAGE0_ATTEST_QUOTE_PRIV_H

#include "common/hash.h"
#include "stage0/attest/quote.h"

/* For quote_verify() and the fuzz target, which can sign nothing. */

/* What was signed: a quote that answers nonce, of the PCR values that came with it. */
int quote_check_quoted(const struct quote *quote, enum hash_alg alg, const void *nonce,
		       size_t nonce_len, struct error *err) __attribute__((nonnull));

#endif

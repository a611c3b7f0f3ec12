/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE0_REVIEW_H
#define STAGE0_REVIEW_H

#include "stage0/trust/keystore.h"

/* Whether there is a terminal to ask on: stdin and stderr both are one. */
bool review_on_terminal(void);

/*
 * Show a key on stderr and ask on the terminal whether to trust it: struct key_import's review, for
 * commands. priv is a string with what to do where there is no terminal.
 */
int review_key(void *priv, const struct public_key *key, const char *prefix, const char *location,
	       struct error *err) __attribute__((nonnull(1, 2, 4, 5)));

#endif

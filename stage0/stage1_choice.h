/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE0_STAGE1_CHOICE_H
#define STAGE0_STAGE1_CHOICE_H

#include "common/error.h"
#include "common/str.h"
#include "stage0/fetching.h"

/* Which stage1 image a pod is run with (rkt-behaviour 5.8). */

/* What the --stage1-... options say; at most one of them, once. */
struct stage1_choice {
	struct strv from_dir, hash, name, path, url;
};

int stage1_choice_check(const struct stage1_choice *choice, struct error *err)
	__attribute__((nonnull));

/*
 * Have the image in the store: the chosen one, else the configured one, else the one beside our own
 * program. What an administrator put where stage1 images are needs no signature. *ret_what, the
 * caller's, is what it was found as.
 */
int stage1_choose(const struct stage1_choice *choice, struct fetching *fetching, bool as_rkt,
		  char **ret_what, char ret_key[IMAGE_KEY_LEN + 1], struct error *err)
	__attribute__((nonnull));

#endif

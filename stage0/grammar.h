/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE0_GRAMMAR_H
#define STAGE0_GRAMMAR_H

#include <stddef.h>

#include "common/error.h"
#include "common/str.h"
#include "stage0/options.h"
#include "stage0/pod_manifest.h"

/*
 * The words after a command that takes images (rkt-behaviour 2.2):
 * "IMAGE [flags] -- ARGS --- IMAGE ...".
 */

struct image_list {
	struct app_request *v;
	size_t n;
};

#define IMAGE_LIST_INIT                                                                            \
	{                                                                                          \
		.v = NULL                                                                          \
	}

/*
 * Read the words into images; flags that belong to the command go to the sets. The first set's
 * table is the one that has the images' own options too.
 */
int grammar_parse(const struct strv *words, const struct option_set *sets, size_t nsets,
		  struct image_list *ret, struct error *err) __attribute__((nonnull));

/* Free what grammar_parse() made, also when it failed. */
void image_list_free(struct image_list *images, const struct option *table)
	__attribute__((nonnull));

#endif

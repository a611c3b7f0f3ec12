/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE0_RATE_H
#define STAGE0_RATE_H

#include <stddef.h>
#include <stdint.h>

#include "common/error.h"
#include "stage0/pod.h"

/*
 * What --net-rate and --disk-rate say: "10M", or "bytes=10M,packets=5k,in-bytes=1Mi". A rate is a
 * quantity (common/quantity.h) a second. Which words there are, and which of the numbers each one
 * sets, is the option's; a quantity without a word is the first word's.
 */

#define RATES_MAX 4

struct rate_word {
	const char *name;
	unsigned mask; /* bit i: it sets ret[i] */
};

struct rate_grammar {
	const char *option; /* with its dashes, for messages */
	const char *file;   /* in the pod's directory: RATES_MAX numbers at most, 0 for no limit */
	unsigned n;	    /* numbers there are, up to RATES_MAX */
	const struct rate_word *words;
	size_t nwords;
};

extern const struct rate_grammar net_rate;  /* in-bytes, in-packets, out-bytes, out-packets */
extern const struct rate_grammar disk_rate; /* bytes, ops */

/* ret: grammar->n numbers a second, 0 where nothing was said. A number said twice is -EEXIST. */
int rate_parse(const struct rate_grammar *grammar, const char *text, uint64_t *ret,
	       struct error *err) __attribute__((nonnull));

/*
 * Leave what text says (NULL: nothing was) to stage1: vmm/pod_rate.h reads it. Replaces what a launch
 * that failed may have left.
 */
int rate_write(const struct rate_grammar *grammar, const char *text, const struct pod *pod,
	       struct error *err) __attribute__((nonnull(1, 3, 4)));

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE0_MDS_H
#define STAGE0_MDS_H

#include "common/error.h"
#include "stage0/pod.h"

/*
 * Registration of a pod with the metadata service (docs/metadata.md), which is the pod's own: there is
 * a token for its URL, and the key with which the pods of a data directory sign and verify.
 */

#define MDS_TOKEN_LEN 32 /* hexadecimal digits: 16 random bytes */
#define MDS_KEY_SIZE  64 /* bytes */

#define MDS_KEY_FILE "mds-key"	      /* in the data directory, made when it is first wanted */
#define MDS_POD_FILE "mds-registered" /* in a pod's: a copy (rkt-behaviour 4.4) */

void mds_make_token(char ret[MDS_TOKEN_LEN + 1]) __attribute__((nonnull));

/* Give the pod its copy of the data directory's key. */
int mds_register(const struct pods *pods, const struct pod *pod, struct error *err)
	__attribute__((nonnull));

#endif

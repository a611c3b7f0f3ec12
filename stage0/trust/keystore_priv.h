/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE0_TRUST_KEYSTORE_PRIV_H
#define STAGE0_TRUST_KEYSTORE_PRIV_H

#include "stage0/trust/keystore.h"

#define KEYRING_FILES_MAX 4096	     /* of a whole keystore */
#define KEYRING_BYTES_MAX (64 << 20) /* of all its files together */
#define KEYRING_DEPTH_MAX 64	     /* components of a prefix */

/* A key file. Sorted in the order of 10.1: later files replace earlier ones for a name. */
struct key_file {
	unsigned stage; /* system root, local root, system prefix, local prefix */
	char *prefix;	/* "": every name */
	char *name;	/* of the file: the fingerprint */
	char *path;	/* for messages */
	char *bytes;	/* of no length: takes the key away */
	size_t len;
	char *fault; /* why it can not be used, or NULL */
};

struct keyring {
	struct key_file *file;
	size_t n;
	size_t bytes;	     /* of all files */
	bool reject_expired; /* keys that have expired since they signed */
};

/*
 * The files that count for name, as indexes in keyring->file; without masks. *ret holds at least
 * keyring->n of them. Returns how many.
 */
size_t keyring_select(const struct keyring *keyring, const char *name, size_t *ret)
	__attribute__((nonnull));

#endif

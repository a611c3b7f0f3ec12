/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE0_TRUST_KEYSTORE_H
#define STAGE0_TRUST_KEYSTORE_H

#include <stdbool.h>
#include <stddef.h>

#include "common/error.h"
#include "common/str.h"
#include "stage0/config.h"

/*
 * The keys whose signatures count, and for which image names (images.md 10.1): armoured public keys
 * in files named by fingerprint,
 *
 *   CONFIG/trustedkeys/root.d/FINGERPRINT            for every name
 *   CONFIG/trustedkeys/prefix.d/PREFIX/FINGERPRINT   for names under PREFIX, by whole components
 *
 * below two configuration directories: the system's, then the local one (the user's has no keys, and
 * new ones go to the local one). For a name, a later file
 * takes the place of an earlier one with the same fingerprint; an empty one takes it away.
 */

#define FINGERPRINT_HEX 40	  /* digits of a version 4 key's fingerprint */
#define KEY_FILE_MAX	(1 << 20) /* bytes of a key file (images.md 27) */

struct keyring; /* the files of a keystore, in memory */

/*
 * Whether text can be a prefix of image names, or an image name: path components separated by
 * single slashes, of a-z 0-9 . _ ~ - (never "." or ".."); the first may end in :PORT.
 */
bool keystore_name_is_valid(const char *text) __attribute__((nonnull));

/*
 * Read the keys for one name, or with NULL all keys (for an image whose name is not known before
 * its manifest is), or with "" those that are for all names (for what has no name). Only the files are read here; what is in them is looked at in the confined
 * child of verify.h. The caller frees *ret.
 */
int keyring_load(const struct config_dirs *dirs, const char *name, struct keyring **ret,
		 struct error *err) __attribute__((nonnull(1, 3, 4)));
void keyring_free(struct keyring *keyring);
static inline void keyring_freep(struct keyring **keyring)
{
	keyring_free(*keyring);
}
#define cleanup_keyring cleanup(keyring_freep)

/* Fingerprints trusted for name: of a keyring loaded for that name, or of one with all keys. */
void keyring_fingerprints(const struct keyring *keyring, const char *name, struct strv *ret)
	__attribute__((nonnull));

/* Whether a key counts for name by a prefix of it, and not for being one for all names. */
bool keyring_has_prefix_of(const struct keyring *keyring, const char *name)
	__attribute__((nonnull));

/* One public key, as public_key_parse() found it in a file. All text is the key's own: escape it. */
struct public_key {
	char fingerprint[FINGERPRINT_HEX + 1]; /* lower case */
	struct strv subkeys;		       /* fingerprints, lower case */
	struct strv user_ids;
	bool revoked, expired;
	char *armoured; /* what a key file holds */
};

void public_key_free(struct public_key *key) __attribute__((nonnull));
#define PUBLIC_KEY_INIT                                                                            \
	{                                                                                          \
		.fingerprint = ""                                                                  \
	}
#define cleanup_public_key cleanup(public_key_free)

/*
 * Parse a key file, armoured or binary, in a confined child: exactly one public key, nothing
 * secret. what names it in messages. The caller frees *ret.
 */
int public_key_parse(const void *bytes, size_t len, const char *what, struct public_key *ret,
		     struct error *err) __attribute__((nonnull));

/*
 * Trust the key for names under prefix, or for all names with NULL. Written aside and renamed.
 * *ret_path, the file, is the caller's.
 */
int keystore_add(const struct config_dirs *dirs, const char *prefix, const struct public_key *key,
		 char **ret_path, struct error *err) __attribute__((nonnull(1, 3, 4, 5)));

#endif

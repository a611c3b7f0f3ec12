/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_UNIT_TRUSTMAKE_H
#define TESTS_UNIT_TRUSTMAKE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"
#include "stage0/trust/keystore.h"
#include "tests/unit/scratch.h"

/* Keystores made of the keys in tests/trust, for tests of what is trusted. */

struct trust_world {
	struct scratch *scratch;
	struct config_dirs dirs;
	char system[80], local[80];
};

/* Two empty configuration directories below *state, a struct scratch. */
void trust_world_init(struct trust_world *world, void **state);

/* The bytes of a file of tests/trust; the caller frees them. */
char *trust_fixture(const char *name, size_t *ret_len);

/* Trust the key of such a file for a prefix, or with NULL for all names. */
void trust_key(const struct config_dirs *dirs, const char *prefix, const char *key_file);

/* Write a file below the scratch directory, with the bytes of a fixture, or empty with NULL. */
void trust_put(const struct trust_world *world, const char *path, const char *fixture_name);
/* The same into dir, named by the fingerprint of the key in the file of. */
void trust_put_key(const struct trust_world *world, const char *dir, const char *of,
		   const char *content);
void trust_fingerprint(const char *key_file, char ret[FINGERPRINT_HEX + 1]);

/*
 * The whole way of an image from a file: verify, then decide for name. whole_store: with all keys
 * loaded, as when the name is not known before.
 */
int trust_check(const struct trust_world *world, const char *signature_file, const char *data_file,
		const char *name, bool whole_store, char **ret_warning, struct error *err);

/* A growing piece of OpenPGP. */
struct trust_bytes {
	uint8_t *p;
	size_t len;
};
void trust_add(struct trust_bytes *bytes, const void *p, size_t len);

#endif

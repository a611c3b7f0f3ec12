/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_UNIT_STOREMAKE_H
#define TESTS_UNIT_STOREMAKE_H

#include "stage0/image/store.h"
#include "tests/unit/scratch.h"
#include "tests/unit/tarmake.h"

/* Stores and images to test with. All of it fails the test when it can not be done. */

/* The store "data" of the scratch directory. The caller closes it. */
struct store *storemake_open(const struct scratch *scratch);

/*
 * Import an ACI: its name, more of its manifest (beginning with a comma, or ""), and its entries as
 * words: "f:path", "d:path", "l:path>target", "h:path>target". A file holds the image's name.
 */
void storemake_image(struct store *store, const char *name, const char *more, const char *words,
		     char key[IMAGE_KEY_LEN + 1]);

/*
 * An image of several layers, each a letter of layers: "ab" and "bc" share one. The layers have no
 * content.
 */
void storemake_layered(struct store *store, const char *name, const char *layers,
		       char key[IMAGE_KEY_LEN + 1]);
/* The key of the layer of that letter. */
void storemake_layer_key(char letter, char key[IMAGE_KEY_LEN + 1]);

/*
 * An ACI of every kind of entry; big adds a file of so many bytes that do not compress. The caller
 * frees it. To import it, or try to: 0 or a negative errno.
 */
struct tarmake storemake_aci(size_t big);
void storemake_import(struct store *store, const struct tarmake *tar, char key[IMAGE_KEY_LEN + 1]);
int storemake_try_import(struct store *store, const struct tarmake *tar,
			 char key[IMAGE_KEY_LEN + 1], struct error *err);

/* The key an ACI of these bytes has. */
void storemake_key_of(const struct tarmake *tar, char key[IMAGE_KEY_LEN + 1]);

/* An image of these layers, base first. */
void storemake_oci(struct store *store, const char *name, const struct tarmake *layers, size_t n,
		   char key[IMAGE_KEY_LEN + 1]);

/* How many entries a directory below cas has; 0 also when it is not there. */
unsigned storemake_count(struct store *store, const char *path);
/* Whether there is something at a path below cas. */
bool storemake_has(struct store *store, const char *path);

#endif

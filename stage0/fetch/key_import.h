/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE0_FETCH_KEY_IMPORT_H
#define STAGE0_FETCH_KEY_IMPORT_H

#include <stdbool.h>

#include "common/error.h"
#include "stage0/trust/keystore.h"
#include "stage0/fetch/web_get.h"

/* Getting keys from files and servers into the keystore (rkt-behaviour 2.7, images.md 10.2). */

struct key_import {
	const struct config_dirs *dirs;
	const struct trust_web *web; /* also for discovery */
	/*
	 * Whether to trust the key of location for names under prefix (NULL: all names). 0: yes. -EPERM: no.
	 * NULL: keys are trusted as they come.
	 */
	int (*review)(void *priv, const struct public_key *key, const char *prefix,
		      const char *location, struct error *err);
	void *review_priv;
	bool review_no_https; /* what comes by https, all the way, needs no review */
	void *priv;
	void (*info)(void *priv, const char *line);  /* what was done; may be NULL */
	void (*debug)(void *priv, const char *line); /* what discovery did; may be NULL */
};

/* Trust the key of a file or URL. prefix NULL: for all names. */
int key_import(const struct key_import *import, const char *prefix, const char *location,
	       struct error *err) __attribute__((nonnull(1, 3, 4)));

/* Trust the keys that discovery finds for a prefix. -ENOENT: it finds none. */
int key_import_discovered(const struct key_import *import, const char *prefix, struct error *err)
	__attribute__((nonnull));

/*
 * For the fetch of an image by name: the same, but when a prefix of the name has keys already only
 * say so.
 */
int key_import_missing(const struct key_import *import, const char *name, struct error *err)
	__attribute__((nonnull));

#endif

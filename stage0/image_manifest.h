/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE0_IMAGE_MANIFEST_H
#define STAGE0_IMAGE_MANIFEST_H

#include <stddef.h>

#include "common/error.h"
#include "common/json.h"
#include "common/str.h"

/*
 * appc image manifests: read, check, normalise (images.md 2, 11). A checked document has every key
 * in the specification's spelling, so the rest of stage0 reads it with plain json_get_...().
 */

/*
 * Parse and check. *ret is the normalised document, the caller's to put. warnings gets a line for
 * everything that is accepted but odd or ignored.
 */
int image_manifest_parse(const char *text, size_t len, struct json_object **ret,
			 struct strv *warnings, struct error *err) __attribute__((nonnull));

/* Check and normalise a parsed document in place. NULL is what JSON's null is parsed to. */
int image_manifest_check(struct json_object *doc, struct strv *warnings, struct error *err)
	__attribute__((nonnull(2, 3)));

/* Check and normalise an app section, of an image or of a pod manifest. */
int app_check(struct json_object *app, struct strv *warnings, struct error *err)
	__attribute__((nonnull));

/*
 * A {name, value} list's value of name (the last one), or NULL. list may be NULL, and what is in it
 * anything.
 */
const char *namevals_get(struct json_object *list, const char *name);
/* A label's or annotation's value in a checked manifest, or NULL. */
const char *image_manifest_label(struct json_object *doc, const char *name);
const char *image_manifest_annotation(struct json_object *doc, const char *name);

/*
 * Whether a checked image can run here: os and arch labels must be there and be ours
 * (rkt-behaviour 12).
 */
int image_manifest_runnable(struct json_object *doc, struct error *err) __attribute__((nonnull));

#endif

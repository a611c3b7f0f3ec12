/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE0_POD_FILE_H
#define STAGE0_POD_FILE_H

#include "common/error.h"
#include "common/json.h"
#include "common/str.h"
#include "stage0/image/store.h"
#include "stage0/pod_manifest.h"

/* A pod manifest that somebody else wrote: --pod-manifest (rkt-behaviour 7.1; images.md 5). */

/* Read and check what needs no image. It may have no apps. The caller puts *ret. */
int pod_file_read(const char *path, struct json_object **ret, struct error *err)
	__attribute__((nonnull));

/*
 * The key of the image in the store that app number n of a document of pod_file_read() is made of, and
 * the app's name. -ENOENT: there is no such image.
 */
int pod_file_image(struct json_object *doc, size_t n, struct store *store, struct pod_app *app,
		   struct error *err) __attribute__((nonnull));

/*
 * Complete that app by its image, whose checked manifest and key are in app: an app section where
 * there is none, the image's annotations under its own, the image's ID. warnings gets a line for
 * what is odd.
 */
int pod_file_complete(struct json_object *doc, size_t n, const struct pod_app *app,
		      struct strv *warnings, struct error *err) __attribute__((nonnull));

#endif

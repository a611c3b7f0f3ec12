/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMM_METADATA_H
#define VMM_METADATA_H

#include <stddef.h>
#include <stdint.h>

#include "common/error.h"
#include "common/str.h"
#include "vmm/metadata_http.h"

/*
 * The appc metadata service of one pod (images.md section 8): what there is to say, and the answer to
 * a request. A function of its inputs, without files, sockets or time.
 */

#define METADATA_KEY_SIZE 64 /* bytes */

/* An app's image manifest, in the order of the pod manifest's apps. NULL: it is not known. */
struct metadata_image {
	const char *text;
	size_t len;
};

struct metadata_config {
	const char *uuid;  /* of the pod */
	const char *token; /* first part of every path */
	const uint8_t
		*key;	 /* METADATA_KEY_SIZE bytes, the same for all pods that trust each other */
	const char *pod; /* the pod's manifest, as it is in its directory */
	size_t pod_len;
	const struct metadata_image *images;
	size_t nimages;
};

struct metadata;

/* Nothing of config is used afterwards. metadata_free() *ret. */
int metadata_new(const struct metadata_config *config, struct metadata **ret, struct error *err)
	__attribute__((nonnull));
void metadata_free(struct metadata *md);

/*
 * An app has come into the pod, whose manifest is now this one: its paths are served, whatever an app of
 * that name had before. On failure nothing has changed.
 */
int metadata_add_app(struct metadata *md, const char *name, const char *pod, size_t pod_len,
		     const struct metadata_image *image, struct error *err)
	__attribute__((nonnull));
/* It has gone: from the manifest, too. */
void metadata_remove_app(struct metadata *md, const char *name) __attribute__((nonnull));

/* Append the whole response to a request. */
void metadata_answer(const struct metadata *md, const struct mdhttp_request *request,
		     struct str *out) __attribute__((nonnull));

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE0_IMAGE_OCI_CONFIG_H
#define STAGE0_IMAGE_OCI_CONFIG_H

#include <json-c/json.h>

#include "common/error.h"
#include "common/str.h"

/* Where an image came from; NULL for what is not known. */
struct oci_source {
	const char *name;     /* becomes the ACI's name, sanitised: HOST/REPOSITORY */
	const char *original; /* as the user wrote it */
	const char *registry; /* host */
	const char *repository;
	const char *tag;	     /* becomes the label "version" */
	const char *manifest_digest; /* "sha256:..." */
	const char *config_digest;
};

/*
 * The appc image manifest of an OCI or Docker image: what its config says, in appc's words
 * (spec/images.md 17). *ret is the caller's to put. What can not be said in appc is left out with a
 * warning. -EBADMSG: the config is wrong.
 */
int oci_config_convert(struct json_object *config, const struct oci_source *source,
		       struct json_object **ret, struct strv *warnings, struct error *err)
	__attribute__((nonnull(2, 3, 4, 5)));

#endif

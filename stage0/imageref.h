/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE0_IMAGEREF_H
#define STAGE0_IMAGEREF_H

#include "common/error.h"
#include "common/str.h"
#include "stage0/image/store.h"

/* From what a user calls an image to its key in the store. */

enum imageref_kind {
	IMAGEREF_ACI,		 /* the file path */
	IMAGEREF_OCI,		 /* in the OCI image layout path, the image called name */
	IMAGEREF_OCI_ARCHIVE,	 /* the same in a tar file */
	IMAGEREF_DOCKER_ARCHIVE, /* in what docker save wrote, the image called name */
};

struct imageref {
	enum imageref_kind kind;
	char *path; /* owned */
	char *name; /* owned; NULL: the only image of the layout */
};

/*
 * What a reference means (images.md 12.1): a local ACI, oci:DIR[:NAME], oci-archive:FILE[:NAME] or
 * docker-archive:FILE[:NAME[:TAG]]. An error that names the
 * reference when it is neither. The caller frees *ret.
 */
int imageref_parse(const char *text, struct imageref *ret, struct error *err)
	__attribute__((nonnull));
void imageref_free(struct imageref *ref) __attribute__((nonnull));

/*
 * The store key of the image, imported unless the store has it. warnings gets a line for each thing
 * the image asks for that can not be kept.
 */
int imageref_import(struct store *store, const struct imageref *ref,
		    char ret_key[IMAGE_KEY_LEN + 1], struct strv *warnings, struct error *err)
	__attribute__((nonnull));

/* The same for the ACI at path, which is no reference: stage1 images. */
int imageref_import_aci(struct store *store, const char *path, char ret_key[IMAGE_KEY_LEN + 1],
			struct error *err) __attribute__((nonnull));

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE0_IMAGEREF_H
#define STAGE0_IMAGEREF_H

#include <stdbool.h>

#include "common/error.h"
#include "common/json.h"
#include "common/str.h"
#include "stage0/image/store.h"

/* What a user calls an image (images.md 12.1). fetch.h has it brought into the store. */

enum imageref_kind {
	IMAGEREF_FILE,		 /* the ACI in the file path */
	IMAGEREF_URL,		 /* the ACI at the http or https URL path */
	IMAGEREF_NAME,		 /* the image called path with these labels */
	IMAGEREF_ID,		 /* the image in the store whose ID begins with path */
	IMAGEREF_DOCKER,	 /* the registry image path, see fetch/dockerref.h */
	IMAGEREF_OCI,		 /* in the OCI image layout path, the image called name */
	IMAGEREF_OCI_ARCHIVE,	 /* the same in the archive path */
	IMAGEREF_DOCKER_ARCHIVE, /* in what "docker save" wrote to path, the image called name */
};

struct imageref {
	enum imageref_kind kind;
	char *path;		    /* owned */
	char *name;		    /* owned; NULL: the only image of the layout or archive */
	struct json_object *labels; /* of a name: an array of {name, value}, os and arch always */
	bool any_os, any_arch;	    /* they are this host's because nobody asked for others */
};
#define IMAGEREF_INIT                                                                              \
	{                                                                                          \
		.path = NULL                                                                       \
	}

/*
 * What a reference means. -EINVAL when it means nothing, with a message that names it. Whether a
 * file is there decides between a file and a name. The caller frees *ret.
 */
int imageref_parse(const char *text, struct imageref *ret, struct error *err)
	__attribute__((nonnull));
/* The same for what must be NAME[:VERSION][,LABEL=VALUE]... */
int imageref_parse_name(const char *text, struct imageref *ret, struct error *err)
	__attribute__((nonnull));
/* The value of a name's label, or NULL. */
const char *imageref_label(const struct imageref *ref, const char *label) __attribute__((nonnull));
void imageref_free(struct imageref *ref) __attribute__((nonnull));
#define cleanup_imageref cleanup(imageref_free)

/* A name and what labels there are ({name, value}, or NULL), completed as those of a reference. */
int imageref_from_name(const char *name, struct json_object *labels, struct imageref *ret,
		       struct error *err) __attribute__((nonnull(1, 3, 4)));

/*
 * The store key of the ACI at path, which is no reference but a file known to be ours: stage1
 * images. Imported unless the store has it.
 */
int imageref_import_aci(struct store *store, const char *path, char ret_key[IMAGE_KEY_LEN + 1],
			struct error *err) __attribute__((nonnull));

#endif

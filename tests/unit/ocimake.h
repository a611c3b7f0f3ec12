/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_UNIT_OCIMAKE_H
#define TESTS_UNIT_OCIMAKE_H

#include <stddef.h>

#include "common/hash.h"
#include "tests/unit/scratch.h"

/* OCI image layouts made by hand. */

#define INDEX_TYPE    "application/vnd.oci.image.index.v1+json"
#define MANIFEST_TYPE "application/vnd.oci.image.manifest.v1+json"
#define CONFIG_TYPE   "application/vnd.oci.image.config.v1+json"
#define LAYER_TYPE    "application/vnd.oci.image.layer.v1.tar+gzip"
#define PLATFORM      "{\"os\":\"linux\",\"architecture\":\"" ARCH "\"}"
#ifdef __aarch64__
#define ARCH "arm64"
#else
#define ARCH "amd64"
#endif

/* A layout being built in the scratch directory's "oci". */
struct layout {
	int fd;
	char path[80];
	char layers[4096], diff_ids[4096]; /* JSON lists without their brackets */
};

void put(int dir, const char *name, const void *bytes, size_t len);
void sha256(const void *bytes, size_t len, char hex[HASH_HEX_MAX]);
/* Add a blob; its descriptor as JSON is the caller's. */
char *blob(struct layout *layout, const char *type, const void *bytes, size_t len);
struct layout new_layout(const struct scratch *scratch);
/* Append to a JSON list without brackets. */
void append(char *list, size_t size, const char *item);
/* Add a layer of files ("path" holds its own name), gzipped; whiteouts are files like others. */
void add_layer(struct layout *layout, const char *const *files);
/* The manifest of the layers so far, as a descriptor. The caller frees it. */
char *finish(struct layout *layout, const char *cmd);
void put_index(struct layout *layout, const char *entries);

#endif

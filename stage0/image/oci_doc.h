/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE0_IMAGE_OCI_DOC_H
#define STAGE0_IMAGE_OCI_DOC_H

#include <json-c/json.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/error.h"
#include "common/hash.h"
#include "stage0/image/limits.h"
#include "stage0/image/oci_platform.h"

/* OCI and Docker documents: digests, descriptors, indexes, manifests (spec/images.md 16). */

#define OCI_DIGEST_MAX	   (8 + HASH_HEX_MAX) /* "sha512:" and its digits, with a NUL */
#define OCI_MEDIA_TYPE_MAX 256		      /* with a NUL; RFC 6838 allows 127 + 1 + 127 */

struct oci_digest {
	enum hash_alg alg;
	char hex[HASH_HEX_MAX];
};

/* sha256 and sha512 in lower-case digits; others can not be verified: -EBADMSG. */
int oci_digest_parse(const char *text, struct oci_digest *ret, struct error *err)
	__attribute__((nonnull));
void oci_digest_text(const struct oci_digest *digest, char ret[OCI_DIGEST_MAX])
	__attribute__((nonnull));
/* Whether these bytes have the digest. */
bool oci_digest_matches(const struct oci_digest *digest, const void *bytes, size_t len)
	__attribute__((nonnull));

/* The SHA-256 of these bytes. */
void oci_digest_of(const void *bytes, size_t len, struct oci_digest *ret)
	__attribute__((nonnull(3)));

/* What a descriptor's media type says it is. */
enum oci_kind {
	OCI_OTHER,
	OCI_INDEX,
	OCI_MANIFEST,
	OCI_CONFIG,
	OCI_LAYER,
};

/* What a media type says: "application/vnd.oci.image.manifest.v1+json" and the like. */
enum oci_kind oci_kind_of(const char *media_type) __attribute__((nonnull));

struct oci_desc {
	enum oci_kind kind;
	struct oci_digest digest;
	uint64_t size;
	char media_type[OCI_MEDIA_TYPE_MAX];
};

/* Here and below: the JSON may be anything, NULL (a null) too. */
int oci_desc_parse(struct json_object *obj, struct oci_desc *ret, struct error *err)
	__attribute__((nonnull(2, 3)));

struct oci_manifest {
	struct oci_desc config;
	struct oci_desc layer[IMAGE_LAYERS_MAX]; /* base first */
	size_t nlayers;
};

/*
 * What the document is: OCI_INDEX or OCI_MANIFEST. announced is what the descriptor or the server
 * said ("" or text/plain: nothing); it, the document's own mediaType and its fields must agree
 * (CVE-2021-41190). -EBADMSG: they do not, or it is a manifest of schema 1.
 */
int oci_document_kind(struct json_object *doc, const char *announced, enum oci_kind *ret,
		      struct error *err) __attribute__((nonnull(2, 3, 4)));

/* Read a manifest document. It must be nothing else besides. */
int oci_manifest_parse(struct json_object *doc, struct oci_manifest *ret, struct error *err)
	__attribute__((nonnull(2, 3)));

/* What to look for in an index. */
struct oci_wanted {
	const char *ref; /* org.opencontainers.image.ref.name, or NULL */
	const struct oci_platform *platform;
};

/*
 * Choose from an index document by the rules of 13.4: the first entry of the best variant. -ENOENT
 * with what there is when nothing fits.
 */
int oci_index_choose(struct json_object *doc, const struct oci_wanted *wanted, struct oci_desc *ret,
		     struct error *err) __attribute__((nonnull(2, 3, 4)));

/* Whether a layout's file oci-layout is one of ours. */
int oci_layout_check(const char *text, size_t len, struct error *err) __attribute__((nonnull));

/* A config's diff_ids: their number must be n. */
int oci_diff_ids(struct json_object *config, struct oci_digest *ret, size_t n, struct error *err)
	__attribute__((nonnull(4)));

#endif

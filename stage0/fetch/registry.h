/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE0_FETCH_REGISTRY_H
#define STAGE0_FETCH_REGISTRY_H

#include <stdbool.h>
#include <stdint.h>

#include "common/error.h"
#include "common/str.h"
#include "stage0/config.h"
#include "stage0/fetch/credentials.h"
#include "stage0/fetch/dockerref.h"
#include "stage0/fetch/http.h"
#include "stage0/fetch/registries.h"
#include "stage0/image/oci_origin.h"

/*
 * Images of registries (Docker Registry HTTP API v2, OCI distribution 1.1; spec/images.md 13 to
 * 15): an origin for store_import_origin().
 */

#define REGISTRY_BLOB_MAX (64 * GIB) /* bytes of a compressed blob (images.md 27) */

/*
 * What a download left behind: a file of this name in the directory registry_options.partial,
 * locked (flock, exclusive) while somebody writes to it. Whoever holds that lock may delete it;
 * gc does when it was not written to for REGISTRY_PARTIAL_AGE seconds.
 */
#define REGISTRY_PARTIAL_PREFIX "blob-" /* blob-ALGORITHM-HEX.part */
#define REGISTRY_PARTIAL_SUFFIX ".part"
#define REGISTRY_PARTIAL_AGE	(7 * 24 * 60 * 60)
/* Smaller blobs are loaded again rather than kept: that costs less than writing them twice. */
#define REGISTRY_PARTIAL_MIN (8 * MIB)

struct registry_options {
	struct http *http;		 /* the caller's until the end, like all of these */
	struct credentials *credentials; /* NULL: anonymous */
	const struct config *config;	 /* mirrors, blocked and insecure registries; may be NULL */
	const struct registries *registries; /* the same in another format; may be NULL */
	int partial;		       /* directory for partial downloads, or -1: none are kept */
	uint64_t partial_min;	       /* bytes; 0: REGISTRY_PARTIAL_MIN */
	bool allow_http, insecure_tls; /* for this registry, whatever the settings of http say */
	void *priv;		       /* for the callbacks, which may be NULL */
	/*
	 * A blob's progress, from the thread that loads it, several times a second: now bytes of
	 * total are here; the last call has done. Blobs are told apart by their digest.
	 */
	void (*progress)(void *priv, const char *digest, uint64_t now, uint64_t total, bool done);
	/*
	 * What the user should know: plain http to a loopback address, a mirror that failed, a pause
	 * before another try. From the threads of downloads, too.
	 */
	void (*warn)(void *priv, const char *line);
};

/*
 * An origin for the image ref names. Nothing is asked of the network yet. -EPERM: the registry is
 * blocked by configuration. The caller frees it (oci_origin_free()); the options are copied.
 */
int registry_open(const struct registry_options *options, const struct dockerref *ref,
		  struct oci_origin **ret, struct error *err) __attribute__((nonnull));

/*
 * What the tag (or digest) names now, by a HEAD request, which no registry counts as a pull: its
 * digest as text. -ENOENT: there is none.
 */
int registry_resolve(struct oci_origin *origin, char ret[OCI_DIGEST_MAX], struct error *err)
	__attribute__((nonnull));

#endif

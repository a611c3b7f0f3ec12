/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE0_FETCH_DOCKERREF_H
#define STAGE0_FETCH_DOCKERREF_H

#include <stdbool.h>

#include "common/error.h"
#include "stage0/image/oci_doc.h"

/* References of Docker images (spec/images.md 12.2): [HOST[:PORT]/]NAME[:TAG][@DIGEST]. */

#define DOCKERREF_NAME_MAX 255 /* domain, '/' and repository */
#define DOCKERREF_TAG_MAX  128

/* The one registry that has several names; product constants, here and nowhere else. */
#define DOCKER_HUB	    "docker.io"
#define DOCKER_HUB_INDEX    "index.docker.io"		  /* the name of its old protocol */
#define DOCKER_HUB_ENDPOINT "registry-1.docker.io"	  /* where its API is */
#define DOCKER_HUB_AUTH_KEY "https://index.docker.io/v1/" /* what credentials are stored under */
#define DOCKER_HUB_LIBRARY  "library/"
#define DOCKER_DEFAULT_TAG  "latest"

struct dockerref {
	char domain[DOCKERREF_NAME_MAX + 1];	 /* host or host:port; Hub: DOCKER_HUB */
	char repository[DOCKERREF_NAME_MAX + 1]; /* with "library/" where the Hub wants it */
	char tag[DOCKERREF_TAG_MAX + 1];	 /* "" when there is only a digest */
	char digest[OCI_DIGEST_MAX];		 /* "" or what decides */
};

/* Parse what follows docker: or docker://. -EINVAL says what is wrong. */
int dockerref_parse(const char *text, struct dockerref *ret, struct error *err)
	__attribute__((nonnull));
/* The digest or else the tag: what manifests are asked for by. */
const char *dockerref_reference(const struct dockerref *ref) __attribute__((nonnull));
/* domain/repository[:tag][@digest], complete; the caller frees it. */
char *dockerref_text(const struct dockerref *ref) __attribute__((nonnull, returns_nonnull));

/* Whether text is a host, by name, IPv4 or [IPv6], with or without a port. */
bool registry_host_valid(const char *text) __attribute__((nonnull));
/* host[:port][/path]: where repositories are, or how their names begin. */
bool registry_location_valid(const char *text) __attribute__((nonnull));
/* One name for the Hub's several; text itself for every other host. */
const char *registry_host_canonical(const char *host) __attribute__((nonnull, returns_nonnull));

#endif

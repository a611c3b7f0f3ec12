/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE0_FETCH_REGISTRY_PRIV_H
#define STAGE0_FETCH_REGISTRY_PRIV_H

#include <pthread.h>

#include "stage0/fetch/auth.h"
#include "stage0/fetch/registry.h"

/* Between the files of the registry client. */

/* One place the image may come from: the registry or a mirror of it. */
struct endpoint {
	const struct registry_options *options;
	char *host, *repository; /* as in registry_place */
	bool insecure;
	pthread_mutex_t lock; /* of what follows, until ready */
	bool ready;
	char *base; /* scheme and host of the API */
	struct auth *auth;
	bool insecure_tls, tls;
};

struct registry {
	struct oci_origin origin; /* first */
	struct registry_options options;
	struct dockerref ref;
	struct endpoint *endpoint;
	size_t nendpoints;
	pthread_mutex_t lock;
	size_t chosen; /* the first endpoint that has the image; those before have not */
};

/* The endpoint to begin with. */
size_t registry_chosen(struct registry *registry) __attribute__((nonnull));

/*
 * Ask an endpoint for what is at path below its repository ("blobs/..."), with the authorization it
 * wants. request has everything but url and authorization. Errors are http_perform()'s; a status
 * that is neither 200 nor 206 is one, too.
 */
int endpoint_perform(struct endpoint *ep, const char *path, struct http_request *request,
		     struct http_response *ret, struct error *err) __attribute__((nonnull));

int registry_open_blob(struct oci_origin *origin, const struct oci_desc *desc,
		       struct oci_stream *ret, struct error *err) __attribute__((nonnull));
int registry_close_blob(struct oci_origin *origin, struct oci_stream *stream, bool complete,
			struct error *err) __attribute__((nonnull));

/* A download's leftover, ours alone. fd -1: there is none. */
struct partial {
	int dir, fd;
	char name[sizeof(REGISTRY_PARTIAL_PREFIX) + OCI_DIGEST_MAX +
		  sizeof(REGISTRY_PARTIAL_SUFFIX)];
	uint64_t have; /* bytes that were there */
};
#define PARTIAL_INIT                                                                               \
	{                                                                                          \
		.dir = -1, .fd = -1                                                                \
	}

/*
 * Take the partial file of a blob, made if there is none. There is none either when another process
 * has it or the directory does not let us: a download works without.
 */
void partial_open(int dir, const struct oci_desc *desc, struct partial *ret)
	__attribute__((nonnull));
/* Close it; drop: it is of no use any more. */
void partial_close(struct partial *partial, bool drop) __attribute__((nonnull));

#endif

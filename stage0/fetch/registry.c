/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The client of registries: endpoints, manifests.
 *
 * Theory of operation: an image has one or more endpoints, mirrors first. The first that gives the
 * document the reference names is kept for everything else; should it lack a blob, those after it
 * are asked. An endpoint is made ready when it is first used: where plain http is acceptable (13.9)
 * TLS is tried first, and a certificate that is not accepted is never a reason to go without. What
 * is asked for needs no probe of the API's version: the answer itself is the probe.
 */
#include "stage0/fetch/registry.h"

#include <assert.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "common/json.h"
#include "common/util.h"
#include "stage0/fetch/registry_priv.h"
#include "stage0/fetch/url.h"

#define DOCUMENT_DEADLINE_MS (10 * 60 * 1000) /* longer than the longest Retry-After */
#define PROBE_DEADLINE_MS    30000

/* A token may expire while a long download is broken off, several times even. */
#define AUTHORIZATIONS_MAX 16

#define ACCEPT                                                                                     \
	"Accept: application/vnd.oci.image.index.v1+json, "                                        \
	"application/vnd.oci.image.manifest.v1+json, "                                             \
	"application/vnd.docker.distribution.manifest.list.v2+json, "                              \
	"application/vnd.docker.distribution.manifest.v2+json"

static const char *const accept_manifests[] = {ACCEPT, NULL};

static void warn(const struct registry_options *options, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

static void warn(const struct registry_options *options, const char *fmt, ...)
{
	char line[ERROR_MSG_MAX];
	va_list ap;

	if (!options->warn)
		return;
	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	options->warn(options->priv, line);
}

/* Does the endpoint speak TLS? Only asked where the answer may be no. */
static int probe(struct endpoint *ep, const char *host, struct error *err)
{
	cleanup_http_response struct http_response response = HTTP_RESPONSE_INIT;
	cleanup_free char *url = xasprintf("https://%s/v2/", host);
	struct http_request request = {
		.url = url,
		.method = "HEAD",
		.insecure_tls = ep->insecure_tls,
		.tries = 1,
		.deadline_ms = PROBE_DEADLINE_MS,
	};

	return http_perform(ep->options->http, &request, &response, err);
}

static bool no_tls(int code)
{
	return code == -EPROTO || code == -ECONNREFUSED || code == -ECONNRESET ||
	       code == -ETIMEDOUT;
}

static int make_ready(struct endpoint *ep, struct error *err)
{
	const char *host = strcmp(ep->host, DOCKER_HUB) == 0 ? DOCKER_HUB_ENDPOINT : ep->host;
	bool allowed = ep->insecure || ep->options->allow_http, loopback = host_is_loopback(host);
	struct auth_place place = {
		.http = ep->options->http,
		.credentials = ep->options->credentials,
		.host = ep->host,
		.repository = ep->repository,
		.tls = true,
	};
	struct error why = ERROR_INIT;
	int r = 0;

	ep->insecure_tls = ep->insecure || ep->options->insecure_tls;
	if (allowed || loopback)
		r = probe(ep, host, &why);
	if (r < 0 && !no_tls(r)) {
		*err = why;
		return r;
	}
	place.tls = ep->tls = r == 0;
	place.insecure_tls = ep->insecure_tls;
	ep->base = xasprintf("%s://%s", ep->tls ? "https" : "http", host);
	if (!ep->tls)
		warn(ep->options, "%s: no TLS there, going on with plain http%s", ep->host,
		     allowed ? "" : ", as it is this machine");
	return auth_new(&place, &ep->auth, err);
}

static int endpoint_ready(struct endpoint *ep, struct error *err)
{
	int r = 0;

	pthread_mutex_lock(&ep->lock);
	if (!ep->ready)
		r = make_ready(ep, err);
	ep->ready = r == 0;
	pthread_mutex_unlock(&ep->lock);
	return r;
}

static bool is_success(const struct http_response *response)
{
	return response->status == 200 || response->status == 206;
}

static void wipe(char **secret)
{
	if (*secret)
		explicit_bzero(*secret, strlen(*secret));
	free(*secret);
}

int endpoint_perform(struct endpoint *ep, const char *path, struct http_request *request,
		     struct http_response *ret, struct error *err)
{
	cleanup_free char *url = NULL;
	int r = endpoint_ready(ep, err);

	if (r < 0)
		return r;
	url = xasprintf("%s/v2/%s/%s", ep->base, ep->repository, path);
	request->url = url;
	request->allow_http = !ep->tls;
	request->insecure_tls = ep->insecure_tls;
	request->notice = ep->options->warn;
	request->notice_arg = ep->options->priv;
	for (unsigned asked = 0;; asked++) {
		cleanup(wipe) char *header = NULL;
		bool progress;

		r = auth_header(ep->auth, &header, &request->authorization_public, err);
		if (r < 0)
			break;
		request->authorization = header;
		r = http_perform(ep->options->http, request, ret, err);
		progress = r == 0 && ret->received > request->offset;
		if (r < 0 || ret->status != 401 || (asked > 0 && !progress) ||
		    asked == AUTHORIZATIONS_MAX)
			break;
		if (progress && request->immutable)
			request->offset = ret->received;
		r = auth_challenged(ep->auth, ret, header, err);
		if (r < 0)
			break;
		http_response_free(ret);
	}
	request->url = request->authorization = NULL;
	return r < 0 || is_success(ret) ? r : http_status_error(ret, err);
}

static int take(void *arg, const void *bytes, size_t len, struct error *err)
{
	(void)err;
	str_addn(arg, bytes, len);
	return 0;
}

/* Start over: a try before this one has failed. */
static int restart(void *arg, const struct http_response *response, uint64_t offset,
		   struct error *err)
{
	(void)response;
	(void)err;
	assert(offset == 0);
	str_free(arg);
	return 0;
}

/* The digest the server says its answer has, if it says one we know. */
static int check_header(const struct http_response *response, const struct str *body,
			struct error *err)
{
	const char *text = http_header(response, "docker-content-digest", 0);
	struct error ignored = ERROR_INIT;
	struct oci_digest digest;

	if (!text || oci_digest_parse(text, &digest, &ignored) < 0 ||
	    oci_digest_matches(&digest, str_get(body), body->len))
		return 0;
	return error_set(err, -EBADMSG, "%s: is not what its Docker-Content-Digest says",
			 response->final_url);
}

static int get_document(struct endpoint *ep, const struct oci_desc *desc, const char *path,
			bool manifest, struct str *ret, char ret_media_type[OCI_MEDIA_TYPE_MAX],
			struct error *err)
{
	cleanup_http_response struct http_response response = HTTP_RESPONSE_INIT;
	cleanup_str struct str body = STR_INIT;
	struct http_request request = {
		.headers = manifest ? accept_manifests : NULL,
		.body_max = JSON_SIZE_MAX,
		.size = desc ? desc->size : 0,
		.deadline_ms = DOCUMENT_DEADLINE_MS,
		.sink = {restart, take, &body},
	};
	int r = endpoint_perform(ep, path, &request, &response, err);

	if (r == 0 && manifest)
		r = check_header(&response, &body, err);
	if (r < 0)
		return r;
	ret_media_type[0] = '\0';
	if (manifest)
		http_content_type(&response, ret_media_type, OCI_MEDIA_TYPE_MAX);
	str_free(ret);
	*ret = body;
	body = (struct str)STR_INIT;
	return 0;
}

/* What the reference names: by digest it must have it, by tag it is what it is. */
static int get_named(struct registry *registry, struct endpoint *ep, struct str *ret,
		     char ret_media_type[OCI_MEDIA_TYPE_MAX], struct error *err)
{
	cleanup_free char *path = xasprintf("manifests/%s", dockerref_reference(&registry->ref));
	struct oci_digest digest;
	int r = get_document(ep, NULL, path, true, ret, ret_media_type, err);

	if (r < 0 || !registry->ref.digest[0])
		return r;
	r = oci_digest_parse(registry->ref.digest, &digest, err);
	if (r == 0 && !oci_digest_matches(&digest, str_get(ret), ret->len))
		r = error_set(err, -EBADMSG, "%s: the manifest has another digest",
			      registry->ref.digest);
	return r;
}

static int get_described(struct endpoint *ep, const struct oci_desc *desc, struct str *ret,
			 char ret_media_type[OCI_MEDIA_TYPE_MAX], struct error *err)
{
	bool manifest = desc->kind == OCI_MANIFEST || desc->kind == OCI_INDEX;
	char digest[OCI_DIGEST_MAX];
	cleanup_free char *path = NULL;

	oci_digest_text(&desc->digest, digest);
	if (desc->size > JSON_SIZE_MAX)
		return error_set(err, -EFBIG, "%s: too large for a document", digest);
	path = xasprintf("%s/%s", manifest ? "manifests" : "blobs", digest);
	return get_document(ep, desc, path, manifest, ret, ret_media_type, err);
}

size_t registry_chosen(struct registry *registry)
{
	size_t chosen;

	pthread_mutex_lock(&registry->lock);
	chosen = registry->chosen;
	pthread_mutex_unlock(&registry->lock);
	return chosen;
}

static void choose(struct registry *registry, size_t i)
{
	pthread_mutex_lock(&registry->lock);
	registry->chosen = i;
	pthread_mutex_unlock(&registry->lock);
}

static int document(struct oci_origin *origin, const struct oci_desc *desc, struct str *ret,
		    char ret_media_type[OCI_MEDIA_TYPE_MAX], struct error *err)
{
	struct registry *registry = container_of(origin, struct registry, origin);

	for (size_t i = registry_chosen(registry);; i++) {
		struct endpoint *ep = &registry->endpoint[i];
		struct error why = ERROR_INIT;
		int r;

		if (desc)
			r = get_described(ep, desc, ret, ret_media_type, &why);
		else
			r = get_named(registry, ep, ret, ret_media_type, &why);
		if (r == 0 && !desc)
			choose(registry, i);
		if (r == 0)
			return 0;
		if (i + 1 == registry->nendpoints) {
			*err = why;
			return r;
		}
		warn(&registry->options, "mirror: %s", why.msg);
	}
}

static int resolve_at(struct registry *registry, struct endpoint *ep, char ret[OCI_DIGEST_MAX],
		      struct error *err)
{
	cleanup_http_response struct http_response response = HTTP_RESPONSE_INIT;
	cleanup_free char *path = xasprintf("manifests/%s", dockerref_reference(&registry->ref));
	struct http_request request = {
		.method = "HEAD",
		.headers = accept_manifests,
		.deadline_ms = DOCUMENT_DEADLINE_MS,
	};
	char media_type[OCI_MEDIA_TYPE_MAX];
	cleanup_str struct str body = STR_INIT;
	struct error ignored = ERROR_INIT;
	struct oci_digest digest;
	const char *text;
	int r = endpoint_perform(ep, path, &request, &response, err);

	if (r < 0)
		return r;
	text = http_header(&response, "docker-content-digest", 0);
	if (!text || oci_digest_parse(text, &digest, &ignored) < 0) {
		r = get_named(registry, ep, &body, media_type, err);
		if (r < 0)
			return r;
		oci_digest_of(str_get(&body), body.len, &digest);
	}
	oci_digest_text(&digest, ret);
	return 0;
}

static void registry_free(struct oci_origin *origin)
{
	struct registry *registry = container_of(origin, struct registry, origin);

	for (size_t i = 0; i < registry->nendpoints; i++) {
		struct endpoint *ep = &registry->endpoint[i];

		auth_free(ep->auth);
		free(ep->host);
		free(ep->repository);
		free(ep->base);
		pthread_mutex_destroy(&ep->lock);
	}
	free(registry->endpoint);
	pthread_mutex_destroy(&registry->lock);
	free(registry);
}

static const struct oci_origin_ops registry_ops = {
	.document = document,
	.open_blob = registry_open_blob,
	.close_blob = registry_close_blob,
	.free = registry_free,
};

int registry_resolve(struct oci_origin *origin, char ret[OCI_DIGEST_MAX], struct error *err)
{
	struct registry *registry = container_of(origin, struct registry, origin);

	assert(origin->ops == &registry_ops);
	if (registry->ref.digest[0]) {
		memcpy(ret, registry->ref.digest, OCI_DIGEST_MAX);
		return 0;
	}
	for (size_t i = 0;; i++) {
		struct error why = ERROR_INIT;
		int r = resolve_at(registry, &registry->endpoint[i], ret, &why);

		if (r == 0)
			return 0;
		if (i + 1 == registry->nendpoints) {
			*err = why;
			return r;
		}
		warn(&registry->options, "mirror: %s", why.msg);
	}
}

int registry_open(const struct registry_options *options, const struct dockerref *ref,
		  struct oci_origin **ret, struct error *err)
{
	struct registry_places places = {.n = 0};
	struct registry *registry;
	int r = registry_places_find(options->config, options->registries, ref, &places, err);

	if (r < 0)
		return r;
	registry = xcalloc(1, sizeof(*registry));
	registry->origin.ops = &registry_ops;
	registry->options = *options;
	registry->ref = *ref;
	pthread_mutex_init(&registry->lock, NULL);
	registry->nendpoints = places.n;
	registry->endpoint = xcalloc(places.n, sizeof(*registry->endpoint));
	for (size_t i = 0; i < places.n; i++) {
		struct endpoint *ep = &registry->endpoint[i];

		ep->options = &registry->options;
		ep->host = take_ptr(places.place[i].host);
		ep->repository = take_ptr(places.place[i].repository);
		ep->insecure = places.place[i].insecure;
		pthread_mutex_init(&ep->lock, NULL);
	}
	registry_places_free(&places);
	*ret = &registry->origin;
	return 0;
}

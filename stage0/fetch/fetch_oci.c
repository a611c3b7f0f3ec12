/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Images made of layers: of a registry, an OCI layout, an archive of one, or what "docker save" wrote.
 *
 * They carry digests and no signatures, so somebody has to vouch for the digest: the user, who waives
 * the check, or a policy (trust/policy.h). The policy is asked once the documents are known and before
 * any layer is loaded; it sees the very bytes the import uses, which a witness between the import and
 * the origin keeps.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "stage0/command.h"
#include "stage0/fetch/dockerref.h"
#include "stage0/fetch/fetch_priv.h"
#include "stage0/fetch/registry.h"
#include "stage0/image/oci_origin.h"
#include "stage0/fetch/web_get.h"

#define WITNESS_MAX                                                                                \
	8 /* documents kept: indexes are nested less deep, and a manifest, and a config */

/* An origin that remembers the documents it handed on. */
struct witness {
	struct oci_origin origin;
	struct oci_origin *inner; /* the caller's */
	struct str document[WITNESS_MAX];
	size_t n;
};

static struct witness *witness_of(struct oci_origin *origin)
{
	return container_of(origin, struct witness, origin);
}

static int witness_document(struct oci_origin *origin, const struct oci_desc *desc, struct str *ret,
			    char ret_media_type[OCI_MEDIA_TYPE_MAX], struct error *err)
{
	struct witness *witness = witness_of(origin);
	int r = witness->inner->ops->document(witness->inner, desc, ret, ret_media_type, err);

	if (r == 0 && witness->n < WITNESS_MAX)
		str_addn(&witness->document[witness->n++], str_get(ret), ret->len);
	return r;
}

static int witness_open_blob(struct oci_origin *origin, const struct oci_desc *desc,
			     struct oci_stream *ret, struct error *err)
{
	struct oci_origin *inner = witness_of(origin)->inner;

	return inner->ops->open_blob(inner, desc, ret, err);
}

static int witness_close_blob(struct oci_origin *origin, struct oci_stream *stream, bool complete,
			      struct error *err)
{
	struct oci_origin *inner = witness_of(origin)->inner;

	return inner->ops->close_blob(inner, stream, complete, err);
}

static void witness_free(struct oci_origin *origin)
{
	struct witness *witness = witness_of(origin);

	for (size_t i = 0; i < witness->n; i++)
		str_free(&witness->document[i]);
	witness->n = 0;
}

static void witness_init(struct witness *witness, struct oci_origin *inner)
{
	static const struct oci_origin_ops ops = {
		.document = witness_document,
		.open_blob = witness_open_blob,
		.close_blob = witness_close_blob,
		.free = witness_free,
	};

	*witness = (struct witness){.origin = *inner, .inner = inner};
	witness->origin.ops = &ops;
}

static int load_policy(struct fetch *fetch, struct error *err)
{
	return fetch->policy ? 0 : policy_load(&fetch->opt.dirs, &fetch->policy, err);
}

/* An import, and what its acceptance hangs on. */
struct layered {
	struct fetch *fetch;
	struct witness witness;
	const char *name;	     /* the policy's name of the image */
	const char *what;	     /* the kind of image, for messages */
	char digest[OCI_DIGEST_MAX]; /* of what the reference names, once it is known; or "" */
};

/* Before anything is asked of the network: is there anybody who could vouch for the image? */
static int check_waiver(struct layered *layered, struct error *err)
{
	struct fetch *fetch = layered->fetch;
	int r;

	if (!fetch_needs_trust(fetch))
		return 0;
	r = load_policy(fetch, err);
	if (r < 0 || policy_covers(fetch->policy, layered->name))
		return r;
	return error_set(err, -ENOKEY,
			 "signature verification for %s is not supported, and no policy accepts "
			 "%s (try --insecure-options=image)",
			 layered->what, layered->name);
}

/* The bytes of the document of that digest. */
static bool find_document(const struct witness *witness, const struct oci_digest *digest,
			  struct policy_document *ret)
{
	for (size_t i = 0; i < witness->n; i++) {
		const struct str *document = &witness->document[i];

		if (!oci_digest_matches(digest, str_get(document), document->len))
			continue;
		ret->bytes = str_get(document);
		ret->len = document->len;
		return true;
	}
	return false;
}

static int ask_policy(struct layered *layered, const struct oci_digest *digest, size_t n,
		      struct error *err)
{
	struct fetch *fetch = layered->fetch;
	struct trust_web web = {.config = fetch->opt.config};
	const struct policy_context context = {&fetch->opt.dirs, trust_web_download, &web};
	struct policy_document document[WITNESS_MAX];
	char text[WITNESS_MAX][OCI_DIGEST_MAX];
	struct policy_image image = {.name = layered->name, .documents = document};
	cleanup_strv struct strv lines = STRV_INIT;
	int r = fetch_http(fetch, &web.http, err);

	if (r < 0)
		return r;
	for (size_t i = 0; i < n && i < WITNESS_MAX; i++) {
		if (!find_document(&layered->witness, &digest[i], &document[i]))
			return error_set(err, -EBADMSG, "%s: its documents changed", layered->name);
		oci_digest_text(&digest[i], text[i]);
		document[i].digest = text[i];
		image.ndocuments++;
	}
	r = policy_check(fetch->policy, &context, &image, &lines, err);
	for (size_t i = 0; r == 0 && i < lines.n; i++)
		fetch_info(fetch, "%s", lines.v[i]);
	return r;
}

static int accept_image(void *ctx, const struct oci_digest *digest, size_t n, struct error *err)
{
	struct layered *layered = ctx;

	if (n > 0)
		oci_digest_text(&digest[0], layered->digest);
	if (!fetch_needs_trust(layered->fetch))
		return 0;
	return ask_policy(layered, digest, n, err);
}

static int import(struct layered *layered, struct oci_origin *origin,
		  const struct oci_source *source, char ret_key[IMAGE_KEY_LEN + 1],
		  struct strv *warnings, struct error *err)
{
	struct fetch *fetch = layered->fetch;
	const struct oci_import_options options = {
		.jobs = fetch->opt.jobs,
		.platform = fetch->opt.platform,
		.accept = accept_image,
		.ctx = layered,
	};
	int r;

	witness_init(&layered->witness, origin);
	r = store_import_origin(fetch->store, &layered->witness.origin, source, &options, ret_key,
				warnings, err);
	witness_free(&layered->witness.origin);
	return r;
}

/* A registry's blob, for the progress: the digest's first digits tell it from the others. */
static void on_progress(void *priv, const char *digest, uint64_t now, uint64_t total, bool done)
{
	cleanup_free char *what = xasprintf("layer %.19s", digest);

	fetch_progress(priv, what, now, total, done);
}

static void on_warning(void *priv, const char *line)
{
	fetch_warn(priv, "image: %s", line);
}

static int open_registry(struct fetch *fetch, const struct dockerref *ref, int partial,
			 struct registries *registries, struct oci_origin **ret, struct error *err)
{
	struct registry_options options = {
		.config = fetch->opt.config,
		.registries = registries,
		.partial = partial,
		.allow_http = fetch->opt.insecure & INSECURE_HTTP,
		.insecure_tls = fetch->opt.insecure & INSECURE_TLS,
		.priv = fetch,
		.progress = on_progress,
		.warn = on_warning,
	};
	cleanup_strv struct strv warnings = STRV_INIT;
	int r = fetch_http(fetch, &options.http, err);

	if (r == 0 && !fetch->credentials)
		r = credentials_load_env(fetch->opt.config, &fetch->credentials, &warnings, err);
	for (size_t i = 0; i < warnings.n; i++)
		fetch_warn(fetch, "%s", warnings.v[i]);
	if (r == 0)
		r = registries_load_env(registries, err);
	options.credentials = fetch->credentials;
	return r < 0 ? r : registry_open(&options, ref, ret, err);
}

struct pull {
	struct layered layered;
	struct dockerref ref;
	const char *url; /* docker://, complete */
	const char *original;
	bool known; /* the store has it as it was at some time */
	struct store_remote remote;
};

static int pull_locked(struct pull *pull, char ret_key[IMAGE_KEY_LEN + 1], struct strv *warnings,
		       struct error *err)
{
	struct fetch *fetch = pull->layered.fetch;
	cleanup(registries_free) struct registries registries = REGISTRIES_INIT;
	cleanup_fd int partial = store_open_partial(fetch->store, err);
	cleanup_origin struct oci_origin *origin = NULL;
	bool hub = strcmp(pull->ref.domain, DOCKER_HUB) == 0;
	const char *registry = hub ? DOCKER_HUB_ENDPOINT : pull->ref.domain;
	cleanup_free char *name = xasprintf("%s/%s", registry, pull->ref.repository);
	const struct oci_source source = {
		.name = name,
		.original = pull->original,
		.registry = registry,
		.repository = pull->ref.repository,
		.tag = *pull->ref.tag ? pull->ref.tag : NULL,
	};
	char digest[OCI_DIGEST_MAX];
	int r = partial < 0 ? partial
			    : open_registry(fetch, &pull->ref, partial, &registries, &origin, err);

	if (r < 0)
		return r;
	fetch_debug(fetch, "image: remote fetching from URL \"%s\"", pull->url);
	if (pull->known && pull->remote.etag) {
		r = registry_resolve(origin, digest, err);
		if (r < 0)
			return r;
		if (strcmp(digest, pull->remote.etag) == 0) {
			fetch_debug(fetch,
				    "image: %s has not changed, using image from local store",
				    pull->url);
			memcpy(ret_key, pull->remote.key, IMAGE_KEY_LEN + 1);
			store_image_used(fetch->store, ret_key);
			return 0;
		}
	}
	fetch_info(fetch, "image: fetching image from %s", pull->url);
	return import(&pull->layered, origin, &source, ret_key, warnings, err);
}

static int remember_pull(struct pull *pull, const char *key, struct error *err)
{
	struct store_remote remote = {
		.etag = *pull->layered.digest ? pull->layered.digest : pull->remote.etag,
		.time = time(NULL),
	};

	memcpy(remote.key, key, sizeof(remote.key));
	return store_remote_put(pull->layered.fetch->store, pull->url, &remote, err);
}

/* What the store has is good enough: by policy, by nature, or because it is just here. */
static bool use_known(struct pull *pull, bool waited, int64_t asked,
		      char ret_key[IMAGE_KEY_LEN + 1])
{
	struct fetch *fetch = pull->layered.fetch;

	if (!pull->known || !(fetch->opt.policy != PULL_UPDATE || *pull->ref.digest ||
			      (waited && pull->remote.time >= asked)))
		return false;
	fetch_debug(fetch, "image: using image from local store for url %s", pull->url);
	memcpy(ret_key, pull->remote.key, IMAGE_KEY_LEN + 1);
	store_image_used(fetch->store, ret_key);
	return true;
}

static int pull(struct pull *pull, char ret_key[IMAGE_KEY_LEN + 1], struct strv *warnings,
		struct error *err)
{
	struct fetch *fetch = pull->layered.fetch;
	struct error ignored = ERROR_INIT;
	int64_t asked = time(NULL);
	bool waited = false;
	int lock = store_lock_url(fetch->store, pull->url, &waited, err), r;

	if (lock < 0)
		return lock;
	pull->known = store_remote_get(fetch->store, pull->url, &pull->remote, &ignored) == 0;
	if (use_known(pull, waited, asked, ret_key)) {
		r = 0;
	} else if (fetch->opt.policy == PULL_NEVER) {
		r = error_set(err, -ENOENT,
			      "unable to fetch docker image from URL \"%s\": it is not in the "
			      "store, and nothing else may be asked",
			      pull->url);
	} else {
		r = pull_locked(pull, ret_key, warnings, err);
		if (r == 0 && !fetch_needs_trust(fetch))
			fetch_tell_unverified(fetch);
		if (r == 0)
			r = remember_pull(pull, ret_key, err);
	}
	store_unlock_url(fetch->store, pull->url, &lock);
	return r;
}

int fetch_docker(struct fetch *fetch, const char *text, char ret_key[IMAGE_KEY_LEN + 1],
		 struct strv *warnings, struct error *err)
{
	struct pull p = {.layered = {.fetch = fetch, .what = "docker images"}, .original = text};
	cleanup_free char *url = NULL, *complete = NULL, *name = NULL;
	const struct oci_platform *platform = fetch->opt.platform;
	int r = dockerref_parse(text, &p.ref, err);

	if (r < 0)
		return r;
	complete = dockerref_text(&p.ref);
	/* one reference is several images, which are remembered apart */
	url = platform
		      ? xasprintf("docker://%s (%s/%s%s%s)", complete, platform->os, platform->arch,
				  platform->variant[0] ? "/" : "", platform->variant)
		      : xasprintf("docker://%s", complete);
	name = xasprintf("%s/%s", p.ref.domain, p.ref.repository);
	p.url = url;
	p.layered.name = name;
	r = check_waiver(&p.layered, err);
	if (r == 0)
		r = pull(&p, ret_key, warnings, err);
	store_remote_free(&p.remote);
	return r < 0 ? error_wrap(err, "%s", url) : 0;
}

static int open_layered(struct fetch *fetch, const struct imageref *ref, const char *path,
			struct oci_origin **ret, struct error *err)
{
	if (ref->kind == IMAGEREF_OCI_ARCHIVE)
		return oci_archive_open(fetch->store, path, ref->name, ret, err);
	if (ref->kind == IMAGEREF_DOCKER_ARCHIVE)
		return docker_archive_open(fetch->store, path, ref->name, ret, err);
	return oci_layout_open(path, ref->name, ret, err);
}

/* What does not say what its images are called elsewhere names them itself, by its file name. */
static char *file_name(const char *path)
{
	const char *base = strrchr(path, '/') + 1;
	size_t len = strlen(base);

	return xstrndup(base, str_ends_with(base, ".tar") && len > 4 ? len - 4 : len);
}

static const char *scheme_of(enum imageref_kind kind)
{
	return kind == IMAGEREF_OCI_ARCHIVE	 ? "oci-archive"
	       : kind == IMAGEREF_DOCKER_ARCHIVE ? "docker-archive"
						 : "oci";
}

int fetch_layered(struct fetch *fetch, const struct imageref *ref, const char *text,
		  char ret_key[IMAGE_KEY_LEN + 1], struct strv *warnings, struct error *err)
{
	cleanup_free char *path = realpath(ref->path, NULL);
	cleanup_free char *name = path ? file_name(path) : NULL;
	cleanup_free char *policy_name =
		xasprintf("%s:%s", scheme_of(ref->kind), path ? path : ref->path);
	cleanup_origin struct oci_origin *origin = NULL;
	struct layered layered = {
		.fetch = fetch, .name = policy_name, .what = "images of layouts and archives"};
	struct oci_source source = {.name = name, .tag = ref->name, .original = text};
	int r;

	if (!path)
		return error_errno(err, "%s", ref->path);
	r = check_waiver(&layered, err);
	if (r < 0)
		return r;
	fetch_debug(fetch, "image: using image from file %s", path);
	if (!fetch_needs_trust(fetch))
		fetch_tell_unverified(fetch);
	r = open_layered(fetch, ref, path, &origin, err);
	if (r < 0)
		return r;
	if (origin->name) {
		source.name = origin->name;
		source.tag = origin->tag;
	} else if (ref->kind == IMAGEREF_DOCKER_ARCHIVE) {
		source.tag = NULL; /* @N is no tag */
	}
	r = import(&layered, origin, &source, ret_key, warnings, err);
	return r < 0 ? error_wrap(err, "%s", path) : 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fetching (rkt-behaviour 5.3): one algorithm for every kind of reference.
 *
 * Theory of operation: a reference leads to one image, by fetch_aci.c or fetch_oci.c or in the store;
 * the pull policy says whether what the store has is good enough, or must be asked after, or is all
 * there may be. Then everything the image depends on is brought in the same way: a list of images
 * to look at, each looked at once, so a cycle ends.
 */
#include "stage0/fetch/fetch.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "stage0/command.h"
#include "stage0/fetch/discovery.h"
#include "stage0/fetch/fetch_priv.h"
#include "stage0/fetch/web_auth.h"
#include "stage0/image_manifest.h"

#define DOCUMENT_DEADLINE_MS 120000 /* for signatures and the like, which are a megabyte at most */
#define DEPENDENCIES_MAX     256    /* images an image is made of, all told */

int pull_policy_parse(const char *text, enum pull_policy *ret, struct error *err)
{
	static const char *const words[] = {"new", "update", "never"};

	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		if (strcmp(text, words[i]) == 0) {
			*ret = (enum pull_policy)i;
			return 0;
		}
	}
	return error_set(err, -EINVAL, "--pull-policy: \"%s\" is none of new, update, never", text);
}

int fetch_new(struct store *store, const struct fetch_options *options, struct fetch **ret,
	      struct error *err)
{
	struct fetch *fetch;

	if (options->jobs > 16)
		return error_set(err, -EINVAL, "at most 16 layers are loaded at a time");
	fetch = xcalloc(1, sizeof(*fetch));
	fetch->store = store;
	fetch->opt = *options;
	pthread_mutex_init(&fetch->reporting, NULL);
	*ret = fetch;
	return 0;
}

void fetch_free(struct fetch *fetch)
{
	if (!fetch)
		return;
	credentials_free(fetch->credentials);
	policy_free(fetch->policy);
	http_free(fetch->http);
	pthread_mutex_destroy(&fetch->reporting);
	free(fetch);
}

static void tell(struct fetch *fetch, void (*fn)(void *priv, const char *line), const char *fmt,
		 va_list ap) __attribute__((format(printf, 3, 0)));

static void tell(struct fetch *fetch, void (*fn)(void *priv, const char *line), const char *fmt,
		 va_list ap)
{
	char *line = NULL;

	if (!fn || vasprintf(&line, fmt, ap) < 0)
		return;
	pthread_mutex_lock(&fetch->reporting);
	fn(fetch->opt.report.priv, line);
	pthread_mutex_unlock(&fetch->reporting);
	free(line);
}

#define TELL(name)                                                                                 \
	void fetch_##name(struct fetch *fetch, const char *fmt, ...)                               \
	{                                                                                          \
		va_list ap;                                                                        \
                                                                                                   \
		va_start(ap, fmt);                                                                 \
		tell(fetch, fetch->opt.report.name, fmt, ap);                                      \
		va_end(ap);                                                                        \
	}

TELL(debug)
TELL(info)
TELL(warn)

void fetch_progress(struct fetch *fetch, const char *what, uint64_t now, uint64_t total, bool done)
{
	struct fetch_report *report = &fetch->opt.report;

	if (!report->progress)
		return;
	pthread_mutex_lock(&fetch->reporting);
	report->progress(report->priv, what, now, total, done);
	pthread_mutex_unlock(&fetch->reporting);
}

bool fetch_needs_trust(const struct fetch *fetch)
{
	return !(fetch->opt.insecure & INSECURE_IMAGE) && !fetch->opt.trusted;
}

void fetch_tell_unverified(struct fetch *fetch)
{
	if (!fetch->told_unverified && !fetch->opt.trusted)
		fetch_warn(fetch, "image: warning: image signature verification has been disabled");
	fetch->told_unverified = true;
}

int fetch_http(struct fetch *fetch, struct http **ret, struct error *err)
{
	struct http_settings settings;
	int r = 0;

	if (!fetch->http) {
		http_settings_init(&settings);
		http_settings_env(&settings);
		if (fetch->opt.user_agent)
			settings.user_agent = fetch->opt.user_agent;
		settings.allow_http = fetch->opt.insecure & INSECURE_HTTP;
		settings.insecure_tls = fetch->opt.insecure & INSECURE_TLS;
		r = http_new(&settings, &fetch->http, err);
		if (r == 0 && settings.insecure_tls)
			fetch_warn(fetch, "image: warning: TLS verification has been disabled");
	}
	if (r == 0)
		*ret = fetch->http;
	return r;
}

int fetch_document(struct fetch *fetch, const char *url, uint64_t max,
		   struct http_response *response, struct str *ret, struct error *err)
{
	cleanup_web_auth struct web_auth auth = WEB_AUTH_INIT;
	struct http_request request = {
		.url = url, .body_max = max, .deadline_ms = DOCUMENT_DEADLINE_MS};
	struct http *http = NULL;
	int r = fetch_http(fetch, &http, err);

	if (r == 0)
		r = web_auth_for(fetch->opt.config, url, "GET", time(NULL), &auth, err);
	if (r < 0)
		return r;
	request.authorization = auth.authorization;
	request.headers = (const char *const *)auth.headers.v;
	return http_fetch(http, &request, response, ret, err);
}

/* A label that was only assumed need not be there. */
static bool may_lack(const struct imageref *wanted, const char *label)
{
	return (wanted->any_os && strcmp(label, "os") == 0) ||
	       (wanted->any_arch && strcmp(label, "arch") == 0);
}

int fetch_check_wanted(const struct imageref *wanted, struct json_object *manifest,
		       struct error *err)
{
	const char *name = NULL;
	int r = json_get_string(manifest, "name", &name, err);

	if (r < 0)
		return r;
	if (!name || strcmp(name, wanted->path) != 0)
		return error_set(err, -EBADMSG,
				 "the image's name \"%s\" differs from the requested name \"%s\"",
				 name ? name : "", wanted->path);
	for (size_t i = 0; i < json_object_array_length(wanted->labels); i++) {
		struct json_object *label = json_object_array_get_idx(wanted->labels, i);
		const char *key = json_object_get_string(json_object_object_get(label, "name"));
		const char *want = imageref_label(wanted, key);
		const char *got = image_manifest_label(manifest, key);

		if (!got && may_lack(wanted, key))
			continue;
		if (!got)
			return error_set(
				err, -EBADMSG,
				"requested label \"%s\" not provided by the image manifest", key);
		if (strcmp(got, want) != 0)
			return error_set(err, -EBADMSG,
					 "requested value for label \"%s\": \"%s\" differs from "
					 "fetched aci label value: \"%s\"",
					 key, want, got);
	}
	return 0;
}

/* The labels but those that were only assumed. */
static struct json_object *asked_labels(const struct imageref *wanted)
{
	struct json_object *asked = json_object_new_array();

	for (size_t i = 0; i < json_object_array_length(wanted->labels); i++) {
		struct json_object *label = json_object_array_get_idx(wanted->labels, i);

		if (!may_lack(wanted,
			      json_object_get_string(json_object_object_get(label, "name"))))
			json_object_array_add(asked, json_object_get(label));
	}
	return asked;
}

/* The store's best image of that name: of this host's kind, or of no kind in particular. */
static int find_stored(struct fetch *fetch, const struct imageref *wanted,
		       char ret_key[IMAGE_KEY_LEN + 1], struct error *err)
{
	cleanup_json struct json_object *asked = NULL, *manifest = NULL;
	int r = store_find(fetch->store, wanted->path, wanted->labels, ret_key, err);

	if (r == -ENOENT && (wanted->any_os || wanted->any_arch)) {
		struct error why = ERROR_INIT;

		asked = asked_labels(wanted);
		r = store_find(fetch->store, wanted->path, asked, ret_key, &why);
		if (r == 0)
			r = store_manifest(fetch->store, ret_key, &manifest, &why);
		if (r == 0 && fetch_check_wanted(wanted, manifest, &why) < 0)
			r = -ENOENT;
	}
	return r;
}

static int discover(struct fetch *fetch, const struct imageref *wanted,
		    struct discovery_endpoints *ret, struct error *err)
{
	struct discovery discovery = {
		.config = fetch->opt.config,
		.allow_http = fetch->opt.insecure & INSECURE_HTTP,
		.priv = fetch->opt.report.priv,
		.debug = fetch->opt.report.debug,
	};
	int r = fetch_http(fetch, &discovery.http, err);

	return r < 0 ? r : discovery_find(&discovery, wanted->path, wanted->labels, ret, err);
}

/* From the first of a name's endpoints that answers. */
static int fetch_discovered(struct fetch *fetch, const struct imageref *wanted,
			    const char *signature, char ret_key[IMAGE_KEY_LEN + 1],
			    struct error *err)
{
	cleanup(discovery_endpoints_free) struct discovery_endpoints found = {.v = NULL};
	int r = discover(fetch, wanted, &found, err);

	if (r == 0 && (fetch->opt.trust_keys_from_https || fetch->opt.review) &&
	    fetch_needs_trust(fetch))
		r = trial_find_keys(fetch, wanted->path, err);
	if (r < 0)
		return r;
	r = -ENOENT;
	for (size_t i = 0; i < found.n; i++) {
		const struct aci_source source = {
			.url = found.v[i].image,
			.signature_url = found.v[i].signature,
			.signature_file = signature,
			.wanted = wanted,
			.any = fetch->opt.policy == PULL_NEW,
		};
		struct error why = ERROR_INIT;
		bool answered = false;

		r = fetch_aci_url(fetch, &source, &answered, ret_key, &why);
		if (r == 0)
			return 0;
		*err = why;
		if (answered)
			return r;
		if (i + 1 < found.n)
			fetch_debug(fetch, "image: %s", why.msg);
	}
	return r;
}

static int fetch_name(struct fetch *fetch, const struct imageref *wanted, const char *text,
		      const char *signature, char ret_key[IMAGE_KEY_LEN + 1], struct error *err)
{
	struct error ignored = ERROR_INIT;
	int r;

	if (fetch->opt.policy != PULL_UPDATE &&
	    find_stored(fetch, wanted, ret_key, &ignored) == 0) {
		fetch_debug(fetch, "image: using image from local store for image name %s", text);
		store_image_used(fetch->store, ret_key);
		return 0;
	}
	if (fetch->opt.policy == PULL_NEVER)
		return error_set(err, -ENOENT,
				 "unable to fetch app image from image name \"%s\": it is not in "
				 "the store, and nothing else may be asked",
				 text);
	fetch_debug(fetch, "image: searching for app image %s", text);
	r = fetch_discovered(fetch, wanted, signature, ret_key, err);
	if (r < 0)
		return error_wrap(err, "unable to fetch app image from image name \"%s\"", text);
	return 0;
}

/* The signature of https://HOST/X.aci?Q is at https://HOST/X.aci.asc?Q. */
static char *signature_url(const char *url)
{
	size_t len = strcspn(url, "?#");

	return xasprintf("%.*s.asc%s", (int)len, url, url + len);
}

static int fetch_url(struct fetch *fetch, const char *url, const char *signature,
		     char ret_key[IMAGE_KEY_LEN + 1], struct error *err)
{
	cleanup_free char *asc = signature_url(url);
	cleanup(store_remote_free) struct store_remote remote = {.max_age = 0};
	const struct aci_source source = {
		.url = url,
		.signature_url = asc,
		.signature_file = signature,
		.any = fetch->opt.policy == PULL_NEW,
	};
	struct error ignored = ERROR_INIT;
	bool answered;

	if (fetch->opt.policy != PULL_UPDATE &&
	    store_remote_get(fetch->store, url, &remote, &ignored) == 0) {
		fetch_debug(fetch, "image: using image from local store for url %s", url);
		memcpy(ret_key, remote.key, IMAGE_KEY_LEN + 1);
		store_image_used(fetch->store, ret_key);
		return 0;
	}
	if (fetch->opt.policy == PULL_NEVER)
		return error_set(err, -ENOENT,
				 "unable to fetch image from URL \"%s\": it is not in the store, "
				 "and nothing else may be asked",
				 url);
	return fetch_aci_url(fetch, &source, &answered, ret_key, err);
}

static int fetch_id(struct fetch *fetch, const char *id, char ret_key[IMAGE_KEY_LEN + 1],
		    struct error *err)
{
	int r = store_find_id(fetch->store, id, ret_key, err);

	if (r < 0)
		return error_wrap(err, "unable to fetch image from hash \"%s\"", id);
	fetch_debug(fetch, "image: using image from the store with hash %s", id);
	store_image_used(fetch->store, ret_key);
	return 0;
}

static int fetch_reference(struct fetch *fetch, const struct imageref *ref, const char *text,
			   const char *signature, char ret_key[IMAGE_KEY_LEN + 1],
			   struct strv *warnings, struct error *err)
{
	switch (ref->kind) {
	case IMAGEREF_FILE:
		return fetch_aci_file(fetch, ref->path, signature, ret_key, err);
	case IMAGEREF_URL:
		return fetch_url(fetch, ref->path, signature, ret_key, err);
	case IMAGEREF_NAME:
		return fetch_name(fetch, ref, text, signature, ret_key, err);
	case IMAGEREF_ID:
		return fetch_id(fetch, ref->path, ret_key, err);
	case IMAGEREF_DOCKER:
		return fetch_docker(fetch, ref->path, ret_key, warnings, err);
	case IMAGEREF_OCI:
	case IMAGEREF_OCI_ARCHIVE:
	case IMAGEREF_DOCKER_ARCHIVE:
		return fetch_layered(fetch, ref, text, ret_key, warnings, err);
	}
	return error_set(err, -EINVAL, "image \"%s\": unknown kind", text);
}

/* NAME:VERSION of a dependency, for messages. */
static char *dependency_text(const struct imageref *ref)
{
	const char *version = imageref_label(ref, "version");

	return xasprintf("%s%s%s", ref->path, version ? ":" : "", version ? version : "");
}

/* One entry of a manifest's dependencies; its key goes to ret_key. */
static int fetch_dependency(struct fetch *fetch, struct json_object *dependency,
			    char ret_key[IMAGE_KEY_LEN + 1], struct error *err)
{
	cleanup_imageref struct imageref ref = IMAGEREF_INIT;
	struct json_object *labels = NULL;
	const char *name = NULL, *id = NULL;
	cleanup_free char *text = NULL;
	struct error ignored = ERROR_INIT;
	int r = json_get_string(dependency, "imageName", &name, err);

	if (r == 0)
		r = json_get_string(dependency, "imageID", &id, err);
	if (r == 0)
		r = json_get_array(dependency, "labels", &labels, err);
	if (r < 0)
		return r;
	if (id && store_find_id(fetch->store, id, ret_key, &ignored) == 0) {
		fetch_debug(fetch, "image: using image from the store with hash %s", id);
		return 0;
	}
	r = imageref_from_name(name ? name : "", labels, &ref, err);
	if (r < 0)
		return r;
	text = dependency_text(&ref);
	r = fetch_name(fetch, &ref, text, NULL, ret_key, err);
	if (r < 0 || !id)
		return r;
	if (strncmp(id, ret_key, IMAGE_KEY_LEN) != 0)
		return error_set(err, -EBADMSG,
				 "dependency %s has the ID %s, not %.71s as it is asked for", text,
				 ret_key, id);
	return 0;
}

/* Add what the image depends on to the list. */
static int add_dependencies(struct fetch *fetch, const char *key, struct strv *images,
			    struct error *err)
{
	cleanup_json struct json_object *manifest = NULL;
	struct json_object *list = NULL;
	int r = store_manifest(fetch->store, key, &manifest, err);

	if (r == 0)
		r = json_get_array(manifest, "dependencies", &list, err);
	for (size_t i = 0; r == 0 && list && i < json_object_array_length(list); i++) {
		char dependency[IMAGE_KEY_LEN + 1];

		r = fetch_dependency(fetch, json_object_array_get_idx(list, i), dependency, err);
		if (r < 0 || strv_contains(images, dependency))
			continue;
		if (images->n >= DEPENDENCIES_MAX)
			return error_set(err, -E2BIG, "it depends on more than %d images",
					 DEPENDENCIES_MAX);
		strv_add(images, dependency);
	}
	return r;
}

static int fetch_dependencies(struct fetch *fetch, const char *key, struct error *err)
{
	cleanup_strv struct strv images = STRV_INIT;
	int r = 0;

	strv_add(&images, key);
	for (size_t i = 0; r == 0 && i < images.n; i++)
		r = add_dependencies(fetch, images.v[i], &images, err);
	return r < 0 ? error_wrap(err, "dependencies") : 0;
}

int fetch_image(struct fetch *fetch, const char *text, const char *signature,
		char ret_key[IMAGE_KEY_LEN + 1], struct strv *warnings, struct error *err)
{
	cleanup_imageref struct imageref ref = IMAGEREF_INIT;
	char key[IMAGE_KEY_LEN + 1];
	int r = imageref_parse(text, &ref, err);

	if (r == 0)
		r = fetch_reference(fetch, &ref, text, signature, key, warnings, err);
	if (r == 0) {
		r = fetch_dependencies(fetch, key, err);
		if (r < 0)
			error_wrap(err, "%s", text);
	}
	if (r == 0)
		memcpy(ret_key, key, sizeof(key));
	return r;
}

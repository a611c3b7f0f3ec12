/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE0_FETCH_FETCH_PRIV_H
#define STAGE0_FETCH_FETCH_PRIV_H

#include <pthread.h>

#include "common/util.h"
#include "stage0/fetch/credentials.h"
#include "stage0/fetch/fetch.h"
#include "stage0/fetch/http.h"
#include "stage0/imageref.h"
#include "stage0/trust/policy.h"
#include "stage0/trust/verify.h"

/* Between the files of fetching. */

struct fetch {
	struct store *store;
	struct fetch_options opt;
	struct http *http; /* NULL until it is needed, like the next two */
	struct credentials *credentials;
	struct policy *policy;
	pthread_mutex_t reporting; /* layers report from several threads */
	bool told_unverified;
};

void fetch_debug(struct fetch *fetch, const char *fmt, ...)
	__attribute__((format(printf, 2, 3), nonnull(1, 2)));
void fetch_info(struct fetch *fetch, const char *fmt, ...)
	__attribute__((format(printf, 2, 3), nonnull(1, 2)));
void fetch_warn(struct fetch *fetch, const char *fmt, ...)
	__attribute__((format(printf, 2, 3), nonnull(1, 2)));
void fetch_progress(struct fetch *fetch, const char *what, uint64_t now, uint64_t total, bool done)
	__attribute__((nonnull));
/* Whether somebody has to vouch for an image. */
bool fetch_needs_trust(const struct fetch *fetch) __attribute__((nonnull));
/* An image is taken without anything vouching for it: said once. */
void fetch_tell_unverified(struct fetch *fetch) __attribute__((nonnull));

/* The client, made when it is first needed. */
int fetch_http(struct fetch *fetch, struct http **ret, struct error *err) __attribute__((nonnull));
/* GET url with the credentials there are for it; the body in ret, max bytes at most. */
int fetch_document(struct fetch *fetch, const char *url, uint64_t max,
		   struct http_response *response, struct str *ret, struct error *err)
	__attribute__((nonnull));

/* Whether the manifest is of the image that was asked for (images.md 9.1, row 13). */
int fetch_check_wanted(const struct imageref *wanted, struct json_object *manifest,
		       struct error *err) __attribute__((nonnull));

/* fetch_aci.c: one ACI, by its signature or without. signature (may be NULL): a file named for it. */
int fetch_aci_file(struct fetch *fetch, const char *path, const char *signature,
		   char ret_key[IMAGE_KEY_LEN + 1], struct error *err)
	__attribute__((nonnull(1, 2, 4, 5)));

struct aci_source {
	const char *url;
	const char *signature_url;
	const char *signature_file;    /* in the place of signature_url, or NULL */
	const struct imageref *wanted; /* what the image must be, or NULL */
	bool any;		       /* what the store has of the URL will do */
};
/* *ret_answered: the image's server answered; if not, another endpoint may do better. */
int fetch_aci_url(struct fetch *fetch, const struct aci_source *source, bool *ret_answered,
		  char ret_key[IMAGE_KEY_LEN + 1], struct error *err) __attribute__((nonnull));

/* fetch_oci.c: images made of layers, from a registry, a layout or an archive. */
int fetch_docker(struct fetch *fetch, const char *text, char ret_key[IMAGE_KEY_LEN + 1],
		 struct strv *warnings, struct error *err) __attribute__((nonnull));
int fetch_layered(struct fetch *fetch, const struct imageref *ref, const char *text,
		  char ret_key[IMAGE_KEY_LEN + 1], struct strv *warnings, struct error *err)
	__attribute__((nonnull));

/* trial.c: an image's signature on trial. */
struct trial {
	bool wanted;
	struct keyring *keys;
	struct verify *verify;
};
#define TRIAL_INIT                                                                                 \
	{                                                                                          \
		.wanted = false                                                                    \
	}
/*
 * Begin with the signature's bytes. name (NULL: the manifest will say): what the signer must be
 * trusted for, checked now.
 */
int trial_begin(struct fetch *fetch, struct trial *trial, const char *name, const void *signature,
		size_t len, struct error *err) __attribute__((nonnull(1, 2, 4, 6)));
/* All bytes were fed. 0 when the image is trusted under the manifest's name. */
int trial_decide(struct fetch *fetch, struct trial *trial, const char *name, struct error *err)
	__attribute__((nonnull));
void trial_end(struct trial *trial) __attribute__((nonnull));
#define cleanup_trial cleanup(trial_end)

/* Take the keys that name's server offers over https, when there is none for it yet. */
int trial_find_keys(struct fetch *fetch, const char *name, struct error *err)
	__attribute__((nonnull));

#endif

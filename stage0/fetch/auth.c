/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From a challenge to an Authorization header.
 *
 * Theory of operation: nothing is sent before the registry asks. A challenge is remembered with what
 * answers it: for Basic the user and password, for Bearer a token from the realm (until it is about to
 * expire) or one that the user configured. The credentials are found by the
 * registry's host, never by the realm's, and are not touched when the registry is not reached over
 * TLS: whoever is on the way could name a realm of his own. One lock covers it all, so that of
 * several threads that are refused at once one gets the token and the others find it.
 */
#include "stage0/fetch/auth.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/clock.h"
#include "common/encode.h"
#include "common/json.h"
#include "common/util.h"
#include "stage0/fetch/challenge.h"
#include "stage0/fetch/url.h"

#define CLIENT_ID "tripod"

struct auth {
	struct auth_place place;
	pthread_mutex_t lock;
	struct credential credential;
	bool looked_up;
	/* what the registry asked for last */
	enum challenge_scheme scheme;
	char *realm, *service, *scope;
	/* what answers it */
	char *header;
	bool public;
	uint64_t renew_at; /* clock_now_ns(); 0: never */
};

static void wipe(char **secret)
{
	if (*secret)
		explicit_bzero(*secret, strlen(*secret));
	free(*secret);
	*secret = NULL;
}

static void wipe_str(struct str *str)
{
	if (str->s)
		explicit_bzero(str->s, str->len);
	str_free(str);
}

int auth_new(const struct auth_place *place, struct auth **ret, struct error *err)
{
	struct auth *auth = xcalloc(1, sizeof(*auth));

	(void)err;
	auth->place = *place;
	auth->place.host = xstrdup(place->host);
	auth->place.repository = xstrdup(place->repository);
	pthread_mutex_init(&auth->lock, NULL);
	*ret = auth;
	return 0;
}

static void forget_challenge(struct auth *auth)
{
	free(auth->realm);
	free(auth->service);
	free(auth->scope);
	auth->realm = auth->service = auth->scope = NULL;
	wipe(&auth->header);
	auth->public = false;
	auth->renew_at = 0;
}

void auth_free(struct auth *auth)
{
	if (!auth)
		return;
	forget_challenge(auth);
	credential_free(&auth->credential);
	free((char *)auth->place.host);
	free((char *)auth->place.repository);
	pthread_mutex_destroy(&auth->lock);
	free(auth);
}

/* Ask for the credentials once, as late as possible: a helper may ask the user. */
static int look_up(struct auth *auth, struct error *err)
{
	int r;

	if (auth->looked_up || !auth->place.tls || !auth->place.credentials)
		return 0;
	r = credentials_find(auth->place.credentials, auth->place.host, auth->place.repository,
			     &auth->credential, err);
	auth->looked_up = r == 0;
	return r;
}

/* "Basic ..." of user and password; NULL: there are none. */
static char *basic_header(const struct auth *auth)
{
	cleanup_str struct str both = STR_INIT;
	cleanup_free char *text = NULL;
	char *header;

	if (!auth->credential.user || !auth->credential.password)
		return NULL;
	str_addf(&both, "%s:%s", auth->credential.user, auth->credential.password);
	text = base64_encode(str_get(&both), both.len);
	header = xasprintf("Basic %s", text);
	explicit_bzero(text, strlen(text));
	explicit_bzero(both.s, both.len);
	return header;
}

static void add_param(struct str *query, const char *name, const char *value)
{
	str_addf(query, "%s%s=", query->len ? "&" : "", name);
	url_encode(query, value);
}

static char *wanted_scope(const struct auth *auth)
{
	if (auth->scope && *auth->scope)
		return xstrdup(auth->scope);
	return xasprintf("repository:%s:pull", auth->place.repository);
}

/* A token goes into a header: visible ASCII only. */
static bool token_valid(const char *token)
{
	size_t n = 0;

	while (token[n] > ' ' && token[n] < 0x7f && n <= AUTH_TOKEN_MAX)
		n++;
	return n > 0 && token[n] == '\0';
}

static int take_token(struct auth *auth, const struct str *body, const char *what, bool public,
		      struct error *err)
{
	cleanup_json struct json_object *doc = NULL;
	const char *token = NULL, *access = NULL;
	int64_t lifetime = AUTH_LIFETIME_MIN, margin;
	int r = json_parse(str_get(body), body->len, what, &doc, err);

	if (r == 0)
		r = json_get_string(doc, "token", &token, err);
	if (r == 0)
		r = json_get_string(doc, "access_token", &access, err);
	if (r == 0)
		r = json_get_int(doc, "expires_in", INT32_MIN, INT32_MAX, &lifetime, err);
	if (r < 0)
		return error_wrap(err, "token server");
	if (!token || !*token)
		token = access;
	if (!token || !token_valid(token))
		return error_set(err, -EPROTO, "%s: the token server sent no token", what);
	lifetime = MAX(lifetime, AUTH_LIFETIME_MIN);
	margin = MAX(lifetime / 10, 10);
	wipe(&auth->header);
	auth->header = xasprintf("Bearer %s", token);
	auth->public = public;
	auth->renew_at = clock_now_ns() + (uint64_t)(lifetime - margin) * 1000000000;
	return 0;
}

/* Is it the registry's own host? What was said of its certificate is then said of this one. */
static bool is_registry(const struct auth *auth, const struct url *realm)
{
	const char *host = auth->place.host;
	size_t len = strlen(realm->host);

	return strncasecmp(host, realm->host, len) == 0 && (host[len] == '\0' || host[len] == ':');
}

static void fill_request(const struct auth *auth, const struct url *realm,
			 struct http_request *request)
{
	*request = (struct http_request){
		.allow_http = !auth->place.tls,
		.insecure_tls = auth->place.insecure_tls && is_registry(auth, realm),
		.body_max = AUTH_TOKEN_RESPONSE_MAX,
		.deadline_ms = AUTH_REALM_DEADLINE_MS,
		.url = realm->text,
	};
}

/* The GET form. */
static int get_token(struct auth *auth, const struct url *realm, struct error *err)
{
	cleanup_http_response struct http_response response = HTTP_RESPONSE_INIT;
	cleanup_free char *scope = wanted_scope(auth), *url = NULL;
	cleanup(wipe) char *basic = basic_header(auth);
	cleanup(wipe_str) struct str body = STR_INIT;
	cleanup_str struct str query = STR_INIT;
	cleanup_strv struct strv scopes = STRV_INIT;
	struct http_request request;
	int r;

	if (auth->service)
		add_param(&query, "service", auth->service);
	strv_split(&scopes, scope, ' ');
	for (size_t i = 0; i < scopes.n; i++)
		if (*scopes.v[i])
			add_param(&query, "scope", scopes.v[i]);
	add_param(&query, "client_id", CLIENT_ID);
	if (basic)
		add_param(&query, "account", auth->credential.user);
	url = xasprintf("%s%c%s", realm->text, strchr(realm->text, '?') ? '&' : '?',
			str_get(&query));
	fill_request(auth, realm, &request);
	request.url = url;
	request.authorization = basic;
	r = http_fetch(auth->place.http, &request, &response, &body, err);
	if (r == 0 && response.status != 200)
		r = http_status_error(&response, err);
	if (r < 0)
		return error_wrap(err, "token server");
	return take_token(auth, &body, realm->display, !basic, err);
}

/* The OAuth2 form, for refresh tokens. -EOPNOTSUPP: the server knows the other one only. */
static int post_token(struct auth *auth, const struct url *realm, struct error *err)
{
	cleanup_http_response struct http_response response = HTTP_RESPONSE_INIT;
	cleanup_free char *scope = wanted_scope(auth);
	cleanup(wipe_str) struct str body = STR_INIT, form = STR_INIT;
	struct http_request request;
	int r;

	if (!realm->tls)
		return error_set(err, -EPERM, "%s: credentials are not sent over plain http",
				 realm->display);
	add_param(&form, "grant_type", "refresh_token");
	add_param(&form, "refresh_token", auth->credential.identity_token);
	if (auth->service)
		add_param(&form, "service", auth->service);
	add_param(&form, "client_id", CLIENT_ID);
	add_param(&form, "scope", scope);
	fill_request(auth, realm, &request);
	request.form = str_get(&form);
	r = http_fetch(auth->place.http, &request, &response, &body, err);
	if (r == 0 && (response.status == 404 || response.status == 405))
		return -EOPNOTSUPP;
	if (r == 0 && response.status != 200)
		r = http_status_error(&response, err);
	if (r < 0)
		return error_wrap(err, "token server");
	return take_token(auth, &body, realm->display, false, err);
}

static int renew_token(struct auth *auth, struct error *err)
{
	cleanup_url struct url realm = {.host = NULL};
	int r = url_parse(auth->realm, &realm, err);

	if (r < 0)
		return error_wrap(err, "the registry's token server");
	if (auth->place.tls && !realm.tls)
		return error_set(err, -EPERM, "%s: the registry names a token server without TLS",
				 realm.display);
	if (!auth->credential.identity_token)
		return get_token(auth, &realm, err);
	r = post_token(auth, &realm, err);
	return r == -EOPNOTSUPP ? get_token(auth, &realm, err) : r;
}

/* Have in auth->header what answers the challenge. */
static int answer(struct auth *auth, const struct http_response *response, struct error *err)
{
	struct error refused = ERROR_INIT;
	int r = look_up(auth, err);

	if (r < 0)
		return r;
	if (auth->scheme == CHALLENGE_BEARER && auth->credential.registry_token) {
		if (!token_valid(auth->credential.registry_token))
			return error_set(err, -EINVAL, "%s: the configured token is no token",
					 auth->place.host);
		auth->header = xasprintf("Bearer %s", auth->credential.registry_token);
		return 0;
	}
	if (auth->scheme == CHALLENGE_BEARER)
		return renew_token(auth, err);
	auth->header = basic_header(auth);
	if (auth->header)
		return 0;
	http_status_error(response, &refused);
	return error_set(err, -EACCES, "%s (%s)", refused.msg,
			 auth->place.tls ? "no user and password are configured for it"
					 : "user and password are not sent over plain http");
}

int auth_header(struct auth *auth, char **ret, bool *ret_public, struct error *err)
{
	int r = 0;

	pthread_mutex_lock(&auth->lock);
	if (auth->renew_at && clock_now_ns() >= auth->renew_at)
		r = renew_token(auth, err);
	if (r == 0) {
		*ret = auth->header ? xstrdup(auth->header) : NULL;
		*ret_public = auth->public;
	}
	pthread_mutex_unlock(&auth->lock);
	return r;
}

/* The challenge to answer: Bearer before Basic. */
static const struct challenge *choose(const struct challenges *challenges)
{
	const struct challenge *best = NULL;

	for (size_t i = 0; i < challenges->n; i++) {
		const struct challenge *c = &challenges->c[i];

		if (c->scheme == CHALLENGE_BEARER && c->realm)
			return c;
		if (c->scheme == CHALLENGE_BASIC && !best)
			best = c;
	}
	return best;
}

static int learn(struct auth *auth, const struct http_response *response, struct error *err)
{
	cleanup(challenges_free) struct challenges challenges = {.n = 0};
	const struct challenge *chosen;
	const char *header;

	for (size_t i = 0; (header = http_header(response, "www-authenticate", i)); i++)
		challenge_parse(header, &challenges); /* a malformed one is as good as none */
	chosen = choose(&challenges);
	if (!chosen) {
		http_status_error(response, err);
		return -EACCES;
	}
	forget_challenge(auth);
	auth->scheme = chosen->scheme;
	auth->realm = chosen->realm ? xstrdup(chosen->realm) : NULL;
	auth->service = chosen->service ? xstrdup(chosen->service) : NULL;
	auth->scope = chosen->scope ? xstrdup(chosen->scope) : NULL;
	return answer(auth, response, err);
}

int auth_challenged(struct auth *auth, const struct http_response *response, const char *used,
		    struct error *err)
{
	int r;

	/* another place asks: what we have is not for it (CVE-2020-15157) */
	if (response->redirected && !response->same_origin)
		return http_status_error(response, err);
	pthread_mutex_lock(&auth->lock);
	if (auth->header && (!used || strcmp(used, auth->header) != 0))
		r = 0; /* another thread has been here */
	else
		r = learn(auth, response, err);
	pthread_mutex_unlock(&auth->lock);
	return r;
}

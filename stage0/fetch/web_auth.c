/* SPDX-License-Identifier: Apache-2.0 */
/*
 * AWS Signature Version 4, as far as a GET or HEAD without a body needs it: the request in a
 * canonical form is hashed, the hash with date, region and service is signed by a key derived from
 * the secret one. The headers signed are Host, x-amz-date and x-amz-content-sha256, so a Range or
 * If-None-Match may be added freely.
 */
#include "stage0/fetch/web_auth.h"

#include <errno.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <string.h>

#include "common/encode.h"
#include "common/hash.h"
#include "common/util.h"
#include "stage0/fetch/url.h"

#define AWS_SERVICE	   "s3"
#define AWS_REGION_DEFAULT "us-east-1"
#define AWS_DOMAIN	   ".amazonaws.com"
#define SHA256_SIZE	   32
#define QUERY_MAX	   256 /* parameters of a URL we sign */
/* SHA-256 of no bytes: the body of a GET */
#define EMPTY_SHA256 "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

void web_auth_free(struct web_auth *auth)
{
	free(auth->authorization);
	strv_free(&auth->headers);
	*auth = (struct web_auth)WEB_AUTH_INIT;
}

static void sha256_hex(const char *text, char ret[HASH_HEX_MAX])
{
	cleanup_hash struct hash *hash = hash_new(HASH_SHA256);
	uint8_t digest[HASH_MAX_SIZE];

	hash_update(hash, text, strlen(text));
	hash_final(hash, digest);
	hash_hex(digest, SHA256_SIZE, ret);
}

static void sign(const void *key, size_t len, const char *text, uint8_t ret[SHA256_SIZE])
{
	unsigned size = SHA256_SIZE;

	if (!HMAC(EVP_sha256(), key, (int)len, (const unsigned char *)text, strlen(text), ret,
		  &size))
		abort(); /* only for want of memory */
}

static int compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The query's parameters, each with a '=', sorted. */
static int canonical_query(const char *query, struct str *ret, struct error *err)
{
	cleanup_strv struct strv parts = STRV_INIT;

	if (!*query)
		return 0;
	strv_split(&parts, query, '&');
	if (parts.n > QUERY_MAX)
		return error_set(err, -E2BIG, "the URL has more than %d parameters", QUERY_MAX);
	qsort(parts.v, parts.n, sizeof(*parts.v), compare);
	for (size_t i = 0; i < parts.n; i++)
		str_addf(ret, "%s%s%s", i ? "&" : "", parts.v[i],
			 strchr(parts.v[i], '=') ? "" : "=");
	return 0;
}

/* BUCKET.s3-REGION.amazonaws.com, s3.REGION.amazonaws.com and their like name the region. */
static char *region_of(const struct config_auth *auth, const char *host)
{
	cleanup_strv struct strv labels = STRV_INIT;

	if (auth->region)
		return xstrdup(auth->region);
	strv_split(&labels, host, '.');
	for (size_t i = 0; str_ends_with(host, AWS_DOMAIN) && i + 2 < labels.n; i++) {
		const char *next = i + 3 < labels.n ? labels.v[i + 1] : NULL;

		if (str_starts_with(labels.v[i], "s3-"))
			return xstrdup(labels.v[i] + 3);
		if (strcmp(labels.v[i], "s3") == 0 && next && strcmp(next, "dualstack") != 0)
			return xstrdup(next);
		if (strcmp(labels.v[i], "dualstack") == 0 && next)
			return xstrdup(next);
	}
	return xstrdup(AWS_REGION_DEFAULT);
}

static int aws_signature(const struct config_auth *auth, const struct url *url, const char *method,
			 time_t now, struct web_auth *ret, struct error *err)
{
	cleanup_str struct str query = STR_INIT;
	cleanup_free char *host = NULL, *path = NULL, *scope = NULL, *request = NULL, *text = NULL,
			  *secret = NULL, *region = region_of(auth, url->host);
	const char *start = strchr(strstr(url->text, "://") + 3, '/'), *mark;
	char date[32], day[16], hex[HASH_HEX_MAX];
	uint8_t key[SHA256_SIZE], next[SHA256_SIZE];
	struct tm tm;
	int r;

	if (!gmtime_r(&now, &tm) || !strftime(date, sizeof(date), "%Y%m%dT%H%M%SZ", &tm))
		return error_set(err, -EINVAL, "the clock has no date");
	snprintf(day, sizeof(day), "%.8s", date);
	start = start ? start : "/";
	mark = strchrnul(start, '?');
	path = xstrndup(start, (size_t)(mark - start));
	r = canonical_query(*mark ? mark + 1 : "", &query, err);
	if (r < 0)
		return r;
	host = url->port == 443 ? xstrdup(url->host) : xasprintf("%s:%u", url->host, url->port);
	request =
		xasprintf("%s\n%s\n%s\nhost:%s\nx-amz-content-sha256:" EMPTY_SHA256
			  "\nx-amz-date:%s\n\nhost;x-amz-content-sha256;x-amz-date\n" EMPTY_SHA256,
			  method, path, str_get(&query), host, date);
	sha256_hex(request, hex);
	scope = xasprintf("%s/%s/" AWS_SERVICE "/aws4_request", day, region);
	text = xasprintf("AWS4-HMAC-SHA256\n%s\n%s\n%s", date, scope, hex);

	secret = xasprintf("AWS4%s", auth->secret);
	sign(secret, strlen(secret), day, key);
	sign(key, sizeof(key), region, next);
	sign(next, sizeof(next), AWS_SERVICE, key);
	sign(key, sizeof(key), "aws4_request", next);
	sign(next, sizeof(next), text, key);
	hash_hex(key, sizeof(key), hex);
	ret->authorization = xasprintf("AWS4-HMAC-SHA256 Credential=%s/%s,SignedHeaders=host;"
				       "x-amz-content-sha256;x-amz-date,Signature=%s",
				       auth->user, scope, hex);
	strv_add_owned(&ret->headers, xasprintf("x-amz-date: %s", date));
	strv_add(&ret->headers, "x-amz-content-sha256: " EMPTY_SHA256);
	return 0;
}

static char *basic(const struct config_auth *auth)
{
	cleanup_free char *pair = xasprintf("%s:%s", auth->user, auth->secret);
	cleanup_free char *base64 = base64_encode(pair, strlen(pair));

	return xasprintf("Basic %s", base64);
}

int web_auth_for(const struct config *config, const char *url, const char *method, time_t now,
		 struct web_auth *ret, struct error *err)
{
	cleanup_url struct url parsed = {.text = NULL};
	cleanup_free char *host = NULL;
	const struct config_auth *auth;
	int r = url_parse(url, &parsed, err);

	if (r < 0)
		return r;
	if (!parsed.tls)
		return 0;
	host = parsed.port == 443 ? xstrdup(parsed.host)
				  : xasprintf("%s:%u", parsed.host, parsed.port);
	auth = config_auth_for(config, host);
	if (!auth)
		return 0;
	switch (auth->type) {
	case CONFIG_BASIC:
		ret->authorization = basic(auth);
		return 0;
	case CONFIG_OAUTH:
		ret->authorization = xasprintf("Bearer %s", auth->secret);
		return 0;
	case CONFIG_AWS:
		return aws_signature(auth, &parsed, method, now, ret, err);
	}
	return error_set(err, -EINVAL, "%s: credentials of an unknown type", parsed.display);
}

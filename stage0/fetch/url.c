/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libcurl's parser does the parsing, so that what is checked here is what is asked for there.
 */
#include "stage0/fetch/url.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <curl/curl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/util.h"

static void curlu_freep(CURLU **u)
{
	if (*u)
		curl_url_cleanup(*u);
}

static void curl_freep(char **p)
{
	curl_free(*p);
}
#define cleanup_curl cleanup(curl_freep)

/* Bytes that may be in a URL: visible ASCII. Everything else is to be percent-encoded. */
static bool clean(const char *text)
{
	size_t n = 0;

	for (; text[n]; n++)
		if (text[n] <= ' ' || text[n] >= 0x7f || text[n] == '\\' || n >= URL_MAX)
			return false;
	return n > 0;
}

/* libcurl would take "https:///x" for the host x. */
static bool without_host(const char *text)
{
	size_t scheme = strcspn(text, ":/?#");

	return str_starts_with(text + scheme, ":///");
}

/* A message must not show the user and password that make the URL unacceptable. */
static int bad_url(const char *text, const char *why, struct error *err)
{
	cleanup_str struct str shown = STR_INIT;
	const char *at = strchr(text, '@');

	str_add_escaped(&shown, at ? "…" : text, at ? strlen("…") : strcspn(text, "?#"));
	if (at)
		str_add_escaped(&shown, at, strcspn(at, "?#"));
	return error_set(err, -EINVAL, "\"%.256s\": %s", str_get(&shown), why);
}

static int fill(CURLU *u, const char *given, struct url *ret, struct error *err)
{
	cleanup_curl char *scheme = NULL, *host = NULL, *port = NULL, *path = NULL, *user = NULL,
			  *text = NULL;
	unsigned long long number;

	if (curl_url_get(u, CURLUPART_USER, &user, 0) == CURLUE_OK ||
	    curl_url_get(u, CURLUPART_PASSWORD, &user, 0) == CURLUE_OK)
		return bad_url(given, "a URL with a user in it is not accepted", err);
	curl_url_set(u, CURLUPART_FRAGMENT, NULL, 0);
	if (curl_url_get(u, CURLUPART_SCHEME, &scheme, 0) != CURLUE_OK ||
	    curl_url_get(u, CURLUPART_HOST, &host, 0) != CURLUE_OK ||
	    curl_url_get(u, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT) != CURLUE_OK ||
	    curl_url_get(u, CURLUPART_PATH, &path, 0) != CURLUE_OK ||
	    curl_url_get(u, CURLUPART_URL, &text, 0) != CURLUE_OK)
		return bad_url(given, "is no URL", err);
	if (strcmp(scheme, "https") != 0 && strcmp(scheme, "http") != 0)
		return bad_url(given, "is neither https nor http", err);
	if (!str_to_u64(port, UINT16_MAX, &number) || number == 0 || !clean(host) || !clean(text))
		return bad_url(given, "is no URL", err);
	*ret = (struct url){.tls = strcmp(scheme, "https") == 0, .port = (uint16_t)number};
	ret->host = xstrdup(host);
	for (char *p = ret->host; *p; p++)
		*p = (char)tolower((unsigned char)*p);
	ret->text = xstrdup(text);
	ret->display = xstrndup(text, strcspn(text, "?"));
	return 0;
}

int url_parse(const char *text, struct url *ret, struct error *err)
{
	cleanup(curlu_freep) CURLU *u = curl_url();

	if (!u)
		return error_set(err, -ENOMEM, "out of memory");
	if (!clean(text) || without_host(text) ||
	    curl_url_set(u, CURLUPART_URL, text, 0) != CURLUE_OK)
		return bad_url(text, "is no URL", err);
	return fill(u, text, ret, err);
}

int url_resolve(const struct url *base, const char *location, struct url *ret, struct error *err)
{
	cleanup(curlu_freep) CURLU *u = curl_url();

	if (!u || curl_url_set(u, CURLUPART_URL, base->text, 0) != CURLUE_OK)
		return error_set(err, -ENOMEM, "out of memory");
	if (!clean(location) || without_host(location) ||
	    curl_url_set(u, CURLUPART_URL, location, 0) != CURLUE_OK)
		return bad_url(location, "is no URL", err);
	return fill(u, location, ret, err);
}

void url_free(struct url *url)
{
	free(url->host);
	free(url->text);
	free(url->display);
	*url = (struct url){.host = NULL};
}

bool url_same_origin(const struct url *a, const struct url *b)
{
	return a->tls == b->tls && a->port == b->port && strcmp(a->host, b->host) == 0;
}

bool host_is_loopback(const char *host)
{
	static const char localhost[] = "localhost";
	size_t len = host[0] == '[' ? strcspn(host, "]") + 1 : strcspn(host, ":");
	char name[64];
	struct in_addr v4;

	if (len >= sizeof(name))
		return false;
	memcpy(name, host, len);
	name[len] = '\0';
	if (strcasecmp(name, localhost) == 0 || strcmp(name, "[::1]") == 0)
		return true;
	return inet_pton(AF_INET, name, &v4) == 1 && ntohl(v4.s_addr) >> 24 == 127;
}

void url_encode(struct str *str, const char *text)
{
	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;

		if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
		    strchr("-._~", c))
			str_addn(str, text, 1);
		else
			str_addf(str, "%%%02X", c);
	}
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The HTTP client object: settings, a pool of curl handles, and what they share.
 *
 * Theory of operation: a request runs in its caller's thread, on a curl handle taken from the pool
 * and given back afterwards, so that a later request finds its connection open. The handles share
 * the DNS cache and TLS sessions (not connections: libcurl's connection cache is not for several
 * threads). What a request is made of, from the inside out: http_exchange() is one request to one
 * server; http_perform() makes redirects, tries and continued downloads of it. Neither redirects nor
 * decompression are left to libcurl, nor is anything to the environment.
 */
#include "stage0/fetch/http.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "common/util.h"
#include "stage0/fetch/http_priv.h"

void http_settings_init(struct http_settings *settings)
{
	*settings = (struct http_settings){
		.user_agent = "tripod/" TRIPOD_VERSION,
		.connect_ms = 20000,
		.stall_ms = 30000,
		.stall_rate = 1024,
		.tries = 5,
		.backoff_ms = 2000,
		.backoff_max_ms = 60000,
		.retry_after_max_ms = 300000,
	};
}

/* In lower case first, as most programs do. */
static const char *env_either(const char *lower, const char *upper)
{
	const char *value = getenv(lower);

	if (!value || !*value)
		value = getenv(upper);
	return value && *value ? value : NULL;
}

/* Where registry clients keep certificates by host. */
static const char *const cert_dirs[] = {"/etc/docker/certs.d", "/etc/containers/certs.d", NULL};

void http_settings_env(struct http_settings *settings)
{
	const char *all = env_either("all_proxy", "ALL_PROXY"), *file = getenv("SSL_CERT_FILE"),
		   *dir = getenv("SSL_CERT_DIR");

	settings->http_proxy = env_either("http_proxy", "HTTP_PROXY");
	settings->https_proxy = env_either("https_proxy", "HTTPS_PROXY");
	settings->no_proxy = env_either("no_proxy", "NO_PROXY");
	if (!settings->http_proxy)
		settings->http_proxy = all;
	if (!settings->https_proxy)
		settings->https_proxy = all;
	if (file && *file)
		settings->ca_file = file;
	if (dir && *dir)
		settings->ca_dir = dir;
	settings->cert_dirs = cert_dirs;
}

static pthread_once_t global_once = PTHREAD_ONCE_INIT;
static CURLcode global_result;

static void global_init(void)
{
	global_result = curl_global_init(CURL_GLOBAL_DEFAULT);
}

static void share_lock(CURL *curl, curl_lock_data data, curl_lock_access access, void *arg)
{
	struct http *http = arg;

	(void)curl;
	(void)access;
	pthread_mutex_lock(&http->share_lock[data]);
}

static void share_unlock(CURL *curl, curl_lock_data data, void *arg)
{
	struct http *http = arg;

	(void)curl;
	pthread_mutex_unlock(&http->share_lock[data]);
}

static bool share_init(struct http *http)
{
	http->share = curl_share_init();
	return http->share &&
	       curl_share_setopt(http->share, CURLSHOPT_LOCKFUNC, share_lock) == CURLSHE_OK &&
	       curl_share_setopt(http->share, CURLSHOPT_UNLOCKFUNC, share_unlock) == CURLSHE_OK &&
	       curl_share_setopt(http->share, CURLSHOPT_USERDATA, http) == CURLSHE_OK &&
	       curl_share_setopt(http->share, CURLSHOPT_SHARE, CURL_LOCK_DATA_DNS) == CURLSHE_OK &&
	       curl_share_setopt(http->share, CURLSHOPT_SHARE, CURL_LOCK_DATA_SSL_SESSION) ==
		       CURLSHE_OK;
}

static void keep(struct http *http, const char **string)
{
	char *copy;

	if (!*string)
		return;
	copy = xstrdup(*string);
	strv_add_owned(&http->strings, copy);
	*string = copy;
}

static void copy_settings(struct http *http, const struct http_settings *settings)
{
	struct http_settings *set = &http->set;

	*set = *settings;
	keep(http, &set->user_agent);
	keep(http, &set->ca_file);
	keep(http, &set->ca_dir);
	keep(http, &set->http_proxy);
	keep(http, &set->https_proxy);
	keep(http, &set->no_proxy);
	for (size_t i = 0; settings->cert_dirs && settings->cert_dirs[i]; i++)
		strv_add(&http->cert_dirs, settings->cert_dirs[i]);
	set->cert_dirs = NULL;
}

int http_new(const struct http_settings *settings, struct http **ret, struct error *err)
{
	struct http *http;

	pthread_once(&global_once, global_init);
	if (global_result != CURLE_OK)
		return error_set(err, -EIO, "libcurl: %s", curl_easy_strerror(global_result));
	http = xcalloc(1, sizeof(*http));
	pthread_mutex_init(&http->lock, NULL);
	for (size_t i = 0; i < ARRAY_SIZE(http->share_lock); i++)
		pthread_mutex_init(&http->share_lock[i], NULL);
	copy_settings(http, settings);
	if (!share_init(http)) {
		http_free(http);
		return error_set(err, -ENOMEM, "libcurl: out of memory");
	}
	*ret = http;
	return 0;
}

void http_free(struct http *http)
{
	if (!http)
		return;
	for (size_t i = 0; i < http->nidle; i++)
		curl_easy_cleanup(http->idle[i]);
	if (http->share) {
		CURLSHcode code = curl_share_cleanup(http->share);

		assert(code == CURLSHE_OK); /* else a request still runs */
	}
	pthread_mutex_destroy(&http->lock);
	for (size_t i = 0; i < ARRAY_SIZE(http->share_lock); i++)
		pthread_mutex_destroy(&http->share_lock[i]);
	strv_free(&http->strings);
	strv_free(&http->cert_dirs);
	free(http);
}

CURL *http_handle_get(struct http *http)
{
	CURL *curl = NULL;

	pthread_mutex_lock(&http->lock);
	if (http->nidle > 0)
		curl = http->idle[--http->nidle];
	pthread_mutex_unlock(&http->lock);
	if (!curl)
		curl = curl_easy_init();
	if (curl)
		curl_easy_setopt(curl, CURLOPT_SHARE, http->share);
	return curl;
}

void http_handle_put(struct http *http, CURL *curl)
{
	if (!curl)
		return;
	curl_easy_reset(curl);
	pthread_mutex_lock(&http->lock);
	if (http->nidle < HTTP_HANDLES_MAX) {
		http->idle[http->nidle++] = curl;
		curl = NULL;
	}
	pthread_mutex_unlock(&http->lock);
	if (curl)
		curl_easy_cleanup(curl);
}

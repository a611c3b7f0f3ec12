/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE0_FETCH_HTTP_PRIV_H
#define STAGE0_FETCH_HTTP_PRIV_H

#include <curl/curl.h>
#include <pthread.h>

#include "stage0/fetch/http.h"
#include "stage0/fetch/url.h"

/* Between the files of the HTTP client. */

#define HTTP_HANDLES_MAX 16	   /* idle ones kept, each with its connections */
#define HTTP_CERTS_MAX	 (1 << 20) /* bytes of all CA certificates of a host */

struct http {
	struct http_settings set; /* with strings of our own */
	struct strv strings, cert_dirs;
	pthread_mutex_t lock; /* of idle */
	CURL *idle[HTTP_HANDLES_MAX];
	size_t nidle;
	CURLSH *share; /* DNS cache and TLS sessions */
	pthread_mutex_t share_lock[CURL_LOCK_DATA_LAST];
};

/* A handle of one's own, with the connections of earlier requests; every option is the default. */
CURL *http_handle_get(struct http *http) __attribute__((nonnull));
void http_handle_put(struct http *http, CURL *curl) __attribute__((nonnull(1)));

/* Certificates for this host by files in cert_dirs: extra CAs and who we are. */
struct http_certs {
	struct str ca;	  /* PEM, or empty */
	char *cert, *key; /* paths, or NULL */
};
int http_certs_find(const struct http *http, const struct url *url, struct http_certs *ret,
		    struct error *err) __attribute__((nonnull));
void http_certs_free(struct http_certs *certs) __attribute__((nonnull));

/* One logical request: what is kept over redirects and tries. */
struct http_work {
	struct http *http;
	const struct http_request *request;
	struct http_response *response;
	uint64_t delivered; /* position after the last byte the sink has */
	bool begun;	    /* the sink has been told where it starts */
	bool answered;	    /* some server has sent the headers of a response */
	char *etag;	   /* of the content the sink has bytes of; "" when the server tells none */
	uint64_t total;	   /* of that content; 0: unknown */
	uint64_t deadline; /* clock_now_ns(), or 0 */
};

/* How one exchange with one server ended. */
enum http_end {
	HTTP_DONE,  /* there is a response */
	HTTP_AGAIN, /* a failure that may pass; err has it */
	HTTP_FAIL,  /* a failure that will not */
};

/* Send the request to url and receive one response. *ret_code is the error's with the latter two. */
enum http_end http_exchange(struct http_work *work, const struct url *url, bool authorize,
			    bool insecure_tls, int *ret_code, struct error *err)
	__attribute__((nonnull));

/* "bytes FIRST-LAST/TOTAL"; *ret_total is 0 for "*". */
bool http_content_range(const char *text, uint64_t *ret_first, uint64_t *ret_last,
			uint64_t *ret_total) __attribute__((nonnull));
/* Cache-Control's seconds, or -1. */
int64_t http_max_age(const char *text) __attribute__((nonnull));
/* Whether work->request->cancel_fd says so. */
bool http_cancelled(const struct http_request *request) __attribute__((nonnull));

#endif

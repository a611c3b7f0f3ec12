/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE0_FETCH_HTTP_H
#define STAGE0_FETCH_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/error.h"
#include "common/str.h"

/*
 * The HTTP client of everything that is fetched (spec/images.md 9.2, 13.5, 13.6, 13.9): one object
 * for the whole process, requests from any number of threads at once.
 */

#define HTTP_REDIRECTS_MAX  10		  /* what browsers and Go stop at */
#define HTTP_HEADERS_MAX    (64 * 1024)	  /* bytes of a response's headers */
#define HTTP_ERROR_BODY_MAX (64 * 1024)	  /* bytes kept of a body that is no success's */
#define HTTP_PROGRESS_MIN   (1024 * 1024) /* bytes that make a download worth all its tries again */

struct http;

struct http_settings {
	const char *user_agent;
	bool insecure_tls;	      /* certificates are not checked */
	bool allow_http;	      /* plain http is fine; credentials never go over it */
	const char *ca_file, *ca_dir; /* instead of the system's; NULL: the system's */
	const char *const
		*cert_dirs; /* NULL-terminated; DIR/HOST[:PORT]/ with *.crt, *.cert, *.key */
	const char *http_proxy, *https_proxy, *no_proxy; /* as in the environment; NULL: none */
	unsigned connect_ms;				 /* until a connection stands */
	unsigned stall_ms,
		stall_rate; /* less than rate bytes/s for that long: the server is stuck */
	unsigned tries;	    /* in all, for failures that may pass */
	unsigned backoff_ms, backoff_max_ms; /* between them: doubling, with jitter */
	unsigned retry_after_max_ms;	     /* the longest Retry-After that is waited for */
};

/* The spec's values. */
void http_settings_init(struct http_settings *settings) __attribute__((nonnull));
/*
 * What the environment says: HTTP_PROXY, HTTPS_PROXY, ALL_PROXY, NO_PROXY in either case,
 * SSL_CERT_FILE, SSL_CERT_DIR, and where registry clients keep certificates. For programs; the
 * strings stay the environment's.
 */
void http_settings_env(struct http_settings *settings) __attribute__((nonnull));

/* The settings are copied. The caller frees *ret, after all requests ended. */
int http_new(const struct http_settings *settings, struct http **ret, struct error *err)
	__attribute__((nonnull));
void http_free(struct http *http); /* NULL is fine */

/* Where the body of a success (200, 206) goes. A negative result ends the request with that error. */
struct http_response;
struct http_sink {
	/* Before the first byte, once for every start: offset is the position of what follows. */
	int (*begin)(void *arg, const struct http_response *response, uint64_t offset,
		     struct error *err); /* may be NULL */
	int (*data)(void *arg, const void *bytes, size_t len, struct error *err);
	void *arg;
};

struct http_request {
	const char *url;
	const char *method;	    /* NULL: GET, or POST with a form; or HEAD */
	const char *form;	    /* body of a POST, application/x-www-form-urlencoded */
	const char *const *headers; /* "Name: value", NULL-terminated; may be NULL */
	/*
	 * Value of the Authorization header, or NULL. It is sent to the URL's own scheme, host and
	 * port, never to where a redirect leads, and not over plain http unless it is no secret.
	 */
	const char *authorization;
	bool authorization_public;
	const char *if_none_match;     /* an ETag: 304 when that is what there is */
	bool allow_http, insecure_tls; /* beyond the settings */

	uint64_t body_max; /* bytes: a longer body is -EFBIG, as soon as that is known */
	uint64_t size;	   /* what the whole must have when known, else 0 */
	/*
	 * Start there, if the server still has what if_range (an ETag; NULL: anything) names;
	 * else it starts over, which sink.begin is told.
	 */
	uint64_t offset;
	const char *if_range;
	/*
	 * The URL names one content for ever: a download broken off goes on whatever the server
	 * tells of its identity.
	 */
	bool immutable;
	unsigned tries;	      /* 0: the settings' */
	unsigned deadline_ms; /* for everything, tries included; 0: none */
	int cancel_fd;	      /* becomes readable: -ECANCELED; 0 or less: none */
	struct http_sink sink;
	/* Told before a pause: why, and for how long. May be NULL. */
	void (*notice)(void *arg, const char *line);
	void *notice_arg;
};

struct http_response {
	long status;
	struct strv headers;	/* "name: value" of the last response, names in lower case */
	struct str body;	/* when status is no success: at most HTTP_ERROR_BODY_MAX bytes */
	char *final_url;	/* after redirects, without query */
	bool redirected;	/* the answer is of another place than the URL's */
	bool same_origin;	/* false: a redirect left the URL's scheme, host and port */
	int64_t content_length; /* of this body; -1: unknown */
	uint64_t received;	/* position after the last byte given to the sink */
	int64_t max_age;     /* Cache-Control, seconds; no-cache and no-store are 0; -1: not told */
	int64_t retry_after; /* seconds; -1: not told */
	bool authorization_withheld; /* there was one, but the way was in clear */
};
#define HTTP_RESPONSE_INIT                                                                         \
	{                                                                                          \
		.content_length = -1                                                               \
	}

/*
 * Do a request: redirects, tries and continued downloads included. 0 for every status the server
 * ends with; *ret is to be freed in any case. -ECONNREFUSED, -ENOENT (no such host), -ETIMEDOUT,
 * -ECONNRESET, -EFBIG, -ESTALE (the content changed in the middle), -EPROTO, -EPERM (plain http, a
 * redirect that is refused), -EKEYREJECTED (certificate), or the sink's.
 */
int http_perform(struct http *http, const struct http_request *request, struct http_response *ret,
		 struct error *err) __attribute__((nonnull));
void http_response_free(struct http_response *response) __attribute__((nonnull));
#define cleanup_http_response cleanup(http_response_free)

/* The same with the body, NUL-terminated, in ret_body, request->body_max bytes at most. */
int http_fetch(struct http *http, const struct http_request *request, struct http_response *ret,
	       struct str *ret_body, struct error *err) __attribute__((nonnull));

/* The nth (from 0) header of that (lower-case) name, or NULL. */
const char *http_header(const struct http_response *response, const char *name, size_t n)
	__attribute__((nonnull));
/* The media type without parameters, in lower case; false: there is none or it does not fit. */
bool http_content_type(const struct http_response *response, char *ret, size_t size)
	__attribute__((nonnull));

/*
 * The error of a status that is none the caller hoped for: "URL: bad HTTP status code: 404", with
 * what a registry's error body says. -EACCES, -ENOENT, -EAGAIN (429) or -EPROTO.
 */
int http_status_error(const struct http_response *response, struct error *err)
	__attribute__((nonnull));

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One request to one server, over libcurl.
 *
 * Theory of operation: libcurl calls back with header lines, pieces of the body, and about once a
 * second with nothing. The first piece of the body (or its end) is when the headers are judged: the
 * body of a success goes to the sink, from the position the sink is at; any other body is kept for
 * the error message, up to a limit. Everything that makes a callback end the transfer is noted in
 * the exchange with its error. A server is stuck when it sends less than a rate for a while; the
 * time the sink needs does not count, as the sink may wait for others.
 */
#include <ctype.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "common/clock.h"
#include "common/util.h"
#include "stage0/fetch/http_priv.h"

#define READ_BUFFER   (256 * 1024L) /* a TLS record is 16 KiB, plain connections fill more */
#define TCP_KEEPALIVE 1L

struct exchange {
	struct http_work *work;
	const struct url *url;
	CURL *curl;
	struct error *err;
	enum http_end end; /* of what a callback ended */
	int code;	   /* its error; 0: none did */
	bool headers_done, judged;
	bool to_sink;
	bool enough;   /* of a body nobody needs */
	uint64_t skip; /* bytes the sink has already */
	size_t header_bytes;
	uint64_t window, window_bytes; /* of the stall check: start, and bytes since */
	uint64_t request_bytes;
	char text[CURL_ERROR_SIZE];
};

bool http_cancelled(const struct http_request *request)
{
	struct pollfd pfd = {.fd = request->cancel_fd, .events = POLLIN};

	return request->cancel_fd > 0 && poll(&pfd, 1, 0) > 0;
}

/* End the transfer with an error, which a callback has set. */
static void give_up(struct exchange *x, enum http_end end, int code)
{
	if (x->code == 0) {
		x->code = code;
		x->end = end;
	}
}

static size_t on_header(char *line, size_t size, size_t n, void *arg)
{
	struct exchange *x = arg;
	struct strv *headers = &x->work->response->headers;
	size_t len = size * n, name;
	cleanup_free char *text = NULL;
	long status = 0;

	x->window_bytes += len;
	x->header_bytes += len;
	if (x->header_bytes > HTTP_HEADERS_MAX) {
		give_up(x, HTTP_FAIL,
			error_set(x->err, -EFBIG, "%s: more than %d bytes of headers",
				  x->url->display, HTTP_HEADERS_MAX));
		return 0;
	}
	while (len > 0 && strchr(" \t\r\n", line[len - 1]))
		len--;
	if (x->headers_done) /* trailers */
		return size * n;
	if (len == 0) {
		curl_easy_getinfo(x->curl, CURLINFO_RESPONSE_CODE, &status);
		x->headers_done = status >= 200;
		return size * n;
	}
	if (len >= 5 && memcmp(line, "HTTP/", 5) == 0) {
		strv_free(headers);
		return size * n;
	}
	text = xstrndup(line, len);
	name = strcspn(text, ": \t");
	if (name == 0 || text[name] != ':')
		return size * n;
	for (size_t i = 0; i < name; i++)
		text[i] = (char)tolower((unsigned char)text[i]);
	strv_add_owned(headers, xasprintf("%.*s: %s", (int)name, text,
					  text + name + 1 + strspn(text + name + 1, " \t")));
	return size * n;
}

/* A strong ETag identifies bytes; a weak one does not. */
static const char *strong_etag(const struct http_response *response)
{
	const char *etag = http_header(response, "etag", 0);

	return etag && etag[0] == '"' ? etag : "";
}

static uint64_t position(const struct http_work *work)
{
	return work->begun ? work->delivered : work->request->offset;
}

/* Whether a download broken off can go on, rather than start over. */
static bool continues(const struct http_work *work)
{
	return position(work) > 0 &&
	       (!work->begun || work->request->immutable || (work->etag && *work->etag));
}

/* A part of the content: it must be the one that was asked for. */
static int judge_part(struct exchange *x, uint64_t *ret_total)
{
	const char *range = http_header(x->work->response, "content-range", 0);
	const char *etag = strong_etag(x->work->response);
	uint64_t first, last, total;

	if (!continues(x->work) || !range || !http_content_range(range, &first, &last, &total) ||
	    first != position(x->work))
		return error_set(x->err, -EPROTO, "%s: sends another part than was asked for",
				 x->url->display);
	if ((x->work->total && total && total != x->work->total) ||
	    (x->work->begun && !x->work->request->immutable && *etag &&
	     strcmp(etag, x->work->etag) != 0))
		return error_set(x->err, -ESTALE, "%s: changed while it was loaded",
				 x->url->display);
	*ret_total = total ? total : x->work->total;
	return 0;
}

/* All of the content, from its beginning: the sink starts over, or has what it can not give back. */
static int judge_whole(struct exchange *x, uint64_t *ret_total)
{
	struct http_work *work = x->work;
	int64_t length = work->response->content_length;

	if (work->request->immutable)
		x->skip = position(work);
	else if (position(work) > 0 && !work->request->sink.begin)
		return error_set(x->err, -ESTALE, "%s: changed while it was loaded",
				 x->url->display);
	*ret_total = length >= 0 ? (uint64_t)length : 0;
	return 0;
}

static int judge_sizes(struct exchange *x, uint64_t total)
{
	const struct http_request *request = x->work->request;
	int64_t length = x->work->response->content_length;

	if (request->size && ((total && total != request->size) || (length == 0 && !total)))
		return error_set(x->err, -EBADMSG, "%s: has %llu bytes, not %llu", x->url->display,
				 (unsigned long long)total, (unsigned long long)request->size);
	if (total > request->body_max || (length > 0 && (uint64_t)length > request->body_max))
		return error_set(x->err, -EFBIG, "%s: larger than %llu bytes", x->url->display,
				 (unsigned long long)request->body_max);
	return 0;
}

static int judge_success(struct exchange *x)
{
	struct http_work *work = x->work;
	const struct http_sink *sink = &work->request->sink;
	uint64_t total = 0, start;
	int r;

	if (work->response->status == 206)
		r = judge_part(x, &total);
	else
		r = judge_whole(x, &total);
	if (r == 0)
		r = judge_sizes(x, total);
	if (r < 0)
		return r;
	start = x->skip || work->response->status == 206 ? position(work) : 0;
	if (sink->begin && (!work->begun || start == 0)) {
		r = sink->begin(sink->arg, work->response, start, x->err);
		if (r < 0)
			return r;
	}
	free(work->etag);
	work->etag = xstrdup(strong_etag(work->response));
	work->begun = true;
	work->delivered = start;
	work->total = total;
	return 0;
}

/* The headers are complete: what is to happen to the body? */
static int judge(struct exchange *x)
{
	struct http_response *response = x->work->response;
	curl_off_t length = -1, wait = 0;
	const char *text;
	int r;

	x->judged = true;
	curl_easy_getinfo(x->curl, CURLINFO_RESPONSE_CODE, &response->status);
	curl_easy_getinfo(x->curl, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length);
	response->content_length = length;
	text = http_header(response, "cache-control", 0);
	response->max_age = text ? http_max_age(text) : -1;
	response->retry_after = -1;
	if (http_header(response, "retry-after", 0) &&
	    curl_easy_getinfo(x->curl, CURLINFO_RETRY_AFTER, &wait) == CURLE_OK)
		response->retry_after = wait;
	x->to_sink = (response->status == 200 || response->status == 206) &&
		     x->work->request->sink.data &&
		     (!x->work->request->method || strcmp(x->work->request->method, "HEAD") != 0);
	if (!x->to_sink)
		return 0;
	r = judge_success(x);
	if (r < 0)
		give_up(x, HTTP_FAIL, r);
	return r;
}

static int give_sink(struct exchange *x, const char *bytes, size_t len)
{
	struct http_work *work = x->work;
	const struct http_request *request = work->request;
	uint64_t skip = MIN(x->skip, (uint64_t)len), before;
	int r;

	x->skip -= skip;
	bytes += skip;
	len -= skip;
	if (len == 0)
		return 0;
	if (request->size && len > request->size - MIN(work->delivered, request->size))
		return error_set(x->err, -EBADMSG, "%s: is longer than %llu bytes", x->url->display,
				 (unsigned long long)request->size);
	if (len > request->body_max - MIN(work->delivered, request->body_max))
		return error_set(x->err, -EFBIG, "%s: larger than %llu bytes", x->url->display,
				 (unsigned long long)request->body_max);
	before = clock_now_ns();
	r = request->sink.data(request->sink.arg, bytes, len, x->err);
	x->window += clock_now_ns() - before;
	if (r == 0)
		work->delivered += len;
	return r;
}

static size_t on_body(char *bytes, size_t size, size_t n, void *arg)
{
	struct exchange *x = arg;
	struct str *body = &x->work->response->body;
	size_t len = size * n;
	int r;

	x->window_bytes += len;
	if (!x->judged && judge(x) < 0)
		return CURL_WRITEFUNC_ERROR;
	if (x->to_sink) {
		r = give_sink(x, bytes, len);
		if (r == 0)
			return len;
		give_up(x, HTTP_FAIL, r);
		return CURL_WRITEFUNC_ERROR;
	}
	str_addn(body, bytes, MIN(len, HTTP_ERROR_BODY_MAX - body->len));
	if (body->len < HTTP_ERROR_BODY_MAX)
		return len;
	x->enough = true;
	return CURL_WRITEFUNC_ERROR;
}

static int on_progress(void *arg, curl_off_t total, curl_off_t now_bytes, curl_off_t up_total,
		       curl_off_t up)
{
	struct exchange *x = arg;
	const struct http_settings *set = &x->work->http->set;
	uint64_t now = clock_now_ns(), ms = now > x->window ? (now - x->window) / 1000000 : 0;

	(void)total;
	(void)now_bytes;
	(void)up_total;
	(void)up;
	if (http_cancelled(x->work->request)) {
		give_up(x, HTTP_FAIL,
			error_set(x->err, -ECANCELED, "%s: was ended", x->url->display));
		return 1;
	}
	if (x->work->deadline && now >= x->work->deadline) {
		give_up(x, HTTP_FAIL,
			error_set(x->err, -ETIMEDOUT, "%s: takes too long", x->url->display));
		return 1;
	}
	if (ms < set->stall_ms)
		return 0;
	if (x->window_bytes < (uint64_t)set->stall_rate * ms / 1000) {
		give_up(x, HTTP_AGAIN,
			error_set(x->err, -ETIMEDOUT,
				  "%s: the server is too slow (%llu bytes in %llu ms)",
				  x->url->display, (unsigned long long)x->window_bytes,
				  (unsigned long long)ms));
		return 1;
	}
	x->window = now;
	x->window_bytes = 0;
	return 0;
}

static struct curl_slist *add_line(struct curl_slist *list, char *line)
{
	struct curl_slist *longer = curl_slist_append(list, line);

	free(line);
	return longer ? longer : list;
}

static struct curl_slist *make_headers(struct exchange *x, bool authorize)
{
	const struct http_request *request = x->work->request;
	struct curl_slist *list = NULL;
	const char *etag;

	for (size_t i = 0; request->headers && request->headers[i]; i++)
		list = add_line(list, xstrdup(request->headers[i]));
	if (request->form)
		list = add_line(list, xstrdup("Expect:"));
	if (request->if_none_match)
		list = add_line(list, xasprintf("If-None-Match: %s", request->if_none_match));
	if (authorize && request->authorization) {
		if (x->url->tls || request->authorization_public)
			list = add_line(list,
					xasprintf("Authorization: %s", request->authorization));
		else
			x->work->response->authorization_withheld = true;
	}
	if (!continues(x->work))
		return list;
	list = add_line(list,
			xasprintf("Range: bytes=%llu-", (unsigned long long)position(x->work)));
	etag = x->work->begun ? x->work->etag : request->if_range;
	if (etag && *etag && !request->immutable)
		list = add_line(list, xasprintf("If-Range: %s", etag));
	return list;
}

static void set_proxy(struct exchange *x)
{
	const struct http_settings *set = &x->work->http->set;
	const char *proxy = x->url->tls ? set->https_proxy : set->http_proxy;

	if (!proxy || host_is_loopback(x->url->host))
		proxy = "";
	curl_easy_setopt(x->curl, CURLOPT_PROXY, proxy);
	curl_easy_setopt(x->curl, CURLOPT_NOPROXY, set->no_proxy ? set->no_proxy : "");
	curl_easy_setopt(x->curl, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
	curl_easy_setopt(x->curl, CURLOPT_HEADEROPT, (long)CURLHEADER_SEPARATE);
}

static void set_tls(struct exchange *x, const struct http_certs *certs, bool insecure)
{
	const struct http_settings *set = &x->work->http->set;
	struct curl_blob ca = {
		.data = certs->ca.s,
		.len = certs->ca.len,
		.flags = CURL_BLOB_COPY,
	};

	curl_easy_setopt(x->curl, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	curl_easy_setopt(x->curl, CURLOPT_SSL_VERIFYPEER, insecure ? 0L : 1L);
	curl_easy_setopt(x->curl, CURLOPT_SSL_VERIFYHOST, insecure ? 0L : 2L);
	if (set->ca_file)
		curl_easy_setopt(x->curl, CURLOPT_CAINFO, set->ca_file);
	if (set->ca_dir || set->ca_file)
		curl_easy_setopt(x->curl, CURLOPT_CAPATH, set->ca_dir);
	if (ca.len > 0) /* instead of the file: the directory still counts */
		curl_easy_setopt(x->curl, CURLOPT_CAINFO_BLOB, &ca);
	if (certs->cert) {
		curl_easy_setopt(x->curl, CURLOPT_SSLCERT, certs->cert);
		curl_easy_setopt(x->curl, CURLOPT_SSLKEY, certs->key);
	}
}

static void set_options(struct exchange *x, struct curl_slist *headers)
{
	const struct http_request *request = x->work->request;
	const struct http_settings *set = &x->work->http->set;
	CURL *curl = x->curl;

	curl_easy_setopt(curl, CURLOPT_URL, x->url->text);
	curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, x->url->tls ? "https" : "http");
	curl_easy_setopt(curl, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(curl, CURLOPT_USERAGENT, set->user_agent);
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(curl, CURLOPT_TCP_KEEPALIVE, TCP_KEEPALIVE);
	curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, (long)set->connect_ms);
	curl_easy_setopt(curl, CURLOPT_BUFFERSIZE, READ_BUFFER);
	curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, x->text);
	curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(curl, CURLOPT_HEADERDATA, x);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, x);
	curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
	curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, on_progress);
	curl_easy_setopt(curl, CURLOPT_XFERINFODATA, x);
	if (request->form)
		curl_easy_setopt(curl, CURLOPT_POSTFIELDS, request->form);
	else if (request->method && strcmp(request->method, "HEAD") == 0)
		curl_easy_setopt(curl, CURLOPT_NOBODY, 1L);
}

/* libcurl, and TLS in it, may write to a connection that is gone. */
static CURLcode perform_without_sigpipe(CURL *curl)
{
	const struct timespec now = {.tv_sec = 0};
	sigset_t pipe, old, pending;
	bool was_pending;
	CURLcode code;

	sigemptyset(&pipe);
	sigaddset(&pipe, SIGPIPE);
	pthread_sigmask(SIG_BLOCK, &pipe, &old);
	sigpending(&pending);
	was_pending = sigismember(&pending, SIGPIPE);
	code = curl_easy_perform(curl);
	if (!was_pending)
		while (sigtimedwait(&pipe, NULL, &now) < 0 && errno == EINTR)
			;
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return code;
}

/* What libcurl calls a failure, in our words; whether another try may help. */
static enum http_end failure(struct exchange *x, CURLcode curl_code, int *ret_code)
{
	const char *text = x->text[0] ? x->text : curl_easy_strerror(curl_code);
	enum http_end again = x->work->answered ? HTTP_AGAIN : HTTP_FAIL;
	long os_errno = 0;

	switch (curl_code) {
	case CURLE_COULDNT_RESOLVE_HOST:
	case CURLE_COULDNT_RESOLVE_PROXY:
		*ret_code = error_set(x->err, -ENOENT, "%s: %s", x->url->display, text);
		return again;
	case CURLE_COULDNT_CONNECT:
		curl_easy_getinfo(x->curl, CURLINFO_OS_ERRNO, &os_errno);
		*ret_code = error_set(x->err, -ECONNREFUSED, "%s: can not connect: %s",
				      x->url->display, os_errno ? strerror((int)os_errno) : text);
		return again;
	case CURLE_OPERATION_TIMEDOUT:
		*ret_code = error_set(x->err, -ETIMEDOUT, "%s: can not connect: timed out",
				      x->url->display);
		return again;
	case CURLE_SSL_CONNECT_ERROR:
		*ret_code = error_set(x->err, -EPROTO, "%s: TLS: %s", x->url->display, text);
		return again;
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_CACERT_BADFILE:
	case CURLE_SSL_CERTPROBLEM:
	case CURLE_SSL_ISSUER_ERROR:
		*ret_code = error_set(x->err, -EKEYREJECTED, "%s: TLS: %s", x->url->display, text);
		return HTTP_FAIL;
	case CURLE_OUT_OF_MEMORY:
		*ret_code = error_set(x->err, -ENOMEM, "%s: out of memory", x->url->display);
		return HTTP_FAIL;
	case CURLE_SEND_ERROR:
	case CURLE_RECV_ERROR:
	case CURLE_GOT_NOTHING:
	case CURLE_PARTIAL_FILE:
		*ret_code = error_set(x->err, -ECONNRESET, "%s: the connection was lost: %s",
				      x->url->display, text);
		return HTTP_AGAIN;
	default: /* the server speaks something else */
		*ret_code = error_set(x->err, -EPROTO, "%s: %s", x->url->display, text);
		return HTTP_FAIL;
	}
}

/* The transfer is over. */
static enum http_end conclude(struct exchange *x, CURLcode curl_code, int *ret_code)
{
	uint64_t expected = x->work->request->size ? x->work->request->size : x->work->total;

	if (x->headers_done)
		x->work->answered = true;
	if (x->enough)
		curl_code = CURLE_OK;
	if (x->code == 0 && curl_code == CURLE_OK && !x->judged)
		judge(x); /* there was no body */
	if (x->code < 0) {
		*ret_code = x->code;
		return x->end;
	}
	if (curl_code != CURLE_OK)
		return failure(x, curl_code, ret_code);
	if (x->to_sink && (x->work->delivered < expected || x->skip > 0)) {
		*ret_code = error_set(x->err, -ECONNRESET, "%s: ends after %llu of %llu bytes",
				      x->url->display, (unsigned long long)x->work->delivered,
				      (unsigned long long)expected);
		return HTTP_AGAIN;
	}
	return HTTP_DONE;
}

enum http_end http_exchange(struct http_work *work, const struct url *url, bool authorize,
			    bool insecure_tls, int *ret_code, struct error *err)
{
	struct exchange x = {.work = work, .url = url, .err = err, .window = clock_now_ns()};
	struct http_certs certs = {.cert = NULL};
	struct curl_slist *headers;
	enum http_end end;

	if (url->tls && (*ret_code = http_certs_find(work->http, url, &certs, err)) < 0)
		return HTTP_FAIL;
	x.curl = http_handle_get(work->http);
	if (!x.curl) {
		http_certs_free(&certs);
		*ret_code = error_set(err, -ENOMEM, "%s: out of memory", url->display);
		return HTTP_FAIL;
	}
	headers = make_headers(&x, authorize);
	set_options(&x, headers);
	set_proxy(&x);
	if (url->tls)
		set_tls(&x, &certs, insecure_tls);
	end = conclude(&x, perform_without_sigpipe(x.curl), ret_code);
	curl_slist_free_all(headers);
	http_handle_put(work->http, x.curl);
	http_certs_free(&certs);
	return end;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Redirects, tries, and downloads that go on where they broke off.
 *
 * Theory of operation: every try begins at the URL that was asked for, as what a redirect leads to
 * may be good for a few minutes only. Credentials are for the first server alone (13.5): once a
 * redirect has led elsewhere they are gone for the rest of the way, also should it lead back. A
 * failure before any answer came is not tried again: a host that does not exist or does not listen
 * is a mistake more often than not, and the user waits.
 */
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "common/clock.h"
#include "common/util.h"
#include "stage0/fetch/http_priv.h"

static bool may_pass(long status)
{
	static const long passing[] = {408, 425, 429, 500, 502, 503, 504};

	for (size_t i = 0; i < ARRAY_SIZE(passing); i++)
		if (passing[i] == status)
			return true;
	return false;
}

static const char *redirect_target(const struct http_work *work)
{
	long status = work->response->status;

	if (work->request->form ||
	    (status != 301 && status != 302 && status != 303 && status != 307 && status != 308))
		return NULL;
	return http_header(work->response, "location", 0);
}

/* Plain http is for those who asked for it, and only to the server they asked it for. */
static int check_scheme(const struct http_work *work, const struct url *first,
			const struct url *url, struct error *err)
{
	bool asked = work->request->allow_http &&
		     (strcmp(first->host, url->host) == 0 || host_is_loopback(url->host));

	if (url->tls || work->http->set.allow_http || asked)
		return 0;
	return error_set(err, -EPERM, "%s: plain http is not allowed", url->display);
}

static int next_hop(struct http_work *work, const struct url *from, const char *location,
		    unsigned hops, struct url *ret, struct error *err)
{
	int r;

	if (hops >= HTTP_REDIRECTS_MAX)
		return error_set(err, -ELOOP, "%s: more than %d redirects", from->display,
				 HTTP_REDIRECTS_MAX);
	r = url_resolve(from, location, ret, err);
	if (r < 0)
		return error_wrap(err, "%s: redirect", from->display);
	if (from->tls && !ret->tls) {
		r = error_set(err, -EPERM, "%s: is redirected to plain http", from->display);
		url_free(ret);
	}
	http_response_free(work->response);
	return r;
}

static void finish_response(struct http_work *work, const struct url *first, const struct url *last,
			    bool same_origin)
{
	struct http_response *response = work->response;

	free(response->final_url);
	response->final_url = xstrdup(last->display);
	response->redirected = strcmp(first->text, last->text) != 0;
	response->same_origin = same_origin;
	response->received = work->delivered;
}

/* From the URL over its redirects to a response. */
static enum http_end walk(struct http_work *work, const struct url *first, int *ret_code,
			  struct error *err)
{
	cleanup_url struct url here = {.host = NULL};
	bool same_origin = true;
	enum http_end end;

	if ((*ret_code = url_parse(first->text, &here, err)) < 0)
		return HTTP_FAIL;
	for (unsigned hops = 0;; hops++) {
		bool insecure = work->http->set.insecure_tls ||
				(work->request->insecure_tls && url_same_origin(first, &here));
		const char *location;
		struct url next;

		http_response_free(work->response);
		if ((*ret_code = check_scheme(work, first, &here, err)) < 0)
			return HTTP_FAIL;
		end = http_exchange(work, &here, same_origin, insecure, ret_code, err);
		if (end != HTTP_DONE)
			return end;
		location = redirect_target(work);
		if (!location) {
			finish_response(work, first, &here, same_origin);
			return HTTP_DONE;
		}
		if ((*ret_code = next_hop(work, &here, location, hops, &next, err)) < 0)
			return HTTP_FAIL;
		same_origin = same_origin && url_same_origin(&here, &next);
		url_free(&here);
		here = next;
	}
}

/* Half of it is chance, so that many clients do not come back in the same moment. */
static uint64_t with_jitter(uint64_t ms)
{
	uint64_t chance = 0;

	if (getrandom(&chance, sizeof(chance), GRND_NONBLOCK) < 0)
		chance = clock_now_ns();
	return ms / 2 + chance % (ms / 2 + 1);
}

/* How long to wait before another try; false: there is to be none. */
static bool next_try(const struct http_work *work, unsigned failed, enum http_end end,
		     uint64_t *ret_ms)
{
	const struct http_settings *set = &work->http->set;
	unsigned tries = work->request->tries ? work->request->tries : set->tries;
	uint64_t ms = set->backoff_ms;

	if (failed >= tries)
		return false;
	for (unsigned i = 1; i < failed && ms < set->backoff_max_ms; i++)
		ms *= 2;
	ms = with_jitter(MIN(ms, set->backoff_max_ms));
	if (end == HTTP_DONE && work->response->retry_after >= 0) {
		uint64_t asked = (uint64_t)work->response->retry_after;

		if (asked > set->retry_after_max_ms / 1000)
			return false;
		ms = MAX(ms, asked * 1000);
	}
	if (work->deadline && clock_now_ns() + ms * 1000000 >= work->deadline)
		return false;
	*ret_ms = ms;
	return true;
}

/* false: cancelled */
static bool wait_ms(const struct http_request *request, uint64_t ms)
{
	struct pollfd pfd = {.fd = request->cancel_fd > 0 ? request->cancel_fd : -1,
			     .events = POLLIN};
	uint64_t end = clock_now_ns() + ms * 1000000, now;
	int n = 0;

	while (n <= 0 && (now = clock_now_ns()) < end)
		n = poll(&pfd, 1, (int)((end - now) / 1000000) + 1);
	return n <= 0;
}

static void tell(const struct http_work *work, enum http_end end, struct error *why, uint64_t ms)
{
	const struct http_request *request = work->request;
	cleanup_free char *line = NULL;

	if (!request->notice)
		return;
	if (end == HTTP_DONE)
		http_status_error(work->response, why);
	line = xasprintf("%s; once more in %llu s", why->msg,
			 (unsigned long long)DIV_ROUND_UP(ms, 1000));
	request->notice(request->notice_arg, line);
}

static int perform(struct http_work *work, const struct url *url, struct error *err)
{
	unsigned failed = 0;

	for (;;) {
		uint64_t before = work->delivered, ms;
		struct error why = ERROR_INIT;
		int code = 0;
		enum http_end end = walk(work, url, &code, &why);

		if (end == HTTP_DONE && !may_pass(work->response->status))
			return 0;
		if (work->delivered >= before + HTTP_PROGRESS_MIN)
			failed = 0;
		failed++;
		if (end == HTTP_FAIL || !next_try(work, failed, end, &ms)) {
			if (end != HTTP_DONE)
				*err = why;
			return end == HTTP_DONE ? 0 : code;
		}
		tell(work, end, &why, ms);
		if (!wait_ms(work->request, ms))
			return error_set(err, -ECANCELED, "%s: was ended", url->display);
	}
}

int http_perform(struct http *http, const struct http_request *request, struct http_response *ret,
		 struct error *err)
{
	struct http_work work = {.http = http, .request = request, .response = ret};
	cleanup_url struct url url = {.host = NULL};
	int r = url_parse(request->url, &url, err);

	if (r < 0)
		return r;
	if (request->deadline_ms)
		work.deadline = clock_now_ns() + (uint64_t)request->deadline_ms * 1000000;
	r = perform(&work, &url, err);
	free(work.etag);
	return r;
}

static int document_begin(void *arg, const struct http_response *response, uint64_t offset,
			  struct error *err)
{
	(void)response;
	(void)err;
	if (offset == 0)
		str_free(arg);
	return 0;
}

static int document_data(void *arg, const void *bytes, size_t len, struct error *err)
{
	(void)err;
	str_addn(arg, bytes, len);
	return 0;
}

int http_fetch(struct http *http, const struct http_request *request, struct http_response *ret,
	       struct str *ret_body, struct error *err)
{
	struct http_request whole = *request;

	whole.offset = 0;
	whole.sink = (struct http_sink){document_begin, document_data, ret_body};
	return http_perform(http, &whole, ret, err);
}

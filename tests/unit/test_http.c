/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/file.h"
#include "common/util.h"
#include "stage0/fetch/http_priv.h"
#include "tests/unit/httpd.h"

/* One request with everything around it. */
struct get {
	struct http_request request;
	struct http_response response;
	struct str body;
	struct error err;
	int r;
};

static void get_free(struct get *get)
{
	http_response_free(&get->response);
	str_free(&get->body);
	free((char *)get->request.url);
}

static void get(struct http *http, const char *base, const char *path, struct get *ret)
{
	ret->response = (struct http_response)HTTP_RESPONSE_INIT;
	ret->body = (struct str)STR_INIT;
	ret->err = (struct error)ERROR_INIT;
	ret->request.url = xasprintf("%s%s", base, path);
	if (!ret->request.body_max)
		ret->request.body_max = 1 << 20;
	ret->r = http_fetch(http, &ret->request, &ret->response, &ret->body, &ret->err);
	if (ret->r < 0)
		assert_string_not_equal(ret->err.msg, "");
}
#define cleanup_get cleanup(get_free) struct get

static void assert_pattern(const void *bytes, size_t len, unsigned seed, uint64_t from)
{
	const uint8_t *p = bytes;

	for (size_t i = 0; i < len; i++) {
		uint64_t at = (from + i) % 65536;

		if (p[i] != (uint8_t)(at * 7 + at / 251 + seed))
			fail_msg("byte %zu differs", i);
	}
}

static void a_body_arrives_with_its_headers(void **state)
{
	struct httpd *httpd = *state;
	cleanup_get got = {.r = 0}, cached = {.r = 0};
	char type[64];

	get(httpd->client, httpd->http, "/bytes/100000", &got);
	assert_int_equal(got.r, 0);
	assert_int_equal(got.response.status, 200);
	assert_int_equal(got.body.len, 100000);
	assert_pattern(got.body.s, got.body.len, 0, 0);
	assert_string_equal(http_header(&got.response, "etag", 0), "\"v1\"");
	assert_null(http_header(&got.response, "etag", 1));
	assert_int_equal(got.response.content_length, 100000);
	assert_false(got.response.redirected);

	get(httpd->client, httpd->http, "/cached", &cached);
	assert_int_equal(cached.response.max_age, 77);
	assert_true(http_content_type(&cached.response, type, sizeof(type)));
	assert_string_equal(type, "text/html");
	assert_false(http_content_type(&cached.response, type, 5));
}

static void an_etag_that_matches_is_a_304(void **state)
{
	struct httpd *httpd = *state;
	cleanup_get got = {.request.if_none_match = "\"v1\""};

	get(httpd->client, httpd->http, "/bytes/10", &got);
	assert_int_equal(got.r, 0);
	assert_int_equal(got.response.status, 304);
	assert_int_equal(got.body.len, 0);
}

static void nothing_is_decompressed(void **state)
{
	struct httpd *httpd = *state;
	cleanup_get got = {.r = 0};

	get(httpd->client, httpd->http, "/gzip", &got);
	assert_int_equal(got.r, 0);
	assert_memory_equal(got.body.s, "\x1f\x8b", 2);
}

static void plain_http_is_for_those_who_ask(void **state)
{
	struct httpd *httpd = *state;
	struct http_settings settings = httpd->settings;
	struct error err = ERROR_INIT;
	cleanup_get refused = {.r = 0}, allowed = {.request.allow_http = true},
		    other = {.request.allow_http = true};
	struct http *http;

	settings.allow_http = false;
	assert_int_equal(http_new(&settings, &http, &err), 0);
	get(http, httpd->http, "/bytes/1", &refused);
	assert_int_equal(refused.r, -EPERM);
	assert_non_null(strstr(refused.err.msg, "plain http"));
	get(http, httpd->http, "/bytes/1", &allowed);
	assert_int_equal(allowed.r, 0);
	/* asking for one host is not asking for all */
	get(http, httpd->http, "/redirect/302?to=http://registry.test/", &other);
	assert_int_equal(other.r, -EPERM);
	http_free(http);
}

static void certificates_are_checked(void **state)
{
	struct httpd *httpd = *state;
	struct http_settings settings = httpd->settings;
	struct error err = ERROR_INIT;
	cleanup_get good = {.r = 0}, bad = {.r = 0}, one = {.request.insecure_tls = true},
		    by_host = {.r = 0};
	const char *dirs[] = {NULL, NULL};
	cleanup_free char *hostdir = NULL, *link = NULL;
	struct http *http;

	get(httpd->client, httpd->https, "/bytes/10", &good);
	assert_int_equal(good.r, 0);
	settings.ca_file = NULL;
	assert_int_equal(http_new(&settings, &http, &err), 0);
	get(http, httpd->https, "/bytes/10", &bad);
	assert_int_equal(bad.r, -EKEYREJECTED);
	get(http, httpd->https, "/bytes/10", &one);
	assert_int_equal(one.r, 0);
	http_free(http);
	/* a directory named after host and port has one more CA */
	hostdir = xasprintf("%s/%s", httpd->dir, httpd->tls_host);
	link = xasprintf("%s/x.crt", hostdir);
	assert_int_equal(mkdir(hostdir, 0755), 0);
	assert_int_equal(symlink("../ca.pem", link), 0);
	dirs[0] = httpd->dir;
	settings.cert_dirs = dirs;
	assert_int_equal(http_new(&settings, &http, &err), 0);
	get(http, httpd->https, "/bytes/10", &by_host);
	assert_int_equal(by_host.r, 0);
	http_free(http);
}

static void redirects_are_followed_ten_times(void **state)
{
	struct httpd *httpd = *state;
	cleanup_get ten = {.r = 0}, eleven = {.r = 0}, loop = {.r = 0};

	get(httpd->client, httpd->http, "/hops/10", &ten);
	assert_int_equal(ten.r, 0);
	assert_int_equal(ten.response.status, 200);
	assert_true(ten.response.redirected);
	assert_true(ten.response.same_origin);
	get(httpd->client, httpd->http, "/hops/11", &eleven);
	assert_int_equal(eleven.r, -ELOOP);
	get(httpd->client, httpd->http, "/loop/0", &loop);
	assert_int_equal(loop.r, -ELOOP);
}

static void a_redirect_never_leaves_tls(void **state)
{
	struct httpd *httpd = *state;
	cleanup_free char *path = xasprintf("/redirect/301?to=%s/bytes/1", httpd->http);
	cleanup_get got = {.r = 0};

	get(httpd->client, httpd->https, path, &got);
	assert_int_equal(got.r, -EPERM);
	assert_non_null(strstr(got.err.msg, "redirected to plain http"));
}

static void redirects_to_strange_places_are_refused(void **state)
{
	static const char *const places[] = {
		"file:///etc/passwd",
		"ftp://127.0.0.1/",
		"gopher://127.0.0.1/",
		"http://user:secret@127.0.0.1/",
		"http:///",
		"//",
		"dict://127.0.0.1:1/",
	};
	struct httpd *httpd = *state;

	for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
		cleanup_free char *path = xasprintf("/redirect/302?to=%s", places[i]);
		cleanup_get got = {.r = 0};

		get(httpd->client, httpd->http, path, &got);
		if (got.r != -EINVAL)
			fail_msg("%s: %d", places[i], got.r);
		assert_null(strstr(got.err.msg, "secret"));
	}
}

static void credentials_stay_with_their_server(void **state)
{
	struct httpd *httpd = *state;
	cleanup_free char *away = xasprintf("/redirect/307?to=%s/echo", httpd->https),
			  *back = xasprintf("/redirect/307?to=%s/redirect/307?to=%s/echo",
					    httpd->other, httpd->http);
	cleanup_get direct = {.request.authorization = "Bearer secret"},
		    same = {.request.authorization = "Bearer secret"},
		    clear = {.request.authorization = "Bearer secret"},
		    public = {.request = {.authorization = "Bearer secret",
					  .authorization_public = true}},
		    other = {.request = {.authorization = "Bearer secret",
					 .authorization_public = true}},
		    returned = {.request = {.authorization = "Bearer secret",
					    .authorization_public = true}};

	get(httpd->client, httpd->https, "/echo", &direct);
	assert_non_null(strstr(str_get(&direct.body), "secret"));
	get(httpd->client, httpd->https, "/redirect/302?to=/echo", &same);
	assert_non_null(strstr(str_get(&same.body), "secret"));
	/* not in clear, unless it is no secret */
	get(httpd->client, httpd->http, "/echo", &clear);
	assert_null(strstr(str_get(&clear.body), "secret"));
	assert_true(clear.response.authorization_withheld);
	get(httpd->client, httpd->http, "/echo", &public);
	assert_non_null(strstr(str_get(&public.body), "secret"));
	/* not after a redirect to another port, nor when that one leads back */
	get(httpd->client, httpd->http, away, &other);
	assert_int_equal(other.response.status, 200);
	assert_false(other.response.same_origin);
	assert_null(strstr(str_get(&other.body), "secret"));
	get(httpd->client, httpd->http, back, &returned);
	assert_int_equal(returned.response.status, 200);
	assert_null(strstr(str_get(&returned.body), "secret"));
}

static void failures_that_pass_are_tried_again(void **state)
{
	struct httpd *httpd = *state;
	cleanup_get passes = {.r = 0}, stays = {.r = 0}, once = {.request.tries = 1};
	struct error err = ERROR_INIT;

	get(httpd->client, httpd->http, "/status/503?times=4", &passes);
	assert_int_equal(passes.response.status, 200);
	assert_string_equal(str_get(&passes.body), "well");
	get(httpd->client, httpd->http, "/status/500?times=100", &stays);
	assert_int_equal(stays.r, 0);
	assert_int_equal(stays.response.status, 500);
	assert_int_equal(httpd_logged(httpd, "/status/500?times=100"), 5);
	assert_int_equal(http_status_error(&stays.response, &err), -EPROTO);
	assert_non_null(strstr(err.msg, "/status/500: bad HTTP status code: 500"));
	assert_non_null(strstr(err.msg, "SOME_CODE: go\\x1baway"));
	get(httpd->client, httpd->http, "/status/502?times=7", &once);
	assert_int_equal(once.response.status, 502);
	assert_int_equal(httpd_logged(httpd, "/status/502?times=7"), 1);
}

static void take_notice(void *arg, const char *line)
{
	str_addf(arg, "%s\n", line);
}

static void pauses_are_told(void **state)
{
	struct httpd *httpd = *state;
	cleanup_str struct str lines = STR_INIT;
	cleanup_get status = {.request = {.notice = take_notice, .notice_arg = &lines}},
		    cut = {.request = {.notice = take_notice, .notice_arg = &lines}};

	get(httpd->client, httpd->http, "/status/504?times=1&secret", &status);
	assert_int_equal(status.response.status, 200);
	assert_non_null(strstr(str_get(&lines), "/status/504: bad HTTP status code: 504"));
	assert_non_null(strstr(str_get(&lines), "; once more in "));
	assert_null(strstr(str_get(&lines), "secret"));
	get(httpd->client, httpd->http, "/cut/300000/1234", &cut);
	assert_non_null(strstr(str_get(&lines), "/cut/300000/1234: the connection was lost"));
}

static void a_server_is_given_the_time_it_asks_for(void **state)
{
	struct httpd *httpd = *state;
	cleanup_get wait = {.r = 0}, never = {.r = 0};
	uint64_t before = clock_now_ns();
	struct error err = ERROR_INIT;

	get(httpd->client, httpd->http, "/status/429?times=1&after=1", &wait);
	assert_int_equal(wait.response.status, 200);
	assert_true(clock_now_ns() - before >= 1000000000);
	get(httpd->client, httpd->http, "/status/429?after=4000", &never);
	assert_int_equal(never.response.status, 429);
	assert_int_equal(httpd_logged(httpd, "/status/429?after=4000"), 1);
	assert_int_equal(http_status_error(&never.response, &err), -EAGAIN);
	assert_non_null(strstr(err.msg, "try again in 4000 s"));
}

static void statuses_that_stay_are_told_at_once(void **state)
{
	static const struct {
		const char *path;
		int code;
		long status;
	} rows[] = {{"/status/401", -EACCES, 401},
		    {"/status/403", -EACCES, 403},
		    {"/status/404", -ENOENT, 404},
		    {"/status/400", -EPROTO, 400},
		    {"/status/418", -EPROTO, 418}};
	struct httpd *httpd = *state;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		cleanup_free char *text = xasprintf("bad HTTP status code: %ld", rows[i].status);
		struct error err = ERROR_INIT;
		cleanup_get got = {.r = 0};

		get(httpd->client, httpd->http, rows[i].path, &got);
		assert_int_equal(got.response.status, rows[i].status);
		assert_int_equal(httpd_logged(httpd, rows[i].path), 1);
		assert_int_equal(http_status_error(&got.response, &err), rows[i].code);
		assert_non_null(strstr(err.msg, text));
	}
}

/* --- downloads broken off --- */

static void a_download_goes_on_where_it_broke_off(void **state)
{
	struct httpd *httpd = *state;
	cleanup_get got = {.request.body_max = 4 << 20};

	get(httpd->client, httpd->http, "/cut/3000000/1234567", &got);
	assert_int_equal(got.r, 0);
	assert_int_equal(got.body.len, 3000000);
	assert_pattern(got.body.s, got.body.len, 0, 0);
	assert_int_equal(httpd_logged(httpd, "/cut/3000000/1234567 - bytes=1234567-"), 1);
}

static void a_server_without_ranges_starts_over(void **state)
{
	struct httpd *httpd = *state;
	cleanup_get begun = {.r = 0}, immutable = {.request.immutable = true};

	get(httpd->client, httpd->http, "/norange/500000/200000", &begun);
	assert_int_equal(begun.r, 0);
	assert_int_equal(begun.body.len, 500000);
	assert_pattern(begun.body.s, begun.body.len, 0, 0);
	get(httpd->client, httpd->http, "/norange/600000/200000", &immutable);
	assert_int_equal(immutable.r, 0);
	assert_int_equal(immutable.body.len, 600000);
	assert_pattern(immutable.body.s, immutable.body.len, 0, 0);
}

static void two_halves_of_different_contents_are_never_one(void **state)
{
	struct httpd *httpd = *state;
	cleanup_get got = {.r = 0};

	get(httpd->client, httpd->http, "/changed/500000/200000", &got);
	assert_int_equal(got.r, 0);
	assert_int_equal(got.body.len, 500000);
	assert_pattern(got.body.s, got.body.len, 2, 0);
}

struct later {
	struct str body;
	uint64_t offset;
};

static int later_begin(void *arg, const struct http_response *response, uint64_t offset,
		       struct error *err)
{
	struct later *later = arg;

	(void)response;
	(void)err;
	later->offset = offset;
	str_free(&later->body);
	return 0;
}

static int later_data(void *arg, const void *bytes, size_t len, struct error *err)
{
	struct later *later = arg;

	(void)err;
	str_addn(&later->body, bytes, len);
	return 0;
}

static void a_later_process_goes_on_if_it_is_the_same(void **state)
{
	static const struct {
		const char *etag, *path;
		uint64_t offset;
	} rows[] = {{"\"v1\"", "/bytes/1000", 400},
		    {"\"v0\"", "/bytes/1000", 0},
		    {NULL, "/bytes/1000", 400},
		    {"\"v1\"", "/norange/1000/1000", 0}};
	struct httpd *httpd = *state;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		cleanup_http_response struct http_response response = HTTP_RESPONSE_INIT;
		cleanup_free char *url = xasprintf("%s%s", httpd->http, rows[i].path);
		struct later later = {.offset = 1};
		struct http_request request = {
			.url = url,
			.offset = 400,
			.if_range = rows[i].etag,
			.body_max = 1000,
			.sink = {later_begin, later_data, &later},
		};
		struct error err = ERROR_INIT;

		assert_int_equal(http_perform(httpd->client, &request, &response, &err), 0);
		assert_int_equal(later.offset, rows[i].offset);
		assert_int_equal(later.body.len, 1000 - rows[i].offset);
		assert_pattern(later.body.s, later.body.len, 0, later.offset);
		assert_int_equal(response.received, 1000);
		str_free(&later.body);
	}
}

static void a_part_nobody_asked_for_is_refused(void **state)
{
	struct httpd *httpd = *state;
	cleanup_get got = {.r = 0};

	get(httpd->client, httpd->http, "/otherpart", &got);
	assert_int_equal(got.r, -EPROTO);
	assert_int_equal(got.body.len, 0);
}

static void a_body_that_stays_short_is_an_error(void **state)
{
	struct httpd *httpd = *state;
	cleanup_get got = {.r = 0};

	get(httpd->client, httpd->http, "/short", &got);
	assert_int_equal(got.r, -ECONNRESET);
}

/* --- hostile servers --- */

static void bodies_end_at_their_limit(void **state)
{
	struct httpd *httpd = *state;
	cleanup_get told = {.request.body_max = 999}, endless = {.request.body_max = 1 << 20},
		    size = {.request.size = 99};

	get(httpd->client, httpd->http, "/bytes/1000", &told);
	assert_int_equal(told.r, -EFBIG);
	assert_int_equal(told.body.len, 0); /* the header was enough */
	get(httpd->client, httpd->http, "/endless", &endless);
	assert_int_equal(endless.r, -EFBIG);
	get(httpd->client, httpd->http, "/bytes/100", &size);
	assert_int_equal(size.r, -EBADMSG);
	assert_int_equal(size.body.len, 0);
}

static void headers_end_at_their_limit(void **state)
{
	struct httpd *httpd = *state;
	cleanup_get fine = {.r = 0}, many = {.r = 0};

	get(httpd->client, httpd->http, "/headers/50", &fine);
	assert_int_equal(fine.r, 0);
	get(httpd->client, httpd->http, "/headers/90", &many);
	assert_int_equal(many.r, -EFBIG);
}

static void what_is_no_http_is_refused(void **state)
{
	struct httpd *httpd = *state;
	cleanup_get got = {.r = 0}, nobody = {.r = 0};

	get(httpd->client, httpd->http, "/garbage", &got);
	assert_true(got.r == -EPROTO || got.r == -ECONNRESET);
	get(httpd->client, "http://127.0.0.1:1", "/?secret", &nobody);
	assert_int_equal(nobody.r, -ECONNREFUSED);
	assert_string_equal(nobody.err.msg,
			    "http://127.0.0.1:1/: can not connect: Connection refused");
}

static void a_server_that_is_stuck_is_left(void **state)
{
	struct httpd *httpd = *state;
	struct http_settings settings = httpd->settings;
	struct error err = ERROR_INIT;
	cleanup_get slow = {.r = 0}, hang = {.r = 0}, late = {.request.deadline_ms = 300};
	struct http *http;

	settings.stall_ms = 400;
	settings.tries = 1;
	assert_int_equal(http_new(&settings, &http, &err), 0);
	get(http, httpd->http, "/slow", &slow);
	assert_int_equal(slow.r, -ETIMEDOUT);
	assert_non_null(strstr(slow.err.msg, "too slow"));
	get(http, httpd->http, "/hang", &hang);
	assert_int_equal(hang.r, -ETIMEDOUT);
	http_free(http);
	get(httpd->client, httpd->http, "/hang", &late);
	assert_int_equal(late.r, -ETIMEDOUT);
	assert_non_null(strstr(late.err.msg, "takes too long"));
}

static void a_request_can_be_ended(void **state)
{
	struct httpd *httpd = *state;
	cleanup_fd int cancel = eventfd(1, EFD_CLOEXEC);
	cleanup_get got = {.request.cancel_fd = cancel};

	get(httpd->client, httpd->http, "/hang", &got);
	assert_int_equal(got.r, -ECANCELED);
}

static int refuse_data(void *arg, const void *bytes, size_t len, struct error *err)
{
	(void)arg;
	(void)bytes;
	(void)len;
	return error_set(err, -ENOSPC, "no room");
}

static void the_sink_has_the_last_word(void **state)
{
	struct httpd *httpd = *state;
	cleanup_http_response struct http_response response = HTTP_RESPONSE_INIT;
	cleanup_free char *url = xasprintf("%s/bytes/5", httpd->http);
	struct http_request request = {
		.url = url, .body_max = 5, .sink = {NULL, refuse_data, NULL}};
	struct error err = ERROR_INIT;

	assert_int_equal(http_perform(httpd->client, &request, &response, &err), -ENOSPC);
	assert_string_equal(err.msg, "no room");
}

/* --- proxies --- */

static void proxies_carry_requests_but_no_secrets(void **state)
{
	struct httpd *httpd = *state;
	struct http_settings settings = httpd->settings;
	struct error err = ERROR_INIT;
	cleanup_get plain = {.r = 0}, direct = {.r = 0},
		    tunnel = {.request.authorization = "Bearer secret"}, none = {.r = 0};
	struct http *http;

	settings.http_proxy = httpd->other;
	settings.https_proxy = httpd->other;
	settings.tries = 1;
	assert_int_equal(http_new(&settings, &http, &err), 0);
	get(http, "http://registry.test", "/x", &plain);
	assert_string_equal(str_get(&plain.body), "proxied http://registry.test/x");
	/* not for this machine itself */
	get(http, httpd->http, "/bytes/1", &direct);
	assert_int_equal(direct.body.len, 1);
	/* TLS goes through as it is: the proxy sees a host and no header of ours */
	get(http, "https://registry.test", "/y", &tunnel);
	assert_true(tunnel.r < 0);
	assert_int_equal(httpd_logged(httpd, "CONNECT registry.test:443 - -"), 1);
	http_free(http);
	settings.no_proxy = "example.com,registry.test";
	assert_int_equal(http_new(&settings, &http, &err), 0);
	get(http, "http://registry.test:1", "/x", &none);
	assert_true(none.r < 0);
	assert_int_equal(httpd_logged(httpd, "registry.test:1"), 0);
	http_free(http);
}

static void the_environment_names_proxies_and_authorities(void **state)
{
	struct http_settings settings;

	(void)state;
	http_settings_init(&settings);
	setenv("HTTP_PROXY", "http://a", 1);
	setenv("https_proxy", "http://b", 1);
	setenv("NO_PROXY", "c", 1);
	setenv("SSL_CERT_FILE", "/d", 1);
	http_settings_env(&settings);
	assert_string_equal(settings.http_proxy, "http://a");
	assert_string_equal(settings.https_proxy, "http://b");
	assert_string_equal(settings.no_proxy, "c");
	assert_string_equal(settings.ca_file, "/d");
	unsetenv("HTTP_PROXY");
	unsetenv("https_proxy");
	unsetenv("NO_PROXY");
	unsetenv("SSL_CERT_FILE");
	http_settings_init(&settings);
	setenv("ALL_PROXY", "http://e", 1);
	http_settings_env(&settings);
	assert_string_equal(settings.http_proxy, "http://e");
	assert_string_equal(settings.https_proxy, "http://e");
	unsetenv("ALL_PROXY");
}

static void *many_gets(void *arg)
{
	struct httpd *httpd = arg;

	for (unsigned i = 0; i < 8; i++) {
		struct get got = {.r = 0};

		get(httpd->client, i % 2 ? httpd->http : httpd->https, "/bytes/70000", &got);
		if (got.r < 0 || got.body.len != 70000)
			return arg;
		get_free(&got);
	}
	return NULL;
}

static void threads_share_a_client(void **state)
{
	pthread_t thread[6];
	void *result;

	for (size_t i = 0; i < ARRAY_SIZE(thread); i++)
		assert_int_equal(pthread_create(&thread[i], NULL, many_gets, *state), 0);
	for (size_t i = 0; i < ARRAY_SIZE(thread); i++) {
		assert_int_equal(pthread_join(thread[i], &result), 0);
		assert_null(result);
	}
}

static void header_values_are_read_to_the_letter(void **state)
{
	static const struct {
		const char *text;
		bool ok;
		uint64_t first, last, total;
	} ranges[] = {{.text = "bytes 0-9/10", .ok = true, .first = 0, .last = 9, .total = 10},
		      {.text = "bytes 5-9/*", .ok = true, .first = 5, .last = 9, .total = 0},
		      {.text = "Bytes 5-9/10", .ok = true, .first = 5, .last = 9, .total = 10},
		      {.text = "bytes 5-10/10"},
		      {.text = "bytes 9-5/10"},
		      {.text = "bytes */10"},
		      {.text = "bytes 0-9"},
		      {.text = "bytes -9/10"},
		      {.text = "bytes 0-9/10x"},
		      {.text = "0-9/10"},
		      {.text = "bytes 0-99999999999999999999/*"}};
	static const struct {
		const char *text;
		int64_t age;
	} ages[] = {{"max-age=5", 5},
		    {"public, MAX-AGE=\"6\"", 6},
		    {"no-cache", 0},
		    {"max-age=7, no-store", 0},
		    {"private", -1},
		    {"", -1},
		    {"max-age=", -1},
		    {"max-age=-1", -1},
		    {"max-age=99999999999999999999999", 366 * 24 * 60 * 60}};
	uint64_t first, last, total;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(ranges); i++) {
		bool ok = http_content_range(ranges[i].text, &first, &last, &total);

		assert_int_equal(ok, ranges[i].ok);
		if (ok)
			assert_true(first == ranges[i].first && last == ranges[i].last &&
				    total == ranges[i].total);
	}
	for (size_t i = 0; i < ARRAY_SIZE(ages); i++)
		assert_int_equal(http_max_age(ages[i].text), ages[i].age);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_body_arrives_with_its_headers),
		cmocka_unit_test(an_etag_that_matches_is_a_304),
		cmocka_unit_test(nothing_is_decompressed),
		cmocka_unit_test(plain_http_is_for_those_who_ask),
		cmocka_unit_test(certificates_are_checked),
		cmocka_unit_test(redirects_are_followed_ten_times),
		cmocka_unit_test(a_redirect_never_leaves_tls),
		cmocka_unit_test(redirects_to_strange_places_are_refused),
		cmocka_unit_test(credentials_stay_with_their_server),
		cmocka_unit_test(failures_that_pass_are_tried_again),
		cmocka_unit_test(pauses_are_told),
		cmocka_unit_test(a_server_is_given_the_time_it_asks_for),
		cmocka_unit_test(statuses_that_stay_are_told_at_once),
		cmocka_unit_test(a_download_goes_on_where_it_broke_off),
		cmocka_unit_test(a_server_without_ranges_starts_over),
		cmocka_unit_test(two_halves_of_different_contents_are_never_one),
		cmocka_unit_test(a_later_process_goes_on_if_it_is_the_same),
		cmocka_unit_test(a_part_nobody_asked_for_is_refused),
		cmocka_unit_test(a_body_that_stays_short_is_an_error),
		cmocka_unit_test(bodies_end_at_their_limit),
		cmocka_unit_test(headers_end_at_their_limit),
		cmocka_unit_test(what_is_no_http_is_refused),
		cmocka_unit_test(a_server_that_is_stuck_is_left),
		cmocka_unit_test(a_request_can_be_ended),
		cmocka_unit_test(the_sink_has_the_last_word),
		cmocka_unit_test(proxies_carry_requests_but_no_secrets),
		cmocka_unit_test(the_environment_names_proxies_and_authorities),
		cmocka_unit_test(threads_share_a_client),
		cmocka_unit_test(header_values_are_read_to_the_letter),
	};

	return cmocka_run_group_tests(tests, httpd_setup, httpd_teardown);
}

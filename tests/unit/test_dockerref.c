/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/util.h"
#include "stage0/fetch/dockerref.h"
#include "stage0/fetch/url.h"

#define HEX64  "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define SHA256 "sha256:" HEX64
#define A63    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define A126   A63 A63

/* images.md 12.2 */
static void references_mean_what_other_clients_take_them_for(void **state)
{
	static const struct {
		const char *text, *domain, *repository, *tag, *digest;
	} rows[] = {
		{"redis", "docker.io", "library/redis", "latest", ""},
		{"user/app:v1", "docker.io", "user/app", "v1", ""},
		{"docker.io/redis", "docker.io", "library/redis", "latest", ""},
		{"index.docker.io/redis", "docker.io", "library/redis", "latest", ""},
		{"registry-1.docker.io/a/b", "docker.io", "a/b", "latest", ""},
		{"quay.io/coreos/etcd", "quay.io", "coreos/etcd", "latest", ""},
		{"localhost/x", "localhost", "x", "latest", ""},
		{"localhost:5000/x@" SHA256, "localhost:5000", "x", "", SHA256},
		{"foo/bar", "docker.io", "foo/bar", "latest", ""},
		{"host:5000", "docker.io", "library/host", "5000", ""},
		{"a.b:1/c:d@" SHA256, "a.b:1", "c", "d", SHA256},
		{"[::1]:5000/x/y:z", "[::1]:5000", "x/y", "z", ""},
		{"[::1]/x", "[::1]", "x", "latest", ""},
		{"127.0.0.1/x", "127.0.0.1", "x", "latest", ""},
		{"Host/x", "Host", "x", "latest", ""}, /* host/x is on the Hub */
		{"LocalHost/x", "localhost", "x", "latest", ""},
		{"REG.example/x", "reg.example", "x", "latest", ""},
		{"a/b-c_d.e__f---g", "docker.io", "a/b-c_d.e__f---g", "latest", ""},
		{"x:_", "docker.io", "library/x", "_", ""},
		{"x:" A126 "aA", "docker.io", "library/x", A126 "aA", ""},
		{"x@sha512:" HEX64 HEX64, "docker.io", "library/x", "", "sha512:" HEX64 HEX64},
		{"a/" HEX64, "docker.io", "a/" HEX64, "latest", ""},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct error err = ERROR_INIT;
		struct dockerref ref;

		if (dockerref_parse(rows[i].text, &ref, &err) < 0)
			fail_msg("%s: %s", rows[i].text, err.msg);
		assert_string_equal(ref.domain, rows[i].domain);
		assert_string_equal(ref.repository, rows[i].repository);
		assert_string_equal(ref.tag, rows[i].tag);
		assert_string_equal(ref.digest, rows[i].digest);
		assert_string_equal(dockerref_reference(&ref),
				    rows[i].digest[0] ? rows[i].digest : rows[i].tag);
	}
}

static void what_is_no_reference_is_refused(void **state)
{
	static const char *const rows[] = {
		"",
		":",
		"@",
		"/",
		"x:",
		"x@",
		"a//b",
		"/a",
		"a/",
		"x:.t",
		"x:-t",
		"x:t/u",
		"x:a b",
		("x:" A126 "aaa"),
		HEX64,
		(HEX64 ":t"),
		"UPPER",
		"a/Upper",
		"a.b/Upper",
		"a/b_",
		"a/_b",
		"a/b..c",
		"a/b___c",
		"a/.b",
		"a/b-",
		"a._b",
		"a.b:/x",
		"a.b:0/x",
		"a.b:65536/x",
		"a.b:x/y",
		"a.b:80:80/x",
		"-a.b/x",
		"a-.b/x",
		"a..b/x",
		".a/x",
		"a./x",
		"[::1/x",
		"[::g]/x",
		"[]/x",
		"a b/c",
		"a\nb",
		"a/../b",
		"a.b/../c",
		"a.b/%2e%2e/c",
		"a.b/c?x",
		"a.b/c#x",
		"u@a.b/c",
		"http://a.b/c",
		("x@sha256:" A63),
		("x@md5:" HEX64),
		("x@sha256:" HEX64 "@sha256:" HEX64),
		("x@SHA256:" HEX64),
		"x@sha256:../../x",
		(A63 "a.b/x"),
		(A126 "/" A126 "/aaaa"),
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct error err = ERROR_INIT;
		struct dockerref ref;

		if (dockerref_parse(rows[i], &ref, &err) != -EINVAL)
			fail_msg("\"%s\" is accepted", rows[i]);
		assert_non_null(strstr(err.msg, "no image reference"));
	}
}

static void a_reference_is_spelled_out_and_read_again(void **state)
{
	static const char *const rows[][2] = {
		{"redis:7@" SHA256, "docker.io/library/redis:7@" SHA256},
		{"index.docker.io/r.io", "docker.io/library/r.io:latest"},
		{"Host/a/b", "Host/a/b:latest"},
		{"[::1]:1/a@" SHA256, "[::1]:1/a@" SHA256},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		cleanup_free char *text = NULL, *again = NULL;
		struct error err = ERROR_INIT;
		struct dockerref ref;

		assert_int_equal(dockerref_parse(rows[i][0], &ref, &err), 0);
		text = dockerref_text(&ref);
		assert_string_equal(text, rows[i][1]);
		assert_int_equal(dockerref_parse(text, &ref, &err), 0);
		again = dockerref_text(&ref);
		assert_string_equal(again, text);
	}
}

static void locations_are_hosts_and_paths(void **state)
{
	static const char *const good[] = {"a", "a.b:5000", "[::1]:1/x/y", "localhost/x"};
	static const char *const bad[] = {"", "/", "a/", "a//b", "a/B", "*.a", "a b", "a:1:2"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(good); i++)
		assert_true(registry_location_valid(good[i]));
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_false(registry_location_valid(bad[i]));
}

/* --- URLs --- */

static void urls_have_a_scheme_host_and_port(void **state)
{
	static const struct {
		const char *text, *host, *display;
		unsigned port;
		bool tls;
	} rows[] = {
		{"https://a.b/c?d#e", "a.b", "https://a.b/c", 443, true},
		{"http://A.b:81", "a.b", "http://A.b:81/", 81, false},
		{"https://[::1]:5000/x", "[::1]", "https://[::1]:5000/x", 5000, true},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		cleanup_url struct url url = {.host = NULL};
		struct error err = ERROR_INIT;

		assert_int_equal(url_parse(rows[i].text, &url, &err), 0);
		assert_string_equal(url.host, rows[i].host);
		assert_string_equal(url.display, rows[i].display);
		assert_int_equal(url.port, rows[i].port);
		assert_int_equal(url.tls, rows[i].tls);
		assert_null(strchr(url.text, '#'));
	}
}

static void urls_with_anything_else_are_refused(void **state)
{
	static const char *const rows[] = {
		"",
		"a",
		"/a",
		"//a/b",
		"file:///x",
		"ftp://a/b",
		"https://",
		"https:///x",
		"https://u@a/",
		"https://u:secret@a/",
		"https://a b/",
		"https://a/\n",
		"https://a/\x80",
		"https://a:0/",
		"https://a:65536/",
		"https://a:x/",
		"javascript:1",
		"https:\\\\a\\b",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		cleanup_url struct url url = {.host = NULL};
		struct error err = ERROR_INIT;

		if (url_parse(rows[i], &url, &err) != -EINVAL)
			fail_msg("\"%s\" is accepted", rows[i]);
		assert_null(strstr(err.msg, "secret"));
	}
}

static void locations_are_resolved_against_what_was_asked_for(void **state)
{
	static const struct {
		const char *location, *text;
		bool same;
	} rows[] = {
		{"/x", "https://a.b:8/x", true},
		{"x?y", "https://a.b:8/c/x?y", true},
		{"//c.d/x", "https://c.d/x", false},
		{"http://a.b:8/x", "http://a.b:8/x", false},
		{"https://A.B:8/", "https://A.B:8/", true},
		{"https://a.b/", "https://a.b/", false},
	};
	cleanup_url struct url base = {.host = NULL};
	struct error err = ERROR_INIT;

	(void)state;
	assert_int_equal(url_parse("https://a.b:8/c/d?e", &base, &err), 0);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		cleanup_url struct url url = {.host = NULL};

		assert_int_equal(url_resolve(&base, rows[i].location, &url, &err), 0);
		assert_string_equal(url.text, rows[i].text);
		assert_int_equal(url_same_origin(&base, &url), rows[i].same);
	}
}

static void loopback_is_this_machine_only(void **state)
{
	static const char *const here[] = {"localhost", "LOCALHOST:80", "127.0.0.1:5000",
					   "127.1.2.3", "[::1]",	"[::1]:5000"};
	static const char *const there[] = {
		"localhost.example.com", "128.0.0.1", "127.0.0.1.a.b", "[::2]", "local", "",
		"10.0.0.1:127"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(here); i++)
		assert_true(host_is_loopback(here[i]));
	for (size_t i = 0; i < ARRAY_SIZE(there); i++)
		assert_false(host_is_loopback(there[i]));
}

static void everything_reserved_is_encoded(void **state)
{
	cleanup_str struct str str = STR_INIT;

	(void)state;
	url_encode(&str, "aZ9-._~ /:&=+%\x80");
	assert_string_equal(str_get(&str), "aZ9-._~%20%2F%3A%26%3D%2B%25%80");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(references_mean_what_other_clients_take_them_for),
		cmocka_unit_test(what_is_no_reference_is_refused),
		cmocka_unit_test(a_reference_is_spelled_out_and_read_again),
		cmocka_unit_test(locations_are_hosts_and_paths),
		cmocka_unit_test(urls_have_a_scheme_host_and_port),
		cmocka_unit_test(urls_with_anything_else_are_refused),
		cmocka_unit_test(locations_are_resolved_against_what_was_asked_for),
		cmocka_unit_test(loopback_is_this_machine_only),
		cmocka_unit_test(everything_reserved_is_encoded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

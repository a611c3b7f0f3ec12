/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include <stdlib.h>
#include <string.h>

#include "common/str.h"
#include "common/util.h"
#include "vmm/metadata_http.h"

/* Parse text; what it is, and the status when it is wrong. */
static enum mdhttp_state parse(const char *text, struct mdhttp_request *request, int *status)
{
	*status = 0;
	return mdhttp_parse(text, strlen(text), request, status);
}

static void a_request_is_whole_with_its_last_byte_and_not_before(void **state)
{
	static const char text[] =
		"POST /t/acMetadata/v1/pod/hmac/sign?q=1 HTTP/1.1\r\n"
		"Host: localhost\r\n"
		"Metadata-Flavor: AppContainer\r\n"
		"content-TYPE:  application/x-www-form-urlencoded ; charset=utf-8\r\n"
		"Content-Length: 11\r\n"
		"\r\n"
		"content=abcMORE";
	struct mdhttp_request request = {.path_len = 0};
	int status = 0;

	(void)state;
	for (size_t len = 0; len < strlen(text) - 4; len++)
		assert_int_equal(mdhttp_parse(text, len, &request, &status), MDHTTP_MORE);
	for (size_t len = strlen(text) - 4; len <= strlen(text); len++) {
		assert_int_equal(mdhttp_parse(text, len, &request, &status), MDHTTP_WHOLE);
		assert_int_equal(request.method, MDHTTP_POST);
		assert_true(request.form);
		assert_int_equal(request.path_len, strlen("/t/acMetadata/v1/pod/hmac/sign"));
		assert_memory_equal(request.path, "/t/acMetadata", 13);
		assert_int_equal(request.body_len, 11);
		assert_memory_equal(request.body, "content=abc", 11);
	}
}

static void methods_targets_and_line_ends_are_read_as_the_standard_says(void **state)
{
	static const struct {
		const char *text;
		enum mdhttp_method method;
		const char *path;
	} good[] = {
		{"GET / HTTP/1.1\r\n\r\n", MDHTTP_GET, "/"},
		{"GET /a HTTP/1.0\n\n", MDHTTP_GET, "/a"},
		{"\r\nHEAD /a/b HTTP/1.1\r\nA:\r\n\r\n", MDHTTP_HEAD, "/a/b"},
		{"GET http://127.0.0.1:18112/x?y HTTP/1.1\r\n\r\n", MDHTTP_GET, "/x"},
		{"get /a HTTP/1.1\r\n\r\n", MDHTTP_OTHER, "/a"},
		{"DELETE /a HTTP/1.1\r\nX: \ta\x80 b\r\n\r\n", MDHTTP_OTHER, "/a"},
		{"PUT /a HTTP/1.1\r\nContent-Length: 0\r\ncontent-length:0\r\n\r\n", MDHTTP_OTHER,
		 "/a"},
	};
	struct mdhttp_request request;
	int status;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		assert_int_equal(parse(good[i].text, &request, &status), MDHTTP_WHOLE);
		assert_int_equal(request.method, good[i].method);
		assert_false(request.form);
		assert_int_equal(request.path_len, strlen(good[i].path));
		assert_memory_equal(request.path, good[i].path, request.path_len);
		assert_int_equal(request.body_len, 0);
	}
}

static void what_is_no_request_or_ambiguous_is_refused(void **state)
{
	static const struct {
		const char *text;
		int status;
	} wrong[] = {
		{"GET /\r\n", 400},
		{"GET / HTTP/1.1 \r\n", 400},
		{"GET  / HTTP/1.1\r\n", 400},
		{" GET / HTTP/1.1\r\n", 400},
		{"G(T / HTTP/1.1\r\n", 400},
		{"GET a HTTP/1.1\r\n", 400},
		{"GET * HTTP/1.1\r\n", 400},
		{"GET http://host HTTP/1.1\r\n", 400},
		{"GET /\x01 HTTP/1.1\r\n", 400},
		{"GET / HTTP/2.0\r\n", 505},
		{"GET / FTTP/1.1\r\n", 400},
		{"GET / HTTP/1.1\r\nnothing\r\n", 400},
		{"GET / HTTP/1.1\r\nA : b\r\n", 400},
		{"GET / HTTP/1.1\r\n: b\r\n", 400},
		{"GET / HTTP/1.1\r\nA: b\r\n folded\r\n", 400},
		{"GET / HTTP/1.1\r\nA: b\rc\r\n", 400},
		{"POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n", 400},
		{"POST / HTTP/1.1\r\nContent-Length: -1\r\n", 400},
		{"POST / HTTP/1.1\r\nContent-Length: 0x1\r\n", 400},
		{"POST / HTTP/1.1\r\nContent-Length:\r\n", 400},
		{"POST / HTTP/1.1\r\nContent-Length: 18446744073709551616\r\n", 400},
		{"POST / HTTP/1.1\r\nContent-Length: 65537\r\n\r\n", 413},
		{"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n", 501},
		{"POST / HTTP/1.1\r\nExpect: miracles\r\n", 417},
	};
	struct mdhttp_request request;
	int status;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		assert_int_equal(parse(wrong[i].text, &request, &status), MDHTTP_WRONG);
		assert_int_equal(status, wrong[i].status);
	}
}

static void a_head_has_a_limit(void **state)
{
	cleanup_str struct str text = STR_INIT;
	struct mdhttp_request request;
	int status = 0;

	(void)state;
	str_add(&text, "GET / HTTP/1.1\r\nA: ");
	while (text.len < MDHTTP_HEAD_MAX - 1)
		str_add(&text, "a");
	assert_int_equal(mdhttp_parse(text.s, text.len, &request, &status), MDHTTP_MORE);
	str_add(&text, "a");
	assert_int_equal(mdhttp_parse(text.s, text.len, &request, &status), MDHTTP_WRONG);
	assert_int_equal(status, 431);
}

static void a_client_that_waits_to_be_asked_for_the_body_is_asked(void **state)
{
	static const char text[] = "POST / HTTP/1.1\r\nExpect: 100-Continue\r\n"
				   "Content-Length: 2\r\n\r\nab";
	struct mdhttp_request request;
	int status;

	(void)state;
	assert_int_equal(mdhttp_parse(text, strlen(text) - 2, &request, &status), MDHTTP_CONTINUE);
	assert_int_equal(mdhttp_parse(text, strlen(text) - 1, &request, &status), MDHTTP_CONTINUE);
	assert_int_equal(mdhttp_parse(text, strlen(text), &request, &status), MDHTTP_WHOLE);
}

static void a_form_gives_its_fields_decoded(void **state)
{
	static const char form[] = "a=1&content=x+y%2b%00%26&empty=&flag&content=second&b%61d=%6";
	char value[sizeof(form)];

	(void)state;
	assert_int_equal(mdhttp_form_field(form, strlen(form), "content", value), 6);
	assert_memory_equal(value, "x y+\0&", 6);
	assert_int_equal(mdhttp_form_field(form, strlen(form), "a", value), 1);
	assert_int_equal(mdhttp_form_field(form, strlen(form), "empty", value), 0);
	assert_int_equal(mdhttp_form_field(form, strlen(form), "flag", value), 0);
	assert_int_equal(mdhttp_form_field(form, strlen(form), "bad", value), -1);
	assert_int_equal(mdhttp_form_field(form, strlen(form), "none", value), -1);
	assert_int_equal(mdhttp_form_field(form, 0, "a", value), -1);
	assert_int_equal(mdhttp_decode("a+b%7e%Zz", 9, false, value), -1);
	assert_int_equal(mdhttp_decode("a+b%7e%", 7, false, value), -1);
	assert_int_equal(mdhttp_decode("a+b%7e", 6, false, value), 4);
	assert_memory_equal(value, "a+b~", 4);
}

static void a_response_says_how_long_it_is_and_that_it_is_the_last(void **state)
{
	cleanup_str struct str out = STR_INIT;

	(void)state;
	mdhttp_respond(
		&out,
		&(struct mdhttp_response){
			.status = 405, .type = "a/b", .allow = "GET", .body = "no", .body_len = 2});
	assert_string_equal(str_get(&out), "HTTP/1.1 405 Method Not Allowed\r\n"
					   "Content-Type: a/b\r\n"
					   "Allow: GET\r\n"
					   "Content-Length: 2\r\n"
					   "Connection: close\r\n\r\nno");
	str_free(&out);
	mdhttp_respond(&out, &(struct mdhttp_response){
				     .status = 200, .body = "yes", .body_len = 3, .no_body = true});
	assert_string_equal(str_get(&out), "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n"
					   "Connection: close\r\n\r\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_request_is_whole_with_its_last_byte_and_not_before),
		cmocka_unit_test(methods_targets_and_line_ends_are_read_as_the_standard_says),
		cmocka_unit_test(what_is_no_request_or_ambiguous_is_refused),
		cmocka_unit_test(a_head_has_a_limit),
		cmocka_unit_test(a_client_that_waits_to_be_asked_for_the_body_is_asked),
		cmocka_unit_test(a_form_gives_its_fields_decoded),
		cmocka_unit_test(a_response_says_how_long_it_is_and_that_it_is_the_last),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

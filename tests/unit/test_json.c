/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/json.h"
#include "common/util.h"

static int parse(const char *text, struct json_object **ret, struct error *err)
{
	return json_parse(text, strlen(text), "doc", ret, err);
}

static void check_refused_bytes(const char *text, size_t len, const char *why)
{
	struct error err = ERROR_INIT;
	struct json_object *obj = (struct json_object *)&err;

	if (json_parse(text, len, "doc", &obj, &err) == 0)
		fail_msg("accepted: %s", text);
	assert_true(err.code < 0);
	assert_ptr_equal(obj, &err);
	if (!strstr(err.msg, why))
		fail_msg("%s: got '%s', wanted '%s'", text, err.msg, why);
	assert_memory_equal(err.msg, "doc: ", 5);
}

static void check_refused(const char *text, const char *why)
{
	check_refused_bytes(text, strlen(text), why);
}

static void check_accepted(const char *text)
{
	struct error err = ERROR_INIT;
	cleanup_json struct json_object *obj = NULL;

	if (parse(text, &obj, &err) != 0)
		fail_msg("%s: %s", text, err.msg);
}

static void well_formed_documents_are_accepted(void **state)
{
	static const char *const texts[] = {
		"{}",
		"[]",
		"\"a\"",
		"12",
		" 12 ",
		"-1.5e3",
		"true",
		" { } \n",
		"[1,2,[3]]",
		"{\"a\":null}",
		"\"a:\\\"b:\"",
		"null",
		"\"\\u00e4\"",
		"{\"a\":{\"a\":1}}",
		"[{\"a\":1},{\"a\":1}]",
		"0",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		check_accepted(texts[i]);
}

static void malformed_documents_are_refused(void **state)
{
	static const char *const texts[] = {
		"",
		" ",
		"{",
		"[1,",
		"{\"a\"}",
		"{\"a\":}",
		"{a:1}",
		"{'a':1}",
		"[1,]",
		"{\"a\":1,}",
		"[01]",
		"[1.]",
		"[.5]",
		"[+1]",
		"[-]",
		"[NaN]",
		"[Infinity]",
		"[-Infinity]",
		"[TRUE]",
		"[nul]",
		"[\"\\x41\"]",
		"[\"\\u12\"]",
		"// c\n{}",
		"/* c */{}",
		"[1] /*c*/",
		"\"open",
		"[\"a\tb\"]",
		"[\"a\nb\"]",
		"]",
		"\xef\xbb\xbf{}",
		"[0x10]",
		"[1e]",
		"{\"a\":1 \"b\":2}",
		"[1 2]",
		"True",
		"[\"\\",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		check_refused(texts[i], "");
}

static void text_after_the_document_is_refused(void **state)
{
	(void)state;
	check_refused("{} {}", "");
	check_refused("{}x", "");
	check_refused("1 2", "");
	check_refused("null,", "");
}

static void bytes_that_are_not_utf8_are_refused(void **state)
{
	(void)state;
	check_refused("[\"\xff\"]", "");
	check_refused("[\"\xc3\"]", "");
	check_refused("[\"\xc0\xaf\"]", "");	     /* overlong */
	check_refused("[\"\xed\xa0\x80\"]", "");     /* surrogate */
	check_refused("[\"\xf4\x90\x80\x80\"]", ""); /* past U+10FFFF */
	check_refused("{\"\xff\":1}", "");
}

static void nul_is_refused(void **state)
{
	struct error err = ERROR_INIT;
	cleanup_json struct json_object *obj = NULL;
	const char *value = NULL;

	(void)state;
	check_refused_bytes("{}\0", 3, "at byte 2");
	check_refused_bytes("[\"a\0b\"]", 7, "control character");
	/* a key cut short at a NUL would be another key */
	check_refused("{\"a\\u0000b\":1}", "NUL");
	check_refused("{\"x\":[{\"\\u0000\":1}]}", "NUL");
	assert_int_equal(parse("{\"a\":\"x\\u0000y\"}", &obj, &err), 0);
	assert_int_equal(json_get_string(obj, "a", &value, &err), -EINVAL);
	assert_null(value);
}

static void duplicate_keys_are_refused_at_any_depth(void **state)
{
	(void)state;
	check_refused("{\"a\":1,\"a\":1}", "duplicate");
	check_refused("{\"a\":1,\"\\u0061\":2}", "duplicate");
	check_refused("[[{\"b\":[{\"a\":1,\"c\":2,\"a\":3}]}]]", "duplicate");
	check_refused("{\"a\":{\"x\":1},\"a\":{\"x\":1}}", "duplicate");
	check_accepted("{\"a\":\"\\\\\",\"b\":\":\"}");
	check_accepted("{\"a:\":\"\\\":\\\"\",\"b\":1}");
}

static void check_depth(unsigned depth, bool accepted)
{
	struct error err = ERROR_INIT;
	cleanup_json struct json_object *obj = NULL;
	char text[4 * JSON_DEPTH_MAX];

	assert_true(2 * depth + 1 < sizeof(text));
	memset(text, '[', depth);
	memset(text + depth, ']', depth);
	text[2 * depth] = '\0';
	assert_int_equal(parse(text, &obj, &err) == 0, accepted);
}

static void nesting_is_bounded(void **state)
{
	(void)state;
	check_depth(JSON_DEPTH_MAX, true);
	check_depth(JSON_DEPTH_MAX + 1, false);
}

static void size_is_bounded(void **state)
{
	cleanup_free char *text = malloc(JSON_SIZE_MAX + 1);

	(void)state;
	assert_non_null(text);
	memset(text, ' ', JSON_SIZE_MAX + 1);
	text[0] = '1';
	check_refused_bytes(text, JSON_SIZE_MAX + 1, "larger");
	memset(text, '[', JSON_SIZE_MAX);
	check_refused_bytes(text, JSON_SIZE_MAX, "malformed");
}

static void access_is_typed_and_names_the_key(void **state)
{
	struct error err = ERROR_INIT;
	cleanup_json struct json_object *obj = NULL;
	struct json_object *part = NULL;
	const char *s = "unset";
	int64_t n = 42;
	bool b = true;

	(void)state;
	assert_int_equal(
		parse("{\"s\":\"x\",\"n\":7,\"b\":false,\"o\":{},\"a\":[],\"z\":null}", &obj, &err),
		0);
	assert_int_equal(json_get_string(obj, "none", &s, &err), 0);
	assert_int_equal(json_get_string(obj, "z", &s, &err), 0);
	assert_string_equal(s, "unset");
	assert_int_equal(json_get_string(obj, "n", &s, &err), -EINVAL);
	assert_non_null(strstr(err.msg, "n: expected string, found int"));
	assert_string_equal(s, "unset");
	assert_int_equal(json_get_string(obj, "s", &s, &err), 0);
	assert_string_equal(s, "x");
	assert_int_equal(json_get_bool(obj, "s", &b, &err), -EINVAL);
	assert_true(b);
	assert_int_equal(json_get_bool(obj, "b", &b, &err), 0);
	assert_false(b);
	assert_int_equal(json_get_object(obj, "a", &part, &err), -EINVAL);
	assert_int_equal(json_get_array(obj, "o", &part, &err), -EINVAL);
	assert_null(part);
	assert_int_equal(json_get_object(obj, "o", &part, &err), 0);
	assert_int_equal(json_get_array(obj, "a", &part, &err), 0);
	assert_int_equal(json_get_int(obj, "s", 0, 9, &n, &err), -EINVAL);
	assert_int_equal(json_get_int(obj, "n", 8, 9, &n, &err), -ERANGE);
	assert_int_equal(n, 42);
	assert_int_equal(json_get_int(obj, "n", 7, 7, &n, &err), 0);
	assert_int_equal(n, 7);
}

static void numbers_out_of_range_are_refused_not_clamped(void **state)
{
	struct error err = ERROR_INIT;
	cleanup_json struct json_object *obj = NULL;
	int64_t n = 42;

	(void)state;
	check_refused("18446744073709551616", "out of range");
	check_refused("[99999999999999999999999]", "out of range");
	check_refused("-9223372036854775809", "out of range");
	check_refused("[-99999999999999999999999]", "out of range");
	assert_int_equal(parse("{\"a\":9223372036854775808,\"b\":18446744073709551615,"
			       "\"c\":9223372036854775807,\"d\":-9223372036854775808}",
			       &obj, &err),
			 0);
	assert_int_equal(json_get_int(obj, "a", INT64_MIN, INT64_MAX, &n, &err), -ERANGE);
	assert_int_equal(json_get_int(obj, "b", INT64_MIN, INT64_MAX, &n, &err), -ERANGE);
	assert_int_equal(n, 42);
	assert_int_equal(json_get_int(obj, "c", INT64_MIN, INT64_MAX, &n, &err), 0);
	assert_true(n == INT64_MAX);
	assert_int_equal(json_get_int(obj, "d", INT64_MIN, INT64_MAX, &n, &err), 0);
	assert_true(n == INT64_MIN);
}

static void access_to_what_is_no_object_is_refused(void **state)
{
	static const char *const texts[] = {"[1]", "\"s\"", "7"};
	struct error err = ERROR_INIT;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		cleanup_json struct json_object *obj = NULL;
		const char *s = "unset";

		assert_int_equal(parse(texts[i], &obj, &err), 0);
		assert_int_equal(json_get_string(obj, "a", &s, &err), -EINVAL);
		assert_string_equal(s, "unset");
	}
}

static void text_written_is_compact_and_reads_back(void **state)
{
	struct error err = ERROR_INIT;
	cleanup_json struct json_object *obj = json_object_new_object();
	cleanup_json struct json_object *again = NULL;
	struct json_object *inner = json_object_new_array();

	(void)state;
	json_add_string(obj, "path", "/a/\"b\"\n");
	json_add_bool(obj, "yes", true);
	json_add_int(obj, "n", INT64_MIN);
	json_object_array_add(inner, json_object_new_int(1));
	json_add(obj, "list", inner);
	assert_string_equal(json_text(obj), "{\"path\":\"/a/\\\"b\\\"\\n\",\"yes\":true,"
					    "\"n\":-9223372036854775808,\"list\":[1]}");
	assert_int_equal(parse(json_text(obj), &again, &err), 0);
	assert_true(json_object_equal(obj, again));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(well_formed_documents_are_accepted),
		cmocka_unit_test(malformed_documents_are_refused),
		cmocka_unit_test(text_after_the_document_is_refused),
		cmocka_unit_test(bytes_that_are_not_utf8_are_refused),
		cmocka_unit_test(nul_is_refused),
		cmocka_unit_test(duplicate_keys_are_refused_at_any_depth),
		cmocka_unit_test(nesting_is_bounded),
		cmocka_unit_test(size_is_bounded),
		cmocka_unit_test(access_is_typed_and_names_the_key),
		cmocka_unit_test(numbers_out_of_range_are_refused_not_clamped),
		cmocka_unit_test(access_to_what_is_no_object_is_refused),
		cmocka_unit_test(text_written_is_compact_and_reads_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include <string.h>

#include "common/str.h"
#include "common/util.h"
#include "stage0/fetch/challenge.h"

#define cleanup_challenges cleanup(challenges_free) struct challenges

static void assert_value(const char *got, const char *want)
{
	if (want)
		assert_string_equal(got, want);
	else
		assert_null(got);
}

static void challenges_are_read_with_their_parameters(void **state)
{
	static const struct {
		const char *header;
		enum challenge_scheme scheme;
		const char *realm, *service, *scope, *error;
	} rows[] = {
		{"Basic realm=\"a b\"", CHALLENGE_BASIC, "a b", NULL, NULL, NULL},
		{"BASIC REALM=x", CHALLENGE_BASIC, "x", NULL, NULL, NULL},
		{"Bearer realm=\"https://a/t\",service=\"s\",scope=\"repository:a/b:pull,push\"",
		 CHALLENGE_BEARER, "https://a/t", "s", "repository:a/b:pull,push", NULL},
		{"bearer  realm = \"a\\\"b\\\\c\" , , error=\"insufficient_scope\",",
		 CHALLENGE_BEARER, "a\"b\\c", NULL, NULL, "insufficient_scope"},
		{"Bearer", CHALLENGE_BEARER, NULL, NULL, NULL, NULL},
		{"Digest realm=\"x\", qop=\"auth,auth-int\", nonce=\"==\"", CHALLENGE_OTHER, "x",
		 NULL, NULL, NULL},
		{"Negotiate abc/+==", CHALLENGE_OTHER, NULL, NULL, NULL, NULL},
		{"Bearer realm=\"\"", CHALLENGE_BEARER, "", NULL, NULL, NULL},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		cleanup_challenges all = {.n = 0};

		if (!challenge_parse(rows[i].header, &all) || all.n != 1)
			fail_msg("%s", rows[i].header);
		assert_int_equal(all.c[0].scheme, rows[i].scheme);
		assert_value(all.c[0].realm, rows[i].realm);
		assert_value(all.c[0].service, rows[i].service);
		assert_value(all.c[0].scope, rows[i].scope);
		assert_value(all.c[0].error, rows[i].error);
	}
}

static void one_header_may_hold_several(void **state)
{
	cleanup_challenges all = {.n = 0};

	(void)state;
	assert_true(challenge_parse("Negotiate, NTLM xyz=, Basic realm=\"a\", charset=\"UTF-8\", "
				    "Bearer realm=\"b\",scope=\"c, d\"",
				    &all));
	assert_int_equal(all.n, 4);
	assert_int_equal(all.c[2].scheme, CHALLENGE_BASIC);
	assert_string_equal(all.c[2].realm, "a");
	assert_int_equal(all.c[3].scheme, CHALLENGE_BEARER);
	assert_string_equal(all.c[3].scope, "c, d");
	assert_true(challenge_parse("", &all));
	assert_true(challenge_parse("Basic realm=z", &all));
	assert_int_equal(all.n, 5);
}

static void what_is_malformed_adds_nothing(void **state)
{
	static const char *const rows[] = {
		"Basic realm=\"a",
		"Basic realm=\"a\\",
		"realm=\"a\"",
		"Basic realm=\"a\" service=\"b\"",
		"Basic realm=\"a\", realm=\"b\"",
		"Basic realm=\"a\x01\"",
		"Basic realm=\"a\"x",
		"\"Basic\" realm=\"a\"",
		"Bearer realm=\"a\", =b",
		"Bearer realm=\"a\"; scope=b",
		"Bearer a b",
		"Basic\"x\"",
		"a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p,q",
	};
	cleanup_challenges all = {.n = 0};
	cleanup_str struct str huge = STR_INIT;

	(void)state;
	assert_true(challenge_parse("Basic realm=first", &all));
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		if (challenge_parse(rows[i], &all))
			fail_msg("%s", rows[i]);
		assert_int_equal(all.n, 1);
	}
	str_add(&huge, "Basic realm=");
	for (unsigned i = 0; i < CHALLENGE_MAX; i++)
		str_add(&huge, "x");
	assert_false(challenge_parse(str_get(&huge), &all));
	assert_string_equal(all.c[0].realm, "first");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(challenges_are_read_with_their_parameters),
		cmocka_unit_test(one_header_may_hold_several),
		cmocka_unit_test(what_is_malformed_adds_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

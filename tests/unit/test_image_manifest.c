/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include <errno.h>
#include <string.h>

#include "common/util.h"
#include "stage0/image_manifest.h"
#include "tests/unit/oracle.h"

#define B "\"acKind\":\"ImageManifest\",\"acVersion\":\"0.8.11\",\"name\":\"a\""
#define P "\"exec\":[\"/x\"],\"user\":\"0\",\"group\":\"0\""

static void every_row_of_the_oracle_has_our_answer(void **state)
{
	(void)state;
	for (size_t i = 0; i < oracle_nrows; i++) {
		cleanup_json struct json_object *doc = NULL;
		cleanup_strv struct strv warnings = STRV_INIT;
		struct error err = ERROR_INIT;
		int r = image_manifest_parse(oracle_rows[i].text, strlen(oracle_rows[i].text), &doc,
					     &warnings, &err);
		enum oracle_answer got = r < 0 ? REJECT : warnings.n ? WARN : ACCEPT;

		if (got != oracle_rows[i].want || (r < 0) != (err.code != 0) ||
		    (r == 0) != (doc != NULL))
			fail_msg("row %zu (%s), %s: answer %d instead of %d: %s", i,
				 oracle_rows[i].row ? oracle_rows[i].row : "-", oracle_rows[i].text,
				 got, oracle_rows[i].want, err.msg);
	}
}

static struct json_object *parse(const char *text)
{
	cleanup_strv struct strv warnings = STRV_INIT;
	struct json_object *doc = NULL;
	struct error err = ERROR_INIT;

	assert_int_equal(image_manifest_parse(text, strlen(text), &doc, &warnings, &err), 0);
	return doc;
}

static void keys_are_brought_to_the_right_spelling(void **state)
{
	cleanup_json struct json_object *doc =
		parse("{" B ",\"APP\":{" P ",\"SupplementaryGids\":[7]}}");
	struct json_object *app, *gids;

	(void)state;
	assert_true(json_object_object_get_ex(doc, "app", &app));
	assert_true(json_object_object_get_ex(app, "supplementaryGIDs", &gids));
	assert_int_equal(json_object_get_int64(json_object_array_get_idx(gids, 0)), 7);
}

static void a_relative_whitelist_entry_is_taken_from_the_root(void **state)
{
	cleanup_json struct json_object *doc =
		parse("{" B ",\"pathWhitelist\":[\"rel\",\"/abs\"]}");
	struct json_object *list;

	(void)state;
	assert_true(json_object_object_get_ex(doc, "pathWhitelist", &list));
	assert_string_equal(json_object_get_string(json_object_array_get_idx(list, 0)), "/rel");
	assert_string_equal(json_object_get_string(json_object_array_get_idx(list, 1)), "/abs");
}

static void only_images_for_this_machine_are_runnable(void **state)
{
	static const struct {
		const char *labels, *message;
	} cases[] = {
		{"[]", "missing os label in the image manifest"},
		{"[{\"name\":\"os\",\"value\":\"linux\"}]",
		 "missing arch label in the image manifest"},
		{"[{\"name\":\"os\",\"value\":\"freebsd\"},{\"name\":\"arch\",\"value\":\"amd64\"}"
		 "]",
		 "bad os \"freebsd\""},
		{"[{\"name\":\"os\",\"value\":\"linux\"},{\"name\":\"arch\",\"value\":\"s390x\"}]",
		 "bad arch \"s390x\""},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		cleanup_free char *text = xasprintf("{" B ",\"labels\":%s}", cases[i].labels);
		cleanup_json struct json_object *doc = parse(text);
		struct error err = ERROR_INIT;

		assert_int_equal(image_manifest_runnable(doc, &err), -EINVAL);
		assert_non_null(strstr(err.msg, cases[i].message));
	}
}

static void a_list_of_unreasonable_length_is_refused(void **state)
{
	cleanup_str struct str text = STR_INIT;
	cleanup_strv struct strv warnings = STRV_INIT;
	struct json_object *doc = NULL;
	struct error err = ERROR_INIT;

	(void)state;
	str_add(&text, "{" B ",\"app\":{\"user\":\"0\",\"group\":\"0\",\"exec\":[\"\"");
	for (int i = 0; i < 5000; i++)
		str_add(&text, ",\"\"");
	str_add(&text, "]}}");
	assert_int_equal(image_manifest_parse(text.s, text.len, &doc, &warnings, &err), -E2BIG);
	assert_null(doc);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_row_of_the_oracle_has_our_answer),
		cmocka_unit_test(keys_are_brought_to_the_right_spelling),
		cmocka_unit_test(a_relative_whitelist_entry_is_taken_from_the_root),
		cmocka_unit_test(only_images_for_this_machine_are_runnable),
		cmocka_unit_test(a_list_of_unreasonable_length_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The accept and reject oracle of images.md 11, row by row, with our rule as the answer. */
#include "tests/unit/unit.h"

#include <errno.h>
#include <string.h>

#include "common/util.h"
#include "stage0/image_manifest.h"

#define B	  "\"acKind\":\"ImageManifest\",\"acVersion\":\"0.8.11\",\"name\":\"a\""
#define P	  "\"exec\":[\"/x\"],\"user\":\"0\",\"group\":\"0\""
#define APP(x)	  "{" B ",\"app\":{" P "," x "}}"
#define ISO(n, v) APP("\"isolators\":[{\"name\":\"" n "\",\"value\":" v "}]")

enum answer {
	ACCEPT,
	WARN,
	REJECT,
};

static const struct {
	const char *text;
	enum answer want;
} rows[] = {
	{"{" B "}", ACCEPT},
	{"{" B ",\"app\":{" P "}}", ACCEPT},
	/* top level */
	{"{\"acKind\":\"ImageManifest\",\"acVersion\":\"0.8.11\",\"name\":\"a--b\"}", WARN},
	{"{\"acKind\":\"ImageManifest\",\"acVersion\":\"0.8.11\",\"name\":\"a//b\"}", WARN},
	{"{\"acKind\":\"ImageManifest\",\"acVersion\":\"0.8.11\",\"name\":\"A/b\"}", REJECT},
	{"{\"acKind\":\"ImageManifest\",\"acVersion\":\"0.8.11\",\"name\":\"a/\"}", REJECT},
	{"{\"acKind\":\"ImageManifest\",\"acVersion\":\"0.8.11\",\"name\":\"a~b_c.d\"}", ACCEPT},
	{"{\"acKind\":\"ImageManifest\",\"acVersion\":\"0.8.11\"}", REJECT},
	{"{\"acKind\":\"PodManifest\",\"acVersion\":\"0.8.11\",\"name\":\"a\"}", REJECT},
	{"{\"acKind\":\"imagemanifest\",\"acVersion\":\"0.8.11\",\"name\":\"a\"}", REJECT},
	{"{\"acKind\":\"ImageManifest\",\"acVersion\":\"1\",\"name\":\"a\"}", REJECT},
	{"{\"acKind\":\"ImageManifest\",\"acVersion\":\"0.0.0\",\"name\":\"a\"}", REJECT},
	{"{\"acKind\":\"ImageManifest\",\"acVersion\":\"9.0.0\",\"name\":\"a\"}", REJECT},
	{"{" B ",\"whatever\":{\"x\":1}}", ACCEPT},
	{"{" B ",\"name\":\"b\"}", REJECT},
	{"[]", REJECT},
	{"null", REJECT},
	{"7", REJECT},
	{"", REJECT},
	{"{" B ",\"app\":[]}", REJECT},
	/* labels, annotations */
	{"{" B ",\"labels\":[{\"name\":\"arch\",\"value\":\"zzz\"}]}", ACCEPT},
	{"{" B ",\"labels\":[{\"name\":\"os\",\"value\":\"linux\"},"
	 "{\"name\":\"arch\",\"value\":\"amd64\"}]}",
	 ACCEPT},
	{"{" B ",\"labels\":[{\"name\":\"os\",\"value\":\"linux\"},"
	 "{\"name\":\"arch\",\"value\":\"x86_64\"}]}",
	 REJECT},
	{"{" B ",\"labels\":[{\"name\":\"os\",\"value\":\"plan9\"}]}", REJECT},
	{"{" B ",\"labels\":[{\"name\":\"version\",\"value\":\"\"}]}", ACCEPT},
	{"{" B ",\"labels\":[{\"name\":\"name\",\"value\":\"x\"}]}", REJECT},
	{"{" B ",\"labels\":[{\"name\":\"x\",\"value\":\"1\"},{\"name\":\"x\",\"value\":\"2\"}]}",
	 REJECT},
	{"{" B ",\"labels\":{}}", REJECT},
	{"{" B ",\"labels\":[1]}", REJECT},
	{"{" B ",\"annotations\":[{\"name\":\"created\",\"value\":\"2014\"}]}", REJECT},
	{"{" B ",\"annotations\":[{\"name\":\"created\",\"value\":\"2014-10-27T19:32:27Z\"}]}",
	 ACCEPT},
	{"{" B ",\"annotations\":[{\"name\":\"homepage\",\"value\":\"ftp://x\"}]}", REJECT},
	{"{" B ",\"annotations\":[{\"name\":\"homepage\",\"value\":\"https://x\"}]}", ACCEPT},
	/* app */
	{"{" B ",\"app\":{\"user\":\"0\",\"group\":\"0\"}}", ACCEPT},
	{"{" B ",\"app\":{\"exec\":[],\"user\":\"0\",\"group\":\"0\"}}", ACCEPT},
	{"{" B ",\"app\":{\"exec\":[\"rel\"],\"user\":\"0\",\"group\":\"0\"}}", ACCEPT},
	{"{" B ",\"app\":{\"exec\":[1],\"user\":\"0\",\"group\":\"0\"}}", REJECT},
	{"{" B ",\"app\":{\"exec\":[\"/x\"],\"user\":\"0\"}}", REJECT},
	{"{" B ",\"app\":{\"exec\":[\"/x\"],\"user\":\"\",\"group\":\"0\"}}", REJECT},
	{APP("\"workingDirectory\":\"x\""), REJECT},
	{APP("\"workingDirectory\":\"/x\""), ACCEPT},
	{APP("\"environment\":[{\"name\":\"1A\",\"value\":\"\"}]"), REJECT},
	{APP("\"environment\":[{\"name\":\"A\",\"value\":\"1\"},{\"name\":\"A\",\"value\":\"2\"}]"),
	 REJECT},
	{APP("\"supplementaryGIDs\":[-1]"), REJECT},
	{APP("\"supplementaryGIDs\":[1,2]"), ACCEPT},
	{APP("\"supplementaryGids\":[\"1\"]"), REJECT}, /* keys match without regard to case */
	{APP("\"supplementaryGids\":[1],\"SUPPLEMENTARYGIDS\":[2]"), REJECT},
	{APP("\"mountPoints\":[{\"name\":\"m\",\"path\":\"rel\"}]"), REJECT},
	{APP("\"mountPoints\":[{\"name\":\"m\",\"path\":\"/a\"},{\"name\":\"m\",\"path\":\"/b\"}]"),
	 REJECT},
	{APP("\"mountPoints\":[{\"name\":\"m\",\"path\":\"/a\",\"readOnly\":true}]"), ACCEPT},
	{APP("\"ports\":[{\"name\":\"p\",\"protocol\":\"tcp\",\"port\":80}]"), ACCEPT},
	{APP("\"ports\":[{\"name\":\"p\",\"protocol\":\"\",\"port\":80}]"), WARN},
	{APP("\"ports\":[{\"name\":\"p\",\"protocol\":\"tcp\",\"port\":65535,\"count\":2}]"),
	 REJECT},
	{APP("\"ports\":[{\"name\":\"p\",\"protocol\":\"tcp\",\"port\":0}]"), REJECT},
	{APP("\"ports\":[{\"name\":\"p\",\"protocol\":\"tcp\"}]"), REJECT},
	{APP("\"eventHandlers\":[{\"name\":\"pre-start\",\"exec\":[]}]"), REJECT},
	{APP("\"eventHandlers\":[{\"name\":\"pre-start\",\"exec\":[\"/y\"]}]"), ACCEPT},
	{APP("\"eventHandlers\":[{\"name\":\"later\",\"exec\":[\"/y\"]}]"), REJECT},
	{APP("\"userLabels\":{\"x\":1}"), REJECT},
	{APP("\"userLabels\":{\"x\":\"1\"}"), ACCEPT},
	/* isolators */
	{ISO("whatever/thing", "{\"a\":1}"), WARN},
	{ISO("resource/cpu", "{\"default\":true,\"limit\":\"1\"}"), REJECT},
	{ISO("resource/cpu", "{\"request\":\"500m\",\"limit\":\"1\"}"), ACCEPT},
	{ISO("resource/network-bandwidth", "{\"limit\":\"1G\"}"), REJECT},
	{ISO("resource/network-bandwidth", "{\"default\":true,\"limit\":\"1G\"}"), ACCEPT},
	{ISO("resource/block-iops", "{\"default\":true,\"limit\":\"1\",\"request\":\"1\"}"),
	 REJECT},
	{ISO("resource/memory", "{\"limit\":1000}"), ACCEPT},
	{ISO("resource/memory", "{\"limit\":\"1.5Gi\"}"), ACCEPT},
	{ISO("resource/memory", "{\"limit\":\"1k\"}"), ACCEPT},
	{ISO("resource/memory", "{\"limit\":\"1e3\"}"), ACCEPT},
	{ISO("resource/memory", "{\"limit\":\"1K\"}"), WARN},
	{ISO("resource/memory", "{\"limit\":\"-1\"}"), REJECT},
	{ISO("resource/memory", "{\"limit\":[]}"), REJECT},
	{ISO("resource/memory", "7"), REJECT},
	{ISO("os/linux/capabilities-retain-set", "{\"set\":[\"CAP_KILL\"]}"), ACCEPT},
	{ISO("os/linux/capabilities-retain-set", "{\"set\":[\"BOGUS\"]}"), WARN},
	{ISO("os/linux/capabilities-retain-set", "{\"set\":[]}"), REJECT},
	{APP("\"isolators\":[{\"name\":\"os/linux/capabilities-retain-set\",\"value\":"
	     "{\"set\":[\"CAP_KILL\"]}},{\"name\":\"os/linux/capabilities-remove-set\",\"value\":"
	     "{\"set\":[\"CAP_CHOWN\"]}}]"),
	 REJECT},
	{ISO("os/linux/seccomp-retain-set", "{\"set\":[\"read\"],\"errno\":\"eperm\"}"), REJECT},
	{ISO("os/linux/seccomp-retain-set", "{\"set\":[\"read\"],\"errno\":\"EPERM\"}"), ACCEPT},
	{APP("\"isolators\":[{\"name\":\"os/linux/"
	     "seccomp-retain-set\",\"value\":{\"set\":[\"a\"]}},"
	     "{\"name\":\"os/linux/seccomp-remove-set\",\"value\":{\"set\":[\"b\"]}}]"),
	 REJECT},
	{ISO("os/linux/no-new-privileges", "\"yes\""), REJECT},
	{ISO("os/linux/no-new-privileges", "true"), ACCEPT},
	{ISO("os/linux/oom-score-adj", "1001"), REJECT},
	{ISO("os/linux/oom-score-adj", "-1000"), ACCEPT},
	{ISO("os/linux/cpu-shares", "1"), REJECT},
	{ISO("os/linux/selinux-context",
	     "{\"user\":\"u\",\"role\":\"r:s\",\"type\":\"t\",\"level\":\"l\"}"),
	 REJECT},
	{ISO("os/unix/sysctl", "{\"net.core.somaxconn\":\"1\"}"), ACCEPT},
	{ISO("os/unix/sysctl", "{\"../x\":\"1\"}"), REJECT},
	{ISO("os/unix/sysctl", "{\"kernel.x\":1}"), REJECT},
	/* the rest */
	{"{" B ",\"pathWhitelist\":[\"rel\"]}", ACCEPT},
	{"{" B ",\"pathWhitelist\":[\"/a/../b\"]}", REJECT},
	{"{" B ",\"dependencies\":[{\"imageName\":\"b\",\"imageID\":\"sha512-zz\"}]}", REJECT},
	{"{" B ",\"dependencies\":[{\"imageName\":\"b\",\"imageID\":\"sha256-aa\"}]}", REJECT},
	{"{" B ",\"dependencies\":[{\"imageName\":\"b\",\"imageID\":\"sha512-ab\",\"size\":1}]}",
	 ACCEPT},
	{"{" B ",\"dependencies\":[{\"imageName\":\"b\",\"size\":-1}]}", REJECT},
	{"{" B ",\"dependencies\":[{}]}", REJECT},
};

static void every_row_of_the_oracle_has_our_answer(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		cleanup_json struct json_object *doc = NULL;
		cleanup_strv struct strv warnings = STRV_INIT;
		struct error err = ERROR_INIT;
		int r = image_manifest_parse(rows[i].text, strlen(rows[i].text), &doc, &warnings,
					     &err);
		enum answer got = r < 0 ? REJECT : warnings.n ? WARN : ACCEPT;

		if (got != rows[i].want || (r < 0) != (err.code != 0) || (r == 0) != (doc != NULL))
			fail_msg("row %zu, %s: answer %d instead of %d: %s", i, rows[i].text, got,
				 rows[i].want, err.msg);
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

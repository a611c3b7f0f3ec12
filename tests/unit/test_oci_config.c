/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include <errno.h>
#include <string.h>

#include "common/json.h"
#include "common/util.h"
#include "stage0/image/oci_config.h"

static const struct oci_source source = {.name = "reg.example.com/library/Redis", .tag = "7"};

static int convert(const char *text, struct json_object **ret, struct strv *warnings,
		   struct error *err)
{
	cleanup_json struct json_object *config = NULL;

	if (json_parse(text, strlen(text), "config", &config, err) < 0)
		fail_msg("%s", err->msg);
	return oci_config_convert(config, &source, ret, warnings, err);
}

/* The text of a member of the app (or of the manifest itself), "" when it is not there. */
static void assert_member(struct json_object *manifest, const char *key, const char *expect)
{
	struct json_object *value = NULL, *app = NULL;

	json_object_object_get_ex(manifest, "app", &app);
	if (!json_object_object_get_ex(app, key, &value))
		json_object_object_get_ex(manifest, key, &value);
	assert_string_equal(value ? json_text(value) : "", expect);
}

static void every_field_is_said_in_appc_words(void **state)
{
	static const struct {
		const char *config, *key, *expect;
		unsigned warnings;
	} cases[] = {
		{"{}", "name", "\"reg.example.com/library/redis\"", 0},
		{"{}", "exec", "", 0},
		{"{}", "user", "\"0\"", 0},
		{"{}", "group", "\"0\"", 0},
		{"{}", "workingDirectory", "\"/\"", 0},
		{"{\"config\":null}", "environment", "[]", 0},
		{"{\"config\":{\"Entrypoint\":[\"/e\"],\"Cmd\":[\"a\",\"b\"]}}", "exec",
		 "[\"/e\",\"a\",\"b\"]", 0},
		{"{\"config\":{\"Entrypoint\":null,\"Cmd\":[\"a\"]}}", "exec", "[\"a\"]", 0},
		{"{\"config\":{\"Cmd\":\"echo hi\"}}", "exec", "[\"/bin/sh\",\"-c\",\"echo hi\"]",
		 0},
		{"{\"config\":{\"User\":\"redis\"}}", "group", "\"redis\"", 0},
		{"{\"config\":{\"User\":\"1000:50\"}}", "user", "\"1000\"", 0},
		{"{\"config\":{\"User\":\"1000:50\"}}", "group", "\"50\"", 0},
		{"{\"config\":{\"User\":\":50\"}}", "user", "\"0\"", 0},
		{"{\"config\":{\"Env\":[\"A=1\",\"B=x=y\",\"A=2\"]}}", "environment",
		 "[{\"name\":\"A\",\"value\":\"2\"},{\"name\":\"B\",\"value\":\"x=y\"}]", 0},
		{"{\"config\":{\"Env\":[\"none\",\"bad name=1\",\"=x\"]}}", "environment", "[]", 3},
		{"{\"config\":{\"WorkingDir\":\"srv//x/\"}}", "workingDirectory", "\"/srv/x\"", 0},
		{"{\"config\":{\"ExposedPorts\":{\"80/tcp\":{},\"53/udp\":{}}}}", "ports",
		 "[{\"name\":\"53-udp\",\"protocol\":\"udp\",\"port\":53,\"count\":1},"
		 "{\"name\":\"80-tcp\",\"protocol\":\"tcp\",\"port\":80,\"count\":1}]",
		 0},
		{"{\"config\":{\"ExposedPorts\":{\"8000-8005/tcp\":{},\"80\":{}}}}", "ports",
		 "[{\"name\":\"80\",\"protocol\":\"tcp\",\"port\":80,\"count\":1},"
		 "{\"name\":\"8000-8005-tcp\",\"protocol\":\"tcp\",\"port\":8000,\"count\":6}]",
		 0},
		{"{\"config\":{\"ExposedPorts\":{\"0/tcp\":{},\"7/"
		 "sctp\":{},\"9-8\":{},\"70000\":{}}}}",
		 "ports", "[]", 4},
		{"{\"config\":{\"PortSpecs\":[\"8080:80\",\"53/udp\"]}}", "ports",
		 "[{\"name\":\"53-udp\",\"protocol\":\"udp\",\"port\":53,\"count\":1},"
		 "{\"name\":\"80\",\"protocol\":\"tcp\",\"port\":80,\"count\":1}]",
		 1},
		{"{\"config\":{\"User\":\"1000\"}}", "annotations",
		 "[{\"name\":\"appc.io/docker/user\",\"value\":\"1000\"}]", 0},
		{"{\"config\":{\"Volumes\":{\"/var/tmp\":{},\"/var-tmp/\":{}}}}", "mountPoints",
		 "[{\"name\":\"volume-var-tmp\",\"path\":\"/var-tmp\",\"readOnly\":false},"
		 "{\"name\":\"volume-var-tmp-1\",\"path\":\"/var/tmp\",\"readOnly\":false}]",
		 0},
		{"{\"config\":{\"Labels\":{\"a\":\"b\",\"n\":1}}}", "userLabels", "{\"a\":\"b\"}",
		 1},
		{"{\"os\":\"linux\",\"architecture\":\"arm\",\"variant\":\"v7\"}", "labels",
		 "[{\"name\":\"version\",\"value\":\"7\"},{\"name\":\"os\",\"value\":\"linux\"},"
		 "{\"name\":\"arch\",\"value\":\"armv7l\"}]",
		 0},
		{"{\"os\":\"plan9\",\"architecture\":\"amd64\"}", "labels",
		 "[{\"name\":\"version\",\"value\":\"7\"}]", 0},
		{"{\"author\":\"Me\",\"created\":\"2020-01-02T03:04:05Z\",\"config\":"
		 "{\"StopSignal\":\"SIGUSR1\"}}",
		 "annotations",
		 "[{\"name\":\"authors\",\"value\":\"Me\"},"
		 "{\"name\":\"created\",\"value\":\"2020-01-02T03:04:05Z\"},"
		 "{\"name\":\"appc.io/docker/stopsignal\",\"value\":\"SIGUSR1\"}]",
		 0},
		{"{\"created\":\"1970-01-01T00:00:00Z\",\"config\":{\"Cmd\":[\"a\"]}}",
		 "annotations", "[{\"name\":\"appc.io/docker/cmd\",\"value\":\"[\\\"a\\\"]\"}]", 0},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		cleanup_json struct json_object *manifest = NULL;
		cleanup_strv struct strv warnings = STRV_INIT;
		struct error err = ERROR_INIT;

		if (convert(cases[i].config, &manifest, &warnings, &err) < 0)
			fail_msg("%s: %s", cases[i].config, err.msg);
		assert_member(manifest, cases[i].key, cases[i].expect);
		assert_int_equal(warnings.n, cases[i].warnings);
	}
}

static void a_config_that_is_wrong_is_refused(void **state)
{
	static const char *const cases[] = {
		"{\"config\":7}",
		"{\"os\":7}",
		"{\"config\":{\"Cmd\":7}}",
		"{\"config\":{\"Cmd\":[7]}}",
		"{\"config\":{\"Env\":\"A=1\"}}",
		"{\"config\":{\"Env\":[7]}}",
		"{\"config\":{\"User\":7}}",
		"{\"config\":{\"WorkingDir\":\"/a/../../etc\"}}",
		"{\"config\":{\"Volumes\":{\"/../../etc\":{}}}}",
		"{\"config\":{\"Volumes\":{\"relative\":{}}}}",
		"{\"config\":{\"Volumes\":{\"/\":{}}}}",
		"{\"config\":{\"ExposedPorts\":[]}}",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		cleanup_json struct json_object *manifest = NULL;
		cleanup_strv struct strv warnings = STRV_INIT;
		struct error err = ERROR_INIT;

		if (convert(cases[i], &manifest, &warnings, &err) != -EBADMSG)
			fail_msg("taken: %s", cases[i]);
		assert_null(manifest);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_field_is_said_in_appc_words),
		cmocka_unit_test(a_config_that_is_wrong_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

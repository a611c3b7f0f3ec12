/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/util.h"
#include "stage0/image_manifest.h"
#include "stage0/pod_manifest.h"

#define KEY "sha512-0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define IMAGE(name, app)                                                                           \
	"{\"acKind\":\"ImageManifest\",\"acVersion\":\"0.8.11\",\"name\":\"" name "\"," app "}"
static struct json_object *image(const char *text)
{
	cleanup_strv struct strv warnings = STRV_INIT;
	struct json_object *doc = NULL;
	struct error err = ERROR_INIT;

	if (image_manifest_parse(text, strlen(text), &doc, &warnings, &err) < 0)
		fail_msg("%s", err.msg);
	return doc;
}

/* The manifest's text, or NULL with *err set. Frees the requests' vectors. */
static char *build(struct pod_request *pod, struct app_request *requests, const char *const *images,
		   size_t n, struct error *err)
{
	struct pod_app *apps = xcalloc(n, sizeof(*apps));
	cleanup_json struct json_object *doc = NULL;
	char *text = NULL;

	for (size_t i = 0; i < n; i++) {
		requests[i].image = "file.aci";
		apps[i] = (struct pod_app){&requests[i], image(images[i]), KEY, NULL};
	}
	if (pod_manifest_build(pod, apps, n, &doc, err) == 0)
		text = xstrdup(json_text(doc));
	for (size_t i = 0; i < n; i++) {
		json_object_put(apps[i].image);
		free(apps[i].name);
		strv_free(&requests[i].args);
		strv_free(&requests[i].environment);
		strv_free(&requests[i].annotations);
		strv_free(&requests[i].user_labels);
	}
	free(apps);
	strv_free(&pod->set_env);
	strv_free(&pod->set_env_file);
	strv_free(&pod->inherit_env);
	return text;
}

static void an_image_as_it_is(void **state)
{
	static const char *const images[] = {
		IMAGE("example.com/web",
		      "\"labels\":[{\"name\":\"version\",\"value\":\"1.0\"}],"
		      "\"app\":{\"exec\":[\"/web\"],\"user\":\"www\",\"group\":\"7\"}")};
	struct app_request requests[1] = {{.image = NULL}};
	struct pod_request pod = {.uid = 1};
	struct error err = ERROR_INIT;
	cleanup_free char *text = build(&pod, requests, images, 1, &err);

	(void)state;
	assert_non_null(text);
	assert_string_equal(
		text,
		"{\"acVersion\":\"0.8.11\",\"acKind\":\"PodManifest\",\"apps\":[{\"name\":\"web\","
		"\"image\":{\"name\":\"example.com/web\",\"id\":\"" KEY "\","
		"\"labels\":[{\"name\":\"version\",\"value\":\"1.0\"}]},"
		"\"app\":{\"exec\":[\"/web\"],\"user\":\"www\",\"group\":\"7\","
		"\"environment\":[],\"isolators\":[],\"mountPoints\":[],\"ports\":[]},"
		"\"mounts\":[],\"annotations\":[]}],\"volumes\":null,\"isolators\":null,"
		"\"annotations\":[{\"name\":\"coreos.com/rkt/stage1/"
		"mutable\",\"value\":\"false\"}],"
		"\"ports\":[]}");
}

#define BASE                                                                                       \
	IMAGE("example.com/web",                                                                   \
	      "\"annotations\":[{\"name\":\"authors\",\"value\":\"me\"}],"                         \
	      "\"app\":{\"exec\":[\"/web\",\"-v\"],\"user\":\"www\",\"group\":\"www\","            \
	      "\"environment\":[{\"name\":\"A\",\"value\":\"image\"},"                             \
	      "{\"name\":\"B\",\"value\":\"image\"}],"                                             \
	      "\"isolators\":[{\"name\":\"resource/memory\",\"value\":{\"limit\":\"1G\"}},"        \
	      "{\"name\":\"os/linux/"                                                              \
	      "capabilities-retain-set\",\"value\":{\"set\":[\"CAP_KILL\"]}}]}")

static void the_command_line_is_laid_over_the_image(void **state)
{
	static const char *const images[] = {BASE};
	struct app_request requests[1] = {{
		.exec = "/other",
		.name = "front",
		.user = "0",
		.group = "root",
		.supplementary_gids = "5,6",
		.working_dir = "/srv",
		.readonly_rootfs = true,
		.memory = "64Mi",
		.cpu = "500m",
		.caps_remove = "CHOWN,CAP_KILL",
	}};
	struct pod_request pod = {.uid = 0};
	struct error err = ERROR_INIT;
	cleanup_free char *text = NULL;

	(void)state;
	strv_add(&requests[0].args, "x");
	strv_add(&requests[0].annotations, "authors=you");
	strv_add(&requests[0].annotations, "note=a=b");
	strv_add(&requests[0].user_labels, "tier=1");
	text = build(&pod, requests, images, 1, &err);
	assert_non_null(text);
	assert_string_equal(
		text,
		"{\"acVersion\":\"0.8.11\",\"acKind\":\"PodManifest\",\"apps\":[{\"name\":"
		"\"front\","
		"\"image\":{\"name\":\"example.com/web\",\"id\":\"" KEY "\"},"
		"\"app\":{\"exec\":[\"/other\",\"x\"],\"user\":\"0\",\"group\":\"root\","
		"\"environment\":[{\"name\":\"A\",\"value\":\"image\"},"
		"{\"name\":\"B\",\"value\":\"image\"}],"
		"\"isolators\":[{\"name\":\"resource/memory\",\"value\":{\"limit\":\"1G\"}},"
		"{\"name\":\"resource/"
		"memory\",\"value\":{\"request\":\"64Mi\",\"limit\":\"64Mi\"}},"
		"{\"name\":\"resource/cpu\",\"value\":{\"request\":\"500m\",\"limit\":\"500m\"}},"
		"{\"name\":\"os/linux/capabilities-remove-set\",\"value\":"
		"{\"set\":[\"CAP_CHOWN\",\"CAP_KILL\"]}}],"
		"\"workingDirectory\":\"/srv\",\"supplementaryGIDs\":[5,6],"
		"\"mountPoints\":[],\"userLabels\":{\"tier\":\"1\"},\"ports\":[]},"
		"\"readOnlyRootFS\":true,\"mounts\":[],"
		"\"annotations\":[{\"name\":\"authors\",\"value\":\"you\"},"
		"{\"name\":\"note\",\"value\":\"a=b\"}]}],\"volumes\":null,\"isolators\":null,"
		"\"annotations\":[{\"name\":\"coreos.com/rkt/stage1/"
		"mutable\",\"value\":\"false\"}],"
		"\"ports\":[]}");
}

static void arguments_follow_the_images_own_without_exec(void **state)
{
	static const char *const images[] = {BASE};
	struct app_request requests[1] = {{.image = NULL}};
	struct pod_request pod = {.uid = 0};
	struct error err = ERROR_INIT;
	cleanup_free char *text = NULL;

	(void)state;
	strv_add(&requests[0].args, "x");
	text = build(&pod, requests, images, 1, &err);
	assert_non_null(strstr(text, "\"exec\":[\"/web\",\"-v\",\"x\"]"));
}

/* rkt-behaviour 7.5: image < --environment; inherit only where missing; file and set-env win */
static void environment_follows_its_precedence(void **state)
{
	static const char *const images[] = {BASE};
	struct app_request requests[1] = {{.image = NULL}};
	struct pod_request pod = {.uid = 0};
	struct error err = ERROR_INIT;
	cleanup_free char *text = NULL;

	(void)state;
	strv_add(&requests[0].environment, "B=app");
	strv_add(&requests[0].environment, "C=app");
	strv_add(&requests[0].environment, "D=app");
	strv_add(&pod.inherit_env, "A=caller");
	strv_add(&pod.inherit_env, "E=caller");
	strv_add(&pod.inherit_env, "F=caller");
	strv_add(&pod.set_env_file, "C=file");
	strv_add(&pod.set_env_file, "D=file");
	strv_add(&pod.set_env_file, "F=file");
	strv_add(&pod.set_env, "D=set");
	text = build(&pod, requests, images, 1, &err);
	assert_non_null(strstr(text, "\"environment\":[{\"name\":\"A\",\"value\":\"image\"},"
				     "{\"name\":\"B\",\"value\":\"app\"},"
				     "{\"name\":\"C\",\"value\":\"file\"},"
				     "{\"name\":\"D\",\"value\":\"set\"},"
				     "{\"name\":\"E\",\"value\":\"caller\"},"
				     "{\"name\":\"F\",\"value\":\"file\"}]"));
}

static void an_image_without_app_runs_exec_as_the_caller(void **state)
{
	static const char *const images[] = {IMAGE("x/bare", "\"labels\":[]")};
	struct app_request with[1] = {{.exec = "/bin/sh"}}, without[1] = {{.image = NULL}};
	struct pod_request pod = {.uid = 1000, .gid = 100};
	struct error err = ERROR_INIT;
	cleanup_free char *text = build(&pod, with, images, 1, &err);

	(void)state;
	assert_non_null(strstr(text, "\"exec\":[\"/bin/sh\"],\"user\":\"1000\",\"group\":\"100\""));
	assert_null(build(&pod, without, images, 1, &err));
	assert_non_null(strstr(err.msg, "--exec"));
}

static void what_can_not_be_is_refused(void **state)
{
	static const char *const images[] = {BASE, BASE};
	static const struct {
		struct app_request request;
		const char *env, *says;
	} rows[] = {
		{{.memory = "4095"}, NULL, "--memory"},
		{{.memory = "lots"}, NULL, "--memory"},
		{{.cpu = "0"}, NULL, "--cpu"},
		{{.cpu = "-1"}, NULL, "--cpu"},
		{{.caps_retain = "FLY"}, NULL, "--caps-retain"},
		{{.caps_retain = "KILL", .caps_remove = "KILL"}, NULL, "exclude each other"},
		{{.cpu_shares = "1"}, NULL, "--cpu-shares: 1 is not in 2..262144"},
		{{.cpu_shares = "many"}, NULL, "--cpu-shares: \"many\" is not a number"},
		{{.oom_score_adj = "-1001"}, NULL, "--oom-score-adj: -1001 is not in"},
		{{.oom_score_adj = "--1"}, NULL, "--oom-score-adj: \"--1\" is not"},
		{{.seccomp = "mount"}, NULL, "--seccomp: \"mount\" has neither"},
		{{.seccomp = "mode=kill,mount"}, NULL, "has neither mode=retain nor"},
		{{.seccomp = "mode=remove"}, NULL, "names no system calls"},
		{{.seccomp = "mode=remove,,"}, NULL, "names no system calls"},
		{{.seccomp = "mode=remove,errno=x,mount"},
		 NULL,
		 "--seccomp: \"x\" is not the name"},
		{{.name = "No_Name"}, NULL, "--name"},
		{{.name = ".."}, NULL, "--name"},
		{{.name = "a--b"}, NULL, "--name"},
		{{.supplementary_gids = "1,x"}, NULL, "--supplementary-gids"},
		{{.supplementary_gids = "4294967295"}, NULL, "--supplementary-gids"},
		{{.supplementary_gids = ""}, NULL, "--supplementary-gids"},
		{{.working_dir = "rel"}, NULL, "workingDirectory"},
		{{.user = ""}, NULL, "user"},
		{{.image = NULL}, "1X=y", "1X"},
		{{.exec = "/x\xff"}, NULL, "UTF-8"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct app_request requests[1] = {rows[i].request};
		struct pod_request pod = {.uid = 0};
		struct error err = ERROR_INIT;
		char *text;

		if (rows[i].env)
			strv_add(&requests[0].environment, rows[i].env);
		text = build(&pod, requests, images, 1, &err);
		if (text || !strstr(err.msg, rows[i].says))
			fail_msg("row %zu: %s", i, text ? text : err.msg);
	}
}

static void two_apps_of_one_name_are_refused(void **state)
{
	static const char *const images[] = {BASE, BASE};
	struct app_request same[2] = {{.image = NULL}, {.image = NULL}};
	struct app_request named[2] = {{.name = "one"}, {.name = "two"}};
	struct pod_request pod = {.uid = 0};
	struct error err = ERROR_INIT;
	cleanup_free char *text = build(&pod, named, images, 2, &err);

	(void)state;
	assert_non_null(text);
	assert_null(build(&pod, same, images, 2, &err));
	assert_int_equal(err.code, -EEXIST);
	assert_non_null(strstr(err.msg, "--name"));
}

static void environment_files_are_read_line_by_line(void **state)
{
	cleanup_strv struct strv env = STRV_INIT;
	struct error err = ERROR_INIT;

	(void)state;
	assert_int_equal(env_file_parse("A=1\n\n# x=y\n;x=y\n  \nB = no", "f", &env, &err),
			 -EINVAL); /* "B " is no name */
	assert_non_null(strstr(err.msg, "line 6"));
	strv_free(&env);
	assert_int_equal(env_file_parse("A=1=2\nB= x \n", "f", &env, &err), 0);
	assert_int_equal(env.n, 2);
	assert_string_equal(env.v[0], "A=1=2");
	assert_string_equal(env.v[1], "B= x ");
	assert_int_equal(env_file_parse("B=2\n", "g", &env, &err), -EEXIST);
	assert_int_equal(env_file_parse("novalue\n", "g", &env, &err), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_image_as_it_is),
		cmocka_unit_test(the_command_line_is_laid_over_the_image),
		cmocka_unit_test(arguments_follow_the_images_own_without_exec),
		cmocka_unit_test(environment_follows_its_precedence),
		cmocka_unit_test(an_image_without_app_runs_exec_as_the_caller),
		cmocka_unit_test(what_can_not_be_is_refused),
		cmocka_unit_test(two_apps_of_one_name_are_refused),
		cmocka_unit_test(environment_files_are_read_line_by_line),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

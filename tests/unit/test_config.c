/* SPDX-License-Identifier: Apache-2.0 */
/* Configuration files: what is accepted, how directories add up, who gets which credentials. */
#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/file.h"
#include "common/util.h"
#include "stage0/command.h"
#include "stage0/config.h"
#include "tests/unit/scratch.h"

#define V1(kind) "\"rktKind\": \"" kind "\", \"rktVersion\": \"v1\""
#define BASIC(domains, user)                                                                       \
	"{" V1("auth") ", \"domains\": [" domains "], \"type\": \"basic\", \"credentials\": "      \
		       "{\"user\": \"" user "\", \"password\": \"pw\"}}"
#define DOCKER(registries, user)                                                                   \
	"{" V1("dockerAuth") ", \"registries\": [" registries "], \"credentials\": "               \
			     "{\"user\": \"" user "\", \"password\": \"pw\"}}"

static void put(const struct scratch *scratch, const char *path, const char *text)
{
	cleanup_free char *dir = xstrdup(path);
	struct error err = ERROR_INIT;

	*strrchr(dir, '/') = '\0';
	assert_int_equal(mkdir_path(scratch->fd, dir, 0755, &err), 0);
	assert_int_equal(file_write(scratch->fd, path, text, strlen(text), 0644, &err), 0);
}

/* Load the directories system, local and user of the scratch directory. */
static int load(const struct scratch *scratch, struct config *ret, struct error *err)
{
	cleanup_free char *system = xasprintf("%s/system", scratch->path);
	cleanup_free char *local = xasprintf("%s/local", scratch->path);
	cleanup_free char *user = xasprintf("%s/user", scratch->path);
	const struct config_dirs dirs = {system, local, user};

	return config_load(&dirs, ret, err);
}

static void nothing_configured_is_an_empty_configuration(void **state)
{
	const struct config_dirs none = {NULL, "", "/nonexistent/tripod"};
	cleanup_config struct config config = CONFIG_INIT;
	cleanup_json struct json_object *doc = NULL;
	struct error err = ERROR_INIT;

	(void)state;
	assert_int_equal(config_load(&none, &config, &err), 0);
	assert_null(config_auth_for(&config, "example.com"));
	assert_null(config_registry_for(&config, "example.com/a"));
	doc = config_json(&config);
	assert_string_equal(json_text(doc),
			    "{\"stage0\":["
			    "{\"rktVersion\":\"v1\",\"rktKind\":\"paths\",\"data\":\"\","
			    "\"stage1-images\":\"\"},"
			    "{\"rktVersion\":\"v1\",\"rktKind\":\"stage1\",\"name\":\"\","
			    "\"version\":\"\",\"location\":\"\"}]}");
}

static void later_directories_override_key_by_key(void **state)
{
	const struct scratch *scratch = *state;
	cleanup_config struct config config = CONFIG_INIT;
	struct error err = ERROR_INIT;

	put(scratch, "system/auth.d/a.json", BASIC("\"a.com\", \"b.com:80\"", "system"));
	put(scratch, "local/auth.d/a.json", BASIC("\"A.com\"", "local"));
	put(scratch, "system/auth.d/d.json", DOCKER("\"a.com\", \"quay.io\"", "system"));
	put(scratch, "user/auth.d/d.json", DOCKER("\"quay.io\"", "user"));
	put(scratch, "system/paths.d/p.json",
	    "{" V1("paths") ", \"data\": \"/s/data\", \"stage1-images\": \"/s/images\"}");
	put(scratch, "local/paths.d/p.json", "{" V1("paths") ", \"data\": \"/l/data\"}");
	put(scratch, "system/stage1.d/s.json",
	    "{" V1("stage1") ", \"name\": \"a.com/stage1\", \"version\": \"1.0\", "
			     "\"location\": \"/s/stage1.aci\"}");
	put(scratch, "user/stage1.d/s.json",
	    "{" V1("stage1") ", \"location\": \"https://a.com/stage1.aci\"}");
	put(scratch, "system/registries.d/r.json",
	    "{" V1("registries") ", \"registries\": [{\"prefix\": \"docker.io\", \"endpoints\": "
				 "[\"m1:5000\"]}, {\"prefix\": \"b.com\", \"blocked\": true}]}");
	put(scratch, "local/registries.d/r.json",
	    "{" V1("registries") ", \"registries\": [{\"prefix\": \"docker.io\", \"endpoints\": "
				 "[\"M2/hub\", \"m3\"], \"insecure\": true, "
				 "\"byDigestOnly\": true}]}");
	if (load(scratch, &config, &err) < 0)
		fail_msg("%s", err.msg);
	assert_int_equal(config.nauth, 2);
	assert_string_equal(config_auth_for(&config, "a.COM")->user, "local");
	assert_string_equal(config_auth_for(&config, "b.com:80")->user, "system");
	assert_null(config_auth_for(&config, "b.com"));
	assert_string_equal(config_docker_auth_for(&config, "quay.io")->user, "user");
	assert_string_equal(config_docker_auth_for(&config, "a.com")->user, "system");
	assert_string_equal(config.data, "/l/data");
	assert_string_equal(config.stage1_images, "/s/images");
	assert_string_equal(config.stage1_name, "a.com/stage1");
	assert_string_equal(config.stage1_version, "1.0");
	assert_string_equal(config.stage1_location, "https://a.com/stage1.aci");
	assert_int_equal(config.nregistries, 2);
	assert_int_equal(config.registries[1].endpoints.n, 2);
	assert_string_equal(config.registries[1].endpoints.v[0], "m2/hub");
	assert_true(config.registries[1].insecure && config.registries[1].by_digest_only);
	assert_true(config.registries[0].blocked && !config.registries[0].insecure);
}

static void config_prints_every_kind(void **state)
{
	const struct scratch *scratch = *state;
	cleanup_config struct config config = CONFIG_INIT;
	cleanup_json struct json_object *doc = NULL;
	struct error err = ERROR_INIT;

	put(scratch, "local/auth.d/a.json", BASIC("\"z.com\", \"a.com\"", "me"));
	put(scratch, "local/auth.d/b.json",
	    "{" V1("auth") ", \"domains\": [\"b.com\"], \"type\": \"oauth\", \"credentials\": "
			   "{\"token\": \"t\"}}");
	put(scratch, "local/auth.d/c.json",
	    "{" V1("auth") ", \"domains\": [\"c.com\"], \"type\": \"aws\", \"credentials\": "
			   "{\"accessKeyID\": \"id\", \"secretAccessKey\": \"key\", "
			   "\"awsRegion\": \"\"}}");
	put(scratch, "local/auth.d/d.json", DOCKER("\"q.io\"", "me"));
	put(scratch, "local/registries.d/r.json",
	    "{" V1("registries") ", \"registries\": [{\"prefix\": \"docker.io/library\"}]}");
	if (load(scratch, &config, &err) < 0)
		fail_msg("%s", err.msg);
	doc = config_json(&config);
#define AUTH(domain, rest)                                                                         \
	"{\"rktVersion\":\"v1\",\"rktKind\":\"auth\",\"domains\":[\"" domain "\"],\"type\":" rest
	assert_string_equal(
		json_text(doc),
		"{\"stage0\":[" AUTH(
			"a.com",
			"\"basic\",\"credentials\":{\"user\":\"me\",\"password\":\"pw\"}},")
			AUTH("b.com", "\"oauth\",\"credentials\":{\"token\":\"t\"}},") AUTH(
				"c.com", "\"aws\",\"credentials\":{\"accessKeyID\":\"id\","
					 "\"secretAccessKey\":\"key\",\"awsRegion\":\"\"}},")
				AUTH("z.com",
				     "\"basic\",\"credentials\":{\"user\":\"me\",\"password\":"
				     "\"pw\"}},") "{\"rktVersion\":\"v1\",\"rktKind\":"
						  "\"dockerAuth\",\"registries\":[\"q.io\"],"
						  "\"credentials\":{\"user\":\"me\",\"password\":"
						  "\"pw\"}},"
						  "{\"rktVersion\":\"v1\",\"rktKind\":"
						  "\"registries\",\"registries\":[{\"prefix\":"
						  "\"docker.io/"
						  "library\",\"endpoints\":[],\"insecure\":false,"
						  "\"blocked\":false,"
						  "\"byDigestOnly\":false}]},"
						  "{\"rktVersion\":\"v1\",\"rktKind\":\"paths\","
						  "\"data\":\"\",\"stage1-images\":\"\"},"
						  "{\"rktVersion\":\"v1\",\"rktKind\":\"stage1\","
						  "\"name\":\"\",\"version\":\"\","
						  "\"location\":\"\"}]}");
}

/* every message names the file */
static void bad_files_are_refused_by_name(void **state)
{
	static const struct {
		const char *dir, *text, *why;
	} rows[] = {
		{"auth.d", "", "JSON"},
		{"auth.d", "{", "JSON"},
		{"auth.d", "[]", "rktKind"},
		{"auth.d", "{}", "rktKind"},
		{"auth.d", "{\"rktKind\": \"auth\"}", "rktVersion"},
		{"auth.d", "{\"rktKind\": \"auth\", \"rktVersion\": \"v2\"}", "\"v2\""},
		{"auth.d", "{" V1("nonsense") "}", "\"nonsense\" is not known"},
		{"auth.d", "{" V1("paths") "}", "belong in paths.d"},
		{"paths.d", BASIC("\"a.com\"", "u"), "belong in auth.d"},
		{"auth.d", "{" V1("auth") ", \"type\": \"basic\"}", "domains"},
		{"auth.d", BASIC("", "u"), "domains"},
		{"auth.d", BASIC("\"\"", "u"), "entry 1"},
		{"auth.d", BASIC("\"a.com\", 7", "u"), "entry 2"},
		{"auth.d", BASIC("\"https://a.com\"", "u"), "entry 1"},
		{"auth.d", BASIC("\"a.com\", \"a.com\"", "u"), "already specified"},
		{"auth.d", BASIC("\"a.com\"", ""), "user is missing"},
		{"auth.d",
		 "{" V1("auth") ", \"domains\": [\"a\"], \"type\": \"digest\", "
				"\"credentials\": {}}",
		 "\"digest\""},
		{"auth.d",
		 "{" V1("auth") ", \"domains\": [\"a\"], \"type\": \"oauth\", "
				"\"credentials\": {\"user\": \"x\"}}",
		 "token"},
		{"auth.d", "{" V1("auth") ", \"domains\": [\"a\"], \"type\": \"oauth\"}",
		 "credentials"},
		{"auth.d",
		 "{" V1("auth") ", \"domains\": [\"a\"], \"type\": \"aws\", "
				"\"credentials\": {\"accessKeyID\": \"x\"}}",
		 "secretAccessKey"},
		{"auth.d", DOCKER("", "u"), "registries"},
		{"auth.d", DOCKER("\"a\", \"A\"", "u"), "already specified"},
		{"paths.d", "{" V1("paths") ", \"data\": \"relative\"}", "absolute"},
		{"paths.d", "{" V1("paths") ", \"stage1-images\": \"./x\"}", "stage1-images"},
		{"paths.d", "{" V1("paths") ", \"data\": 7}", "data"},
		{"stage1.d", "{" V1("stage1") ", \"name\": \"a\"}", "together"},
		{"stage1.d", "{" V1("stage1") ", \"version\": \"1\"}", "together"},
		{"stage1.d", "{" V1("stage1") ", \"name\": \"A\", \"version\": \"1\"}", "\"A\""},
		{"stage1.d", "{" V1("stage1") ", \"location\": \"x/y.aci\"}",
		 "default stage1 image location is either a relative path or a URL without scheme"},
		{"stage1.d", "{" V1("stage1") ", \"location\": \"ftp://x/y.aci\"}", "none of file"},
		{"registries.d", "{" V1("registries") "}", "missing or empty"},
		{"registries.d", "{" V1("registries") ", \"registries\": [{}]}", "prefix"},
		{"registries.d", "{" V1("registries") ", \"registries\": [null]}", "prefix"},
		{"registries.d", "{" V1("registries") ", \"registries\": [7]}", "entry 1"},
		{"registries.d",
		 "{" V1("registries") ", \"registries\": [{\"prefix\": "
				      "\"https://a\"}]}",
		 "https://a"},
		{"registries.d",
		 "{" V1("registries") ", \"registries\": [{\"prefix\": \"*.a/b\"}]}", "*.a/b"},
		{"registries.d", "{" V1("registries") ", \"registries\": [{\"prefix\": \"a/\"}]}",
		 "a/"},
		{"registries.d",
		 "{" V1("registries") ", \"registries\": [{\"prefix\": \"a\"}, "
				      "{\"prefix\": \"A\"}]}",
		 "already"},
		{"registries.d",
		 "{" V1("registries") ", \"registries\": [{\"prefix\": \"a\", "
				      "\"endpoints\": [\"*.b\"]}]}",
		 "entry 1"},
	};
	const struct scratch *scratch = *state;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		cleanup_free char *path = xasprintf("local/%s/the-file.json", rows[i].dir);
		cleanup_config struct config config = CONFIG_INIT;
		struct error err = ERROR_INIT, ignored = ERROR_INIT;

		put(scratch, path, rows[i].text);
		if (load(scratch, &config, &err) == 0)
			fail_msg("accepted: %s", rows[i].text);
		if (!strstr(err.msg, "the-file.json") || !strstr(err.msg, rows[i].why))
			fail_msg("%s: %s", rows[i].text, err.msg);
		assert_int_equal(remove_tree(scratch->fd, "local", &ignored), 0);
	}
}

static void one_directory_may_not_say_two_things(void **state)
{
	static const struct {
		const char *dir, *text;
	} rows[] = {
		{"auth.d", BASIC("\"a.com\"", "u")},
		{"auth.d", DOCKER("\"a.com\"", "u")},
		{"paths.d", "{" V1("paths") ", \"data\": \"/d\"}"},
		{"stage1.d", "{" V1("stage1") ", \"location\": \"/l\"}"},
		{"stage1.d", "{" V1("stage1") ", \"name\": \"n\", \"version\": \"1\"}"},
		{"registries.d", "{" V1("registries") ", \"registries\": [{\"prefix\": \"a\"}]}"},
	};
	const struct scratch *scratch = *state;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		cleanup_free char *one = xasprintf("user/%s/1.json", rows[i].dir);
		cleanup_free char *two = xasprintf("user/%s/2.json", rows[i].dir);
		cleanup_config struct config config = CONFIG_INIT;
		struct error err = ERROR_INIT, ignored = ERROR_INIT;

		put(scratch, one, rows[i].text);
		put(scratch, two, rows[i].text);
		assert_int_equal(load(scratch, &config, &err), -EEXIST);
		assert_non_null(strstr(err.msg, "2.json"));
		assert_int_equal(remove_tree(scratch->fd, "user", &ignored), 0);
	}
}

static void only_regular_json_files_count(void **state)
{
	const struct scratch *scratch = *state;
	cleanup_config struct config config = CONFIG_INIT;
	struct error err = ERROR_INIT;

	put(scratch, "local/paths.d/readme.txt", "nonsense");
	put(scratch, "local/paths.d/dir.json/x.json", "nonsense");
	put(scratch, "local/other.d/x.json", "nonsense");
	put(scratch, "elsewhere/x.json", "nonsense");
	assert_int_equal(symlinkat("../../elsewhere/x.json", scratch->fd, "local/paths.d/l.json"),
			 0);
	assert_int_equal(mkfifoat(scratch->fd, "local/paths.d/fifo.json", 0600), 0);
	if (load(scratch, &config, &err) < 0)
		fail_msg("%s", err.msg);
	assert_null(config.data);
}

static void the_longest_prefix_of_whole_components_wins(void **state)
{
	static const struct {
		const char *reference, *prefix; /* NULL: none */
	} rows[] = {
		{"a.com/x", "a.com"},
		{"A.com/x", "a.com"},
		{"a.com", "a.com"},
		{"a.com:5000/x", NULL},
		{"a.comm/x", NULL},
		{"a.com/lib/x:tag", "a.com/lib"},
		{"a.com/lib:tag", "a.com/lib"},
		{"a.com/lib@sha256:00", "a.com/lib"},
		{"a.com/library/x", "a.com"},
		{"a.com/LIB/x", "a.com"},
		{"b.com:5000/x", "b.com:5000"},
		{"b.com/x", NULL},
		{"x.w.com/a", "*.w.com"},
		{"x.w.com:99/a", "*.w.com"},
		{"x.y.w.com/a", "*.y.w.com"},
		{"z.w.com/a", "z.w.com"},
		{"w.com/a", NULL},
		{"xw.com/a", NULL},
		{"", NULL},
	};
	const struct scratch *scratch = *state;
	cleanup_config struct config config = CONFIG_INIT;
	struct error err = ERROR_INIT;

	put(scratch, "local/registries.d/r.json",
	    "{" V1("registries") ", \"registries\": [{\"prefix\": \"a.com\"}, {\"prefix\": "
				 "\"a.com/lib\"}, {\"prefix\": \"b.com:5000\"}, {\"prefix\": "
				 "\"*.w.com\"}, {\"prefix\": \"*.y.w.com\"}, {\"prefix\": "
				 "\"z.w.com\"}]}");
	assert_int_equal(load(scratch, &config, &err), 0);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const struct config_registry *found =
			config_registry_for(&config, rows[i].reference);

		if (!found != !rows[i].prefix ||
		    (found && strcmp(found->prefix, rows[i].prefix) != 0))
			fail_msg("%s: %s", rows[i].reference, found ? found->prefix : "none");
	}
}

static void directories_are_ours_or_those_of_rkt(void **state)
{
	char other[] = "/other";
	struct globals globals = {.prog = "tripod"};
	struct config_dirs dirs = globals_config_dirs(&globals);

	(void)state;
	assert_string_equal(dirs.system, "/usr/lib/tripod");
	assert_string_equal(dirs.local, "/etc/tripod");
	assert_null(dirs.user);
	globals.as_rkt = true;
	globals.user_config = other;
	dirs = globals_config_dirs(&globals);
	assert_string_equal(dirs.system, "/usr/lib/rkt");
	assert_string_equal(dirs.local, "/etc/rkt");
	assert_string_equal(dirs.user, "/other");
	globals.local_config = other;
	dirs = globals_config_dirs(&globals);
	assert_string_equal(dirs.local, "/other");
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, scratch_setup, scratch_teardown)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_configured_is_an_empty_configuration),
		cmocka_unit_test(directories_are_ours_or_those_of_rkt),
		TEST(later_directories_override_key_by_key),
		TEST(config_prints_every_kind),
		TEST(bad_files_are_refused_by_name),
		TEST(one_directory_may_not_say_two_things),
		TEST(only_regular_json_files_count),
		TEST(the_longest_prefix_of_whole_components_wins),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

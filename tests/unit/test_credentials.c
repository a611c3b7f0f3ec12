/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/file.h"
#include "common/util.h"
#include "stage0/fetch/credentials_priv.h"
#include "tests/unit/scratch.h"

#define cleanup_credential cleanup(credential_free) struct credential

static char *put(struct scratch *scratch, const char *name, const char *text, mode_t mode)
{
	struct error err = ERROR_INIT;

	assert_int_equal(file_write(scratch->fd, name, text, strlen(text), mode, &err), 0);
	return xasprintf("%s/%s", scratch->path, name);
}

static int find(const char *text, bool old, const char *host, const char *repository,
		struct credential *ret)
{
	struct error err = ERROR_INIT;
	struct auth_file file;
	int r = auth_file_parse(text, strlen(text), "file", old, &file, &err);

	if (r < 0)
		return r;
	r = auth_file_find(&file, host, repository, ret, &err);
	auth_file_free(&file);
	return r;
}

/* images.md 15.2; dXNlcjpwYTpzcw== is user:pa:ss */
static void files_of_other_clients_name_registries_in_many_ways(void **state)
{
	static const struct {
		const char *text, *host, *repository;
		int found;
	} rows[] = {
		{"{\"auths\":{\"a.b\":{\"auth\":\"dXNlcjpwYTpzcw==\"}}}", "a.b", "x", 1},
		{"{\"auths\":{\"A.B\":{\"auth\":\"dXNlcjpwYTpzcw==\"}}}", "a.b", "x", 1},
		{"{\"auths\":{\"https://a.b/v1/\":{\"auth\":\"dXNlcjpwYTpzcw==\"}}}", "a.b", "x",
		 1},
		{"{\"auths\":{\"http://a.b/v2\":{\"auth\":\"dXNlcjpwYTpzcw==\"}}}", "a.b", "x", 1},
		{"{\"auths\":{\"a.b:1\":{\"auth\":\"dXNlcjpwYTpzcw==\"}}}", "a.b", "x", 0},
		{"{\"auths\":{\"a.b\":{\"auth\":\"dXNlcjpwYTpzcw==\"}}}", "a.b:1", "x", 0},
		{"{\"auths\":{\"a.b\":{\"username\":\"user\",\"password\":\"pa:ss\"}}}", "a.b", "x",
		 1},
		/* with the NUL some programs count */
		{"{\"auths\":{\"a.b\":{\"auth\":\"dXNlcjpwYTpzcwA=\"}}}", "a.b", "x", 1},
		{"{\"auths\":{\"https://index.docker.io/v1/\":{\"auth\":\"dXNlcjpwYTpzcw==\"}}}",
		 "docker.io", "library/x", 1},
		{"{\"auths\":{\"registry-1.docker.io\":{\"auth\":\"dXNlcjpwYTpzcw==\"}}}",
		 "docker.io", "library/x", 1},
		{"{\"auths\":{\"a.b/c\":{\"auth\":\"dXNlcjpwYTpzcw==\"}}}", "a.b", "c/d", 1},
		{"{\"auths\":{\"a.b/c\":{\"auth\":\"dXNlcjpwYTpzcw==\"}}}", "a.b", "cc/d", 0},
		{"{\"auths\":{\"a.b\":{\"auth\":\"eDp5\"},\"a.b/c/d\":"
		 "{\"auth\":\"dXNlcjpwYTpzcw==\"}}}",
		 "a.b", "c/d", 1},
		{"{\"auths\":{\"evil/a.b\":{\"auth\":\"dXNlcjpwYTpzcw==\"}}}", "a.b", "x", 0},
		{"{}", "a.b", "x", 0},
		{"", "a.b", "x", 0},
		{"{\"auths\":null}", "a.b", "x", 0},
		{"{\"auths\":{\"a.b\":{\"auth\":\"dXNlcg==\"}}}", "a.b", "x", -EINVAL},
		{"{\"auths\":{\"a.b\":{\"auth\":\"?\"}}}", "a.b", "x", -EINVAL},
		{"{\"auths\":{\"a.b\":{\"auth\":7}}}", "a.b", "x", -EINVAL},
		{"{\"auths\":{\"a.b\":7}}", "c.d", "x", -EINVAL},
		{"{\"auths\":[]}", "c.d", "x", -EINVAL},
		{"{\"credHelpers\":{\"a\":1}}", "c.d", "x", -EINVAL},
		{"[]", "c.d", "x", -EINVAL},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		cleanup_credential got = {.user = NULL};
		int r = find(rows[i].text, false, rows[i].host, rows[i].repository, &got);

		if (r != rows[i].found)
			fail_msg("%s: %d", rows[i].text, r);
		if (r != 1)
			continue;
		assert_string_equal(got.user, "user");
		assert_string_equal(got.password, "pa:ss");
	}
}

static void tokens_and_empty_entries_are_kept_apart(void **state)
{
	static const char text[] = "{\"a\":{\"identitytoken\":\"i\",\"auth\":\"eDp5\"},"
				   "\"b\":{\"registrytoken\":\"r\"},\"c\":{},\"d\":null}";
	cleanup_credential a = {.user = NULL}, b = {.user = NULL}, c = {.user = NULL},
			   d = {.user = NULL};

	(void)state;
	assert_int_equal(find(text, true, "a", "x", &a), 1);
	assert_string_equal(a.identity_token, "i");
	assert_string_equal(a.user, "x");
	assert_int_equal(find(text, true, "b", "x", &b), 1);
	assert_string_equal(b.registry_token, "r");
	assert_null(b.user);
	assert_int_equal(find(text, true, "c", "x", &c), 1);
	assert_null(c.user);
	assert_int_equal(find(text, true, "d", "x", &d), 1);
}

static void the_first_place_that_knows_decides(void **state)
{
	struct scratch *scratch = *state;
	cleanup_free char *first = put(scratch, "first",
				       "{\"auths\":{\"one\":{\"auth\":\"MTox\"}}}", 0600),
			  *last = put(scratch, "last",
				      "{\"one\":{\"auth\":\"Mjoy\"},\"two\":{\"auth\":\"Mjoy\"},"
				      "\"three\":{\"auth\":\"Mjoy\"}}",
				      0644),
			  *missing = xasprintf("%s/missing", scratch->path);
	struct config_docker_auth docker[] = {
		{(char *)"one", (char *)"c", (char *)"c"},
		{(char *)"registry-1.docker.io", (char *)"hub", (char *)"c"},
		{(char *)"two", (char *)"c", (char *)"c"},
	};
	struct config config = {.docker_auth = docker, .ndocker_auth = ARRAY_SIZE(docker)};
	struct credential_files files = {
		.authfile = first,
		.config = &config,
		.docker_config = missing,
		.dockercfg = last,
	};
	static const struct {
		const char *host, *user;
	} rows[] = {
		{"one", "1"}, {"two", "c"}, {"three", "2"}, {"docker.io", "hub"}, {"four", NULL}};
	cleanup_strv struct strv warnings = STRV_INIT;
	struct credentials *credentials;
	struct error err = ERROR_INIT;

	assert_int_equal(credentials_load(&files, &credentials, &warnings, &err), 0);
	assert_int_equal(warnings.n, 1); /* everybody can read the last */
	assert_non_null(strstr(warnings.v[0], last));
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		cleanup_credential got = {.user = NULL};

		assert_int_equal(credentials_find(credentials, rows[i].host, "x", &got, &err), 0);
		if (rows[i].user)
			assert_string_equal(got.user, rows[i].user);
		else
			assert_null(got.user);
	}
	credentials_free(credentials);
	/* what the user names must be there, and what is there must be right */
	files.authfile = missing;
	assert_int_equal(credentials_load(&files, &credentials, &warnings, &err), -ENOENT);
	files.authfile = NULL;
	files.docker_config = last;
	files.containers_run = put(scratch, "bad", "{", 0600);
	assert_int_equal(credentials_load(&files, &credentials, &warnings, &err), -EINVAL);
	assert_non_null(strstr(err.msg, files.containers_run));
	free((char *)files.containers_run);
}

/* --- helper programs --- */

static void helper(struct scratch *scratch, const char *name, const char *script)
{
	cleanup_free char *file = xasprintf("docker-credential-%s", name),
			  *text = xasprintf("#!/bin/sh\ncd %s\n%s\n", scratch->path, script);

	free(put(scratch, file, text, 0700));
}

static void use_path(const struct scratch *scratch)
{
	cleanup_free char *path = xasprintf("%s:/usr/bin:/bin", scratch->path);

	setenv("PATH", path, 1);
}

static void helpers_are_asked_once(void **state)
{
	struct scratch *scratch = *state;
	cleanup_free char *config = NULL, *asked = NULL, *was = xstrdup(getenv("PATH"));
	cleanup_strv struct strv warnings = STRV_INIT;
	struct credential_files files = {.authfile = NULL};
	struct credentials *credentials;
	struct error err = ERROR_INIT;
	size_t len;

	use_path(scratch);
	helper(scratch, "one",
	       "read server; echo $1 $server >>asked\n"
	       "echo '{\"ServerURL\":\"x\",\"Username\":\"u\",\"Secret\":\"s\"}'");
	helper(scratch, "all",
	       "read server; echo $1 $server >>asked\n"
	       "if [ $server = gone ]; then\n"
	       "echo credentials not found in native keychain; exit 1; fi\n"
	       "echo '{\"Username\":\"<token>\",\"Secret\":\"t\"}'");
	config = put(scratch, "config",
		     "{\"auths\":{\"gone\":{\"auth\":\"eDp5\"}},\"credsStore\":\"all\","
		     "\"credHelpers\":{\"docker.io\":\"one\"}}",
		     0600);
	files.docker_config = config;
	assert_int_equal(credentials_load(&files, &credentials, &warnings, &err), 0);
	for (unsigned i = 0; i < 2; i++) {
		cleanup_credential hub = {.user = NULL}, other = {.user = NULL},
				   gone = {.user = NULL};

		assert_int_equal(credentials_find(credentials, "docker.io", "x", &hub, &err), 0);
		assert_string_equal(hub.user, "u");
		assert_string_equal(hub.password, "s");
		assert_int_equal(credentials_find(credentials, "a.b:1", "x", &other, &err), 0);
		assert_string_equal(other.identity_token, "t");
		assert_null(other.user);
		/* what the helper has not, the file may */
		assert_int_equal(credentials_find(credentials, "gone", "x", &gone, &err), 0);
		assert_string_equal(gone.user, "x");
	}
	credentials_free(credentials);
	assert_int_equal(file_read(scratch->fd, "asked", 1000, &asked, &len, &err), 0);
	assert_string_equal(asked, "get https://index.docker.io/v1/\nget a.b:1\nget gone\n");
	setenv("PATH", was, 1);
}

static void helpers_that_misbehave_are_errors(void **state)
{
	static const struct {
		const char *script;
		int code;
	} rows[] = {
		{"exit 3", -EIO},
		{"echo no", -EINVAL},
		{"echo '{}'", -EPROTO},
		{"echo '{\"Username\":\"u\",\"Secret\":\"\"}'", -EPROTO},
		{"head -c 70000 /dev/zero", -EFBIG},
		{"exec sleep 60", -ETIMEDOUT},
		{"exec >&-; exec sleep 60", -ETIMEDOUT},
	};
	static const char *const names[] = {"../x", "a/b", "", "a b", "missing-from-here"};
	struct scratch *scratch = *state;
	cleanup_free char *was = xstrdup(getenv("PATH"));
	struct credential got;

	use_path(scratch);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		int timeout = rows[i].code == -ETIMEDOUT ? 300 : 30000;
		struct error err = ERROR_INIT;

		helper(scratch, "x", rows[i].script);
		if (credential_helper_get("x", "a.b", timeout, &got, &err) != rows[i].code)
			fail_msg("%s: %s", rows[i].script, err.msg);
	}
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		struct error err = ERROR_INIT;

		assert_true(credential_helper_get(names[i], "a.b", 1000, &got, &err) < 0);
	}
	setenv("PATH", was, 1);
}

#define test_in_scratch(f) cmocka_unit_test_setup_teardown(f, scratch_setup, scratch_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(files_of_other_clients_name_registries_in_many_ways),
		cmocka_unit_test(tokens_and_empty_entries_are_kept_apart),
		test_in_scratch(the_first_place_that_knows_decides),
		test_in_scratch(helpers_are_asked_once),
		test_in_scratch(helpers_that_misbehave_are_errors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

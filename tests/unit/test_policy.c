/* SPDX-License-Identifier: Apache-2.0 */
/* The image policy, with signatures over tests/trust/image.aci in the place of a manifest. */
#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "common/file.h"
#include "common/util.h"
#include "stage0/image/oci_doc.h"
#include "stage0/trust/policy.h"
#include "tests/unit/trustmake.h"

#define FIXTURES "tests/trust/"

struct world {
	struct scratch *scratch;
	struct config_dirs dirs;
	char system[80], local[80], user[80];
	char *document, digest[OCI_DIGEST_MAX];
	size_t len;
};

static int world_setup(void **state)
{
	struct world *world = xcalloc(1, sizeof(*world));
	struct oci_digest digest;
	void *scratch;

	scratch_setup(&scratch);
	world->scratch = scratch;
	snprintf(world->system, sizeof(world->system), "%s/usr", world->scratch->path);
	snprintf(world->local, sizeof(world->local), "%s/etc", world->scratch->path);
	snprintf(world->user, sizeof(world->user), "%s/home", world->scratch->path);
	world->dirs = (struct config_dirs){world->system, world->local, world->user};
	world->document = trust_fixture("image.aci", &world->len);
	oci_digest_of(world->document, world->len, &digest);
	oci_digest_text(&digest, world->digest);
	*state = world;
	return 0;
}

static int world_teardown(void **state)
{
	struct world *world = *state;
	void *scratch = world->scratch;

	free(world->document);
	free(world);
	return scratch_teardown(&scratch);
}

static void put(const struct world *world, const char *path, const char *text, size_t len)
{
	cleanup_free char *full = xasprintf("%s/%s", world->scratch->path, path);
	cleanup_free char *dir = xstrndup(full, (size_t)(strrchr(full, '/') - full));
	struct error err = ERROR_INIT;

	if (mkdir_path(AT_FDCWD, dir, 0755, &err) < 0 ||
	    file_write(AT_FDCWD, full, text, len, 0644, &err) < 0)
		fail_msg("%s", err.msg);
}

/* A rule file, with %s for what it accepts. */
static void put_rule(const struct world *world, const char *path, const char *images,
		     const char *accept)
{
	cleanup_free char *text =
		xasprintf("{\"rktKind\": \"imagePolicy\", \"rktVersion\": \"v1\", "
			  "\"images\": [%s], \"accept\": [%s]}",
			  images, accept);

	put(world, path, text, strlen(text));
}

/* Downloads from the fixtures: the last component of the URL. */
static int download(void *ctx, const char *url, size_t max, char **ret, size_t *ret_len,
		    struct error *err)
{
	struct strv *asked = ctx;
	cleanup_free char *path = xasprintf(FIXTURES "%s", strrchr(url, '/') + 1);

	strv_add(asked, url);
	return file_read(AT_FDCWD, path, max, ret, ret_len, err);
}

/* The verdict about the document as the only one, or the second of two. */
static int check(const struct world *world, const char *name, bool second, struct strv *asked,
		 struct error *err)
{
	static const char other[] = "{}";
	const struct policy_document documents[] = {
		{"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a", other,
		 2},
		{world->digest, world->document, world->len},
	};
	const struct policy_image image = {name, documents + !second, second ? 2 : 1};
	const struct policy_context context = {&world->dirs, asked ? download : NULL, asked};
	cleanup_policy struct policy *policy = NULL;
	cleanup_strv struct strv lines = STRV_INIT;
	int r = policy_load(&world->dirs, &policy, err);

	if (r == 0)
		r = policy_check(policy, &context, &image, &lines, err);
	if (r == 0)
		assert_true(lines.n > 0);
	else if (strchr(err->msg, '\n'))
		fail_msg("more than a line: %s", err->msg);
	return r;
}

static void test_an_image_no_rule_covers_is_refused(void **state)
{
	struct error err = ERROR_INIT;

	assert_int_equal(check(*state, "docker.io/library/redis", false, NULL, &err), -EACCES);
	assert_non_null(strstr(err.msg, "--insecure-options=image"));
}

static void test_the_longest_beginning_decides_alone(void **state)
{
	static const struct {
		const char *name;
		int code;
	} cases[] = {
		{"example.com/team/app", 0},	   {"example.com/team", 0},
		{"example.com/team/bad", -EACCES}, {"example.com/team/bad/x", -EACCES},
		{"example.com/team/badly", 0},	   {"example.com/teams", -EACCES},
		{"example.com", -EACCES},	   {"oci:/srv/images/x", 0},
		{"oci:/srv/imagesx", -EACCES},	   {"oci-archive:/srv/images/x", -EACCES},
		{"localhost:5000/x", 0},	   {"localhost:500", -EACCES},
	};
	struct world *world = *state;
	cleanup_free char *accept = xasprintf("{\"digests\": [\"%s\"]}", world->digest);

	put_rule(world, "etc/policy.d/a.json",
		 "\"example.com/team\", \"oci:/srv/images\", \"localhost:5000\"", accept);
	put_rule(world, "etc/policy.d/b.json", "\"example.com/team/bad\", \"*\"", "");
	for (size_t i = 0; i < ARRAY_SIZE(cases) * 2; i++) {
		const typeof(cases[0]) *c = &cases[i / 2];
		struct error err = ERROR_INIT;
		int r = check(world, c->name, i % 2, NULL, &err);

		if (r != c->code)
			fail_msg("%s: %d, %s", c->name, r, err.msg);
	}
}

static void test_later_directories_replace_rules_and_one_says_a_thing_once(void **state)
{
	struct world *world = *state;
	cleanup_free char *accept = xasprintf("{\"digests\": [\"%s\"]}", world->digest);
	struct error err = ERROR_INIT;

	put_rule(world, "usr/policy.d/a.json", "\"example.com\"", accept);
	assert_int_equal(check(world, "example.com/x", false, NULL, &err), 0);
	put_rule(world, "etc/policy.d/a.json", "\"example.com\"", "");
	assert_int_equal(check(world, "example.com/x", false, NULL, &err), -EACCES);
	put_rule(world, "home/policy.d/a.json", "\"example.com\"", accept);
	assert_int_equal(check(world, "example.com/x", false, NULL, &err), 0);
	put_rule(world, "home/policy.d/b.json", "\"example.com\"", "");
	assert_int_equal(check(world, "example.com/x", false, NULL, &err), -EEXIST);
	assert_non_null(strstr(err.msg, "home/policy.d/b.json"));
}

static void test_a_rule_that_is_not_understood_is_an_error(void **state)
{
#define HEAD "{\"rktKind\": \"imagePolicy\", \"rktVersion\": \"v1\", "
	static const char *const files[] = {
		"[]",
		"{}",
		"{\"rktKind\": \"auth\", \"rktVersion\": \"v1\", \"images\": [\"*\"], \"accept\": "
		"[]}",
		"{\"rktKind\": \"imagePolicy\", \"rktVersion\": \"v2\", \"images\": [\"*\"], "
		"\"accept\": []}",
		HEAD "\"images\": [\"*\"]}",
		HEAD "\"images\": [], \"accept\": []}",
		HEAD "\"accept\": []}",
		HEAD "\"images\": [\"*\"], \"accept\": [], \"reject\": []}",
		HEAD "\"images\": [\"*\"], \"accept\": [], \"accept\": []}",
		HEAD "\"images\": [\"https://x\"], \"accept\": []}",
		HEAD "\"images\": [\"x/../y\"], \"accept\": []}",
		HEAD "\"images\": [\"oci:relative\"], \"accept\": []}",
		HEAD "\"images\": [\"oci:/a/../b\"], \"accept\": []}",
		HEAD "\"images\": [7], \"accept\": []}",
		HEAD "\"images\": [\"*\"], \"accept\": [{}]}",
		HEAD "\"images\": [\"*\"], \"accept\": [\"all\"]}",
		HEAD "\"images\": [\"*\"], \"accept\": [{\"anything\": true}]}",
		HEAD "\"images\": [\"*\"], \"accept\": [{\"digests\": []}]}",
		HEAD "\"images\": [\"*\"], \"accept\": [{\"digests\": [\"sha256:00\"]}]}",
		HEAD "\"images\": [\"*\"], \"accept\": [{\"signature\": \"relative/{digest}\"}]}",
		HEAD "\"images\": [\"*\"], \"accept\": [{\"signature\": \"http://x/{digest}\"}]}",
		HEAD "\"images\": [\"*\"], \"accept\": [{\"signature\": \"/the/same\"}]}",
		HEAD "\"images\": [\"*\"], \"accept\": [{\"signature\": \"/a/{hex}\", \"digests\": "
		     "[]}]}",
	};
	struct world *world = *state;

	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		cleanup_policy struct policy *policy = NULL;
		struct error err = ERROR_INIT;

		put(world, "etc/policy.d/a.json", files[i], strlen(files[i]));
		if (policy_load(&world->dirs, &policy, &err) == 0)
			fail_msg("taken: %s", files[i]);
		assert_non_null(strstr(err.msg, "policy.d/a.json"));
	}
}

static void test_a_signature_over_the_document_vouches_for_it(void **state)
{
	struct world *world = *state;
	cleanup_free char *signatures = xasprintf("%s/sigs", world->scratch->path), *accept = NULL,
			  *path = NULL, *bytes = NULL;
	struct error err = ERROR_INIT;
	size_t len;

	accept = xasprintf("{\"signature\": \"%s/{name}@{digest}.asc\"}", signatures);
	put_rule(world, "etc/policy.d/a.json", "\"*\"", accept);
	assert_int_equal(check(world, "example.com/app", false, NULL, &err), -EACCES);
	assert_non_null(strstr(err.msg, "No such file"));

	path = xasprintf("sigs/example.com/app@%s.asc", world->digest);
	bytes = trust_fixture("good.aci.asc", &len);
	put(world, path, bytes, len);
	assert_int_equal(check(world, "example.com/app", false, NULL, &err), -EACCES);
	assert_non_null(strstr(err.msg, "signature made by unknown entity"));
	trust_key(&world->dirs, "example.com/ap", "good.key.asc");
	assert_int_equal(check(world, "example.com/app", false, NULL, &err), -EACCES);
	trust_key(&world->dirs, "example.com/app", "good.key.asc");
	assert_int_equal(check(world, "example.com/app", false, NULL, &err), 0);
	assert_int_equal(check(world, "example.com/app", true, NULL, &err), 0);

	free(bytes);
	bytes = trust_fixture("tar.aci.asc", &len);
	put(world, path, bytes, len);
	assert_int_equal(check(world, "example.com/app", false, NULL, &err), -EACCES);
	assert_non_null(strstr(err.msg, "bad signature"));
}

static void test_a_signature_is_downloaded_from_where_the_rule_says(void **state)
{
	struct world *world = *state;
	cleanup_strv struct strv asked = STRV_INIT;
	cleanup_free char *url = NULL;
	struct error err = ERROR_INIT;

	trust_key(&world->dirs, NULL, "good.key.asc");
	put_rule(world, "etc/policy.d/a.json", "\"example.com\"",
		 "{\"signature\": "
		 "\"https://sign.example.com/{name}/{algorithm}/{hex}/good.aci.asc\"}");
	assert_int_equal(check(world, "example.com/app", false, &asked, &err), 0);
	url = xasprintf("https://sign.example.com/example.com/app/sha256/%s/good.aci.asc",
			world->digest + strlen("sha256:"));
	assert_int_equal(asked.n, 1);
	assert_string_equal(asked.v[0], url);
	assert_int_equal(check(world, "example.com/app", false, NULL, &err), -EACCES);
}

static void test_a_local_image_needs_a_root_key(void **state)
{
	struct world *world = *state;
	cleanup_strv struct strv asked = STRV_INIT;
	struct error err = ERROR_INIT;

	put_rule(world, "etc/policy.d/a.json", "\"oci:/\"",
		 "{\"signature\": \"https://x/{digest}/good.aci.asc\"}");
	trust_key(&world->dirs, "example.com", "good.key.asc");
	assert_int_equal(check(world, "oci:/srv/app", false, &asked, &err), -EACCES);
	assert_non_null(strstr(err.msg, "trust --root"));
	trust_key(&world->dirs, NULL, "good.key.asc");
	assert_int_equal(check(world, "oci:/srv/app", false, &asked, &err), 0);
	put_rule(world, "etc/policy.d/a.json", "\"oci:/\"",
		 "{\"signature\": \"https://x/{name}/{digest}/good.aci.asc\"}");
	assert_int_equal(check(world, "oci:/srv/app", false, &asked, &err), -EACCES);
	assert_non_null(strstr(err.msg, "no {name}"));
}

static void test_bytes_that_are_not_the_digest_s_are_refused(void **state)
{
	struct world *world = *state;
	cleanup_free char *accept = xasprintf("{\"digests\": [\"%s\"]}", world->digest);
	struct error err = ERROR_INIT;

	put_rule(world, "etc/policy.d/a.json", "\"*\"", accept);
	world->document[world->len - 1] ^= 1;
	assert_int_equal(check(world, "example.com/app", false, NULL, &err), -EBADMSG);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_an_image_no_rule_covers_is_refused),
		TEST(test_the_longest_beginning_decides_alone),
		TEST(test_later_directories_replace_rules_and_one_says_a_thing_once),
		TEST(test_a_rule_that_is_not_understood_is_an_error),
		TEST(test_a_signature_over_the_document_vouches_for_it),
		TEST(test_a_signature_is_downloaded_from_where_the_rule_says),
		TEST(test_a_local_image_needs_a_root_key),
		TEST(test_bytes_that_are_not_the_digest_s_are_refused),
	};

	return cmocka_run_group_tests_name("policy", tests, NULL, NULL);
}

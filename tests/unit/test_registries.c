/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/file.h"
#include "common/util.h"
#include "stage0/fetch/registries.h"
#include "tests/unit/scratch.h"

#define cleanup_registries cleanup(registries_free) struct registries

static const char conf[] = "# what an administrator has\n"
			   "unqualified-search-registries = [\"a.b\", 'c.d', # two\n"
			   "]\n"
			   "short-name-mode = \"enforcing\"\r\n"
			   "\n"
			   "[[registry]]\n"
			   "prefix = \"docker.io\"  # the Hub\n"
			   "location = \"registry.test/hub\"\n"
			   "[[registry.mirror]]\n"
			   "location = 'one.test:5000/m'\n"
			   "insecure = true\n"
			   "[[registry.mirror]]\n"
			   "location = \"two.test\"\n"
			   "pull-from-mirror = \"digest-only\"\n"
			   "[[registry.mirror]]\n"
			   "location = \"three.test\"\n"
			   "pull-from-mirror = \"tag-only\"\n"
			   "\n"
			   "[[registry]]\n"
			   "prefix = \"docker.io/library/secret\"\n"
			   "blocked = true\n"
			   "[[registry]]\n"
			   "prefix = \"*.wild.test\"\n"
			   "insecure = true\n"
			   "[[registry]]\n"
			   "location = \"only.test\"\n"
			   "mirror-by-digest-only = true\n"
			   "[[registry.mirror]]\n"
			   "location = \"mirror.test/x\"\n"
			   "\n"
			   "[aliases]\n"
			   "  \"fedora\" = \"registry.test/fedora\"\n";

/* The places in one line: "host repository flags", flags m(irror) and i(nsecure). */
static int places(const struct config *config, const struct registries *registries,
		  const char *text, struct str *ret)
{
	struct registry_places found = {.n = 0};
	struct error err = ERROR_INIT;
	struct dockerref ref;
	int r;

	assert_int_equal(dockerref_parse(text, &ref, &err), 0);
	r = registry_places_find(config, registries, &ref, &found, &err);
	for (size_t i = 0; i < found.n; i++)
		str_addf(ret, "%s%s %s %s%s", i ? "; " : "", found.place[i].host,
			 found.place[i].repository, found.place[i].mirror ? "m" : "",
			 found.place[i].insecure ? "i" : "");
	registry_places_free(&found);
	return r;
}

#define DIGEST "@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static void mirrors_come_first_and_names_are_rewritten(void **state)
{
	static const struct {
		const char *ref, *places;
		int code;
	} rows[] = {
		{"redis",
		 "one.test:5000 m/library/redis mi; three.test library/redis m; "
		 "registry.test hub/library/redis ",
		 0},
		{"a/b" DIGEST, "one.test:5000 m/a/b mi; two.test a/b m; registry.test hub/a/b ", 0},
		{"secret", "", -EPERM},
		{"secrets",
		 "one.test:5000 m/library/secrets mi; three.test library/secrets m; "
		 "registry.test hub/library/secrets ",
		 0},
		{"x.wild.test:5000/y", "x.wild.test:5000 y i", 0},
		{"wild.test/y", "wild.test y ", 0},
		{"only.test/y", "only.test y ", 0},
		{"only.test/y" DIGEST, "mirror.test x/y m; only.test y ", 0},
		{"only.test.example/y", "only.test.example y ", 0},
		{"other.test/y", "other.test y ", 0},
	};
	cleanup_registries registries = REGISTRIES_INIT;
	struct error err = ERROR_INIT;

	(void)state;
	assert_int_equal(registries_parse(conf, strlen(conf), "conf", &registries, &err), 0);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		cleanup_str struct str got = STR_INIT;

		assert_int_equal(places(NULL, &registries, rows[i].ref, &got), rows[i].code);
		assert_string_equal(str_get(&got), rows[i].places);
	}
}

static void our_own_configuration_wins(void **state)
{
	cleanup_registries registries = REGISTRIES_INIT;
	cleanup_str struct str tag = STR_INIT, digest = STR_INIT, other = STR_INIT;
	struct config_registry entries[] = {
		{.prefix = (char *)"docker.io/library", .by_digest_only = true, .insecure = true},
		{.prefix = (char *)"shut.test", .blocked = true},
	};
	struct config config = {.registries = entries, .nregistries = ARRAY_SIZE(entries)};
	struct error err = ERROR_INIT;

	(void)state;
	strv_add(&entries[0].endpoints, "ours.test/lib");
	assert_int_equal(registries_parse(conf, strlen(conf), "conf", &registries, &err), 0);
	assert_int_equal(places(&config, &registries, "redis", &tag), 0);
	assert_string_equal(str_get(&tag), "docker.io library/redis i");
	assert_int_equal(places(&config, &registries, "redis" DIGEST, &digest), 0);
	assert_string_equal(str_get(&digest), "ours.test lib/redis mi; docker.io library/redis i");
	assert_int_equal(places(&config, &registries, "shut.test/x", &other), -EPERM);
	strv_free(&entries[0].endpoints);
}

static void what_is_not_understood_is_an_error(void **state)
{
	static const struct {
		const char *text, *line;
	} rows[] = {
		{"[[registry]]\nblocked = yes\n", "line 2"},
		{"[[registry]]\nblocked = \"true\"\n", "line 2"},
		{"[[registry]]\nprefix = true\n", "line 2"},
		{"[[registry]]\nprefix = \"a\"\nprefix = \"b\"\n", "line 3"},
		{"[[registry]]\nprefix = \"a b\"\n", "line 2"},
		{"[[registry]]\nprefix = \"../a\"\n", "line 2"},
		{"[[registry]]\nlocation = \"*.a\"\n", "line 2"},
		{"[[registry]]\nprefix = \"*.a/b\"\n", "line 2"},
		{"[[registry]]\nprefix = \"a\n\"\n", "line 2"},
		{"[[registry]]\nprefix = \"\"\"a\"\"\"\n", "line 2"},
		{"[[registry]]\nprefix = \"\\u0061\"\n", "line 2"},
		{"[[registry]]\nprefix = \"a\" x\n", "line 2"},
		{"[[registry]]\nprefix\n", "line 2"},
		{"[[registry]]\n", "without prefix"},
		{"[[registry]]\nprefix = \"a\"\n[[registry.mirror]]\n", "without location"},
		{"[[registry.mirror]]\nlocation = \"a\"\n", "line 1"},
		{"[registries.block]\nregistries = [\"a\"]\n", "line 1"},
		{"[registry]\n", "line 1"},
		{"[[registry]\n", "line 1"},
		{"x = [\"a\"\n", "line 2"},
		{"x = [[\"a\"]]\n", "line 1"},
		{"x = {a = 1}\n", "line 1"},
		{"x = \n", "line 1"},
		{"= 1\n", "line 1"},
		{"[[registry]]\nprefix = \"a\"\n[[registry.mirror]]\nlocation = \"b\"\n"
		 "pull-from-mirror = \"never\"\n",
		 "line 5"},
	};
	cleanup_registries registries = REGISTRIES_INIT;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct error err = ERROR_INIT;

		if (registries_parse(rows[i].text, strlen(rows[i].text), "conf", &registries,
				     &err) != -EINVAL ||
		    !strstr(err.msg, rows[i].line))
			fail_msg("%s: %s", rows[i].text, err.msg);
	}
	assert_int_equal(registries.n, 0);
}

static void later_files_replace_what_earlier_ones_say(void **state)
{
	struct scratch *scratch = *state;
	cleanup_free char *file = xasprintf("%s/main", scratch->path),
			  *dir = xasprintf("%s/d", scratch->path),
			  *missing = xasprintf("%s/missing", scratch->path);
	static const struct {
		const char *name, *text;
	} files[] = {
		{"main", "[[registry]]\nprefix = \"a.b\"\nblocked = true\n"},
		{"d/2.conf", "[[registry]]\nprefix = \"a.b\"\ninsecure = true\n"},
		{"d/1.conf", "[[registry]]\nprefix = \"a.b\"\nlocation = \"x.y\"\n"},
		{"d/3.conf.bak", "[[registry]]\nprefix = \"a.b\"\nblocked = true\n"},
	};
	cleanup_registries registries = REGISTRIES_INIT, none = REGISTRIES_INIT;
	cleanup_str struct str got = STR_INIT;
	struct error err = ERROR_INIT;

	assert_int_equal(mkdir(dir, 0755), 0);
	for (size_t i = 0; i < ARRAY_SIZE(files); i++)
		assert_int_equal(file_write(scratch->fd, files[i].name, files[i].text,
					    strlen(files[i].text), 0644, &err),
				 0);
	assert_int_equal(registries_load(file, dir, &registries, &err), 0);
	assert_int_equal(places(NULL, &registries, "a.b/x", &got), 0);
	assert_string_equal(str_get(&got), "a.b x i");
	assert_int_equal(registries_load(missing, missing, &none, &err), 0);
	assert_int_equal(none.n, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(mirrors_come_first_and_names_are_rewritten),
		cmocka_unit_test(our_own_configuration_wins),
		cmocka_unit_test(what_is_not_understood_is_an_error),
		cmocka_unit_test_setup_teardown(later_files_replace_what_earlier_ones_say,
						scratch_setup, scratch_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of fetching that decide: policies, wanted labels, unfinished downloads, lines of progress. */
#include "tests/unit/unit.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/file.h"
#include "common/util.h"
#include "stage0/fetch/fetch_priv.h"
#include "stage0/fetch/pump.h"
#include "stage0/fetch/unfinished.h"
#include "stage0/progress.h"
#include "tests/unit/scratch.h"
#include "tests/unit/tarmake.h"

static void pull_policies_are_three_words(void **state)
{
	struct error err = ERROR_INIT;
	enum pull_policy policy = PULL_NEVER;

	(void)state;
	assert_int_equal(pull_policy_parse("new", &policy, &err), 0);
	assert_int_equal(policy, PULL_NEW);
	assert_int_equal(pull_policy_parse("update", &policy, &err), 0);
	assert_int_equal(policy, PULL_UPDATE);
	assert_int_equal(pull_policy_parse("never", &policy, &err), 0);
	assert_int_equal(policy, PULL_NEVER);
	assert_int_equal(pull_policy_parse("New", &policy, &err), -EINVAL);
	assert_int_equal(pull_policy_parse("", &policy, &err), -EINVAL);
}

/* images.md 9.1, row 13 */
static void an_image_must_be_what_was_asked_for(void **state)
{
	static const struct {
		const char *wanted, *labels, *why; /* why NULL: it is */
	} rows[] = {
		{"a.com/x", "os=linux,arch=amd64", NULL},
		{"a.com/x", "os=linux,arch=amd64,version=1,more=2", NULL},
		{"a.com/x:1", "version=1,os=linux,arch=amd64", NULL},
		{"a.com/x", "", NULL}, /* of no kind in particular, and nobody asked for one */
		{"a.com/x,os=linux,arch=amd64", "os=linux",
		 "requested label \"arch\" not provided by the image manifest"},
		{"a.com/x:1", "os=linux,arch=amd64",
		 "requested label \"version\" not provided by the image manifest"},
		{"a.com/x:1", "version=2,os=linux,arch=amd64",
		 "requested value for label \"version\": \"1\" differs from fetched aci label "
		 "value: \"2\""},
		{"a.com/x", "os=linux,arch=aarch64",
		 "requested value for label \"arch\": \"amd64\" differs"},
		{"a.com/x:", "version=,os=linux,arch=amd64", NULL},
		{"a.com/y", "os=linux,arch=amd64", "a.com/x"},
		{"a.com/xx", "os=linux,arch=amd64", "a.com/x"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		cleanup_json struct json_object *manifest = json_object_new_object();
		struct json_object *labels = json_object_new_array();
		cleanup_imageref struct imageref wanted = IMAGEREF_INIT;
		cleanup_strv struct strv pairs = STRV_INIT;
		struct error err = ERROR_INIT;
		int r;

		json_add_string(manifest, "name", "a.com/x");
		if (*rows[i].labels)
			strv_split(&pairs, rows[i].labels, ',');
		for (size_t k = 0; k < pairs.n; k++) {
			struct json_object *label = json_object_new_object();
			char *eq = strchr(pairs.v[k], '=');

			*eq = '\0';
			json_add_string(label, "name", pairs.v[k]);
			json_add_string(label, "value", eq + 1);
			json_object_array_add(labels, label);
		}
		json_add(manifest, "labels", labels);
		assert_int_equal(imageref_parse(rows[i].wanted, &wanted, &err), 0);
		r = fetch_check_wanted(&wanted, manifest, &err);
		if ((r == 0) != !rows[i].why || (rows[i].why && !strstr(err.msg, rows[i].why)))
			fail_msg("%s: %d, %s", rows[i].wanted, r, err.msg);
	}
}

static int collect(void *arg, const void *bytes, size_t len, struct error *err)
{
	(void)err;
	str_addn(arg, bytes, len);
	return 0;
}

static size_t count_files(const struct scratch *scratch)
{
	DIR *dir = opendir(scratch->path);
	struct dirent *entry;
	size_t n = 0;

	assert_non_null(dir);
	while ((entry = readdir(dir)))
		n += entry->d_name[0] != '.';
	closedir(dir);
	return n;
}

static void an_unfinished_download_is_found_again(void **state)
{
	const struct scratch *scratch = *state;
	cleanup_free char *bytes = xcalloc(1, UNFINISHED_MIN + 5);
	struct unfinished first = UNFINISHED_INIT, again = UNFINISHED_INIT;
	cleanup_str struct str got = STR_INIT;
	struct error err = ERROR_INIT;

	memset(bytes, 'x', UNFINISHED_MIN + 5);
	assert_int_equal(unfinished_open(scratch->fd, "https://a/x.aci", &first, &err), 0);
	assert_int_equal(first.size, 0);
	assert_string_equal(first.validator, "");
	assert_int_equal(unfinished_begin(&first, "\"etag\"", &err), 0);
	assert_int_equal(unfinished_write(&first, "abc", 3, &err), 0);
	assert_int_equal(unfinished_write(&first, bytes, UNFINISHED_MIN, &err), 0);
	unfinished_close(&first);

	assert_int_equal(unfinished_open(scratch->fd, "https://b/x.aci", &again, &err), 0);
	assert_int_equal(again.size, 0); /* of another URL */
	unfinished_close(&again);
	assert_int_equal(unfinished_open(scratch->fd, "https://a/x.aci", &again, &err), 0);
	assert_int_equal(again.size, UNFINISHED_MIN + 3);
	assert_string_equal(again.validator, "\"etag\"");
	assert_int_equal(unfinished_replay(&again, collect, &got, &err), 0);
	assert_int_equal(got.len, UNFINISHED_MIN + 3);
	assert_memory_equal(str_get(&got), "abcx", 4);
	unfinished_drop(&again);
	assert_int_equal(count_files(scratch), 0);
}

static void what_can_not_be_continued_is_not_kept(void **state)
{
	char long_validator[UNFINISHED_VALIDATOR_MAX + 2] = {0};
	const struct {
		const char *validator;
		size_t bytes;
	} rows[] = {{"", UNFINISHED_MIN}, {"\"e\"", 10}, {long_validator, UNFINISHED_MIN}};
	const struct scratch *scratch = *state;
	cleanup_free char *bytes = xcalloc(1, UNFINISHED_MIN);

	memset(long_validator, 'v', sizeof(long_validator) - 1);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct unfinished unfinished = UNFINISHED_INIT;
		struct error err = ERROR_INIT;

		assert_int_equal(unfinished_open(scratch->fd, "u", &unfinished, &err), 0);
		assert_int_equal(unfinished_begin(&unfinished, rows[i].validator, &err), 0);
		assert_int_equal(unfinished_write(&unfinished, bytes, rows[i].bytes, &err), 0);
		unfinished_close(&unfinished);
		assert_int_equal(count_files(scratch), 0);
	}
}

static void a_damaged_file_is_as_good_as_none(void **state)
{
	const struct scratch *scratch = *state;
	cleanup_free char *bytes = xcalloc(1, UNFINISHED_MIN);
	static const struct {
		off_t at;
		const char *text;
	} damage[] = {{0, "not this"}, {17, "\0"}};

	for (size_t i = 0; i < ARRAY_SIZE(damage); i++) {
		struct unfinished unfinished = UNFINISHED_INIT;
		struct error err = ERROR_INIT;
		size_t len = MAX(strlen(damage[i].text), (size_t)1);

		assert_int_equal(unfinished_open(scratch->fd, "u", &unfinished, &err), 0);
		assert_int_equal(unfinished_begin(&unfinished, "\"e\"", &err), 0);
		assert_int_equal(unfinished_write(&unfinished, bytes, UNFINISHED_MIN, &err), 0);
		assert_int_equal(pwrite(unfinished.fd, damage[i].text, len, damage[i].at), len);
		unfinished_close(&unfinished);
		assert_int_equal(unfinished_open(scratch->fd, "u", &unfinished, &err), 0);
		assert_int_equal(unfinished.size, 0);
		unfinished_drop(&unfinished);
	}
}

/* Feed bytes in pieces; the result of the first thing that fails. */
static int pump_bytes(struct store *store, const uint8_t *bytes, size_t len, size_t piece,
		      struct store_staged **ret, struct error *err)
{
	cleanup_pump struct pump *pump = pump_new(store, "the image", NULL);

	for (size_t at = 0; at < len; at += piece) {
		int r = pump_write(pump, bytes + at, MIN(piece, len - at), err);

		if (r < 0)
			return r;
	}
	return pump_finish(pump, ret, err);
}

/* An ACI with one file of so many bytes. */
static void make_image(struct tarmake *tar, size_t size)
{
	tar_add_manifest(tar);
	tar_add_dir(tar, "rootfs");
	tar_add(tar, &(struct tarent){.name = "rootfs/file", .size = size});
	tar_end(tar);
}

static void images_go_through_the_pump_whatever_their_size(void **state)
{
	static const size_t sizes[] = {0, 3000, 8192, 3 << 20};
	static const size_t pieces[] = {1000, 8192, 1 << 20};
	const struct scratch *scratch = *state;
	struct error err = ERROR_INIT;
	cleanup_store struct store *store = NULL;

	assert_int_equal(store_open(scratch->path, &store, &err), 0);
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		struct tarmake tar = {.p = NULL};

		make_image(&tar, sizes[i]);
		for (size_t k = 0; k < ARRAY_SIZE(pieces); k++) {
			cleanup_staged struct store_staged *staged = NULL;

			if (pump_bytes(store, tar.p, tar.len, pieces[k], &staged, &err) < 0)
				fail_msg("%zu, %zu: %s", sizes[i], pieces[k], err.msg);
			assert_int_equal(strlen(store_staged_key(staged)), IMAGE_KEY_LEN);
		}
		tar_free(&tar);
	}
}

static void what_is_no_image_comes_out_as_an_error(void **state)
{
	static const size_t cuts[] = {0, 10, 512, 5000, 100000, 2 << 20};
	const struct scratch *scratch = *state;
	struct error err = ERROR_INIT;
	cleanup_store struct store *store = NULL;
	cleanup_free uint8_t *noise = xcalloc(1, 4 << 20);
	struct tarmake tar = {.p = NULL};
	cleanup_free char *tmp = xasprintf("%s/cas/tmp", scratch->path);

	assert_int_equal(store_open(scratch->path, &store, &err), 0);
	make_image(&tar, 3 << 20);
	for (size_t i = 0; i < ARRAY_SIZE(cuts); i++) {
		struct store_staged *staged = NULL;
		struct error one = ERROR_INIT;

		assert_true(pump_bytes(store, tar.p, cuts[i], 65536, &staged, &one) < 0);
		assert_non_null(strstr(one.msg, "the image"));
	}
	/* the store stops reading in the middle, which is no SIGPIPE of ours */
	memset(noise, 'n', 4 << 20);
	for (size_t i = 0; i < 3; i++) {
		struct store_staged *staged = NULL;
		struct error one = ERROR_INIT;

		assert_true(pump_bytes(store, noise, 4 << 20, 100000, &staged, &one) < 0);
		assert_non_null(strstr(one.msg, "the image"));
	}
	tar_free(&tar);
	assert_int_equal(rmdir(tmp), 0); /* empty */
}

static void a_pass_that_is_given_up_leaves_nothing(void **state)
{
	static const size_t fed[] = {0, 100, 1 << 20};
	const struct scratch *scratch = *state;
	struct error err = ERROR_INIT;
	cleanup_store struct store *store = NULL;
	struct tarmake tar = {.p = NULL};
	cleanup_free char *tmp = xasprintf("%s/cas/tmp", scratch->path);

	assert_int_equal(store_open(scratch->path, &store, &err), 0);
	make_image(&tar, 3 << 20);
	for (size_t i = 0; i < ARRAY_SIZE(fed); i++) {
		struct pump *pump = pump_new(store, "the image", NULL);

		assert_int_equal(pump_write(pump, tar.p, fed[i], &err), 0);
		pump_free(pump);
	}
	tar_free(&tar);
	assert_int_equal(rmdir(tmp), 0); /* empty */
}

static void a_line_of_progress_fits_its_width(void **state)
{
	static const struct {
		const char *what;
		uint64_t now, total;
		size_t width;
		const char *line;
	} rows[] = {
		{"x.aci", 0, 1000000, 60, "x.aci [>                             ] 0B/977KiB 5B/s"},
		{"x.aci", 500000, 1000000, 60,
		 "x.aci [===============>              ] 488KiB/977KiB 5B/s"},
		{"x.aci", 1000000, 1000000, 60,
		 "x.aci [==============================] 977KiB/977KiB 5B/s"},
		{"x.aci", 2000000, 1000000, 60,
		 "x.aci [==============================] 1.9MiB/977KiB 5B/s"},
		{"x.aci", 4096, 0, 60, "x.aci 4.0KiB 5B/s"},
		{"https://example.com/a/very/long/way/x.aci", 5, 10, 50,
		 "…ery/long/way/x.aci [========>       ] 5B/10B 5B/s"},
		{"https://example.com/x.aci", 5, 10, 20, "…m/x.aci 5B/10B 5B/s"},
		{"https://example.com/x.aci", 5, 10, 1, "…m/x.aci 5B/10B 5B/s"},
		{"a\033[2Jb", 5, 0, 60, "a\\x1b[2Jb 5B 5B/s"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		cleanup_str struct str line = STR_INIT;
		size_t columns = 0;

		progress_line(&line, rows[i].what, rows[i].now, rows[i].total, 5, rows[i].width);
		for (const char *p = str_get(&line); *p; p++)
			columns += ((unsigned char)*p & 0xc0) != 0x80;
		if (columns > MAX(rows[i].width, (size_t)20))
			fail_msg("%zu columns: %s", columns, str_get(&line));
		if (rows[i].line && strcmp(str_get(&line), rows[i].line) != 0)
			fail_msg("%s", str_get(&line));
	}
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, scratch_setup, scratch_teardown)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pull_policies_are_three_words),
		cmocka_unit_test(an_image_must_be_what_was_asked_for),
		TEST(an_unfinished_download_is_found_again),
		TEST(what_can_not_be_continued_is_not_kept),
		TEST(a_damaged_file_is_as_good_as_none),
		TEST(images_go_through_the_pump_whatever_their_size),
		TEST(what_is_no_image_comes_out_as_an_error),
		TEST(a_pass_that_is_given_up_leaves_nothing),
		cmocka_unit_test(a_line_of_progress_fits_its_width),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* What the store knows of images and URLs, and how images are found by it. */
#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/json.h"
#include "common/util.h"
#include "stage0/image/store.h"
#include "stage0/image/store_priv.h"
#include "stage0/image_find.h"
#include "tests/unit/scratch.h"
#include "tests/unit/storemake.h"
#include "tests/unit/tarmake.h"

static int tar_of(const char *name, const char *more)
{
	cleanup_free char *manifest = xasprintf(
		"{\"acKind\":\"ImageManifest\",\"acVersion\":\"0.8.11\",\"name\":\"%s\"%s}", name,
		more);
	struct tarmake tar = {.p = NULL};
	int fd;

	tar_add_file(&tar, "manifest", manifest);
	tar_add_dir(&tar, "rootfs");
	tar_end(&tar);
	fd = tar_fd(&tar);
	tar_free(&tar);
	return fd;
}

static void import(struct store *store, const char *name, const char *more, bool latest,
		   char key[IMAGE_KEY_LEN + 1])
{
	const struct store_import_info info = {.latest = latest};
	cleanup_staged struct store_staged *staged = NULL;
	cleanup_fd int fd = tar_of(name, more);
	struct error err = ERROR_INIT;

	if (store_stage_aci(store, fd, name, &staged, &err) < 0 ||
	    store_staged_commit(staged, &info, &err) < 0)
		fail_msg("%s", err.msg);
	snprintf(key, IMAGE_KEY_LEN + 1, "%s", store_staged_key(staged));
}

static struct store_image record(struct store *store, const char *key)
{
	struct error err = ERROR_INIT;
	struct store_image image;

	if (store_image(store, key, &image, &err) < 0)
		fail_msg("%s", err.msg);
	return image;
}

static void set_used(struct store *store, const char *key, time_t when)
{
	const struct timespec times[2] = {{.tv_sec = when}, {.tv_sec = when}};
	char path[STORE_PATH_MAX];

	snprintf(path, sizeof(path), "imageInfo/%s", key);
	assert_int_equal(utimensat(store->cas, path, times, 0), 0);
}

static void what_is_staged_is_seen_by_its_owner_alone(void **state)
{
	struct store *store = storemake_open(*state);
	const struct store_import_info info = {.latest = true};
	struct store_staged *staged = NULL;
	cleanup_fd int fd = tar_of("e.x/a", "");
	struct error err = ERROR_INIT;
	const char *name = NULL;

	assert_int_equal(store_stage_aci(store, fd, "a", &staged, &err), 0);
	assert_int_equal(json_get_string(store_staged_manifest(staged), "name", &name, &err), 0);
	assert_string_equal(name, "e.x/a");
	assert_int_equal(strlen(store_staged_id(staged)), 7 + 128);
	assert_memory_equal(store_staged_id(staged), store_staged_key(staged), IMAGE_KEY_LEN);
	assert_int_equal(storemake_count(store, "layer"), 0);
	assert_int_equal(storemake_count(store, "imageManifest/sha512"), 0);
	store_staged_free(staged);
	assert_int_equal(storemake_count(store, "tmp"), 0);

	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	assert_int_equal(store_stage_aci(store, fd, "a", &staged, &err), 0);
	assert_int_equal(store_staged_commit(staged, &info, &err), 0);
	assert_int_equal(storemake_count(store, "layer"), 1);
	assert_int_equal(storemake_count(store, "tmp"), 0);
	assert_true(record(store, store_staged_key(staged)).latest);
	store_staged_free(staged);
	store_staged_free(NULL);
	store_close(store);
}

static void an_image_no_run_would_take_is_not_stored(void **state)
{
	struct store *store = storemake_open(*state);
	cleanup_fd int fd = tar_of("e.x/a", ",\"app\":{\"exec\":[\"/x\"],\"user\":\"0\"}");
	struct store_staged *staged = NULL;
	struct error err = ERROR_INIT;

	assert_int_equal(store_stage_aci(store, fd, "bad.aci", &staged, &err), -EINVAL);
	assert_non_null(strstr(err.msg, "bad.aci: image manifest: app: group"));
	assert_null(staged);
	assert_int_equal(storemake_count(store, "layer"), 0);
	assert_int_equal(storemake_count(store, "tmp"), 0);
	store_close(store);
}

static void the_import_time_is_that_of_the_first_import(void **state)
{
	struct store *store = storemake_open(*state);
	char key[IMAGE_KEY_LEN + 1];
	struct store_image first, again;

	import(store, "e.x/a", "", false, key);
	first = record(store, key);
	assert_true(first.import_time > 0);
	assert_int_equal(first.size, 5 * 512); /* two headers, a manifest, two blocks of zeroes */
	assert_int_equal(first.tree_size, 0);
	set_used(store, key, 1000);
	assert_int_equal(record(store, key).last_used, 1000 * INT64_C(1000000000));
	import(store, "e.x/a", "", true, key);
	again = record(store, key);
	assert_int_equal(again.import_time, first.import_time);
	assert_true(again.last_used >= first.import_time);
	assert_true(again.latest);
	set_used(store, key, 1000);
	store_image_used(store, key);
	assert_true(record(store, key).last_used > 1000 * INT64_C(1000000000));
	store_close(store);
}

static void an_image_without_a_record_counts_from_its_manifest(void **state)
{
	struct store *store = storemake_open(*state);
	char key[IMAGE_KEY_LEN + 1], path[STORE_PATH_MAX];
	struct error err = ERROR_INIT;
	struct stat st;

	import(store, "e.x/a", "", true, key);
	store_manifest_path(key, path);
	assert_int_equal(fstatat(store->cas, path, &st, 0), 0);
	snprintf(path, sizeof(path), "imageInfo/%s", key);
	assert_int_equal(unlinkat(store->cas, path, 0), 0);
	assert_int_equal(record(store, key).import_time / 1000000000, st.st_mtim.tv_sec);
	assert_false(record(store, key).latest);
	store_image_used(store, key); /* nothing to say it to */
	assert_int_equal(store_image(store, "sha512-00", &(struct store_image){.size = 0}, &err),
			 -ENOENT);
	store_close(store);
}

static void a_rendered_image_has_the_size_of_its_tree(void **state)
{
	const struct scratch *scratch = *state;
	struct store *store = storemake_open(scratch);
	char key[IMAGE_KEY_LEN + 1], found[IMAGE_KEY_LEN + 1];
	cleanup_free char *id = NULL, *id2 = NULL;
	struct error err = ERROR_INIT;

	storemake_image(store, "e.x/a", "", "f:one f:two h:three>two", key);
	set_used(store, key, 1000);
	assert_int_equal(store_place_disk(store, key, scratch->fd, "disk", &id, &err), 0);
	assert_true(record(store, key).last_used > 1000 * INT64_C(1000000000));
	assert_true(record(store, key).tree_size >= 4096);
	assert_int_equal(record(store, key).tree_size % 4096, 0);
	assert_int_equal(store_place_tree(store, key, scratch->fd, "tree", STORE_LINK, &id2, &err),
			 0);
	assert_string_equal(id, id2);
	assert_int_equal(record(store, key).tree_size % 4096, 2 * strlen("e.x/a"));
	assert_true(store_tree_image(store, id, found));
	assert_string_equal(found, key);
	assert_false(store_tree_image(store, "../layer", found));
	store_close(store);
}

#define VERSION(v) ",\"labels\":[{\"name\":\"version\",\"value\":\"" v "\"}]"

static void the_latest_image_goes_first_unless_a_version_is_asked_for(void **state)
{
	struct store *store = storemake_open(*state);
	char v1[IMAGE_KEY_LEN + 1], v2[IMAGE_KEY_LEN + 1], v3[IMAGE_KEY_LEN + 1];
	char got[IMAGE_KEY_LEN + 1];
	struct error err = ERROR_INIT;

	import(store, "e.x/a", VERSION("1"), false, v1);
	import(store, "e.x/a", VERSION("2"), true, v2);
	import(store, "e.x/a", VERSION("3"), false, v3);
	import(store, "e.x/b", VERSION("3"), true, got);
	assert_int_equal(image_find(store, "e.x/a", got, &err), 0);
	assert_string_equal(got, v2);
	assert_int_equal(image_find(store, "e.x/a:3", got, &err), 0);
	assert_string_equal(got, v3);
	assert_int_equal(image_find(store, "e.x/a,version=1", got, &err), 0);
	assert_string_equal(got, v1);
	/* among equals the last one */
	import(store, "e.x/a", VERSION("1"), true, v1);
	assert_int_equal(image_find(store, "e.x/a", got, &err), 0);
	assert_string_equal(got, v2);
	import(store, "e.x/a", VERSION("2"), false, v2);
	import(store, "e.x/a", VERSION("1"), false, v1);
	assert_int_equal(image_find(store, "e.x/a", got, &err), 0);
	assert_string_equal(got, v3);
	store_close(store);
}

static void images_are_found_by_what_users_write(void **state)
{
	struct store *store = storemake_open(*state);
	char a[IMAGE_KEY_LEN + 1], b[IMAGE_KEY_LEN + 1], got[IMAGE_KEY_LEN + 1];
	char text[256];
	static const struct {
		const char *text;
		int code;
		const char *message;
	} bad[] = {
		{"sha512-", -EINVAL, "image ID too short"},
		{"sha512-a", -EINVAL, "image ID too short"},
		{"sha512-xyz", -EINVAL, "is no image ID"},
		{"sha512-0000", -ENOENT, "no image IDs found"},
		{"e.x/none", -ENOENT, "\"e.x/none\""},
		{"e.x/a:9", -ENOENT, "\"e.x/a:9\""},
		{"e.x/a:", -EINVAL, "neither an image ID nor a name"},
		{"E.X/a", -EINVAL, "neither an image ID nor a name"},
		{"e.x/a,os", -EINVAL, "LABEL=VALUE"},
		{"e.x/a,os=a,os=b", -EINVAL, "twice"},
		{"e.x/a:1,version=1", -EINVAL, "twice"},
		{"", -EINVAL, "neither"},
	};

	import(store, "e.x/a", VERSION("1"), false, a);
	import(store, "e.x/b", "", false, b);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct error err = ERROR_INIT;

		assert_int_equal(image_find(store, bad[i].text, got, &err), bad[i].code);
		if (!strstr(err.msg, bad[i].message))
			fail_msg("%s: %s", bad[i].text, err.msg);
	}
	for (size_t len = 20; len <= IMAGE_KEY_LEN; len++) {
		struct error err = ERROR_INIT;

		snprintf(text, sizeof(text), "%.*s", (int)len, a);
		assert_int_equal(image_find(store, text, got, &err), 0);
		assert_string_equal(got, a);
	}
	/* the whole ID: digits beyond the key's do not count */
	snprintf(text, sizeof(text), "%s%064d", b, 0);
	assert_int_equal(image_find(store, text, got, &(struct error)ERROR_INIT), 0);
	assert_string_equal(got, b);
	store_close(store);
}

static void an_id_that_begins_several_is_refused(void **state)
{
	struct store *store = storemake_open(*state);
	char got[IMAGE_KEY_LEN + 1] = "", text[16];
	struct error err = ERROR_INIT;
	unsigned seen[256] = {0};
	unsigned char byte = 0;

	/* among 257 images two begin with the same two digits; most likely among 40 already */
	for (unsigned i = 0; seen[byte] < 2; i++) {
		char name[16];

		snprintf(name, sizeof(name), "e.x/a%u", i);
		import(store, name, "", false, got);
		snprintf(text, sizeof(text), "%.2s", got + 7);
		byte = (unsigned char)strtoul(text, NULL, 16);
		seen[byte]++;
	}
	snprintf(text, sizeof(text), "%.9s", got);
	assert_int_equal(image_find(store, text, got, &err), -ENOTUNIQ);
	assert_non_null(strstr(err.msg, "ambiguous image ID"));
	store_close(store);
}

static void what_is_known_of_a_url_is_kept(void **state)
{
	struct store *store = storemake_open(*state);
	char key[IMAGE_KEY_LEN + 1], url[] = "https://e.x/a.aci", sig[] = "https://e.x/a.aci.asc";
	char etag[] = "\"x\\\"y\"";
	struct store_remote put = {.signature_url = sig, .etag = etag, .max_age = 60, .time = 7};
	struct store_remote got = {.max_age = 0};
	struct error err = ERROR_INIT;

	import(store, "e.x/a", "", false, key);
	assert_int_equal(store_remote_get(store, url, &got, &err), -ENOENT);
	memcpy(put.key, key, sizeof(key));
	assert_int_equal(store_remote_put(store, url, &put, &err), 0);
	assert_int_equal(store_remote_get(store, url, &got, &err), 0);
	assert_string_equal(got.signature_url, sig);
	assert_string_equal(got.etag, etag);
	assert_string_equal(got.key, key);
	assert_int_equal(got.max_age, 60);
	assert_int_equal(got.time, 7);
	store_remote_free(&got);
	assert_int_equal(store_remote_get(store, "https://e.x/b.aci", &got, &err), -ENOENT);
	/* a server sends less the next time */
	put = (struct store_remote){.time = 8};
	memcpy(put.key, key, sizeof(key));
	assert_int_equal(store_remote_put(store, url, &put, &err), 0);
	assert_int_equal(store_remote_get(store, url, &got, &err), 0);
	assert_null(got.etag);
	assert_null(got.signature_url);
	store_remote_free(&got);
	/* not when the image is gone */
	assert_int_equal(store_remove(store, key, &err), 0);
	assert_int_equal(store_remote_get(store, url, &got, &err), -ENOENT);
	store_close(store);
}

static void a_damaged_record_is_as_good_as_none(void **state)
{
	static const char *const damaged[] = {"", "{", "[]", "{\"importTime\":\"x\"}",
					      "{\"importTime\":-1}"};
	struct store *store = storemake_open(*state);
	char key[IMAGE_KEY_LEN + 1], path[STORE_PATH_MAX];

	import(store, "e.x/a", "", true, key);
	snprintf(path, sizeof(path), "imageInfo/%s", key);
	for (size_t i = 0; i < ARRAY_SIZE(damaged); i++) {
		int fd = openat(store->cas, path, O_WRONLY | O_TRUNC | O_CLOEXEC);

		assert_int_equal(write(fd, damaged[i], strlen(damaged[i])), strlen(damaged[i]));
		close(fd);
		assert_true(record(store, key).import_time > 0);
		assert_false(record(store, key).latest);
	}
	store_close(store);
}

int main(void)
{
#define WITH_SCRATCH(test) cmocka_unit_test_setup_teardown(test, scratch_setup, scratch_teardown)
	const struct CMUnitTest tests[] = {
		WITH_SCRATCH(what_is_staged_is_seen_by_its_owner_alone),
		WITH_SCRATCH(an_image_no_run_would_take_is_not_stored),
		WITH_SCRATCH(the_import_time_is_that_of_the_first_import),
		WITH_SCRATCH(an_image_without_a_record_counts_from_its_manifest),
		WITH_SCRATCH(a_rendered_image_has_the_size_of_its_tree),
		WITH_SCRATCH(the_latest_image_goes_first_unless_a_version_is_asked_for),
		WITH_SCRATCH(images_are_found_by_what_users_write),
		WITH_SCRATCH(an_id_that_begins_several_is_refused),
		WITH_SCRATCH(what_is_known_of_a_url_is_kept),
		WITH_SCRATCH(a_damaged_record_is_as_good_as_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

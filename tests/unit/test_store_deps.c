/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/file.h"
#include "common/json.h"
#include "common/str.h"
#include "common/util.h"
#include "stage0/image/store.h"
#include "stage0/image/store_priv.h"
#include "tests/unit/scratch.h"
#include "tests/unit/storemake.h"

/* Place the image's tree; the text of one of its files, or NULL when it is not there. */
static char *text_of(struct store *store, const struct scratch *scratch, const char *key,
		     const char *path)
{
	cleanup_free char *full = xasprintf("out/%s", path);
	struct error err = ERROR_INIT;
	char *text = NULL;
	size_t len;

	assert_int_equal(remove_tree(scratch->fd, "out", &err), 0);
	if (store_place_tree(store, key, scratch->fd, "out", STORE_COPY, NULL, &err) < 0)
		fail_msg("%s", err.msg);
	file_read(scratch->fd, full, 1000, &text, &len, &err);
	return text;
}

static void assert_text(struct store *store, const struct scratch *scratch, const char *key,
			const char *path, const char *expect)
{
	cleanup_free char *text = text_of(store, scratch, key, path);

	if (!text && expect)
		fail_msg("%s is not there", path);
	if (text && !expect)
		fail_msg("%s is there", path);
	if (text)
		assert_string_equal(text, expect);
}

static void an_image_lies_over_what_it_depends_on(void **state)
{
	const struct scratch *scratch = *state;
	struct store *store = storemake_open(scratch);
	char a[IMAGE_KEY_LEN + 1], key[IMAGE_KEY_LEN + 1];

	storemake_image(store, "e.x/d", "", "f:x f:d f:all", key);
	storemake_image(store, "e.x/b", "", "f:x f:b f:all", key);
	storemake_image(store, "e.x/c", ",\"dependencies\":[{\"imageName\":\"e.x/d\"}]",
			"f:x f:c f:all", key);
	storemake_image(store, "e.x/a",
			",\"dependencies\":[{\"imageName\":\"e.x/b\"},{\"imageName\":\"e.x/c\"}]",
			"f:a f:all", a);
	/* laid down: b, d, c, a */
	assert_text(store, scratch, a, "all", "e.x/a");
	assert_text(store, scratch, a, "x", "e.x/c");
	assert_text(store, scratch, a, "b", "e.x/b");
	assert_text(store, scratch, a, "d", "e.x/d");
	store_close(store);
}

static void a_link_in_the_way_is_replaced_not_followed(void **state)
{
	const struct scratch *scratch = *state;
	struct store *store = storemake_open(scratch);
	char key[IMAGE_KEY_LEN + 1];

	storemake_image(store, "e.x/low", "", "d:usr l:lib>usr", key);
	storemake_image(store, "e.x/top", ",\"dependencies\":[{\"imageName\":\"e.x/low\"}]",
			"d:lib f:lib/x", key);
	assert_text(store, scratch, key, "lib/x", "e.x/top");
	assert_text(store, scratch, key, "usr/x", NULL);
	store_close(store);
}

static void whitelists_filter_the_image_and_all_below_it(void **state)
{
	const struct scratch *scratch = *state;
	struct store *store = storemake_open(scratch);
	char key[IMAGE_KEY_LEN + 1];

	storemake_image(store, "e.x/low", ",\"pathWhitelist\":[\"/low\",\"/both\",\"/linked\"]",
			"f:low f:both f:gone f:first h:linked>first d:dir", key);
	assert_text(store, scratch, key, "gone", NULL);
	assert_text(store, scratch, key, "first", NULL);
	assert_text(store, scratch, key, "linked", "e.x/low");
	storemake_image(store, "e.x/top",
			",\"dependencies\":[{\"imageName\":\"e.x/low\"}],"
			"\"pathWhitelist\":[\"both\",\"linked\",\"gone\",\"/top/./f\"]",
			"d:top f:top/f f:top/g", key);
	assert_text(store, scratch, key, "both", "e.x/low");
	assert_text(store, scratch, key, "linked", "e.x/low");
	assert_text(store, scratch, key, "low", NULL);
	assert_text(store, scratch, key, "gone", NULL);
	assert_text(store, scratch, key, "top/f", "e.x/top");
	assert_text(store, scratch, key, "top/g", NULL);
	assert_int_equal(faccessat(scratch->fd, "out/dir", F_OK, 0), -1);
	store_close(store);
}

static void a_dependency_is_found_by_id_or_by_name_and_labels(void **state)
{
	const struct scratch *scratch = *state;
	struct store *store = storemake_open(scratch);
	char one[IMAGE_KEY_LEN + 1], two[IMAGE_KEY_LEN + 1], key[IMAGE_KEY_LEN + 1];
	cleanup_free char *by_id = NULL;
	struct error err = ERROR_INIT;

	storemake_image(store, "e.x/l", ",\"labels\":[{\"name\":\"version\",\"value\":\"1\"}]",
			"f:one", one);
	storemake_image(store, "e.x/l", ",\"labels\":[{\"name\":\"version\",\"value\":\"2\"}]",
			"f:two", two);
	storemake_image(store, "e.x/top",
			",\"dependencies\":[{\"imageName\":\"e.x/l\",\"labels\":"
			"[{\"name\":\"version\",\"value\":\"1\"}]}]",
			"", key);
	assert_text(store, scratch, key, "one", "e.x/l");
	assert_text(store, scratch, key, "two", NULL);
	by_id = xasprintf(",\"dependencies\":[{\"imageName\":\"e.x/l\",\"imageID\":\"%s%064d\"}]",
			  two, 0);
	storemake_image(store, "e.x/top", by_id, "", key);
	assert_text(store, scratch, key, "two", "e.x/l");

	/* of several the newest; a name that only begins alike is another */
	assert_int_equal(store_find(store, "e.x/l", NULL, key, &err), 0);
	assert_string_equal(key, two);
	assert_int_equal(store_find(store, "e.x", NULL, key, &err), -ENOENT);
	store_close(store);
}

static void what_a_dependency_lacks_is_said(void **state)
{
	static const struct {
		const char *more;
		int code;
	} cases[] = {
		{",\"dependencies\":[{\"imageName\":\"e.x/none\"}]", -ENOENT},
		{",\"dependencies\":[{\"imageName\":\"e.x/none\",\"imageID\":\"sha512-00\"}]",
		 -ENOENT},
		{",\"dependencies\":[{\"imageName\":\"e.x/top\"}]", -ELOOP},
	};
	const struct scratch *scratch = *state;
	struct store *store = storemake_open(scratch);

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct error err = ERROR_INIT;
		char key[IMAGE_KEY_LEN + 1];

		storemake_image(store, "e.x/top", cases[i].more, "", key);
		assert_int_equal(store_place_disk(store, key, scratch->fd, "disk", NULL, &err),
				 cases[i].code);
		assert_int_equal(faccessat(scratch->fd, "disk", F_OK, 0), -1);
	}
	store_close(store);
}

static void a_disk_of_several_images_links_the_data_of_each(void **state)
{
	const struct scratch *scratch = *state;
	struct store *store = storemake_open(scratch);
	char key[IMAGE_KEY_LEN + 1];
	struct error err = ERROR_INIT;

	storemake_image(store, "e.x/low", "", "f:a", key);
	storemake_image(store, "e.x/mid", ",\"dependencies\":[{\"imageName\":\"e.x/low\"}]", "f:b",
			key);
	storemake_image(
		store, "e.x/top",
		",\"dependencies\":[{\"imageName\":\"e.x/low\"},{\"imageName\":\"e.x/mid\"}]",
		"f:c", key);
	assert_int_equal(store_place_disk(store, key, scratch->fd, "disk", NULL, &err), 0);
	/* metadata and three images, the shared one once */
	assert_int_equal(faccessat(scratch->fd, "disk/3", F_OK, 0), 0);
	assert_int_equal(faccessat(scratch->fd, "disk/4", F_OK, 0), -1);
	store_close(store);
}

int main(void)
{
#define WITH_SCRATCH(test) cmocka_unit_test_setup_teardown(test, scratch_setup, scratch_teardown)
	const struct CMUnitTest tests[] = {
		WITH_SCRATCH(an_image_lies_over_what_it_depends_on),
		WITH_SCRATCH(a_link_in_the_way_is_replaced_not_followed),
		WITH_SCRATCH(whitelists_filter_the_image_and_all_below_it),
		WITH_SCRATCH(a_dependency_is_found_by_id_or_by_name_and_labels),
		WITH_SCRATCH(what_a_dependency_lacks_is_said),
		WITH_SCRATCH(a_disk_of_several_images_links_the_data_of_each),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

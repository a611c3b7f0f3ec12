/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/file.h"
#include "common/json.h"
#include "common/util.h"
#include "stage0/image/oci_origin.h"
#include "stage0/image/store.h"
#include "stage0/image/store_priv.h"
#include "tests/unit/ocimake.h"
#include "tests/unit/scratch.h"

static const struct oci_source source = {.name = "example.com/oci", .tag = "1"};

static void make_simple(struct layout *layout)
{
	cleanup_free char *desc = NULL;

	add_layer(layout, (const char *const[]){"a", "b", "d/x", "d/y", NULL});
	add_layer(layout, (const char *const[]){NULL});
	add_layer(layout, (const char *const[]){".wh.b", "d/.wh..wh..opq", "d/z", NULL});
	add_layer(layout, (const char *const[]){NULL});
	desc = finish(layout, "run");
	put_index(layout, desc);
}

static struct store *open_store(const struct scratch *scratch)
{
	cleanup_free char *path = xasprintf("%s/data", scratch->path);
	struct error err = ERROR_INIT;
	struct store *store;

	if (store_open(path, &store, &err) < 0)
		fail_msg("%s", err.msg);
	return store;
}

static int import(struct store *store, const struct layout *layout, const char *ref,
		  char key[IMAGE_KEY_LEN + 1], struct error *err)
{
	cleanup_strv struct strv warnings = STRV_INIT;

	cleanup_origin struct oci_origin *origin = NULL;
	int r = oci_layout_open(layout->path, ref, &origin, err);

	return r < 0 ? r : store_import_origin(store, origin, &source, NULL, key, &warnings, err);
}

static bool is_there(const struct scratch *scratch, const char *path)
{
	return faccessat(scratch->fd, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

static void layers_become_an_image_that_can_be_placed(void **state)
{
	const struct scratch *scratch = *state;
	struct store *store = open_store(scratch);
	struct layout layout = new_layout(scratch);
	char key[IMAGE_KEY_LEN + 1], again[IMAGE_KEY_LEN + 1];
	struct json_object *manifest, *app = NULL, *exec = NULL;
	struct error err = ERROR_INIT;

	make_simple(&layout);
	if (import(store, &layout, NULL, key, &err) < 0)
		fail_msg("%s", err.msg);
	assert_int_equal(store_manifest(store, key, &manifest, &err), 0);
	json_object_object_get_ex(manifest, "app", &app);
	json_object_object_get_ex(app, "exec", &exec);
	assert_string_equal(json_text(exec), "[\"run\"]");
	json_object_put(manifest);
	if (store_place_tree(store, key, scratch->fd, "tree", STORE_COPY, NULL, &err) < 0)
		fail_msg("%s", err.msg);
	assert_true(is_there(scratch, "tree/a"));
	assert_false(is_there(scratch, "tree/b"));
	assert_false(is_there(scratch, "tree/d/x"));
	assert_true(is_there(scratch, "tree/d/z"));
	assert_false(is_there(scratch, "tree/.wh.b"));
	assert_false(is_there(scratch, "tree/d/.wh..wh..opq"));
	if (store_place_disk(store, key, scratch->fd, "disk", NULL, &err) < 0)
		fail_msg("%s", err.msg);
	/* metadata and the two layers that have data */
	assert_true(is_there(scratch, "disk/2"));
	assert_false(is_there(scratch, "disk/3"));
	assert_int_equal(import(store, &layout, NULL, again, &err), 0);
	assert_string_equal(key, again);
	close(layout.fd);
	store_close(store);
}

static void a_layer_of_two_images_is_stored_once(void **state)
{
	const struct scratch *scratch = *state;
	struct store *store = open_store(scratch);
	struct layout layout = new_layout(scratch);
	char one[IMAGE_KEY_LEN + 1], two[IMAGE_KEY_LEN + 1], path[STORE_PATH_MAX];
	cleanup_free char *first = NULL, *second = NULL;
	cleanup_free char *entries = NULL;
	struct error err = ERROR_INIT;
	struct stat before, after;

	add_layer(&layout, (const char *const[]){"base", NULL});
	first = finish(&layout, "first");
	snprintf(path, sizeof(path), "layer/sha256-%.64s", layout.diff_ids + 8);
	add_layer(&layout, (const char *const[]){"more", NULL});
	second = finish(&layout, "second");
	entries = xasprintf("%.*s,\"annotations\":{\"org.opencontainers.image.ref.name\":\"one\"}},"
			    "%.*s,\"annotations\":{\"org.opencontainers.image.ref.name\":\"two\"}}",
			    (int)strlen(first) - 1, first, (int)strlen(second) - 1, second);
	put_index(&layout, entries);
	/* two images and nothing to tell which is meant */
	assert_int_equal(import(store, &layout, NULL, one, &err), -ENOENT);
	assert_int_equal(import(store, &layout, "three", one, &err), -ENOENT);
	assert_int_equal(import(store, &layout, "one", one, &err), 0);
	assert_int_equal(fstatat(store->cas, path, &before, 0), 0);
	assert_int_equal(import(store, &layout, "two", two, &err), 0);
	assert_int_equal(fstatat(store->cas, path, &after, 0), 0);
	assert_int_equal(before.st_ino, after.st_ino);
	assert_string_not_equal(one, two);
	close(layout.fd);
	store_close(store);
}

static void the_platform_chooses_among_images(void **state)
{
	const struct scratch *scratch = *state;
	struct store *store = open_store(scratch);
	struct layout layout = new_layout(scratch);
	cleanup_free char *desc = NULL, *inner = NULL, *nested = NULL, *entries = NULL;
	char key[IMAGE_KEY_LEN + 1];
	struct error err = ERROR_INIT;

	add_layer(&layout, (const char *const[]){"f", NULL});
	desc = finish(&layout, "x");
	/* an index within the index; a wrong platform and an attestation before the right one */
	inner = xasprintf(
		"{\"schemaVersion\":2,\"mediaType\":\"" INDEX_TYPE "\",\"manifests\":["
		"{\"mediaType\":\"" MANIFEST_TYPE "\",\"size\":1,\"digest\":\"sha256:%064d\","
		"\"platform\":{\"os\":\"linux\",\"architecture\":\"s390x\"}},"
		"{\"mediaType\":\"" MANIFEST_TYPE "\",\"size\":1,\"digest\":\"sha256:%064d\","
		"\"platform\":{\"os\":\"unknown\",\"architecture\":\"unknown\"},"
		"\"annotations\":{\"vnd.docker.reference.type\":\"attestation-manifest\"}},"
		"%.*s,\"platform\":" PLATFORM "}]}",
		0, 0, (int)strlen(desc) - 1, desc);
	nested = blob(&layout, INDEX_TYPE, inner, strlen(inner));
	put_index(&layout, nested);
	if (import(store, &layout, NULL, key, &err) < 0)
		fail_msg("%s", err.msg);
	entries = xasprintf("{\"mediaType\":\"" MANIFEST_TYPE
			    "\",\"size\":1,\"digest\":\"sha256:%064d\","
			    "\"platform\":{\"os\":\"linux\",\"architecture\":\"s390x\"}}",
			    0);
	put_index(&layout, entries);
	assert_int_equal(import(store, &layout, NULL, key, &err), -ENOENT);
	assert_non_null(strstr(err.msg, "s390x"));
	close(layout.fd);
	store_close(store);
}

/* Replace what is in a blob, keeping its name. */
static void corrupt(struct layout *layout, const char *desc, bool same_size)
{
	char path[128], *bytes;
	struct error err = ERROR_INIT;
	size_t len;

	snprintf(path, sizeof(path), "blobs/sha256/%.64s", strstr(desc, "sha256:") + 7);
	assert_int_equal(file_read(layout->fd, path, 1 << 20, &bytes, &len, &err), 0);
	bytes[len / 2] ^= 1;
	put(layout->fd, path, bytes, same_size ? len : len - 1);
	free(bytes);
}

static void whatever_has_another_digest_is_refused(void **state)
{
	const struct scratch *scratch = *state;
	struct store *store = open_store(scratch);

	for (unsigned what = 0; what < 8; what++) {
		struct layout layout = new_layout(scratch);
		cleanup_free char *manifest = NULL;
		char key[IMAGE_KEY_LEN + 1];
		struct error err = ERROR_INIT;
		char *digit;

		add_layer(&layout, (const char *const[]){"file", NULL});
		if (what == 6) {
			/* a diff_id that is not the layer's */
			digit = layout.diff_ids + 10;
			*digit = *digit == '0' ? '1' : '0';
		}
		if (what == 7)
			append(layout.diff_ids, sizeof(layout.diff_ids), "\"sha256:00\"");
		manifest = finish(&layout, "x");
		put_index(&layout, manifest);
		if (what < 2)
			corrupt(&layout, manifest, what);
		else if (what < 4)
			corrupt(&layout, layout.layers, what == 2);
		else if (what == 4)
			assert_int_equal(unlinkat(layout.fd, "oci-layout", 0), 0);
		else if (what == 5) {
			/* a blob that is a link to a good one elsewhere */
			char path[128];

			snprintf(path, sizeof(path), "blobs/sha256/%.64s",
				 strstr(layout.layers, "sha256:") + 7);
			assert_int_equal(renameat(layout.fd, path, layout.fd, "good"), 0);
			assert_int_equal(symlinkat("../../good", layout.fd, path), 0);
		}
		if (import(store, &layout, NULL, key, &err) == 0)
			fail_msg("case %u was taken", what);
		close(layout.fd);
		assert_int_equal(remove_tree(scratch->fd, "oci", &err), 0);
		err = (struct error)ERROR_INIT;
		assert_int_equal(store_find(store, source.name, NULL, key, &err), -ENOENT);
	}
	store_close(store);
}

static void a_document_that_is_two_things_is_refused(void **state)
{
	static const char *const documents[] = {
		"{\"schemaVersion\":2,\"config\":{},\"layers\":[],\"manifests\":[]}",
		"{\"schemaVersion\":2,\"mediaType\":\"" INDEX_TYPE "\",\"manifests\":[]}",
		"{\"schemaVersion\":1,\"fsLayers\":[]}",
		"{\"schemaVersion\":2,\"fsLayers\":[],\"layers\":[]}",
		"{\"schemaVersion\":2,\"layers\":[]}",
		"[]",
		"{\"schemaVersion\":2,\"layers\":[],\"config\":{\"mediaType\":\"application/x\","
		"\"size\":2,\"digest\":\"sha256:"
		"44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61c"
		"aaff8a\"}}",
	};
	const struct scratch *scratch = *state;
	struct store *store = open_store(scratch);
	struct layout layout = new_layout(scratch);

	for (size_t i = 0; i < ARRAY_SIZE(documents); i++) {
		cleanup_free char *desc =
			blob(&layout, MANIFEST_TYPE, documents[i], strlen(documents[i]));
		char key[IMAGE_KEY_LEN + 1];
		struct error err = ERROR_INIT;

		put_index(&layout, desc);
		if (import(store, &layout, NULL, key, &err) == 0)
			fail_msg("taken: %s", documents[i]);
	}
	close(layout.fd);
	store_close(store);
}

int main(void)
{
#define WITH_SCRATCH(test) cmocka_unit_test_setup_teardown(test, scratch_setup, scratch_teardown)
	const struct CMUnitTest tests[] = {
		WITH_SCRATCH(layers_become_an_image_that_can_be_placed),
		WITH_SCRATCH(a_layer_of_two_images_is_stored_once),
		WITH_SCRATCH(the_platform_chooses_among_images),
		WITH_SCRATCH(whatever_has_another_digest_is_refused),
		WITH_SCRATCH(a_document_that_is_two_things_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/json.h"
#include "common/str.h"
#include "stage0/image/store.h"
#include "stage0/image/store_priv.h"

#define ID_MIN 9 /* "sha512-" and two digits */

static const char *label_value(struct json_object *labels, const char *name)
{
	struct error ignored = ERROR_INIT;

	for (size_t i = 0; labels && i < json_object_array_length(labels); i++) {
		struct json_object *label = json_object_array_get_idx(labels, i);
		const char *key = NULL, *value = NULL;

		if (json_object_is_type(label, json_type_object) &&
		    json_get_string(label, "name", &key, &ignored) == 0 && key &&
		    strcmp(key, name) == 0 &&
		    json_get_string(label, "value", &value, &ignored) == 0)
			return value;
	}
	return NULL;
}

/* Whether the manifest has the name and every one of the labels. */
static bool matches(struct json_object *manifest, const char *name, struct json_object *labels)
{
	struct json_object *has = NULL;
	struct error ignored = ERROR_INIT;
	const char *manifest_name = NULL;

	if (json_get_string(manifest, "name", &manifest_name, &ignored) < 0 || !manifest_name ||
	    strcmp(manifest_name, name) != 0 ||
	    json_get_array(manifest, "labels", &has, &ignored) < 0)
		return false;
	for (size_t i = 0; labels && i < json_object_array_length(labels); i++) {
		struct json_object *label = json_object_array_get_idx(labels, i);
		const char *key = NULL, *value = NULL, *got;

		if (!json_object_is_type(label, json_type_object) ||
		    json_get_string(label, "name", &key, &ignored) < 0 ||
		    json_get_string(label, "value", &value, &ignored) < 0 || !key || !value)
			return false;
		got = label_value(has, key);
		if (!got || strcmp(got, value) != 0)
			return false;
	}
	return true;
}

static bool asks_for(struct json_object *labels, const char *name)
{
	return label_value(labels, name) != NULL;
}

/* Look at one image. What can not be read is as good as not there. */
static void consider(struct store *store, const char *key, const char *name,
		     struct json_object *labels, struct store_image *best, char *best_key)
{
	cleanup_json struct json_object *manifest = NULL;
	struct error ignored = ERROR_INIT;
	struct store_image image;

	if (store_manifest(store, key, &manifest, &ignored) < 0 || !matches(manifest, name, labels))
		return;
	store_record(store, key, &image);
	if (best_key[0]) {
		if (!asks_for(labels, "version") && image.latest != best->latest) {
			if (best->latest)
				return;
		} else if (image.import_time <= best->import_time) {
			return;
		}
	}
	memcpy(best_key, key, IMAGE_KEY_LEN + 1);
	*best = image;
}

/* Hold what was found. False: it is gone, and who looks again may find something else. */
static int hold_found(struct store *store, const char *key, struct error *err)
{
	int r = store_hold(store, key, err);

	return r < 0 ? r : store_has_image(store, key);
}

int store_find(struct store *store, const char *name, struct json_object *labels,
	       char ret_key[IMAGE_KEY_LEN + 1], struct error *err)
{
	for (;;) {
		cleanup_strv struct strv keys = STRV_INIT;
		char key[IMAGE_KEY_LEN + 1] = "";
		struct store_image best;
		int r;

		store_images(store, &keys);
		for (size_t i = 0; i < keys.n; i++)
			consider(store, keys.v[i], name, labels, &best, key);
		if (!key[0])
			return error_set(err, -ENOENT, "no image named %.200s is in the store",
					 name);
		r = hold_found(store, key, err);
		if (r == 0)
			continue;
		if (r > 0)
			memcpy(ret_key, key, sizeof(key));
		return MIN(r, 0);
	}
}

/* The only image whose key begins with prefix. */
static int find_prefix(struct store *store, const char *prefix, char ret_key[IMAGE_KEY_LEN + 1],
		       struct error *err)
{
	cleanup_strv struct strv keys = STRV_INIT;
	unsigned found = 0;

	store_images(store, &keys);
	for (size_t i = 0; i < keys.n; i++) {
		if (!str_starts_with(keys.v[i], prefix))
			continue;
		found++;
		memcpy(ret_key, keys.v[i], IMAGE_KEY_LEN + 1);
	}
	if (found == 0)
		return error_set(err, -ENOENT, "no image IDs found for \"%s\"", prefix);
	if (found > 1)
		return error_set(err, -ENOTUNIQ, "ambiguous image ID: \"%s\" begins %u of them",
				 prefix, found);
	return 0;
}

int store_find_id(struct store *store, const char *id, char ret_key[IMAGE_KEY_LEN + 1],
		  struct error *err)
{
	char key[IMAGE_KEY_LEN + 1], prefix[IMAGE_KEY_LEN + 1];

	if (!str_starts_with(id, "sha512-") || strspn(id + 7, "0123456789abcdef") != strlen(id + 7))
		return error_set(err, -EINVAL, "\"%.200s\" is no image ID", id);
	if (strlen(id) < ID_MIN)
		return error_set(err, -EINVAL, "image ID too short: \"%s\"", id);
	snprintf(prefix, sizeof(prefix), "%.*s", IMAGE_KEY_LEN, id);
	for (;;) {
		int r = find_prefix(store, prefix, key, err);

		if (r < 0)
			return r;
		r = hold_found(store, key, err);
		if (r == 0)
			continue;
		if (r > 0)
			memcpy(ret_key, key, sizeof(key));
		return MIN(r, 0);
	}
}

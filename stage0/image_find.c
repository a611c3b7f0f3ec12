/* SPDX-License-Identifier: Apache-2.0 */
#include "stage0/image_find.h"

#include <errno.h>
#include <string.h>

#include "common/json.h"
#include "common/str.h"
#include "common/util.h"
#include "stage0/acname.h"

static void add_label(struct json_object *labels, const char *name, const char *value)
{
	struct json_object *label = json_object_new_object();

	json_add_string(label, "name", name);
	json_add_string(label, "value", value);
	json_object_array_add(labels, label);
}

/* LABEL=VALUE; a label is asked for once. */
static int parse_label(struct json_object *labels, const char *text, struct error *err)
{
	const char *eq = strchr(text, '=');
	cleanup_free char *name = xstrndup(text, eq ? (size_t)(eq - text) : strlen(text));

	if (!eq || !acident_is_valid(name))
		return error_set(err, -EINVAL, "\"%s\" is no LABEL=VALUE", text);
	for (size_t i = 0; i < json_object_array_length(labels); i++) {
		struct json_object *label = json_object_array_get_idx(labels, i);

		if (strcmp(json_object_get_string(json_object_object_get(label, "name")), name) ==
		    0)
			return error_set(err, -EINVAL, "label %s is given twice", name);
	}
	add_label(labels, name, eq + 1);
	return 0;
}

static int find_by_name(struct store *store, const char *text, char ret_key[IMAGE_KEY_LEN + 1],
			struct error *err)
{
	cleanup_json struct json_object *labels = json_object_new_array();
	cleanup_strv struct strv parts = STRV_INIT;
	char *version;
	int r = 0;

	strv_split(&parts, text, ',');
	version = strchr(parts.v[0], ':');
	if (version) {
		*version++ = '\0';
		add_label(labels, "version", version);
	}
	if (!acident_is_valid(parts.v[0]) || (version && !*version))
		return error_set(err, -EINVAL, "\"%s\" is neither an image ID nor a name", text);
	for (size_t i = 1; r == 0 && i < parts.n; i++)
		r = parse_label(labels, parts.v[i], err);
	if (r == 0)
		r = store_find(store, parts.v[0], labels, ret_key, err);
	return r == -ENOENT ? error_set(err, r, "no image \"%s\" is in the store", text) : r;
}

int image_find(struct store *store, const char *text, char ret_key[IMAGE_KEY_LEN + 1],
	       struct error *err)
{
	if (str_starts_with(text, "sha512-"))
		return store_find_id(store, text, ret_key, err);
	return find_by_name(store, text, ret_key, err);
}

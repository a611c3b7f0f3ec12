/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/pod_check.h"

#include <string.h>

#include "common/json.h"
#include "common/util.h"

/* Annotations of the user's own: an object of strings. */
static int check_strings(struct json_object *obj, const char *key, struct error *err)
{
	struct json_object *map = NULL;
	int r = json_get_object(obj, key, &map, err);

	if (r < 0 || !map)
		return r;
	json_object_object_foreach(map, name, value) if (
		!json_object_is_type(value,
				     json_type_string)) return error_set(err, -EINVAL,
									 "%s: %.100s is no string",
									 key, name);
	return 0;
}

static int check_app(struct json_object *app, struct error *err)
{
	struct json_object *image = NULL;
	const char *id = NULL;
	int r = json_get_object(app, "image", &image, err);

	if (r < 0 || !image)
		return r;
	r = json_get_string(image, "id", &id, err);
	if (r == 0 && (!id || !id[0]))
		r = error_set(err, -EINVAL, "its image has no id");
	return r;
}

static int each(struct json_object *pod, const char *key,
		int (*check)(struct json_object *element, struct error *err), struct error *err)
{
	struct json_object *list = NULL;
	int r = json_get_array(pod, key, &list, err);

	for (size_t i = 0; r == 0 && list && i < json_object_array_length(list); i++) {
		struct json_object *element = json_object_array_get_idx(list, i);

		r = json_object_is_type(element, json_type_object)
			    ? check(element, err)
			    : error_set(err, -EINVAL, "not an object");
		if (r < 0)
			error_wrap(err, "%s[%zu]", key, i);
	}
	return r;
}

int pod_check(struct json_object *pod, struct error *err)
{
	int r = each(pod, "apps", check_app, err);

	if (r == 0)
		r = check_strings(pod, "userLabels", err);
	return r < 0 ? r : check_strings(pod, "userAnnotations", err);
}

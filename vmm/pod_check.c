/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/pod_check.h"

#include "common/json.h"

static int check_app(struct json_object *app, void *ctx, struct error *err)
{
	struct json_object *image = NULL;
	const char *id = NULL;
	int r = json_get_object(app, "image", &image, err);

	(void)ctx;
	if (r < 0 || !image)
		return r;
	r = json_get_string(image, "id", &id, err);
	if (r == 0 && (!id || !id[0]))
		r = error_set(err, -EINVAL, "its image has no id");
	return r;
}

int pod_check(struct json_object *pod, struct error *err)
{
	int r = json_each(pod, "apps", check_app, NULL, err);

	if (r == 0)
		r = json_check_strings(pod, "userLabels", err);
	return r < 0 ? r : json_check_strings(pod, "userAnnotations", err);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "stage0/pod_file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "common/file.h"
#include "common/util.h"
#include "stage0/acname.h"
#include "stage0/command.h"
#include "stage0/image_manifest.h"
#include "stage0/network.h"
#include "stage0/volume.h"

/* Each element of a list, with the names that were seen as context. */
static int each(struct json_object *obj, const char *key,
		int (*check)(struct json_object *element, void *seen, struct error *err),
		struct error *err)
{
	cleanup_strv struct strv seen = STRV_INIT;

	return json_each(obj, key, check, &seen, err);
}

/* A name that is valid and was not seen before. */
static int take_name(struct json_object *obj, bool (*valid)(const char *name), struct strv *seen,
		     struct error *err)
{
	const char *name = NULL;
	int r = json_get_string(obj, "name", &name, err);

	if (r < 0)
		return r;
	if (!name || !valid(name) || strlen(name) > ACNAME_MAX)
		return error_set(err, -EINVAL, "\"%s\" is not a valid name", name ? name : "");
	if (strv_contains(seen, name))
		return error_set(err, -EEXIST, "\"%s\" is given twice", name);
	strv_add(seen, name);
	return 0;
}

static int check_nameval(struct json_object *pair, void *seen, struct error *err)
{
	const char *value = NULL;
	int r = take_name(pair, acident_is_valid, seen, err);

	if (r == 0)
		r = json_get_string(pair, "value", &value, err);
	if (r == 0 && !value)
		r = error_set(err, -EINVAL, "it has no value");
	return r;
}

static int check_isolator(struct json_object *isolator, void *seen, struct error *err)
{
	const char *name = NULL;
	int r = json_get_string(isolator, "name", &name, err);

	(void)seen;
	if (r == 0 && (!name || !acident_is_valid(name)))
		r = error_set(err, -EINVAL, "\"%s\" is not a valid name", name ? name : "");
	return r;
}

static int check_port(struct json_object *port, void *seen, struct error *err)
{
	struct json_object *pod_port = NULL;
	const char *ip = NULL;
	int64_t number = 0;
	int r = take_name(port, acname_is_valid, seen, err);

	if (r == 0)
		r = json_get_int(port, "hostPort", 1, UINT16_MAX, &number, err);
	if (r == 0 && !number)
		r = error_set(err, -EINVAL, "it has no hostPort");
	if (r == 0)
		r = json_get_string(port, "hostIP", &ip, err);
	if (r == 0 && ip && *ip && !address_is_valid(ip))
		r = error_set(err, -EINVAL, "hostIP \"%s\" is no address", ip);
	return r < 0 ? r : json_get_object(port, "podPort", &pod_port, err);
}

static int check_image(struct json_object *app, struct error *err)
{
	struct json_object *image = NULL;
	const char *id = NULL, *name = NULL;
	int r = json_get_object(app, "image", &image, err);

	if (r == 0 && !image)
		return error_set(err, -EINVAL, "it has no image");
	if (r == 0)
		r = json_get_string(image, "id", &id, err);
	if (r == 0)
		r = json_get_string(image, "name", &name, err);
	if (r == 0 && (!id || !*id) && !name)
		r = error_set(err, -EINVAL, "its image has neither id nor name");
	if (r == 0 && id && *id && !acimageid_is_valid(id))
		r = error_set(err, -EINVAL, "\"%s\" is not an image ID", id);
	if (r == 0 && name && !acident_is_valid(name))
		r = error_set(err, -EINVAL, "\"%s\" is not an image's name", name);
	return r < 0 ? r : each(image, "labels", check_nameval, err);
}

static int check_app_entry(struct json_object *app, void *seen, struct error *err)
{
	struct json_object *section = NULL;
	const char *name = NULL;
	bool flag;
	int r = take_name(app, acname_is_valid, seen, err);

	if (r == 0)
		r = json_get_string(app, "name", &name, err);
	if (r < 0)
		return r;
	if (strlen(name) > APP_NAME_MAX)
		return error_set(err, -ENAMETOOLONG, "its name is too long");
	if (check_image(app, err) < 0 || json_get_object(app, "app", &section, err) < 0 ||
	    json_get_bool(app, "readOnlyRootFS", &flag, err) < 0 ||
	    each(app, "annotations", check_nameval, err) < 0)
		return error_wrap(err, "app %s", name);
	return 0;
}

static int check(struct json_object *doc, struct error *err)
{
	const char *kind = NULL, *version = NULL;
	struct json_object *apps = NULL;

	if (!json_object_is_type(doc, json_type_object))
		return error_set(err, -EINVAL, "not a JSON object");
	if (json_get_string(doc, "acKind", &kind, err) < 0 ||
	    json_get_string(doc, "acVersion", &version, err) < 0 ||
	    json_get_array(doc, "apps", &apps, err) < 0)
		return err->code;
	if (!kind || strcmp(kind, "PodManifest") != 0)
		return error_set(err, -EINVAL, "acKind is not PodManifest");
	if (!version || !acversion_is_valid(version, NULL))
		return error_set(err, -EINVAL, "acVersion \"%s\" is not a version",
				 version ? version : "");
	if (apps && json_object_array_length(apps) > POD_APPS_MAX)
		return error_set(err, -E2BIG, "a pod can have %d apps, not %zu", POD_APPS_MAX,
				 json_object_array_length(apps));
	if (each(doc, "apps", check_app_entry, err) < 0 || volumes_check(doc, err) < 0 ||
	    each(doc, "ports", check_port, err) < 0 ||
	    each(doc, "isolators", check_isolator, err) < 0 ||
	    each(doc, "annotations", check_nameval, err) < 0 ||
	    json_check_strings(doc, "userAnnotations", err) < 0 ||
	    json_check_strings(doc, "userLabels", err) < 0)
		return err->code;
	return 0;
}

int pod_file_read(const char *path, struct json_object **ret, struct error *err)
{
	cleanup_json struct json_object *doc = NULL;
	cleanup_free char *text = NULL;
	size_t len;
	int r = file_read(AT_FDCWD, path, JSON_SIZE_MAX, &text, &len, err);

	if (r == 0)
		r = json_parse(text, len, path, &doc, err);
	if (r == 0 && check(doc, err) < 0)
		r = error_wrap(err, "%s", path);
	if (r < 0)
		return error_wrap(err, "--pod-manifest");
	*ret = take_ptr(doc);
	return 0;
}

static struct json_object *entry_of(struct json_object *doc, size_t n)
{
	return json_object_array_get_idx(json_object_object_get(doc, "apps"), n);
}

int pod_file_image(struct json_object *doc, size_t n, struct store *store, struct pod_app *app,
		   struct error *err)
{
	struct json_object *entry = entry_of(doc, n), *labels = NULL;
	struct json_object *image = json_object_object_get(entry, "image");
	const char *id = NULL, *name = NULL, *own = NULL;
	char key[IMAGE_KEY_LEN + 1];
	int r = json_get_string(entry, "name", &own, err);

	if (r < 0 || json_get_string(image, "id", &id, err) < 0 ||
	    json_get_string(image, "name", &name, err) < 0 ||
	    json_get_array(image, "labels", &labels, err) < 0)
		return err->code;
	if (id && *id)
		r = store_find_id(store, id, key, err);
	else
		r = store_find(store, name, labels, key, err);
	if (r == -ENOENT)
		error_set(err, r, "image %s is not in the store", id && *id ? id : name);
	if (r < 0)
		return error_wrap(err, "app %s", own);
	app->key = xstrdup(key);
	app->name = xstrdup(own);
	return 0;
}

/* The image's annotations, in their order, each with the value the pod has for it; then the pod's. */
static int merge_annotations(struct json_object *entry, struct json_object *image,
			     struct error *err)
{
	cleanup_json struct json_object *merged = json_object_new_array();
	struct json_object *own = NULL, *theirs = NULL;

	if (json_get_array(image, "annotations", &theirs, err) < 0 ||
	    json_get_array(entry, "annotations", &own, err) < 0)
		return err->code;
	for (size_t i = 0; theirs && i < json_object_array_length(theirs); i++) {
		struct json_object *one = json_object_array_get_idx(theirs, i);
		const char *name = json_object_get_string(json_object_object_get(one, "name"));

		if (!namevals_get(own, name))
			json_object_array_add(merged, json_object_get(one));
	}
	for (size_t i = 0; own && i < json_object_array_length(own); i++)
		json_object_array_add(merged, json_object_get(json_object_array_get_idx(own, i)));
	json_add(entry, "annotations", take_ptr(merged));
	return 0;
}

int pod_file_complete(struct json_object *doc, size_t n, const struct pod_app *app,
		      struct strv *warnings, struct error *err)
{
	struct json_object *entry = entry_of(doc, n), *section = NULL, *theirs = NULL;
	struct json_object *image = json_object_object_get(entry, "image");
	int r = json_get_object(entry, "app", &section, err);

	if (r < 0)
		return error_wrap(err, "app %s", app->name);
	if (!section) {
		json_object_object_get_ex(app->image, "app", &theirs);
		if (!theirs)
			return error_set(err, -EINVAL,
					 "app %s: neither the manifest nor the image has an app "
					 "section",
					 app->name);
		if (json_object_deep_copy(theirs, &section, NULL) < 0)
			return error_set(err, -ENOMEM, "out of memory");
		json_add(entry, "app", section);
	}
	json_add_string(image, "id", app->key);
	if (!json_object_object_get(image, "name"))
		json_add(image, "name",
			 json_object_get(json_object_object_get(app->image, "name")));
	r = app_check(section, warnings, err);
	if (r == 0)
		r = merge_annotations(entry, app->image, err);
	return r < 0 ? error_wrap(err, "app %s", app->name) : 0;
}

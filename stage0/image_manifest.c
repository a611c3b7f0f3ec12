/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A manifest comes from whoever made the image. It is checked once, completely, when it is read;
 * what images.md 11 calls our rule is what is done here. Keys are matched without regard to case
 * when the exact one is absent, as Go's decoder does, and renamed to the specification's spelling.
 */
#include "stage0/image_manifest.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

#include "common/util.h"
#include "stage0/acname.h"
#include "stage0/command.h"
#include "stage0/isolator.h"

#define LIST_MAX 4096 /* elements of any list of a manifest; argument lists are the longest */

static const char *const manifest_keys[] = {
	"acKind",	"acVersion",	 "name",	"labels", "app",
	"dependencies", "pathWhitelist", "annotations", NULL,
};
static const char *const app_keys[] = {
	"exec",
	"user",
	"group",
	"supplementaryGIDs",
	"eventHandlers",
	"workingDirectory",
	"environment",
	"mountPoints",
	"ports",
	"isolators",
	"userAnnotations",
	"userLabels",
	NULL,
};
static const char *const nameval_keys[] = {"name", "value", NULL};
static const char *const handler_keys[] = {"name", "exec", NULL};
static const char *const mount_point_keys[] = {"name", "path", "readOnly", NULL};
static const char *const port_keys[] = {"name",	 "protocol",	    "port",
					"count", "socketActivated", NULL};
static const char *const dependency_keys[] = {"imageName", "imageID", "labels", "size", NULL};

static const struct {
	const char *os, *arch;
} platforms[] = {
	{"linux", "amd64"},   {"linux", "i386"},    {"linux", "aarch64"}, {"linux", "aarch64_be"},
	{"linux", "armv6l"},  {"linux", "armv7l"},  {"linux", "armv7b"},  {"linux", "ppc64"},
	{"linux", "ppc64le"}, {"linux", "s390x"},   {"freebsd", "amd64"}, {"freebsd", "i386"},
	{"freebsd", "arm"},   {"darwin", "x86_64"}, {"darwin", "i386"},
};

/* Rename keys that differ from a known one only in case. Returns an error for two such keys. */
static int normalise(struct json_object *obj, const char *const *keys, struct error *err)
{
	for (; *keys; keys++) {
		const char *found = NULL;
		struct json_object *value = NULL;

		if (json_object_object_get_ex(obj, *keys, NULL))
			continue;
		json_object_object_foreach(obj, key, candidate)
		{
			if (strcasecmp(key, *keys) != 0)
				continue;
			if (found)
				return error_set(err, -EINVAL, "both %s and %s are given", found,
						 key);
			found = key;
			value = candidate;
		}
		if (!found)
			continue;
		json_add(obj, *keys, json_object_get(value));
		json_object_object_del(obj, found);
	}
	return 0;
}

static int need_string(struct json_object *obj, const char *key, const char **ret,
		       struct error *err)
{
	const char *s = NULL;
	int r = json_get_string(obj, key, &s, err);

	if (r < 0)
		return r;
	if (!s || !*s)
		return error_set(err, -EINVAL, "%s is required", key);
	*ret = s;
	return 0;
}

/* Call check on each element of the list at key, which must be objects. */
static int each(struct json_object *obj, const char *key, const char *const *keys,
		int (*check)(struct json_object *element, void *ctx, struct error *err), void *ctx,
		struct error *err)
{
	struct json_object *list = NULL;
	int r = json_get_array(obj, key, &list, err);

	if (r < 0 || !list)
		return r;
	if (json_object_array_length(list) > LIST_MAX)
		return error_set(err, -E2BIG, "%s has more than %d elements", key, LIST_MAX);
	for (size_t i = 0; i < json_object_array_length(list); i++) {
		struct json_object *element = json_object_array_get_idx(list, i);

		if (!json_object_is_type(element, json_type_object))
			r = error_set(err, -EINVAL, "an element is not an object");
		else
			r = normalise(element, keys, err);
		if (r == 0)
			r = check(element, ctx, err);
		if (r < 0)
			return error_wrap(err, "%s[%zu]", key, i);
	}
	return 0;
}

/* A list of strings. */
static int check_strings(struct json_object *obj, const char *key, struct json_object **ret,
			 struct error *err)
{
	struct json_object *list = NULL;
	int r = json_get_array(obj, key, &list, err);

	if (r < 0)
		return r;
	if (list && json_object_array_length(list) > LIST_MAX)
		return error_set(err, -E2BIG, "%s has more than %d elements", key, LIST_MAX);
	for (size_t i = 0; list && i < json_object_array_length(list); i++) {
		struct json_object *s = json_object_array_get_idx(list, i);

		if (!json_object_is_type(s, json_type_string) ||
		    strlen(json_object_get_string(s)) != (size_t)json_object_get_string_len(s))
			return error_set(err, -EINVAL, "%s[%zu] is not a string", key, i);
	}
	*ret = list;
	return 0;
}

/* {name, value} lists: names valid and unique; values strings. */
struct nameval_check {
	struct strv seen;
	bool (*valid)(const char *name);
	const char *forbidden;
};

static int check_nameval(struct json_object *element, void *ctx, struct error *err)
{
	struct nameval_check *check = ctx;
	const char *name = NULL, *value = NULL;
	int r = need_string(element, "name", &name, err);

	if (r < 0 || (r = json_get_string(element, "value", &value, err)) < 0)
		return r;
	if (!check->valid(name) || (check->forbidden && strcmp(name, check->forbidden) == 0))
		return error_set(err, -EINVAL, "\"%s\" is not a valid name", name);
	if (strv_contains(&check->seen, name))
		return error_set(err, -EINVAL, "\"%s\" is given twice", name);
	strv_add(&check->seen, name);
	if (!value)
		json_add_string(element, "value", "");
	return 0;
}

static int check_namevals(struct json_object *obj, const char *key, bool (*valid)(const char *name),
			  const char *forbidden, struct error *err)
{
	struct nameval_check check = {.seen = STRV_INIT, .valid = valid, .forbidden = forbidden};
	int r = each(obj, key, nameval_keys, check_nameval, &check, err);

	strv_free(&check.seen);
	return r;
}

const char *namevals_get(struct json_object *list, const char *name)
{
	for (size_t i = list ? json_object_array_length(list) : 0; i-- > 0;) {
		struct json_object *pair = json_object_array_get_idx(list, i), *n, *v;

		if (json_object_object_get_ex(pair, "name", &n) &&
		    json_object_is_type(n, json_type_string) &&
		    strcmp(json_object_get_string(n), name) == 0 &&
		    json_object_object_get_ex(pair, "value", &v))
			return json_object_get_string(v);
	}
	return NULL;
}

static const char *namevals_of(struct json_object *doc, const char *key, const char *name)
{
	struct json_object *list = NULL;

	json_object_object_get_ex(doc, key, &list);
	return namevals_get(list, name);
}

const char *image_manifest_label(struct json_object *doc, const char *name)
{
	return namevals_of(doc, "labels", name);
}

const char *image_manifest_annotation(struct json_object *doc, const char *name)
{
	return namevals_of(doc, "annotations", name);
}

static int check_labels(struct json_object *obj, struct error *err)
{
	const char *os, *arch;
	bool os_known = false;
	int r = check_namevals(obj, "labels", acident_is_valid, "name", err);

	if (r < 0)
		return r;
	os = image_manifest_label(obj, "os");
	arch = image_manifest_label(obj, "arch");
	if (!os)
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(platforms); i++) {
		if (strcmp(platforms[i].os, os) != 0)
			continue;
		os_known = true;
		if (!arch || strcmp(platforms[i].arch, arch) == 0)
			return 0;
	}
	if (!os_known)
		return error_set(err, -EINVAL, "bad os \"%s\"", os);
	return error_set(err, -EINVAL, "bad arch \"%s\" for os \"%s\"", arch, os);
}

static int check_handler(struct json_object *handler, void *ctx, struct error *err)
{
	struct json_object *exec = NULL;
	struct strv *seen = ctx;
	const char *name = NULL;
	int r = need_string(handler, "name", &name, err);

	if (r < 0 || (r = check_strings(handler, "exec", &exec, err)) < 0)
		return r;
	if (strcmp(name, "pre-start") != 0 && strcmp(name, "post-stop") != 0)
		return error_set(err, -EINVAL, "\"%s\" is neither pre-start nor post-stop", name);
	if (strv_contains(seen, name))
		return error_set(err, -EINVAL, "%s is given twice", name);
	strv_add(seen, name);
	if (!exec || json_object_array_length(exec) == 0)
		return error_set(err, -EINVAL, "%s has an empty exec", name);
	return 0;
}

static int check_mount_point(struct json_object *point, void *ctx, struct error *err)
{
	struct strv *seen = ctx;
	const char *name = NULL, *path = NULL;
	bool read_only;
	int r = need_string(point, "name", &name, err);

	if (r < 0 || (r = need_string(point, "path", &path, err)) < 0 ||
	    (r = json_get_bool(point, "readOnly", &read_only, err)) < 0)
		return r;
	if (!acname_is_valid(name))
		return error_set(err, -EINVAL, "\"%s\" is not a valid name", name);
	if (strv_contains(seen, name))
		return error_set(err, -EINVAL, "%s is given twice", name);
	strv_add(seen, name);
	if (path[0] != '/')
		return error_set(err, -EINVAL, "path \"%s\" is not absolute", path);
	return 0;
}

static int check_port(struct json_object *port, void *ctx, struct error *err)
{
	struct strv *warnings = ctx;
	const char *name = NULL, *protocol = NULL;
	int64_t number = 0, count = 1;
	bool activated;
	int r = need_string(port, "name", &name, err);

	if (r < 0 || (r = json_get_string(port, "protocol", &protocol, err)) < 0 ||
	    (r = json_get_int(port, "port", 1, 65535, &number, err)) < 0 ||
	    (r = json_get_int(port, "count", 1, 65535, &count, err)) < 0 ||
	    (r = json_get_bool(port, "socketActivated", &activated, err)) < 0)
		return r;
	if (!acname_is_valid(name))
		return error_set(err, -EINVAL, "\"%s\" is not a valid name", name);
	if (number == 0)
		return error_set(err, -EINVAL, "port is required");
	if (number + count - 1 > 65535)
		return error_set(err, -ERANGE, "%s: port %lld with count %lld goes beyond 65535",
				 name, (long long)number, (long long)count);
	if (!protocol || (strcmp(protocol, "tcp") != 0 && strcmp(protocol, "udp") != 0))
		strv_add_owned(warnings,
			       xasprintf("port %s: protocol \"%s\" is neither tcp nor udp", name,
					 protocol ? protocol : ""));
	return 0;
}

static int check_gids(struct json_object *app, struct error *err)
{
	struct json_object *list = NULL;
	int r = json_get_array(app, "supplementaryGIDs", &list, err);

	if (r < 0 || !list)
		return r;
	if (json_object_array_length(list) > LIST_MAX)
		return error_set(err, -E2BIG, "supplementaryGIDs has more than %d elements",
				 LIST_MAX);
	for (size_t i = 0; i < json_object_array_length(list); i++) {
		struct json_object *gid = json_object_array_get_idx(list, i);

		if (!json_object_is_type(gid, json_type_int) || json_object_get_int64(gid) < 0 ||
		    json_object_get_int64(gid) > UINT32_MAX - INT64_C(1))
			return error_set(err, -EINVAL, "supplementaryGIDs[%zu] is not a group id",
					 i);
	}
	return 0;
}

/* each() with a vector of names seen as context. */
static int each_unique(struct json_object *obj, const char *key, const char *const *keys,
		       int (*check)(struct json_object *, void *, struct error *),
		       struct error *err)
{
	cleanup_strv struct strv seen = STRV_INIT;

	return each(obj, key, keys, check, &seen, err);
}

int app_check(struct json_object *app, struct strv *warnings, struct error *err)
{
	struct json_object *exec = NULL, *isolators = NULL;
	const char *text = NULL;
	int r = normalise(app, app_keys, err);

	if (r < 0 || (r = check_strings(app, "exec", &exec, err)) < 0 ||
	    (r = need_string(app, "user", &text, err)) < 0 ||
	    (r = need_string(app, "group", &text, err)) < 0 || (r = check_gids(app, err)) < 0)
		return r;
	text = NULL;
	r = json_get_string(app, "workingDirectory", &text, err);
	if (r < 0)
		return r;
	if (text && *text && *text != '/')
		return error_set(err, -EINVAL, "workingDirectory \"%s\" is not absolute", text);
	if ((r = check_namevals(app, "environment", acenv_is_valid, NULL, err)) < 0 ||
	    (r = each_unique(app, "eventHandlers", handler_keys, check_handler, err)) < 0 ||
	    (r = each_unique(app, "mountPoints", mount_point_keys, check_mount_point, err)) < 0 ||
	    (r = each(app, "ports", port_keys, check_port, warnings, err)) < 0 ||
	    (r = json_check_strings(app, "userAnnotations", err)) < 0 ||
	    (r = json_check_strings(app, "userLabels", err)) < 0 ||
	    (r = json_get_array(app, "isolators", &isolators, err)) < 0)
		return r;
	return isolators ? isolators_check(isolators, warnings, err) : 0;
}

static int check_dependency(struct json_object *dependency, void *ctx, struct error *err)
{
	const char *name = NULL, *id = NULL;
	int64_t size;
	int r = need_string(dependency, "imageName", &name, err);

	(void)ctx;
	if (r < 0 || (r = json_get_string(dependency, "imageID", &id, err)) < 0 ||
	    (r = json_get_int(dependency, "size", 0, INT64_MAX, &size, err)) < 0)
		return r;
	if (!acident_is_valid(name))
		return error_set(err, -EINVAL, "imageName \"%s\" is not a valid name", name);
	if (id && *id && !acimageid_is_valid(id))
		return error_set(err, -EINVAL, "\"%s\" is not an image ID", id);
	return check_labels(dependency, err);
}

/* Every entry absolute, without "..". A relative one is taken from the root. */
static int check_whitelist(struct json_object *doc, struct error *err)
{
	struct json_object *list = NULL;
	int r = check_strings(doc, "pathWhitelist", &list, err);

	for (size_t i = 0; r == 0 && list && i < json_object_array_length(list); i++) {
		const char *path = json_object_get_string(json_object_array_get_idx(list, i));
		cleanup_strv struct strv parts = STRV_INIT;
		cleanup_free char *rooted = NULL;

		strv_split(&parts, path, '/');
		if (strv_contains(&parts, ".."))
			return error_set(err, -EINVAL, "pathWhitelist: \"%s\" holds \"..\"", path);
		if (path[0] == '/')
			continue;
		rooted = xasprintf("/%s", path);
		json_object_array_put_idx(list, i, json_object_new_string(rooted));
	}
	return r;
}

static int check_annotations(struct json_object *doc, struct error *err)
{
	static const char *const urls[] = {"homepage", "documentation"};
	const char *text;
	int r = check_namevals(doc, "annotations", acident_is_valid, NULL, err);

	if (r < 0)
		return r;
	text = image_manifest_annotation(doc, "created");
	if (text && !actime_is_valid(text))
		return error_set(err, -EINVAL, "annotation created: \"%s\" is not an RFC 3339 time",
				 text);
	for (size_t i = 0; i < ARRAY_SIZE(urls); i++) {
		text = image_manifest_annotation(doc, urls[i]);
		if (text && !str_starts_with(text, "http://") && !str_starts_with(text, "https://"))
			return error_set(err, -EINVAL, "annotation %s: \"%s\" is not an http URL",
					 urls[i], text);
	}
	return 0;
}

static int check_kind(struct json_object *doc, struct error *err)
{
	unsigned long long major, ours = 0;
	const char *text = NULL;
	int r = need_string(doc, "acKind", &text, err);

	if (r < 0)
		return r;
	if (strcmp(text, "ImageManifest") != 0)
		return error_set(err, -EINVAL, "acKind is \"%s\", not ImageManifest", text);
	r = need_string(doc, "acVersion", &text, err);
	if (r < 0)
		return r;
	if (!acversion_is_valid(text, &major))
		return error_set(err, -EINVAL, "acVersion \"%s\" is not a version", text);
	acversion_is_valid(APPC_VERSION, &ours);
	if (major > ours)
		return error_set(err, -EINVAL, "acVersion %s is newer than " APPC_VERSION, text);
	return 0;
}

int image_manifest_check(struct json_object *doc, struct strv *warnings, struct error *err)
{
	struct json_object *app = NULL;
	const char *name = NULL;
	int r;

	if (!json_object_is_type(doc, json_type_object))
		return error_set(err, -EINVAL, "image manifest: not a JSON object");
	if ((r = normalise(doc, manifest_keys, err)) < 0 || (r = check_kind(doc, err)) < 0 ||
	    (r = need_string(doc, "name", &name, err)) < 0)
		return error_wrap(err, "image manifest");
	if (!acident_is_valid(name))
		return error_set(err, -EINVAL, "image manifest: name \"%s\" is not valid", name);
	if (!acident_is_strict(name))
		strv_add_owned(warnings, xasprintf("image name %s has adjacent separators", name));
	if ((r = check_labels(doc, err)) < 0 || (r = check_annotations(doc, err)) < 0 ||
	    (r = check_whitelist(doc, err)) < 0 ||
	    (r = each(doc, "dependencies", dependency_keys, check_dependency, NULL, err)) < 0 ||
	    (r = json_get_object(doc, "app", &app, err)) < 0)
		return error_wrap(err, "image manifest");
	if (app && app_check(app, warnings, err) < 0) {
		error_wrap(err, "app");
		return error_wrap(err, "image manifest");
	}
	return 0;
}

int image_manifest_parse(const char *text, size_t len, struct json_object **ret,
			 struct strv *warnings, struct error *err)
{
	cleanup_json struct json_object *doc = NULL;
	int r = json_parse(text, len, "image manifest", &doc, err);

	if (r == 0)
		r = image_manifest_check(doc, warnings, err);
	if (r == 0)
		*ret = take_ptr(doc);
	return r;
}

int image_manifest_runnable(struct json_object *doc, struct error *err)
{
	const char *os = image_manifest_label(doc, "os");
	const char *arch = image_manifest_label(doc, "arch");

	if (!os)
		return error_set(err, -EINVAL, "missing os label in the image manifest");
	if (!arch)
		return error_set(err, -EINVAL, "missing arch label in the image manifest");
	if (strcmp(os, "linux") != 0)
		return error_set(err, -EINVAL, "bad os \"%s\": pods run linux", os);
	if (strcmp(arch, APPC_ARCH) != 0)
		return error_set(err, -EINVAL, "bad arch \"%s\": pods run " APPC_ARCH " here",
				 arch);
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The pod manifest as a whole: its apps, each made by pod_manifest_app.c, and what the command line
 * says of the pod. What comes out is read once more as JSON, as arguments can be any bytes.
 */
#include <errno.h>
#include <string.h>

#include "common/util.h"
#include "stage0/acname.h"
#include "stage0/command.h"
#include "stage0/image_manifest.h"
#include "stage0/isolator.h"
#include "stage0/network.h"
#include "stage0/options.h"
#include "stage0/pod_manifest_priv.h"
#include "stage0/volume.h"

static struct json_object *nameval(const char *name, const char *value)
{
	struct json_object *pair = json_object_new_object();

	json_add_string(pair, "name", name);
	json_add_string(pair, "value", value);
	return pair;
}

void namevals_overlay(struct json_object *list, const struct strv *pairs, bool keep)
{
	for (size_t i = 0; i < pairs->n; i++) {
		const char *eq = strchr(pairs->v[i], '=');
		cleanup_free char *key = xstrndup(pairs->v[i], (size_t)(eq - pairs->v[i]));
		size_t at = 0, n = json_object_array_length(list);

		for (; at < n; at++) {
			struct json_object *name;

			json_object_object_get_ex(json_object_array_get_idx(list, at), "name",
						  &name);
			if (strcmp(json_object_get_string(name), key) == 0)
				break;
		}
		if (at == n)
			json_object_array_add(list, nameval(key, eq + 1));
		else if (!keep)
			json_object_array_put_idx(list, at, nameval(key, eq + 1));
	}
}

void app_user_map(struct json_object *app, const char *key, const struct strv *pairs)
{
	struct json_object *map = NULL;

	if (pairs->n == 0)
		return;
	if (!json_object_object_get_ex(app, key, &map) || !map) {
		map = json_object_new_object();
		json_add(app, key, map);
	}
	for (size_t i = 0; i < pairs->n; i++) {
		const char *eq = strchr(pairs->v[i], '=');
		cleanup_free char *name = xstrndup(pairs->v[i], (size_t)(eq - pairs->v[i]));

		json_add_string(map, name, eq + 1);
	}
}

/* What the command line says of a pod, not of its apps. */
static int pod_annotations(const struct pod_request *pod, struct json_object *doc,
			   struct error *err)
{
	struct json_object *list = json_object_new_array();

	json_add(doc, "annotations", list);
	for (size_t i = 0; i < pod->annotations.n; i++) {
		cleanup_free char *key =
			xstrndup(pod->annotations.v[i], strcspn(pod->annotations.v[i], "="));

		if (!acident_is_valid(key))
			return error_set(err, -EINVAL, "--annotation: \"%s\" is not a valid name",
					 key);
	}
	namevals_overlay(list, &pod->annotations, false);
	json_object_array_add(list, nameval("coreos.com/rkt/stage1/mutable",
					    pod->mutable_pod ? "true" : "false"));
	app_user_map(doc, "userAnnotations", &pod->user_annotations);
	app_user_map(doc, "userLabels", &pod->user_labels);
	return 0;
}

/* Give every app its name; no two the same. */
static int name_apps(struct pod_app *apps, size_t n, struct error *err)
{
	for (size_t i = 0; i < n; i++) {
		int r = pod_app_name(&apps[i], &apps[i].name, err);

		if (r < 0)
			return error_wrap(err, "%s", apps[i].request->image);
		for (size_t k = 0; k < i; k++)
			if (strcmp(apps[i].name, apps[k].name) == 0)
				return error_set(err, -EEXIST,
						 "two apps are called %s; tell them apart with "
						 "--name",
						 apps[i].name);
	}
	return 0;
}

/* Those of the pod: null without any, as appc's tools write it. */
static int pod_isolators(struct json_object *doc, const struct pod_request *pod, struct error *err)
{
	cleanup_strv struct strv warnings = STRV_INIT;
	struct json_object *list = NULL;

	if (pod->sysctls.n) {
		list = json_object_new_array();
		json_object_array_add(list, isolator_map(ISOLATOR_SYSCTL, &pod->sysctls));
	}
	json_add(doc, "isolators", list);
	return list && isolators_check(list, &warnings, err) < 0 ? error_wrap(err, "--sysctl") : 0;
}

int pod_manifest_build(const struct pod_request *pod, struct pod_app *apps, size_t n,
		       struct json_object **ret, struct error *err)
{
	cleanup_json struct json_object *doc = json_object_new_object(), *reread = NULL;
	struct json_object *list = json_object_new_array(), *ports, *volumes;
	int r = 0;

	json_add_string(doc, "acVersion", APPC_VERSION);
	json_add_string(doc, "acKind", "PodManifest");
	json_add(doc, "apps", list);
	if (n > POD_APPS_MAX)
		return error_set(err, -E2BIG, "a pod can have %d apps, not %zu", POD_APPS_MAX, n);
	volumes = pod->volumes.n ? json_object_new_array() : NULL;
	json_add(doc, "volumes", volumes);
	for (size_t i = 0; r == 0 && i < pod->volumes.n; i++)
		r = volume_add(volumes, pod->volumes.v[i], err);
	if (r == 0)
		r = name_apps(apps, n, err);
	for (size_t i = 0; r == 0 && i < n; i++) {
		struct json_object *app = NULL;

		r = pod_runtime_app(pod, &apps[i], volumes, &app, err);
		if (r < 0)
			return error_wrap(err, "%s", apps[i].request->image);
		json_object_array_add(list, app);
	}
	if (r < 0)
		return r;
	r = pod_isolators(doc, pod, err);
	if (r == 0)
		r = pod_annotations(pod, doc, err);
	if (r < 0)
		return r;
	ports = json_object_new_array();
	json_add(doc, "ports", ports);
	for (size_t i = 0; i < pod->ports.n; i++) {
		r = port_add(ports, pod->ports.v[i], err);
		if (r < 0)
			return r;
	}
	r = ports_check(ports, list, err);
	if (r < 0)
		return r;
	for (size_t i = 0; i < pod->whole_ports.n; i++) {
		r = port_add_whole(ports, pod->whole_ports.v[i], err);
		if (r < 0)
			return r;
	}
	r = json_parse(json_text(doc), strlen(json_text(doc)), "pod manifest", &reread, err);
	if (r < 0)
		return error_wrap(err, "an argument is no text (UTF-8)");
	*ret = take_ptr(doc);
	return 0;
}

int env_file_parse(const char *text, const char *what, struct strv *env, struct error *err)
{
	cleanup_strv struct strv lines = STRV_INIT;

	strv_split(&lines, text, '\n');
	for (size_t i = 0; i < lines.n; i++) {
		const char *line = lines.v[i], *eq = strchr(line, '=');
		cleanup_free char *key = NULL;

		if (line[strspn(line, " \t\r")] == '\0' || line[0] == '#' || line[0] == ';')
			continue;
		if (!eq)
			return error_set(err, -EINVAL, "%s: line %zu: no \"=\"", what, i + 1);
		key = xstrndup(line, (size_t)(eq - line));
		if (!acenv_is_valid(key))
			return error_set(err, -EINVAL, "%s: line %zu: \"%s\" is not a valid name",
					 what, i + 1, key);
		if (keyvals_get(env, key))
			return error_set(err, -EEXIST, "%s: line %zu: \"%s\" is given twice", what,
					 i + 1, key);
		strv_add(env, line);
	}
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One app of a pod's manifest.
 *
 * An app section starts as a copy of the image's, or as an empty one when the image has none; then
 * the command line is laid over it. The result is checked like an image's app, so whatever the
 * command line brought in is held to the same rules. Around it goes what the pod has to know of the
 * app: its name, its image, its mounts and its annotations.
 */
#include <errno.h>
#include <string.h>

#include "common/util.h"
#include "stage0/acname.h"
#include "stage0/image_manifest.h"
#include "stage0/isolator.h"
#include "stage0/pod_manifest_priv.h"
#include "stage0/volume.h"

#define DOCKER_USER "appc.io/docker/user" /* User of an image's config (images.md 17.2) */

int pod_app_name(const struct pod_app *app, char **ret, struct error *err)
{
	struct json_object *image_name;
	const char *last, *slash;
	char *name;

	if (app->request->name) {
		if (!acname_is_strict(app->request->name) ||
		    strlen(app->request->name) > APP_NAME_MAX)
			return error_set(err, -EINVAL,
					 "--name: \"%s\" is not a name: lower-case letters, digits "
					 "and single dashes between them",
					 app->request->name);
		*ret = xstrdup(app->request->name);
		return 0;
	}
	json_object_object_get_ex(app->image, "name", &image_name);
	last = json_object_get_string(image_name);
	slash = strrchr(last, '/');
	name = acname_sanitize(slash ? slash + 1 : last);
	if (!name || strlen(name) > APP_NAME_MAX) {
		free(name);
		return error_set(err, -EINVAL,
				 "no app name can be made of image name %s; use --name", last);
	}
	*ret = name;
	return 0;
}

/* The list at key, made when it is absent. */
static struct json_object *list_at(struct json_object *obj, const char *key)
{
	struct json_object *list = NULL;

	if (json_object_object_get_ex(obj, key, &list) && list)
		return list;
	list = json_object_new_array();
	json_add(obj, key, list);
	return list;
}

static void app_environment(struct json_object *app, const struct pod_request *pod,
			    const struct app_request *request)
{
	struct json_object *env = list_at(app, "environment");

	namevals_overlay(env, &request->environment, false);
	namevals_overlay(env, &pod->inherit_env, true);
	namevals_overlay(env, &pod->set_env_file, false);
	namevals_overlay(env, &pod->set_env, false);
}

static void app_exec(struct json_object *app, const struct app_request *request)
{
	struct json_object *exec;

	if (request->exec) {
		exec = json_object_new_array();
		json_object_array_add(exec, json_object_new_string(request->exec));
		json_add(app, "exec", exec);
	} else {
		exec = list_at(app, "exec");
	}
	for (size_t i = 0; i < request->args.n; i++)
		json_object_array_add(exec, json_object_new_string(request->args.v[i]));
}

/* Without the isolators whose names begin with prefix. */
static struct json_object *isolators_without(struct json_object *list, const char *prefix)
{
	struct json_object *rest = json_object_new_array();

	for (size_t i = 0; i < json_object_array_length(list); i++) {
		struct json_object *isolator = json_object_array_get_idx(list, i), *name;

		json_object_object_get_ex(isolator, "name", &name);
		if (!str_starts_with(json_object_get_string(name), prefix))
			json_object_array_add(rest, json_object_get(isolator));
	}
	return rest;
}

/* In the place of the isolators of the app whose names begin with prefix. */
static void app_replace(struct json_object *app, const char *prefix, struct json_object *isolator)
{
	struct json_object *list = isolators_without(list_at(app, "isolators"), prefix);

	json_object_array_add(list, isolator);
	json_add(app, "isolators", list);
}

/* The isolators that are a number. */
static int app_numbers(struct json_object *app, const struct app_request *request,
		       struct error *err)
{
	const struct {
		const char *option, *text, *name;
		int min, max;
	} rows[] = {
		{"--cpu-shares", request->cpu_shares, "os/linux/cpu-shares", 2, 262144},
		{"--oom-score-adj", request->oom_score_adj, "os/linux/oom-score-adj", -1000, 1000},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct json_object *one = NULL;

		if (!rows[i].text)
			continue;
		if (isolator_number(rows[i].name, rows[i].text, rows[i].min, rows[i].max, &one,
				    err) < 0)
			return error_wrap(err, "%s", rows[i].option);
		app_replace(app, rows[i].name, one);
	}
	return 0;
}

static int app_capabilities(struct json_object *app, const struct app_request *request,
			    struct error *err)
{
	bool retain = request->caps_retain;
	struct json_object *one = NULL;

	if (retain && request->caps_remove)
		return error_set(err, -EINVAL,
				 "--caps-retain and --caps-remove exclude each other");
	if (isolator_capabilities(retain ? ISOLATOR_CAPS_RETAIN : ISOLATOR_CAPS_REMOVE,
				  retain ? request->caps_retain : request->caps_remove, &one,
				  err) < 0)
		return error_wrap(err, retain ? "--caps-retain" : "--caps-remove");
	app_replace(app, "os/linux/capabilities-", one);
	return 0;
}

static int app_isolators(struct json_object *app, const struct app_request *request,
			 struct error *err)
{
	struct json_object *list = list_at(app, "isolators"), *one = NULL;
	int r = 0;

	if (request->memory) {
		if (isolator_memory(request->memory, &one, err) < 0)
			return error_wrap(err, "--memory");
		json_object_array_add(list, one);
	}
	if (request->cpu) {
		if (isolator_cpu(request->cpu, &one, err) < 0)
			return error_wrap(err, "--cpu");
		json_object_array_add(list, one);
	}
	if (request->ulimits.n)
		json_object_array_add(list, isolator_map(ISOLATOR_ULIMIT, &request->ulimits));
	r = app_numbers(app, request, err);
	if (r == 0 && (request->caps_retain || request->caps_remove))
		r = app_capabilities(app, request, err);
	if (r < 0 || !request->seccomp)
		return r;
	if (isolator_seccomp(request->seccomp, &one, err) < 0)
		return error_wrap(err, "--seccomp");
	app_replace(app, ISOLATOR_SECCOMP, one);
	return 0;
}

static int app_gids(struct json_object *app, const char *text, struct error *err)
{
	cleanup_json struct json_object *list = json_object_new_array();
	cleanup_strv struct strv words = STRV_INIT;

	strv_split(&words, text, ',');
	for (size_t i = 0; i < words.n; i++) {
		unsigned long long gid;

		if (!str_to_u64(words.v[i], UINT32_MAX - 1, &gid))
			return error_set(err, -EINVAL,
					 "--supplementary-gids: \"%s\" is not a group id",
					 words.v[i]);
		json_object_array_add(list, json_object_new_int64((int64_t)gid));
	}
	json_add(app, "supplementaryGIDs", take_ptr(list));
	return 0;
}

/* The image's app, or the one an image without gets: the caller's user and group. */
static int app_base(const struct pod_request *pod, const struct pod_app *app,
		    struct json_object **ret, struct error *err)
{
	struct json_object *section = NULL, *copy = NULL;
	cleanup_free char *user = xasprintf("%u", pod->uid), *group = xasprintf("%u", pod->gid);

	json_object_object_get_ex(app->image, "app", &section);
	if (section) {
		if (json_object_deep_copy(section, &copy, NULL) < 0)
			return error_set(err, -ENOMEM, "out of memory");
		*ret = copy;
		return 0;
	}
	if (!app->request->exec)
		return error_set(err, -EINVAL, "the image has no app section; use --exec");
	copy = json_object_new_object();
	json_add(copy, "exec", json_object_new_array());
	json_add_string(copy, "user", user);
	json_add_string(copy, "group", group);
	*ret = copy;
	return 0;
}

static int check_ports(struct json_object *app, struct error *err)
{
	struct json_object *ports = list_at(app, "ports");

	for (size_t i = 0; i < json_object_array_length(ports); i++) {
		struct json_object *port = json_object_array_get_idx(ports, i);
		const char *protocol = "";
		int r = json_get_string(port, "protocol", &protocol, err);

		if (r < 0)
			return r;
		if (strcmp(protocol, "tcp") != 0 && strcmp(protocol, "udp") != 0)
			return error_set(err, -EINVAL,
					 "a port's protocol \"%s\" is neither tcp nor udp",
					 protocol);
	}
	return 0;
}

/* The user that a Docker image names, or NULL. */
static const char *docker_user(struct json_object *image)
{
	return image_manifest_annotation(image, DOCKER_USER);
}

/* The owner of a file is meant, which Docker has no words for. */
static bool names_path(const char *user)
{
	return user && user[0] == '/';
}

/* What the command line says about the user of a Docker image, as that would have said it. */
static void docker_user_annotation(const struct pod_app *app, struct strv *ret)
{
	const struct app_request *request = app->request;
	const char *user = docker_user(app->image);
	const char *text = request->user ? request->user : user;

	if (!user || (!request->user && !request->group) || names_path(request->user))
		return;
	strv_add_owned(ret,
		       xasprintf(DOCKER_USER "=%.*s%s%s", (int)strcspn(text, ":"), text,
				 request->group ? ":" : "", request->group ? request->group : ""));
}

static int build_app(const struct pod_request *pod, const struct pod_app *app,
		     struct json_object **ret, struct error *err)
{
	const struct app_request *request = app->request;
	cleanup_json struct json_object *section = NULL;
	cleanup_strv struct strv warnings = STRV_INIT; /* said when the image was read */
	int r = app_base(pod, app, &section, err);

	if (r < 0)
		return r;
	app_exec(section, request);
	if (json_object_array_length(list_at(section, "exec")) == 0)
		return error_set(err, -EINVAL, "the image names no program to run; use --exec");
	if (request->user)
		json_add_string(section, "user", request->user);
	/* as for Docker's images: who names a user means that user's group */
	if (request->group ||
	    (request->user && !names_path(request->user) && docker_user(app->image)))
		json_add_string(section, "group", request->group ? request->group : request->user);
	if (request->working_dir)
		json_add_string(section, "workingDirectory", request->working_dir);
	if (request->supplementary_gids) {
		r = app_gids(section, request->supplementary_gids, err);
		if (r < 0)
			return r;
	}
	app_environment(section, pod, request);
	r = app_isolators(section, request, err);
	if (r < 0)
		return r;
	list_at(section, "mountPoints");
	app_user_map(section, "userAnnotations", &request->user_annotations);
	app_user_map(section, "userLabels", &request->user_labels);
	r = check_ports(section, err);
	if (r == 0)
		r = app_check(section, &warnings, err);
	if (r == 0)
		*ret = take_ptr(section);
	return r;
}

/* The modes of the streams as annotations (rkt-behaviour 7.9). */
static int stdio_annotations(const struct app_request *request, struct strv *ret, struct error *err)
{
	static const char *const names[] = {"stdin", "stdout", "stderr"};
	static const char *const modes[] = {"null", "stream", "tty", "log"};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		const char *mode = request->stdio[i];
		size_t m = i == 0 ? 3 : 4; /* input is not logged */

		if (!mode)
			continue;
		while (m > 0 && strcmp(mode, modes[m - 1]) != 0)
			m--;
		if (m == 0)
			return error_set(err, -EINVAL, "--%s: unknown mode \"%s\"", names[i], mode);
		strv_add_owned(ret, xasprintf("coreos.com/rkt/stage2/%s=%s", names[i], mode));
	}
	return 0;
}

/* The image's annotations with the command line's laid over them. */
static int app_annotations(const struct pod_app *app, struct json_object **ret, struct error *err)
{
	struct json_object *from_image = NULL, *list = NULL;
	cleanup_strv struct strv stdio = STRV_INIT;
	int r = stdio_annotations(app->request, &stdio, err);

	if (r < 0)
		return r;
	docker_user_annotation(app, &stdio);
	for (size_t i = 0; i < app->request->annotations.n; i++) {
		const char *pair = app->request->annotations.v[i];
		cleanup_free char *key = xstrndup(pair, strcspn(pair, "="));

		if (!acident_is_valid(key))
			return error_set(err, -EINVAL, "--annotation: \"%s\" is not a valid name",
					 key);
	}
	json_object_object_get_ex(app->image, "annotations", &from_image);
	if (!from_image)
		list = json_object_new_array();
	else if (json_object_deep_copy(from_image, &list, NULL) < 0)
		return error_set(err, -ENOMEM, "out of memory");
	namevals_overlay(list, &app->request->annotations, false);
	namevals_overlay(list, &stdio, false);
	*ret = list;
	return 0;
}

int pod_runtime_app(const struct pod_request *pod, const struct pod_app *app,
		    struct json_object *volumes, struct json_object **ret, struct error *err)
{
	cleanup_json struct json_object *section = NULL, *annotations = NULL, *mounts = NULL;
	struct json_object *entry, *image, *name, *labels = NULL;
	int r = build_app(pod, app, &section, err);

	if (r == 0)
		r = app_annotations(app, &annotations, err);
	if (r == 0)
		r = mounts_build(volumes, &app->request->mounts, &pod->mounts, &mounts, err);
	for (size_t i = 0; r == 0 && i < app->request->mnt_volumes.n; i++) {
		struct json_object *mount = NULL;

		r = mount_volume_parse(app->request->mnt_volumes.v[i], &mount, err);
		if (r == 0)
			json_object_array_add(mounts, mount);
	}
	if (r < 0)
		return r;
	image = json_object_new_object();
	json_object_object_get_ex(app->image, "name", &name);
	json_add(image, "name", json_object_get(name));
	json_add_string(image, "id", app->key);
	if (json_object_object_get_ex(app->image, "labels", &labels) && labels)
		json_add(image, "labels", json_object_get(labels));
	entry = json_object_new_object();
	json_add_string(entry, "name", app->name);
	json_add(entry, "image", image);
	json_add(entry, "app", take_ptr(section));
	if (app->request->readonly_rootfs)
		json_add_bool(entry, "readOnlyRootFS", true);
	json_add(entry, "mounts", take_ptr(mounts));
	json_add(entry, "annotations", take_ptr(annotations));
	*ret = entry;
	return 0;
}

int pod_manifest_app(const struct pod_request *pod, struct pod_app *app, struct json_object **ret,
		     struct error *err)
{
	cleanup_json struct json_object *entry = NULL, *reread = NULL;
	int r = pod_app_name(app, &app->name, err);

	if (r == 0)
		r = pod_runtime_app(pod, app, NULL, &entry, err);
	if (r < 0)
		return error_wrap(err, "%s", app->request->image);
	r = json_parse(json_text(entry), strlen(json_text(entry)), "app", &reread, err);
	if (r < 0)
		return error_wrap(err, "an argument is no text (UTF-8)");
	*ret = take_ptr(entry);
	return 0;
}

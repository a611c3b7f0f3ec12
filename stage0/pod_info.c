/* SPDX-License-Identifier: Apache-2.0 */
#include "stage0/pod_info.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/file.h"
#include "common/util.h"
#include "stage0/image_manifest.h"
#include "stage0/volume.h"

#define NUMBER_MAX 32 /* bytes of a file that holds a decimal number */
#define READY_MAX  16 /* bytes of the link that says "ready" */

int pod_read(const struct pod *pod, const char *path, size_t max, char **ret, size_t *ret_len,
	     struct error *err)
{
	cleanup_fd int fd = open_beneath(pod->fd, path, O_RDONLY | O_NONBLOCK, 0);
	cleanup_free char *text = NULL;
	struct stat st;
	int r;

	if (fd < 0)
		return error_set(err, fd, "%s: %s", path, strerror(-fd));
	if (fstat(fd, &st) < 0)
		return error_errno(err, "%s", path);
	if (!S_ISREG(st.st_mode) || st.st_size < 0 || (uint64_t)st.st_size > max)
		return error_set(err, -EINVAL, "%s: not a file of at most %zu bytes", path, max);
	text = malloc((size_t)st.st_size + 1);
	if (!text)
		return error_set(err, -ENOMEM, "%s: out of memory", path);
	r = pread_all(fd, text, (size_t)st.st_size, 0);
	if (r < 0)
		return error_set(err, r, "%s: %s", path, strerror(-r));
	text[st.st_size] = '\0';
	*ret = take_ptr(text);
	*ret_len = (size_t)st.st_size;
	return 0;
}

/* A file that holds a decimal number and maybe a newline. */
static bool read_number(const struct pod *pod, const char *path, unsigned long long max,
			unsigned long long *ret)
{
	cleanup_free char *text = NULL;
	struct error ignored = ERROR_INIT;
	size_t len;

	if (pod_read(pod, path, NUMBER_MAX, &text, &len, &ignored) < 0)
		return false;
	text[strcspn(text, "\n")] = '\0';
	return str_to_u64(text, max, ret);
}

static int64_t ns_of(const struct timespec *ts)
{
	return ts->tv_sec * INT64_C(1000000000) + ts->tv_nsec;
}

static int64_t mtime_of(const struct pod *pod, const char *path)
{
	struct stat st;

	if (fstatat(pod->fd, path, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return 0;
	return ns_of(&st.st_mtim);
}

/* "name:version" of the app's image, by what the pod manifest has copied from it. */
static char *image_name(struct json_object *entry)
{
	struct json_object *image = NULL, *name = NULL, *labels = NULL;
	const char *version = NULL;

	json_object_object_get_ex(entry, "image", &image);
	if (!json_object_is_type(image, json_type_object) ||
	    !json_object_object_get_ex(image, "name", &name) || !name)
		return xstrdup("");
	if (json_object_object_get_ex(image, "labels", &labels) &&
	    json_object_is_type(labels, json_type_array))
		version = namevals_get(labels, "version");
	return xasprintf("%s%s%s", json_object_get_string(name), version ? ":" : "",
			 version ? version : "");
}

/* By its marks (rkt-behaviour 4.3). */
static const char *mutable_app_state(const struct pod_info *info, const struct app_info *app)
{
	if (!app->created)
		return "unknown";
	if (app->ended || info->where != POD_RUN || !info->locked)
		return "exited";
	return app->started ? "running" : "created";
}

static const char *app_state(const struct pod_info *info, const struct app_info *app)
{
	if (info->is_mutable)
		return mutable_app_state(info, app);
	if (app->has_exit_code)
		return "exited";
	switch (info->where) {
	case POD_EMBRYO:
	case POD_PREPARE:
		return "unknown";
	case POD_PREPARED:
		return "created";
	case POD_RUN:
		return info->locked ? "running" : "exited";
	default:
		return "exited";
	}
}

static void read_marks(const struct pod *pod, const char *status, struct app_info *app)
{
	cleanup_free char *created = xasprintf("%s-created", status);
	cleanup_free char *started = xasprintf("%s-started", status);

	app->created = mtime_of(pod, created);
	app->started = mtime_of(pod, started);
	app->ended = mtime_of(pod, status);
	if (app->ended && !app->has_exit_code) { /* it is there, and unreadable */
		app->has_exit_code = true;
		app->exit_code = 1;
	}
}

static int read_app(const struct pod *pod, struct json_object *entry, const struct pod_info *info,
		    struct app_info *ret, struct error *err)
{
	cleanup_free char *status = NULL;
	struct json_object *image = NULL;
	unsigned long long code = 0;
	struct app_info app = {.entry = entry};
	int r;

	if (!json_object_is_type(entry, json_type_object))
		return error_set(err, -EINVAL, "an app is not an object");
	r = json_get_string(entry, "name", &app.name, err);
	if (r == 0)
		r = json_get_object(entry, "app", &app.app, err);
	if (r == 0)
		r = json_get_object(entry, "image", &image, err);
	if (r == 0 && image)
		r = json_get_string(image, "id", &app.image_id, err);
	if (r < 0)
		return r;
	if (!app.name || strchr(app.name, '/'))
		return error_set(err, -EINVAL, "an app has no valid name");
	status = xasprintf("stage1/rootfs/rkt/status/%s", app.name);
	app.has_exit_code = read_number(pod, status, INT_MAX, &code);
	app.exit_code = (unsigned)code;
	if (info->is_mutable)
		read_marks(pod, status, &app);
	app.state = app_state(info, &app);
	app.image_name = image_name(entry);
	*ret = app;
	return 0;
}

static bool is_mutable(struct json_object *manifest)
{
	struct json_object *list = NULL;
	const char *value;

	if (!json_object_object_get_ex(manifest, "annotations", &list) ||
	    !json_object_is_type(list, json_type_array))
		return false;
	value = namevals_get(list, "coreos.com/rkt/stage1/mutable");
	return value && strcmp(value, "true") == 0;
}

static int read_manifest(const struct pod *pod, struct pod_info *info, struct error *err)
{
	cleanup_json struct json_object *doc = NULL;
	cleanup_free char *text = NULL;
	struct json_object *apps = NULL;
	size_t len, n;
	int r = pod_read(pod, "pod", JSON_SIZE_MAX, &text, &len, err);

	if (r == 0)
		r = json_parse(text, len, "pod manifest", &doc, err);
	if (r < 0)
		return r;
	if (!json_object_is_type(doc, json_type_object))
		return error_set(err, -EINVAL, "pod manifest: not a JSON object");
	r = json_get_array(doc, "apps", &apps, err);
	if (r < 0)
		return error_wrap(err, "pod manifest");
	info->manifest = take_ptr(doc);
	info->is_mutable = is_mutable(info->manifest);
	n = apps ? json_object_array_length(apps) : 0;
	info->apps = xcalloc(n ? n : 1, sizeof(*info->apps));
	for (size_t i = 0; i < n; i++) {
		r = read_app(pod, json_object_array_get_idx(apps, i), info, &info->apps[i], err);
		if (r < 0)
			return error_wrap(err, "pod manifest");
		info->napps++;
	}
	return 0;
}

static void read_networks(const struct pod *pod, struct pod_info *info)
{
	cleanup_json struct json_object *doc = NULL;
	cleanup_free char *text = NULL;
	struct error ignored = ERROR_INIT;
	size_t len;

	if (pod_read(pod, "net-info.json", JSON_SIZE_MAX, &text, &len, &ignored) == 0 &&
	    json_parse(text, len, "net-info.json", &doc, &ignored) == 0 &&
	    json_object_is_type(doc, json_type_array) && json_object_array_length(doc) > 0)
		info->networks = take_ptr(doc);
}

int pod_info_read(const struct pod *pod, struct pod_info *ret, struct error *err)
{
	struct pod_info info = {.where = pod->where, .locked = pod_is_locked(pod)};
	struct error manifest_err = ERROR_INIT;
	unsigned long long pid = 0;
	struct stat st;

	info.state = pod_state(info.where, info.locked);
	info.created = mtime_of(pod, "pod-created");
	info.started = mtime_of(pod, "pid");
	if (info.started == 0)
		info.started = mtime_of(pod, "ppid");
	if (read_number(pod, "pid", INT_MAX, &pid) || read_number(pod, "ppid", INT_MAX, &pid))
		info.pid = (int)pid;
	if (info.where >= POD_EXITED_GARBAGE && fstat(pod->fd, &st) == 0)
		info.finished = ns_of(&st.st_ctim);
	read_networks(pod, &info);
	if (read_manifest(pod, &info, &manifest_err) < 0 && info.where != POD_EMBRYO &&
	    info.where != POD_PREPARE) {
		pod_info_free(&info);
		return error_set(err, manifest_err.code, "pod %s: %s", pod->uuid, manifest_err.msg);
	}
	*ret = info;
	return 0;
}

void pod_info_free(struct pod_info *info)
{
	for (size_t i = 0; i < info->napps; i++)
		free(info->apps[i].image_name);
	free(info->apps);
	json_object_put(info->manifest);
	json_object_put(info->networks);
	*info = (struct pod_info){.state = NULL};
}

bool pod_info_is_finished(const struct pod_info *info)
{
	return info->where != POD_PREPARED && !(info->where == POD_RUN && info->locked) &&
	       !(info->where == POD_PREPARE && info->locked) && info->where != POD_EMBRYO;
}

bool pod_is_ready(const struct pod *pod)
{
	char target[READY_MAX];
	cleanup_fd int dir = open_beneath(pod->fd, "stage1/rootfs/rkt", O_RDONLY | O_DIRECTORY, 0);
	ssize_t len = dir < 0 ? -1 : readlinkat(dir, "supervisor-status", target, sizeof(target));

	return len == (ssize_t)strlen("ready") && memcmp(target, "ready", (size_t)len) == 0;
}

/* Copy a member of from, when it holds something. */
static void copy_member(struct json_object *to, const char *to_key, struct json_object *from,
			const char *key)
{
	struct json_object *value = NULL;

	if (from && json_object_object_get_ex(from, key, &value) && value)
		json_add(to, to_key, json_object_get(value));
}

struct app_times pod_info_app_times(const struct pod_info *info, const struct app_info *app)
{
	if (info->is_mutable)
		return (struct app_times){app->created, app->started, app->ended};
	return (struct app_times){info->created, info->started, info->finished};
}

struct json_object *pod_info_app_json(const struct pod_info *info, const struct app_info *app)
{
	const struct app_times times = pod_info_app_times(info, app);
	struct json_object *obj = json_object_new_object();
	struct json_object *mounts;

	json_add_string(obj, "name", app->name);
	json_add_string(obj, "state", app->state);
	if (times.created)
		json_add_int(obj, "created_at", times.created);
	if (times.started)
		json_add_int(obj, "started_at", times.started);
	if (times.finished)
		json_add_int(obj, "finished_at", times.finished);
	if (app->has_exit_code)
		json_add_int(obj, "exit_code", app->exit_code);
	if (app->image_id)
		json_add_string(obj, "image_id", app->image_id);
	mounts = mounts_show(info->manifest, app->entry);
	if (mounts)
		json_add(obj, "mounts", mounts);
	copy_member(obj, "user_annotations", app->app, "userAnnotations");
	copy_member(obj, "user_labels", app->app, "userLabels");
	return obj;
}

struct json_object *pod_info_json(const struct pod *pod, const struct pod_info *info)
{
	struct json_object *obj = json_object_new_object();
	struct json_object *names = json_object_new_array(), *apps = json_object_new_array();

	json_add_string(obj, "name", pod->uuid);
	json_add_string(obj, "state", info->state);
	if (info->networks)
		json_add(obj, "networks", json_object_get(info->networks));
	for (size_t i = 0; i < info->napps; i++) {
		json_object_array_add(names, json_object_new_string(info->apps[i].name));
		json_object_array_add(apps, pod_info_app_json(info, &info->apps[i]));
	}
	json_add(obj, "app_names", names);
	json_add(obj, "apps", apps);
	json_add_int(obj, "created_at", info->created / 1000000000);
	if (info->started)
		json_add_int(obj, "started_at", info->started / 1000000000);
	copy_member(obj, "user_annotations", info->manifest, "userAnnotations");
	copy_member(obj, "user_labels", info->manifest, "userLabels");
	return obj;
}

char *pod_info_networks(const struct pod_info *info)
{
	struct str text = STR_INIT;

	for (size_t i = 0; info->networks && i < json_object_array_length(info->networks); i++) {
		struct json_object *net = json_object_array_get_idx(info->networks, i);
		struct error ignored = ERROR_INIT;
		const char *name = NULL, *ip = NULL;

		if (!json_object_is_type(net, json_type_object) ||
		    json_get_string(net, "netName", &name, &ignored) < 0 ||
		    json_get_string(net, "ip", &ip, &ignored) < 0 || !name || !ip)
			continue;
		str_addf(&text, "%s%s:ip4=%s", text.len ? ", " : "", name, ip);
	}
	return str_take(&text);
}

int pod_find_running(const struct pods *pods, const char *uuid, struct pod *pod,
		     struct pod_info *ret, struct error *err)
{
	int r = pod_find(pods, uuid, pod, err);

	if (r == 0)
		r = pod_info_read(pod, ret, err);
	if (r < 0)
		return r;
	if (ret->where != POD_RUN || !ret->locked)
		return error_set(err, -EINVAL, "pod \"%s\" is not running, but %s", pod->uuid,
				 ret->state);
	return 0;
}

const char *pod_info_choose_app(const struct pod_info *info, const char *wanted, struct error *err)
{
	cleanup_str struct str names = STR_INIT;

	for (size_t i = 0; i < info->napps; i++) {
		if (wanted ? strcmp(info->apps[i].name, wanted) == 0 : info->napps == 1)
			return info->apps[i].name;
		str_addf(&names, "%s%s", i ? ", " : "", info->apps[i].name);
	}
	if (info->napps == 0)
		error_set(err, -ENOENT, "the pod has no apps");
	else if (wanted)
		error_set(err, -ENOENT, "the pod has no app \"%s\", only %s", wanted,
			  str_get(&names));
	else
		error_set(err, -EINVAL, "the pod has several apps, name one with --app: %s",
			  str_get(&names));
	return NULL;
}

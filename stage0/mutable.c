/* SPDX-License-Identifier: Apache-2.0 */
#include "stage0/mutable.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/file.h"
#include "common/log.h"
#include "common/util.h"
#include "stage0/image_find.h"
#include "stage0/image_manifest.h"
#include "stage0/prepare.h"
#include "stage0/stage1.h"

/* Names whose status files would be another app's marks (rkt-behaviour 4.3). */
static const char *const marks[] = {"-created", "-started"};

static int take_lock(struct mutable_pod *mp, struct error *err)
{
	int r;

	mp->lock = openat(mp->pod.fd, "pod.lck", O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (mp->lock < 0)
		return error_errno(err, "pod.lck");
	do
		r = flock(mp->lock, LOCK_EX);
	while (r < 0 && errno == EINTR);
	return r < 0 ? error_errno(err, "pod.lck") : 0;
}

int mutable_open(struct mutable_pod *mp, const char *uuid, bool change, struct error *err)
{
	cleanup_free char *data_dir = NULL;
	int r = globals_data_dir(mp->globals, &data_dir, err);

	if (r == 0)
		r = pods_open(data_dir, &mp->pods, err);
	if (r == 0)
		r = change ? pod_find_running(&mp->pods, uuid, &mp->pod, &mp->info, err)
			   : pod_find(&mp->pods, uuid, &mp->pod, err);
	if (r == 0 && change) {
		r = take_lock(mp, err);
		pod_info_free(&mp->info); /* what it was before the lock */
	}
	if (r == 0)
		r = pod_info_read(&mp->pod, &mp->info, err);
	if (r == 0 && change && !mp->info.is_mutable)
		r = error_set(err, -EINVAL, "pod \"%s\" is not mutable", mp->pod.uuid);
	return r;
}

void mutable_close(struct mutable_pod *mp)
{
	close_fd(&mp->lock);
	pod_info_free(&mp->info);
	pod_close(&mp->pod);
	pods_close(&mp->pods);
}

const struct app_info *mutable_find(const struct mutable_pod *mp, const char *name,
				    struct error *err)
{
	if (!name) {
		error_set(err, -EINVAL, "name an app with --app");
		return NULL;
	}
	for (size_t i = 0; i < mp->info.napps; i++)
		if (strcmp(mp->info.apps[i].name, name) == 0)
			return &mp->info.apps[i];
	error_set(err, -ENOENT, "the pod has no app \"%s\"", name);
	return NULL;
}

/* Readers have no lock: they see the old manifest or the new one. */
static int write_manifest(const struct mutable_pod *mp, struct error *err)
{
	const char *text = json_text(mp->info.manifest);

	return file_write(mp->pod.fd, "pod", text, strlen(text), 0640, err);
}

static struct json_object *apps_of(const struct mutable_pod *mp)
{
	struct json_object *apps = NULL;

	json_object_object_get_ex(mp->info.manifest, "apps", &apps);
	if (!apps) {
		apps = json_object_new_array();
		json_add(mp->info.manifest, "apps", apps);
	}
	return apps;
}

static int take_out_of_manifest(const struct mutable_pod *mp, const char *name, struct error *err)
{
	struct json_object *apps = apps_of(mp), *rest = json_object_new_array();

	for (size_t i = 0; i < json_object_array_length(apps); i++) {
		struct json_object *entry = json_object_array_get_idx(apps, i), *its = NULL;

		if (!json_object_object_get_ex(entry, "name", &its) ||
		    strcmp(json_object_get_string(its), name) != 0)
			json_object_array_add(rest, json_object_get(entry));
	}
	json_add(mp->info.manifest, "apps", rest);
	return write_manifest(mp, err);
}

/* What an app has in the pod's directory. */
static int remove_files(const struct mutable_pod *mp, const char *name, struct error *err)
{
	cleanup_free char *stage2 = xasprintf("stage1/rootfs/opt/stage2/%s", name);
	cleanup_free char *info = xasprintf("appsinfo/%s", name);
	int r = remove_tree(mp->pod.fd, stage2, err);

	if (r < 0 && r != -ENOENT)
		return r;
	r = remove_tree(mp->pod.fd, info, err);
	return r == -ENOENT ? 0 : r;
}

static int load_image(struct store *store, const char *text, struct pod_app *app, struct error *err)
{
	cleanup_strv struct strv warnings = STRV_INIT;
	char key[IMAGE_KEY_LEN + 1];
	int r = image_find(store, text, key, err);

	if (r == 0)
		r = store_manifest(store, key, &app->image, err);
	if (r == 0)
		r = image_manifest_check(app->image, &warnings, err);
	if (r == 0)
		r = image_manifest_runnable(app->image, err);
	if (r < 0)
		return error_wrap(err, "%s", text);
	for (size_t i = 0; i < warnings.n; i++)
		log_warn("%s: %s", text, warnings.v[i]);
	app->key = xstrdup(key);
	return 0;
}

static int check_name(const struct mutable_pod *mp, const char *name, struct error *err)
{
	for (size_t i = 0; i < ARRAY_SIZE(marks); i++)
		if (str_ends_with(name, marks[i]))
			return error_set(err, -EINVAL,
					 "an app of a mutable pod can not be called \"%s\": its "
					 "status would be another's",
					 name);
	for (size_t i = 0; i < mp->info.napps; i++)
		if (strcmp(mp->info.apps[i].name, name) == 0)
			return error_set(err, -EEXIST, "the pod has an app \"%s\"", name);
	return 0;
}

static int put_files(const struct mutable_pod *mp, struct store *store, const struct pod_app *app,
		     struct error *err)
{
	cleanup_json struct json_object *stage1 = NULL;
	cleanup_fd int lock = -1;
	int r = stage1_manifest(&mp->pod, &stage1, err);

	if (r == 0)
		r = remove_files(mp, app->name, err);
	if (r == 0)
		r = prepare_lock(&mp->pods, false, &lock, err);
	return r < 0 ? r : prepare_app(&mp->pod, store, app, stage1_takes_disks(stage1), err);
}

static int call(struct mutable_pod *mp, const char *entry, const char *name, struct error *err)
{
	int r = stage1_app(&mp->pod, mp->info.pid, entry, name, mp->globals->debug, err);

	return r == -ENOENT ? error_set(err, -ENOTSUP, "stage1 does not support mutable pods") : r;
}

static int add(struct mutable_pod *mp, struct store *store, const struct pod_app *app,
	       struct json_object *entry, struct error *err)
{
	struct error ignored = ERROR_INIT;
	int r = check_name(mp, app->name, err);

	if (r < 0)
		return r;
	r = put_files(mp, store, app, err);
	if (r == 0) {
		json_object_array_add(apps_of(mp), json_object_get(entry));
		r = write_manifest(mp, err);
	}
	if (r == 0)
		r = call(mp, "app/add", app->name, err);
	if (r < 0) {
		(void)!take_out_of_manifest(mp, app->name, &ignored);
		(void)!remove_files(mp, app->name, &ignored);
	}
	return r;
}

int mutable_add(struct mutable_pod *mp, const struct app_request *request, struct error *err)
{
	const struct pod_request pod = {.uid = geteuid(), .gid = getegid()};
	cleanup_json struct json_object *entry = NULL;
	struct pod_app app = {.request = request};
	struct store *store = NULL;
	int r = store_open(mp->pods.data_dir, &store, err);

	if (r == 0)
		r = load_image(store, request->image, &app, err);
	if (r == 0)
		r = pod_manifest_app(&pod, &app, &entry, err);
	if (r == 0)
		r = add(mp, store, &app, entry, err);
	json_object_put(app.image);
	free((char *)app.key);
	free(app.name);
	store_close(store);
	return r;
}

int mutable_change(struct mutable_pod *mp, const char *entry, const char *name, struct error *err)
{
	return mutable_find(mp, name, err) ? call(mp, entry, name, err) : err->code;
}

int mutable_remove(struct mutable_pod *mp, const char *name, struct error *err)
{
	int r = mutable_find(mp, name, err) ? call(mp, "app/rm", name, err) : err->code;

	if (r < 0)
		return r;
	r = take_out_of_manifest(mp, name, err);
	return r < 0 ? r : remove_files(mp, name, err);
}

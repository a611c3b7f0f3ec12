/* SPDX-License-Identifier: Apache-2.0 */
/* export: an app's image with what the app changed, from the disk of a pod that has ended. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "common/log.h"
#include "common/util.h"
#include "stage0/cmds.h"
#include "stage0/disk.h"
#include "stage0/image/store.h"
#include "stage0/image_file.h"
#include "stage0/pod_info.h"
#include "stage0/stage1.h"

struct export_options {
	char *app;
	bool overwrite;
};

static const struct option options[] = {
	{"app", OPT_STRING, offsetof(struct export_options, app), .arg = "NAME",
	 .help = "the app to export, in a pod of several"},
	{"overwrite", OPT_BOOL, offsetof(struct export_options, overwrite),
	 .help = "replace FILE.aci if it is there"},
	{.name = NULL},
};

struct source {
	struct store *store;
	const struct app_info *app;
	int disk; /* -1: the app wrote nothing */
};

/* Hold the pod, which has ended, so that nobody removes it meanwhile. */
static int hold_pod(const struct pod *pod, const struct pod_info *info, struct error *err)
{
	if (!(info->where == POD_RUN || info->where == POD_EXITED_GARBAGE) || info->locked)
		return error_set(err, -EBUSY, "pod %s is not exited, but %s", pod->uuid,
				 info->state);
	if (flock(pod->fd, LOCK_SH | LOCK_NB) < 0)
		return error_set(err, -EBUSY, "pod %s is in use", pod->uuid);
	return 0;
}

static bool is_read_only(const struct pod_info *info, size_t i)
{
	struct json_object *apps = NULL, *value = NULL;

	return json_object_object_get_ex(info->manifest, "apps", &apps) &&
	       json_object_object_get_ex(json_object_array_get_idx(apps, i), "readOnlyRootFS",
					 &value) &&
	       json_object_get_boolean(value);
}

/* What the app wrote. */
static int open_disk(const struct pod *pod, const struct pod_info *info, size_t i, int *ret,
		     struct error *err)
{
	cleanup_json struct json_object *stage1 = NULL;
	int r = stage1_manifest(pod, &stage1, err);

	if (r < 0)
		return r;
	*ret = -1;
	if (!stage1_takes_disks(stage1))
		return error_set(err, -ENOTSUP, "pod %s: its stage1 keeps no disk to export",
				 pod->uuid);
	if (is_read_only(info, i))
		return 0;
	*ret = openat(pod->fd, DISK_IMAGE, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (*ret < 0 && errno == ENOENT)
		return error_set(err, -ENODATA,
				 "pod %s kept what its apps wrote in memory (--rw=tmpfs): it is "
				 "gone",
				 pod->uuid);
	return *ret < 0 ? error_errno(err, "pod %s: " DISK_IMAGE, pod->uuid) : 0;
}

static int fill(void *ctx, int fd, struct error *err)
{
	const struct source *source = ctx;
	cleanup_free char *upper = xasprintf("%s" DISK_UPPER, source->app->name);
	uint64_t lost = 0;
	int r = store_export_app(source->store, source->app->image_id, source->disk, upper, fd,
				 &lost, err);

	if (r == 0 && lost)
		log_warn("the pod did not end in order: %llu files never reached its disk",
			 (unsigned long long)lost);
	return r < 0 ? error_wrap(err, "app %s", source->app->name) : 0;
}

static int export_app(const struct pod *pod, const struct pod_info *info,
		      const struct export_options *given, const char *data_dir, const char *path,
		      struct error *err)
{
	const char *name = pod_info_choose_app(info, given->app, err);
	cleanup_store struct store *store = NULL;
	cleanup_fd int disk = -1;
	struct source source;
	size_t i = 0;
	int r;

	if (!name)
		return err->code;
	while (info->apps[i].name != name)
		i++;
	if (!info->apps[i].image_id)
		return error_set(err, -EINVAL, "app %s: the pod does not say of which image", name);
	r = open_disk(pod, info, i, &disk, err);
	if (r == 0)
		r = store_open(data_dir, &store, err);
	if (r < 0)
		return r;
	source = (struct source){store, &info->apps[i], disk};
	return image_file_write(path, given->overwrite, fill, &source, err);
}

static int export_pod(const struct globals *globals, const struct export_options *given,
		      const char *uuid, const char *path, struct error *err)
{
	cleanup_pod_info struct pod_info info = {.state = NULL};
	cleanup_free char *data_dir = NULL;
	cleanup_pod struct pod pod = POD_INIT;
	struct pods pods = {.fd = -1};
	int r;

	if (!str_ends_with(path, ".aci"))
		return error_set(err, -EINVAL, "%s: the name has to end in .aci", path);
	r = globals_data_dir(globals, &data_dir, err);
	if (r == 0)
		r = pods_open(data_dir, &pods, err);
	if (r == 0)
		r = pod_find(&pods, uuid, &pod, err);
	if (r == 0)
		r = pod_info_read(&pod, &info, err);
	if (r == 0)
		r = hold_pod(&pod, &info, err);
	if (r == 0)
		r = export_app(&pod, &info, given, data_dir, path, err);
	pods_close(&pods);
	return r;
}

static int run(struct globals *globals, void *opts, const struct strv *args)
{
	struct error err = ERROR_INIT;

	if (export_pod(globals, opts, args->v[0], args->v[1], &err) == 0)
		return 0;
	log_error("%s", err.msg);
	return EXIT_FAILED;
}

const struct command cmd_export = {
	.name = "export",
	.args = "[options] UUID FILE.aci",
	.summary = "save what an app has left as an image",
	.text = "Write the image of an app with all that the app has changed in it, once its pod "
		"has\n"
		"ended. The result is an image like any other, without dependencies.",
	.options = options,
	.size = sizeof(struct export_options),
	.min_args = 2,
	.max_args = 2,
	.run = run,
};

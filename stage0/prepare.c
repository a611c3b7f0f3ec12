/* SPDX-License-Identifier: Apache-2.0 */
#include "stage0/prepare.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/file.h"
#include "common/log.h"
#include "common/util.h"
#include "stage0/stage1.h"

int prepare_lock(const struct pods *pods, bool alone, int *ret_fd, struct error *err)
{
	cleanup_free char *dir = xasprintf("%s/locks", pods->data_dir);
	cleanup_free char *path = xasprintf("%s/prepareLock", dir);
	cleanup_fd int fd = -1;
	int r;

	if (mkdir(dir, 0750) < 0 && errno != EEXIST)
		return error_errno(err, "%s", dir);
	fd = open(path, O_RDONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0640);
	if (fd < 0)
		return error_errno(err, "%s", path);
	do
		r = flock(fd, alone ? LOCK_EX : LOCK_SH);
	while (r < 0 && errno == EINTR);
	if (r < 0)
		return error_errno(err, "%s", path);
	*ret_fd = take_fd(&fd);
	return 0;
}

static int prepare_stage1(const struct pod *pod, struct store *store,
			  const struct stage1_image *stage1, struct error *err)
{
	cleanup_free char *tree = NULL;
	int r = mkdir_path(pod->fd, "stage1", 0750, err);

	if (r == 0)
		r = pod_write(pod, "stage1/manifest", json_text(stage1->manifest), err);
	if (r == 0)
		r = store_place_tree(store, stage1->key, pod->fd, "stage1/rootfs", STORE_LINK,
				     &tree, err);
	if (r == 0)
		r = pod_write(pod, "stage1TreeStoreID", tree, err);
	if (r == 0)
		r = mkdir_path(pod->fd, "stage1/rootfs/rkt/status", 0755, err);
	return r < 0 ? error_wrap(err, "stage1") : 0;
}

int prepare_app(const struct pod *pod, struct store *store, const struct pod_app *app, bool disk,
		struct error *err)
{
	cleanup_free char *stage2 = xasprintf("stage1/rootfs/opt/stage2/%s", app->name);
	cleanup_free char *place = xasprintf("%s/%s", stage2, disk ? "disk" : "rootfs");
	cleanup_free char *info = xasprintf("appsinfo/%s", app->name);
	cleanup_free char *manifest = xasprintf("%s/manifest", info);
	cleanup_free char *tree_file = xasprintf("%s/treeStoreID", info), *tree = NULL;
	int r = mkdir_path(pod->fd, info, 0750, err);

	if (r == 0)
		r = mkdir_path(pod->fd, stage2, 0755, err);
	if (r == 0)
		r = pod_write(pod, manifest, json_text(app->image), err);
	if (r == 0 && disk)
		r = store_place_disk(store, app->key, pod->fd, place, &tree, err);
	else if (r == 0)
		r = store_place_tree(store, app->key, pod->fd, place, STORE_COPY, &tree, err);
	if (r == 0)
		r = pod_write(pod, tree_file, tree, err);
	return r < 0 ? error_wrap(err, "app %s", app->name) : 0;
}

int prepare_pod(const struct pods *pods, const struct pod *pod, struct store *store,
		const struct stage1_image *stage1, const struct pod_app *apps, size_t n,
		struct json_object *manifest, struct error *err)
{
	bool disks = stage1_takes_disks(stage1->manifest);
	cleanup_fd int lock = -1;
	int r = prepare_lock(pods, false, &lock, err);

	if (r == 0)
		r = pod_write(pod, "pod.lck", "", err);
	if (r == 0 && fchmodat(pod->fd, "pod.lck", 0600, 0) < 0)
		r = error_errno(err, "pod.lck");
	if (r == 0) {
		log_debug("Preparing stage1 %s", stage1->key);
		r = prepare_stage1(pod, store, stage1, err);
	}
	for (size_t i = 0; r == 0 && i < n; i++) {
		log_debug("Preparing app %s, image %s", apps[i].name, apps[i].key);
		r = prepare_app(pod, store, &apps[i], disks, err);
	}
	if (r == 0) {
		log_debug("Writing pod manifest");
		r = pod_write(pod, "pod", json_text(manifest), err);
	}
	return r;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an app left behind, as an ACI.
 *
 * Theory of operation: the image's tree is made here, of the store's indexes, as for a disk. A confined
 * child, which has the layers' data, the pod's disk and the archive and nothing else, lays what the app
 * wrote over it and writes the archive: nothing that was read from the disk comes back but a number.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "common/json.h"
#include "stage0/image/aci_write.h"
#include "stage0/image/confine.h"
#include "stage0/image/store.h"
#include "stage0/image/store_priv.h"
#include "stage0/image/upper.h"

struct job {
	const struct store_rootfs *rootfs;
	struct aci_image image;
	int disk, fd;
	const char *name;
};

/* In the confined child. */
static int work(void *arg, void *result, struct error *err)
{
	struct job *job = arg;
	struct aci_content content;
	struct upper *upper = NULL;
	uint16_t layer = (uint16_t)job->rootfs->nlayers;
	int r = 0;

	if (job->disk >= 0) {
		r = upper_open(job->disk, job->name, &upper, err);
		if (r < 0)
			return r;
		r = upper_merge(upper, job->rootfs->tree, layer, err);
		upper_content(upper, layer, &content);
		job->image.content = &content;
	}
	if (r == 0)
		r = aci_write(&job->image, job->fd, err);
	if (upper)
		*(uint64_t *)result = upper_lost(upper);
	upper_free(upper);
	return r;
}

static int run_confined(struct job *job, uint64_t *ret_lost, struct error *err)
{
	const struct store_rootfs *rootfs = job->rootfs;
	cleanup_free int *fds = xcalloc(rootfs->nlayers + 2, sizeof(*fds));
	struct confined confined = CONFINED_INIT;
	const struct confined_job child = {
		.what = "disk reader",
		.run = work,
		.arg = job,
		.result_len = sizeof(*ret_lost),
		.fds = fds,
		.nfds = rootfs->nlayers + 2,
	};
	int r;

	fds[0] = job->fd;
	fds[1] = job->disk;
	if (rootfs->nlayers > 0)
		memcpy(fds + 2, rootfs->data, rootfs->nlayers * sizeof(*fds));
	r = confined_start(&child, &confined, err);
	return r < 0 ? r : confined_finish(&confined, ret_lost, -1, err);
}

int store_export_app(struct store *store, const char *key, int disk, const char *upper, int fd,
		     uint64_t *ret_lost, struct error *err)
{
	cleanup_json struct json_object *manifest = NULL;
	struct store_rootfs rootfs = STORE_ROOTFS_INIT;
	struct job job = {
		.rootfs = &rootfs,
		.image = {.manifest_last = true, .gzip = true},
		.disk = disk,
		.fd = fd,
		.name = upper,
	};
	int r = store_hold(store, key, err);

	if (r == 0)
		r = store_manifest(store, key, &manifest, err);
	if (r == 0)
		r = store_rootfs_resolve(store, key, &rootfs, err);
	if (r == 0)
		r = store_rootfs_load(store, &rootfs, err);
	if (r == 0) {
		/* what they said is in the tree */
		json_object_object_del(manifest, "dependencies");
		json_object_object_del(manifest, "pathWhitelist");
		job.image.tree = rootfs.tree;
		job.image.data = rootfs.data;
		job.image.manifest = json_text(manifest);
		r = run_confined(&job, ret_lost, err);
	}
	store_rootfs_free(&rootfs);
	return r;
}

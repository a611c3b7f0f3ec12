/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE0_PREPARE_H
#define STAGE0_PREPARE_H

#include <stdbool.h>
#include <stddef.h>

#include "common/error.h"
#include "common/json.h"
#include "stage0/image/store.h"
#include "stage0/pod.h"
#include "stage0/pod_manifest.h"

/* The stage1 image a pod is to be run with. */
struct stage1_image {
	char key[IMAGE_KEY_LEN + 1];
	struct json_object *manifest; /* checked */
};

/*
 * Hold DATA/locks/prepareLock until *ret_fd is closed: shared by everybody who prepares a pod, alone
 * by who has to know what all pods refer to.
 */
int prepare_lock(const struct pods *pods, bool alone, int *ret_fd, struct error *err)
	__attribute__((nonnull));

/*
 * Fill the directory of a pod in prepare (rkt-behaviour 4.4): stage1's tree, the apps' disks or
 * trees, the manifests. A shared lock on DATA/locks/prepareLock keeps images from being collected
 * meanwhile.
 */
int prepare_pod(const struct pods *pods, const struct pod *pod, struct store *store,
		const struct stage1_image *stage1, const struct pod_app *apps, size_t n,
		struct json_object *manifest, struct error *err)
	__attribute__((nonnull(1, 2, 3, 4, 7, 8)));

/*
 * Put one app into the pod: what its manifest has of the image, and the image as a disk or as
 * directories. Under prepare_lock().
 */
int prepare_app(const struct pod *pod, struct store *store, const struct pod_app *app, bool disk,
		struct error *err) __attribute__((nonnull));

#endif

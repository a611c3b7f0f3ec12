/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE0_POD_MANIFEST_PRIV_H
#define STAGE0_POD_MANIFEST_PRIV_H

#include "stage0/pod_manifest.h"

/* Between the files of the pod manifest: the pod as a whole, and one app of it. */

/* The app's name: --name, or the last component of the image's name made valid. */
int pod_app_name(const struct pod_app *app, char **ret, struct error *err) __attribute__((nonnull));

/* An app whose name is set, as an entry of the manifest's apps. volumes: the pod's, or NULL. */
int pod_runtime_app(const struct pod_request *pod, const struct pod_app *app,
		    struct json_object *volumes, struct json_object **ret, struct error *err)
	__attribute__((nonnull(1, 2, 4, 5)));

/* Lay K=V pairs over a {name, value} list, in place. keep: what is in the list stays. */
void namevals_overlay(struct json_object *list, const struct strv *pairs, bool keep)
	__attribute__((nonnull));

/* Lay K=V pairs over the map at key of an app or of a pod. */
void app_user_map(struct json_object *app, const char *key, const struct strv *pairs)
	__attribute__((nonnull));

#endif

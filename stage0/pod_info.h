/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE0_POD_INFO_H
#define STAGE0_POD_INFO_H

#include <stdbool.h>
#include <stdint.h>

#include "common/json.h"
#include "stage0/pod.h"

/*
 * What a pod's directory tells about it (rkt-behaviour 4.3, 4.4). Times are nanoseconds since 1970,
 * 0 when unknown. The tree may have been written by the pod: nothing in it is trusted or followed.
 */

struct app_info {
	struct json_object *entry; /* in the manifest */
	const char *name;
	char *image_name;     /* NAME or NAME:VERSION */
	const char *image_id; /* or NULL */
	const char *state;
	bool has_exit_code;
	unsigned exit_code;
	int64_t created, started,
		ended;		 /* of a mutable pod's, what its marks say; 0: there is none */
	struct json_object *app; /* its app section, or NULL */
};

struct pod_info {
	const char *state;
	enum pod_where where;
	bool locked;
	bool is_mutable; /* apps come and go */
	int64_t created, started, finished;
	int pid;		      /* 0: unknown */
	struct json_object *manifest; /* NULL: there is none yet, or no valid one */
	struct json_object *networks; /* net-info.json, an array, or NULL */
	struct app_info *apps;
	size_t napps;
};

/* Read a pod. An unreadable manifest is an error only when the pod is past prepare. */
int pod_info_read(const struct pod *pod, struct pod_info *ret, struct error *err)
	__attribute__((nonnull));
void pod_info_free(struct pod_info *info) __attribute__((nonnull));
#define cleanup_pod_info cleanup(pod_info_free)

/*
 * The name of the app wanted, or of the only one there is if wanted is NULL; NULL and why, with the
 * names there are, otherwise.
 */
const char *pod_info_choose_app(const struct pod_info *info, const char *wanted, struct error *err)
	__attribute__((nonnull(1, 3)));

/* The running pod that uuid names, and what is known of it; another state is an error that says so. */
int pod_find_running(const struct pods *pods, const char *uuid, struct pod *pod,
		     struct pod_info *ret, struct error *err) __attribute__((nonnull));

/* Whether the pod's apps have all ended, for good. */
bool pod_info_is_finished(const struct pod_info *info) __attribute__((nonnull));
/* Whether stage1 has said that the apps are up. */
bool pod_is_ready(const struct pod *pod) __attribute__((nonnull));

/* The object that list and status print as JSON (rkt-behaviour 2.9). */
struct json_object *pod_info_json(const struct pod *pod, const struct pod_info *info)
	__attribute__((nonnull));
/* Likewise one app's. */
struct json_object *pod_info_app_json(const struct pod_info *info, const struct app_info *app)
	__attribute__((nonnull));

/* When an app was created, started, and has ended; 0: unknown. */
struct app_times {
	int64_t created, started, finished;
};
struct app_times pod_info_app_times(const struct pod_info *info, const struct app_info *app)
	__attribute__((nonnull));

/* "NAME:ip4=A, NAME2:ip4=B". The caller frees it. */
char *pod_info_networks(const struct pod_info *info) __attribute__((nonnull));

/* Read a small file of the pod; never follows a link. The caller frees *ret. */
int pod_read(const struct pod *pod, const char *path, size_t max, char **ret, size_t *ret_len,
	     struct error *err) __attribute__((nonnull));

#endif

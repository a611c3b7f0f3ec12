/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMM_POD_VOLUME_H
#define VMM_POD_VOLUME_H

#include <json-c/json.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/error.h"
#include "vmm/agent_proto.h"

/*
 * Volumes of a pod and where its apps have them (rkt-behaviour.md section 7.6, images.md section 5).
 *
 * What a pod's manifest declares, what its apps' mounts name and what their images' mount points ask
 * for becomes one list of volumes, those that somebody mounts, and a list of mounts for each app.
 * Nothing of the host is looked at before pod_volumes_look(), so that a pod is the same everywhere.
 */

#define POD_VOLUMES_MAX PLAN_VOLUMES_MAX /* of a pod, those nobody declared included */
#define POD_MOUNTS_MAX	PLAN_MOUNTS_MAX	 /* of an app */
#define POD_SHARES_MAX                                                                             \
	32 /* volumes of the host's: each is a device, and a process that serves it */
#define POD_PATH_MAX 4095 /* bytes of a path: PATH_MAX without its NUL */
#define POD_TAG_SIZE 8	  /* bytes of a share's tag with its NUL */

enum pod_volume_kind {
	POD_VOLUME_EMPTY,
	POD_VOLUME_HOST,
};

struct pod_volume {
	char *name;
	enum pod_volume_kind kind;

	/* the host's */
	char *source;		/* absolute */
	char tag[POD_TAG_SIZE]; /* of its virtio-fs device: v0, v1, ... in the order of the list */
	bool recursive;		/* what is mounted below the source is there, too */
	bool is_file;		/* known after pod_volumes_look() */

	/* empty ones */
	uint32_t mode, uid, gid;
	bool seeded; /* begins as the image's directory it is mounted on, whose attributes it has */

	bool read_only; /* for everybody: the host lets nobody write to it */
};

struct pod_mount {
	unsigned volume; /* in the list */
	char *path;	 /* absolute, without empty parts and dots; parents come before children */
	bool read_only;
};

struct pod_spec;

/*
 * Of the manifest, whose apps were read already: fills in pod->volumes, pod->apps[].mounts, and
 * adds to pod->notes what was made for mount points that have no volume. On failure what was made
 * is pod's to pod_free() all the same.
 */
int pod_volumes_parse(struct json_object *manifest, struct pod_spec *pod, struct error *err)
	__attribute__((nonnull));

/*
 * Look at the sources of the host's volumes: fills in is_file. -ENOENT and the like when one is not
 * there, -ENOTSUP when it is neither a directory nor a file, which a guest could not use.
 */
int pod_volumes_look(struct pod_spec *pod, struct error *err) __attribute__((nonnull));

void pod_volumes_free(struct pod_spec *pod) __attribute__((nonnull));

#endif

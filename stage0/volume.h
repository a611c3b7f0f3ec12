/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE0_VOLUME_H
#define STAGE0_VOLUME_H

#include "common/error.h"
#include "common/json.h"
#include "common/str.h"

/*
 * Volumes and mounts, from the command line to the pod manifest and back (rkt-behaviour 2.2, 2.3, 7.6;
 * images.md 5.1). Which volume a mount point of an image gets is stage1's to say.
 */

/*
 * Add --volume's "NAME,kind=host,source=PATH[,readOnly=BOOL][,recursive=BOOL]" or "NAME,kind=empty
 * [,mode=MODE][,uid=N][,gid=N][,readOnly=BOOL]" to a pod manifest's volumes. -EEXIST: the name is
 * taken.
 */
int volume_add(struct json_object *volumes, const char *text, struct error *err)
	__attribute__((nonnull));

/*
 * The mounts of an app: its own "volume=NAME,target=PATH", then those for all apps at whose targets
 * it has none of its own. All volumes must be among those of the manifest. The caller puts *ret.
 */
int mounts_build(struct json_object *volumes, const struct strv *own, const struct strv *all,
		 struct json_object **ret, struct error *err) __attribute__((nonnull(2, 3, 4, 5)));

/*
 * A mount that brings its volume with it, as app add has them: "name=NAME,kind=...,target=PATH", with
 * the keys of volume_add(). The caller puts *ret.
 */
int mount_volume_parse(const char *text, struct json_object **ret, struct error *err)
	__attribute__((nonnull));

/* Check the volumes of a manifest somebody else wrote, and that its apps mount no others. */
int volumes_check(struct json_object *manifest, struct error *err) __attribute__((nonnull));

/* Whether the sources of the host's volumes in a checked manifest are there. */
int volumes_check_sources(struct json_object *manifest, struct error *err) __attribute__((nonnull));

/*
 * What an app of a manifest has mounted, as status shows it: {name, container_path, host_path,
 * read_only} each. NULL: nothing. Anything malformed is left out. The caller puts it.
 */
struct json_object *mounts_show(struct json_object *manifest, struct json_object *app)
	__attribute__((nonnull));

#endif

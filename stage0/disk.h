/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE0_DISK_H
#define STAGE0_DISK_H

#include "common/error.h"
#include "common/json.h"
#include "stage0/pod.h"

/*
 * Where what a pod's apps write is kept: on an ext4 disk in the pod's directory, or in the guest's
 * memory. stage1 is told by the files named in vmm/shape.h and vmm/pod_rate.h.
 */

#define DISK_SIZE_DEFAULT "4Gi" /* sparse: costs what is written */

struct disk_options {
	char *rw;   /* disk or tmpfs */
	char *size; /* NULL: DISK_SIZE_DEFAULT */
	char *rate; /* NULL: no limit */
};

/* The words, and that they go together. */
int disk_options_check(const struct disk_options *options, struct error *err)
	__attribute__((nonnull));

/*
 * Say in the directory of the prepared pod of that manifest how large its disk is, if it has one: some
 * app writes, or may come later, or a volume is empty at first. Replaces what a launch that failed may
 * have left.
 */
int disk_write(const struct disk_options *options, const struct pod *pod,
	       struct json_object *manifest, struct error *err) __attribute__((nonnull));

/* Make the disk that disk_write() has promised. */
int disk_make(const struct pod *pod, struct json_object *manifest, struct error *err)
	__attribute__((nonnull));

#define DISK_FILE  "disk"     /* in the pod's directory: its size */
#define DISK_IMAGE "disk.img" /* likewise: itself */

/* On the disk, behind the name of an app: what it wrote, and overlayfs's own. */
#define DISK_UPPER ".upper"
#define DISK_WORK  ".work"

#endif

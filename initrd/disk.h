/* SPDX-License-Identifier: Apache-2.0 */
#ifndef INITRD_DISK_H
#define INITRD_DISK_H

#include "initrd/plan.h"
#include "initrd/text.h"

/* The pod's disk: an ext4 file system for what its apps write. */

#define INIT_DISK "/disk" /* where it is mounted, before any app is started */

/*
 * The directory of init's in which the pod's writable file system is: absolute, without a slash at
 * its end, "" for the initial root, a tmpfs. Also true in an app's namespace until its root is entered.
 */
static inline const char *init_disk_dir(const struct init_plan *pod)
{
	return pod->disk ? INIT_DISK : "";
}

/* Mount the block device. */
int init_disk_mount(const char *device, struct init_text *why) __attribute__((nonnull));

/*
 * Make the root of the app of that name at /root: /lower, the directory "root" of the working
 * directory above, and above both what the app writes, on the disk.
 */
int init_disk_overlay(const char *app, struct init_text *why) __attribute__((nonnull));

/* Bring everything to the disk: the VM may end when this has returned. */
void init_disk_sync(void);

#endif

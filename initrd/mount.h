/* SPDX-License-Identifier: Apache-2.0 */
#ifndef INITRD_MOUNT_H
#define INITRD_MOUNT_H

#include <stdint.h>

#include "initrd/plan.h"
#include "initrd/text.h"

/* Init's own mounts, and the root an app sees. */

/* Directories the initrd brings: build/initrd/initrd is made with these and /init. */
#define INIT_DIRS "dev lower upper root pts proc"

/* Mount /dev (devtmpfs), where the images' block devices are, and /proc, which apps share. */
int init_mount_boot(struct init_text *why) __attribute__((nonnull));

/* Mount a fresh devpts at /pts, for the terminal of an app. */
int init_mount_pts(struct init_text *why) __attribute__((nonnull));

/* Make the directory that is /dev/shm of all apps; a single app has one to itself without. */
int init_mount_shm(struct init_text *why) __attribute__((nonnull));

/*
 * Let the apps' writable layers grow to half of the memory (bytes), and as many files as that has
 * pages: tmpfs's own rule, which looked at what there was at boot.
 */
int init_mount_resize(uint64_t memory, struct init_text *why) __attribute__((nonnull));

/*
 * Build the root of the pod's app number index out of its image and move the caller into it: / and
 * the working directory are that root afterwards. To be called in a mount namespace of its own, with
 * umask 0. pod says what /etc holds. 0, or a negative errno and why.
 */
int init_mount_root(const struct init_plan_app *app, unsigned index, const struct init_plan *pod,
		    struct init_text *why) __attribute__((nonnull));

#endif

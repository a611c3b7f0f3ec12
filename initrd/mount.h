/* SPDX-License-Identifier: Apache-2.0 */
#ifndef INITRD_MOUNT_H
#define INITRD_MOUNT_H

#include <stdbool.h>

#include "initrd/plan.h"
#include "initrd/text.h"

/* Init's own mounts, and the root an app sees. */

/* Directories the initrd brings: build/initrd/initrd is made with these and /init. */
#define INIT_DIRS "dev lower upper root pts proc"

/* Mount /dev (devtmpfs), where the images' block devices are. */
int init_mount_boot(struct init_text *why) __attribute__((nonnull));

/* Mount init's own /proc or a fresh devpts at /pts; needed for some pods only. */
int init_mount_proc(struct init_text *why) __attribute__((nonnull));
int init_mount_pts(struct init_text *why) __attribute__((nonnull));

/* Write INIT_HOSTNAME_FILE, which apps see as /etc/hostname. */
#define INIT_HOSTNAME_FILE "/hostname"
int init_mount_hostname(const char *hostname, struct init_text *why) __attribute__((nonnull));

/*
 * Build the app's root out of its image and move the caller into it: / and the working directory
 * are that root afterwards. To be called in a mount namespace of its own, with umask 0. tty: /pts
 * becomes its /dev/pts; hostname: INIT_HOSTNAME_FILE exists. 0, or a negative errno and why.
 */
int init_mount_root(const struct init_plan_app *app, bool tty, bool hostname, struct init_text *why)
	__attribute__((nonnull));

#endif

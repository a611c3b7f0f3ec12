/* SPDX-License-Identifier: Apache-2.0 */
#ifndef INITRD_TARGET_H
#define INITRD_TARGET_H

#include <limits.h>
#include <stdbool.h>

/* Where an app's volumes are mounted: paths of its root, whose links are an image's. */

struct init_target {
	int fd;		     /* of it, with O_PATH: the caller's */
	char path[PATH_MAX]; /* absolute in the root, without links */
};

/*
 * Find path, absolute, in the directory root as a process would whose root that is: nothing leads
 * out of it. Missing directories are made, at the end a file if file is set. 0, or -ENOTDIR and the
 * like; -EISDIR when it is a directory and must be a file, -EPERM where nothing may be mounted: at
 * the root, and in /proc.
 */
int init_target_open(int root, const char *path, bool file, struct init_target *ret)
	__attribute__((nonnull));

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE0_UNPACK_H
#define STAGE0_UNPACK_H

#include <stdbool.h>

#include "common/error.h"
#include "stage0/command.h"

/* What image extract and image render have in common. */

struct unpack_options {
	bool overwrite;
	bool rootfs_only;
};

extern const struct option unpack_options[];

/*
 * Unpack the image that text means into the new directory path; with overwrite in the place of what
 * is there, all at once. dependencies: with what it depends on. -EEXIST: path is there; -EINVAL: it
 * is nothing that may be overwritten.
 */
int unpack(const struct globals *globals, const char *text, const char *path,
	   const struct unpack_options *options, bool dependencies, struct error *err)
	__attribute__((nonnull));

#endif

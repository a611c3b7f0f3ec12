/* SPDX-License-Identifier: Apache-2.0 */
#ifndef INITRD_MASK_H
#define INITRD_MASK_H

#include "initrd/text.h"

/* Files of the kernel that are not for apps (rkt-behaviour 7.3): hidden, or read only. */

/* Make what is put over hidden paths; once, in init's namespace. */
int init_mask_make(struct init_text *why) __attribute__((nonnull));

/*
 * Cover the paths in the tree at /root, whose /proc and /sys are mounted. What is not there is fine.
 * The working directory is another one afterwards.
 */
int init_mask_paths(struct init_text *why) __attribute__((nonnull));

#endif

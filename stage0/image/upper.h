/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE0_IMAGE_UPPER_H
#define STAGE0_IMAGE_UPPER_H

#include <stdint.h>

#include "common/error.h"
#include "stage0/image/aci_write.h"
#include "stage0/image/tree.h"

/*
 * What an app has written, on the ext4 disk of its pod, as overlayfs keeps it: the upper directory.
 * The disk is the guest's, which may have written anything: for confined processes only.
 */

struct upper;

/*
 * Open the directory of that name in the disk's root. *ret is the caller's. -EBADMSG: the disk is no
 * sound file system; -ENOENT: it has no such directory.
 */
int upper_open(int fd, const char *name, struct upper **ret, struct error *err)
	__attribute__((nonnull));
void upper_free(struct upper *upper); /* NULL is fine */

/*
 * Lay it over the finished tree of the app's image: files, directories, whiteouts. New inodes belong
 * to the layer, and upper_content() has their content. The tree is finished again.
 */
int upper_merge(struct upper *upper, struct tree *tree, uint16_t layer, struct error *err)
	__attribute__((nonnull));
void upper_content(struct upper *upper, uint16_t layer, struct aci_content *ret)
	__attribute__((nonnull));

/* Names of files that never reached the disk, because the guest did not end in order: left out. */
uint64_t upper_lost(const struct upper *upper) __attribute__((nonnull));

#endif

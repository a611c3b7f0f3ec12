/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE0_IMAGE_ACI_WRITE_H
#define STAGE0_IMAGE_ACI_WRITE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"
#include "stage0/image/tree.h"

/* An ACI made of a tree and a manifest. */

/* Bytes of a file that are no hole. */
struct aci_piece {
	uint64_t start, len;
};

/* Contents of files that are in no layer's data. */
struct aci_content {
	uint16_t layer; /* of the inodes it is for */
	/* What is there of a file, ascending and within its size. The caller frees *ret. */
	int (*pieces)(void *ctx, const struct tree_inode *inode, struct aci_piece **ret,
		      size_t *ret_n, struct error *err);
	/* len bytes at pos, holes read as zeroes */
	int (*read)(void *ctx, const struct tree_inode *inode, uint64_t pos, void *dst, size_t len,
		    struct error *err);
	void *ctx;
};

struct aci_image {
	const struct tree *tree;	   /* finished */
	const int *data;		   /* of the layers, by number */
	const struct aci_content *content; /* NULL: all of it is in layers */
	const char *manifest;
	bool manifest_last;
	bool gzip;
};

/* Write it to fd, which stays the caller's. */
int aci_write(const struct aci_image *image, int fd, struct error *err) __attribute__((nonnull));

#endif

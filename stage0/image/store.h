/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE0_IMAGE_STORE_H
#define STAGE0_IMAGE_STORE_H

#include <json-c/json.h>

#include "common/error.h"
#include "common/str.h"

/*
 * The image store: DATA/cas. Everything in it is content-addressed, written aside and renamed, so
 * what is visible is whole and verified, and any number of tripods may use it at once.
 *
 *   cas/layer/KEY/data    contents of one archive's files (an ACI, or one OCI layer), each file at
 *                         a 4 KiB boundary, in archive order: written once, as the stream arrives
 *   cas/layer/KEY/index   every entry of the archive with its attributes and where its content is
 *                         in data, in archive order
 *   cas/layer/KEY/layers  an image of several layers: their keys, base first, instead of the above
 *   cas/imageManifest/... image manifests
 *   cas/tree/ID/disk/N    a rendered image: the files 0, 1, 2 ... one after the other, each padded
 *                         to 4 KiB, are one read-only EROFS file system. 0 is the metadata, the
 *                         others are hard links to the data of the layers it is made of, so a layer
 *                         is on disk and in the page cache once, whatever images use it
 *   cas/tree/ID/rootfs/   an image unpacked as loose files: stage1 images, and apps of a stage1
 *                         that wants directories
 */

#define IMAGE_KEY_LEN 71 /* "sha512-" and the first 64 hexadecimal digits of the image ID */

struct store;

/* Open (and create on demand) the store of a data directory. The caller closes *ret. */
int store_open(const char *data_dir, struct store **ret, struct error *err)
	__attribute__((nonnull));
void store_close(struct store *store); /* NULL is fine */
static inline void store_closep(struct store **store)
{
	store_close(*store);
}
#define cleanup_store cleanup(store_closep)

/* Remove what processes that died left half-made. Work going on is left alone. */
int store_sweep(struct store *store, struct error *err) __attribute__((nonnull));

/*
 * Import an ACI from fd (a file, pipe or socket) in one streaming pass: decompress, hash, check,
 * store. what names it in messages. The image is in the store when this returns 0; a failure at any
 * point leaves nothing visible. An image that is there already is not stored again.
 */
int store_import_aci(struct store *store, int fd, const char *what, char ret_key[IMAGE_KEY_LEN + 1],
		     struct error *err) __attribute__((nonnull));

/* The manifest of an image in the store; the caller puts it. -ENOENT: no such image. */
int store_manifest(struct store *store, const char *key, struct json_object **ret,
		   struct error *err) __attribute__((nonnull));

/*
 * The image a user means by an ID: "sha512-" and at least two digits, as many as make it the only
 * one; digits beyond a key's are left out of account. -EINVAL: no ID, or too short a one; -ENOENT:
 * there is none; -ENOTUNIQ: there are several.
 */
int store_find_id(struct store *store, const char *id, char ret_key[IMAGE_KEY_LEN + 1],
		  struct error *err) __attribute__((nonnull));

/*
 * The image of that name whose manifest has all these labels (an array of {name, value}, or NULL);
 * of several the one imported last. -ENOENT: there is none.
 */
int store_find(struct store *store, const char *name, struct json_object *labels,
	       char ret_key[IMAGE_KEY_LEN + 1], struct error *err)
	__attribute__((nonnull(1, 2, 4, 5)));

/*
 * Render the image with its dependencies (once; cached) and link its disk files 0, 1, ... into the
 * new directory dirfd/path. *ret_tree_id (malloc()ed, may be NULL) is what to record as the pod's reference.
 */
int store_place_disk(struct store *store, const char *key, int dirfd, const char *path,
		     char **ret_tree_id, struct error *err) __attribute__((nonnull(1, 2, 4, 6)));

/*
 * Write the image's archive to fd, as it was before compression; its digest is checked to be the
 * image's ID while it goes by. -EBADMSG: what was written is worth nothing. -EINVAL: the image came
 * as OCI layers, so it never was an archive.
 */
int store_export_aci(struct store *store, const char *key, int fd, struct error *err)
	__attribute__((nonnull));

/* How store_place_tree() makes the files. */
enum store_place {
	STORE_LINK, /* hard links to the cache: for stage1, which never changes its own files */
	STORE_COPY, /* files of the pod's own, writable */
};

/* Unpack the image's rootfs as loose files into the new directory dirfd/path. */
int store_place_tree(struct store *store, const char *key, int dirfd, const char *path,
		     enum store_place how, char **ret_tree_id, struct error *err)
	__attribute__((nonnull(1, 2, 4, 7)));

#endif

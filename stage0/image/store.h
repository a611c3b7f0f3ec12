/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE0_IMAGE_STORE_H
#define STAGE0_IMAGE_STORE_H

#include <json-c/json.h>
#include <stdbool.h>
#include <stdint.h>

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
 *   cas/layer/KEY/info    the digests and sizes of the above
 *   cas/imageManifest/... image manifests, checked; an image is there when its manifest is
 *   cas/imageInfo/KEY     when it was imported, whether as latest; its mtime is the last use
 *   cas/remote/HASH       what is known of a URL
 *   cas/tree/ID/disk/N    a rendered image: the files 0, 1, 2 ... one after the other, each padded
 *                         to 4 KiB, are one read-only EROFS file system. 0 is the metadata, the
 *                         others are hard links to the data of the layers it is made of, so a layer
 *                         is on disk and in the page cache once, whatever images use it
 *   cas/tree/ID/image     the key of the image it was rendered for
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
 * Whoever is given a key by this store object (by an import or a find) holds the image until the
 * store is closed: nobody removes it meanwhile. Readers share an image; who removes it must be
 * alone. To hold a key that came from elsewhere: */
int store_hold(struct store *store, const char *key, struct error *err) __attribute__((nonnull));

/* Said of an image when it is put into the store. */
struct store_import_info {
	bool latest; /* it was fetched without a version, or with the tag "latest" */
};

/*
 * An image that was read to its end, checked, and is ready to become visible: for those who have to
 * see its manifest, or a signature's verdict, before they want it.
 */
struct store_staged;

/*
 * Read an ACI from fd (a file, pipe or socket) in one streaming pass: decompress, hash, check, its
 * manifest too (images.md 11). what names it in messages. Nothing is visible in the store before the
 * commit, nothing is left of it when it is freed instead.
 */
int store_stage_aci(struct store *store, int fd, const char *what, struct store_staged **ret,
		    struct error *err) __attribute__((nonnull));
const char *store_staged_key(const struct store_staged *staged) __attribute__((nonnull));
/* The whole image ID: "sha512-" and 128 digits. */
const char *store_staged_id(const struct store_staged *staged) __attribute__((nonnull));
/* The checked manifest (image_manifest.h), which stays staged's. */
struct json_object *store_staged_manifest(const struct store_staged *staged)
	__attribute__((nonnull));
/* Make it visible. An image that is there already is not stored again, but counts as used. */
int store_staged_commit(struct store_staged *staged, const struct store_import_info *info,
			struct error *err) __attribute__((nonnull));
void store_staged_free(struct store_staged *staged); /* NULL is fine */
static inline void store_staged_freep(struct store_staged **staged)
{
	store_staged_free(*staged);
}
#define cleanup_staged cleanup(store_staged_freep)

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

/* What the store knows of an image besides its manifest. Times in nanoseconds since 1970. */
struct store_image {
	int64_t import_time; /* of the first import */
	int64_t last_used;   /* imported, rendered or placed */
	bool latest;	     /* as last imported */
	uint64_t size;	     /* of its archives before compression, all layers */
	uint64_t tree_size;  /* of what was rendered for it alone: no content of layers */
};
int store_image(struct store *store, const char *key, struct store_image *ret, struct error *err)
	__attribute__((nonnull));
/* Say that the image is used now. Only a hint for who collects old ones: it can not fail. */
void store_image_used(struct store *store, const char *key) __attribute__((nonnull));
/* Add the keys of all images. They are not held. */
void store_images(struct store *store, struct strv *ret) __attribute__((nonnull));

/*
 * Be the only one who fetches from a URL; wait for who does now, and say so. Returns a descriptor,
 * for store_unlock_url(), or a negative errno.
 */
int store_lock_url(struct store *store, const char *url, bool *ret_waited, struct error *err)
	__attribute__((nonnull));
void store_unlock_url(struct store *store, const char *url, int *lock) __attribute__((nonnull));

/* What is known of a URL an image was fetched from. */
struct store_remote {
	char *signature_url; /* owned, as is etag; NULL: none */
	char *etag;
	char key[IMAGE_KEY_LEN + 1]; /* of the image it gave */
	int64_t max_age; /* seconds from time on in which nobody need ask again; 0: none */
	int64_t time;	 /* of the download, seconds since 1970 */
};
/* -ENOENT: nothing is known, or the image is gone. The caller frees *ret. The image is held. */
int store_remote_get(struct store *store, const char *url, struct store_remote *ret,
		     struct error *err) __attribute__((nonnull));
int store_remote_put(struct store *store, const char *url, const struct store_remote *remote,
		     struct error *err) __attribute__((nonnull));
void store_remote_free(struct store_remote *remote) __attribute__((nonnull));

/* The directory for downloads that can be resumed. Returns a descriptor, the caller's. */
int store_open_partial(struct store *store, struct error *err) __attribute__((nonnull));

/*
 * Remove an image: its manifest, what is known of it, and its content as far as no other image has
 * it too. Rendered trees stay. -ENOENT: there is none; -EBUSY: somebody uses it now.
 */
int store_remove(struct store *store, const char *key, struct error *err) __attribute__((nonnull));

/* Add the IDs of all rendered trees. */
void store_trees(struct store *store, struct strv *ret) __attribute__((nonnull));
/* The image a tree was rendered for; false when that is not known. */
bool store_tree_image(struct store *store, const char *id, char ret_key[IMAGE_KEY_LEN + 1])
	__attribute__((nonnull));
/* Remove a rendered tree. -EBUSY: somebody uses it now. */
int store_tree_remove(struct store *store, const char *id, struct error *err)
	__attribute__((nonnull));

/*
 * Remove what nothing refers to: layers of no image that are older than age (nanoseconds), downloads
 * nobody went on with for a week, and what is remembered of images and URLs of images that are
 * gone. What somebody uses now stays for another time.
 */
int store_collect(struct store *store, int64_t age, struct error *err) __attribute__((nonnull));

/*
 * The image a user means by an ID: "sha512-" and at least two digits, as many as make it the only
 * one; digits beyond a key's are left out of account. -EINVAL: no ID, or too short a one; -ENOENT:
 * there is none; -ENOTUNIQ: there are several.
 */
int store_find_id(struct store *store, const char *id, char ret_key[IMAGE_KEY_LEN + 1],
		  struct error *err) __attribute__((nonnull));

/*
 * The image of that name whose manifest has all these labels (an array of {name, value}, or NULL).
 * When the labels do not ask for a version, images with the latest flag go first; among equals the
 * one imported last (images.md 3). -ENOENT: there is none.
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

/* Have the image's disk rendered, for whoever runs it next. */
int store_render_image(struct store *store, const char *key, struct error *err)
	__attribute__((nonnull));

/*
 * Write the image to fd as an ACI: an ACI as it was before compression, its digest checked to be the
 * image's ID while it goes by; an image of layers as an archive made of their merged tree, the same
 * whenever it is made. -EBADMSG: what was written is worth nothing.
 */
int store_export_aci(struct store *store, const char *key, int fd, struct error *err)
	__attribute__((nonnull));

/*
 * Write what an app of a pod has left as an ACI, compressed with gzip, its manifest last: the image of
 * that key with its dependencies, and above it the directory upper of the ext4 disk (-1: nothing was
 * written). The disk is read by a confined process. *ret_lost counts names whose files never reached
 * the disk.
 */
int store_export_app(struct store *store, const char *key, int disk, const char *upper, int fd,
		     uint64_t *ret_lost, struct error *err) __attribute__((nonnull));

/* How store_place_tree() makes the files. */
enum store_place {
	STORE_LINK, /* hard links to the cache: for stage1, which never changes its own files */
	STORE_COPY, /* files of the pod's own, writable */
};

/* Unpack the image's rootfs as loose files into the new directory dirfd/path. */
int store_place_tree(struct store *store, const char *key, int dirfd, const char *path,
		     enum store_place how, char **ret_tree_id, struct error *err)
	__attribute__((nonnull(1, 2, 4, 7)));

/* What store_unpack() makes. */
struct store_unpack {
	bool dependencies; /* with all images it depends on, and whitelists applied */
	bool rootfs_only;  /* the content of rootfs, instead of the manifest and rootfs */
};

/*
 * Unpack an image for the user into the new directory dirfd/path, which nobody else can enter before
 * all is there. warnings gets what could not be made as it is. On failure nothing is left.
 */
int store_unpack(struct store *store, const char *key, const struct store_unpack *how, int dirfd,
		 const char *path, struct strv *warnings, struct error *err)
	__attribute__((nonnull));

/*
 * Check all that the store has of an image and its dependencies against the digests they are named
 * by, and what was rendered of them against the same. It is rendered if it was not. -EBADMSG: it is
 * damaged.
 */
int store_verify(struct store *store, const char *key, struct error *err) __attribute__((nonnull));

#endif

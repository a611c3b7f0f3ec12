/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE0_IMAGE_STORE_PRIV_H
#define STAGE0_IMAGE_STORE_PRIV_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "common/digestcache.h"
#include "common/error.h"
#include "common/hash.h"
#include "common/str.h"
#include "common/util.h"
#include "stage0/image/store.h"
#include "stage0/image/tree.h"

/* Between the files of the store. Paths are below cas. */

struct store_held {
	char key[IMAGE_KEY_LEN + 1];
	int lock;
};

struct store {
	int cas;   /* the directory */
	bool peek; /* only looks: holds nothing */
	pthread_mutex_t mutex;
	struct store_held *held; /* images and layers nobody may remove; under the mutex */
	size_t nheld;
	struct digestcache digests; /* of files pods are measured by; may be none */
};

#define STORE_PATH_MAX 256 /* of any path the store makes up */

bool store_key_valid(const char *key) __attribute__((nonnull));
/* The key of an image: algorithm and the first 64 digits of its ID. */
void store_key(enum hash_alg alg, const uint8_t *id, char ret[IMAGE_KEY_LEN + 1])
	__attribute__((nonnull));
/* Where an image's manifest is. */
void store_manifest_path(const char *key, char ret[STORE_PATH_MAX]) __attribute__((nonnull));
bool store_has_image(struct store *store, const char *key) __attribute__((nonnull));

/*
 * A directory below cas/tmp for something being made: held by a lock on itself, so that
 * store_sweep() can tell it from what a dead process left.
 */
struct store_tmp {
	char path[STORE_PATH_MAX];
	int fd;
};
#define STORE_TMP_INIT                                                                             \
	{                                                                                          \
		.fd = -1                                                                           \
	}
int store_tmp_new(struct store *store, struct store_tmp *ret, struct error *err)
	__attribute__((nonnull));
/* Remove it with what is in it, unless it was renamed away; let the lock go. */
void store_tmp_end(struct store *store, struct store_tmp *tmp) __attribute__((nonnull));
/*
 * Rename it to path. 0 also when path is there already: everything is named by its content, so
 * what another process put there is the same.
 */
int store_tmp_commit(struct store *store, struct store_tmp *tmp, const char *path,
		     struct error *err) __attribute__((nonnull));

/*
 * Take the lock dir/name, shared or exclusive; wait for it. Returns a descriptor whose closing gives
 * the lock back, or a negative errno.
 */
int store_lock(struct store *store, const char *dir, const char *name, bool exclusive,
	       struct error *err) __attribute__((nonnull));

/* The same, or -ECANCELED once the descriptor cancel is readable. */
int store_lock_until(struct store *store, const char *dir, const char *name, bool exclusive,
		     int cancel, struct error *err) __attribute__((nonnull));
/* Delete the lock file and give the lock back; it is held exclusively. */
void store_lock_drop(struct store *store, const char *dir, const char *name, int *lock)
	__attribute__((nonnull));

/* Whether the lock's file is still the one of that name. */
bool store_lock_is(int fd, int dir, const char *name) __attribute__((nonnull));

/* The same, exclusive, without waiting. -EBUSY: somebody has it. */
int store_try_lock(struct store *store, const char *dir, const char *name, struct error *err)
	__attribute__((nonnull));

/* Give a hold back early: of a layer, when the image it is part of is there and held. */
void store_give_back(struct store *store, const char *key) __attribute__((nonnull));
#define STORE_HOLDS "imagelocks" /* where the locks of store_hold() are */
/* Give our hold back, if there is one, and be alone with the key: store_try_lock(). */
int store_lock_key(struct store *store, const char *key, struct error *err)
	__attribute__((nonnull));

/* What was written down about an image; what can be told without where there is nothing. No sizes. */
void store_record(struct store *store, const char *key, struct store_image *ret)
	__attribute__((nonnull));
/* Write down that the image was imported now, unless it was before; and its flag. */
int store_record_import(struct store *store, const char *key, const struct store_import_info *info,
			struct error *err) __attribute__((nonnull));

/*
 * Add the keys of an image's layers, base first. Returns 1, or 0 for an ACI, which is one layer
 * itself.
 */
int store_layers(struct store *store, const char *key, struct strv *ret, struct error *err)
	__attribute__((nonnull));

/* Add the names in a directory below cas that do not begin with a dot. A missing one has none. */
void store_names(struct store *store, const char *path, struct strv *ret) __attribute__((nonnull));

/* The file that lists the layers of an image that has several: a key a line, base first. */
#define LAYER_LIST "layers"
/* Files of cas/tree/ID. */
#define TREE_IMAGE	 "image"       /* the key of the image it is of */
#define TREE_ROOTFS_SIZE "rootfs.size" /* bytes of the files in rootfs, in decimal */

/*
 * Have these layers in the store (store_layers.c): layer i of the manifest under the name of
 * diff_id[i], up to jobs at once. Those that are there are not opened.
 */
struct oci_origin;
struct oci_manifest;
struct oci_digest;
int store_import_layers(struct store *store, struct oci_origin *origin,
			const struct oci_manifest *manifest, const struct oci_digest *diff_id,
			unsigned jobs, struct error *err) __attribute__((nonnull));

/* Make a finished layer and its manifest visible, in this order: the manifest makes the image. */
int store_publish(struct store *store, struct store_tmp *tmp, const char *key, const char *manifest,
		  size_t len, struct error *err) __attribute__((nonnull));

/* What was learned about a file: the key of the image in it, while the file stays as it is. */
bool store_file_known(struct store *store, const struct stat *st, char ret_key[IMAGE_KEY_LEN + 1])
	__attribute__((nonnull));
void store_file_learn(struct store *store, int fd, const struct stat *before, const char *key)
	__attribute__((nonnull));
/* A name for the file's identity, for a lock. */
void store_file_name(const struct stat *st, char ret[HASH_HEX_MAX]) __attribute__((nonnull));

/* One image's part in another: itself, or a dependency at one place of the graph. */
struct store_part {
	char key[IMAGE_KEY_LEN + 1];
	size_t layer, nlayers;	 /* in the rootfs's list, base first */
	enum tree_rules rules;	 /* how its layers add up */
	struct store_part *user; /* the image that depends on it; NULL: the image itself */
	struct strv whitelist;	 /* of paths, sorted; empty: everything */
};

/* What an image is made of, in the order it is laid down, and then its tree. */
struct store_rootfs {
	bool alone;   /* set before: without its dependencies and its own whitelist */
	bool no_data; /* set before: the layers' data is not kept open */
	struct store_part **part;
	size_t nparts;
	char (*key)[IMAGE_KEY_LEN + 1]; /* of the layers of all parts; an ACI is one layer */
	int *data;			/* descriptors of the layers' data files */
	uint64_t *blocks;		/* of each */
	size_t nlayers;
	struct tree *tree;
	char *tree_id;
};
#define STORE_ROOTFS_INIT                                                                          \
	{                                                                                          \
		.tree = NULL                                                                       \
	}
/*
 * Find an image and everything it depends on. -ENOENT: something is not in the store; -ELOOP: it
 * depends on itself.
 */
int store_rootfs_resolve(struct store *store, const char *key, struct store_rootfs *ret,
			 struct error *err) __attribute__((nonnull));
/* Check a layer's archive and index against their digests. -EBADMSG: it is damaged. */
int store_verify_layer(struct store *store, const char *key, struct error *err)
	__attribute__((nonnull));
/*
 * Have the disk of what was resolved in cas/tree. *ret_lock keeps it there until it is closed. The
 * tree may have been loaded.
 */
int store_render(struct store *store, struct store_rootfs *rootfs, int *ret_lock, struct error *err)
	__attribute__((nonnull));
/* Read the layers' indexes into the tree. */
int store_rootfs_load(struct store *store, struct store_rootfs *rootfs, struct error *err)
	__attribute__((nonnull));
void store_rootfs_free(struct store_rootfs *rootfs) __attribute__((nonnull));

/* Whether these layers, base first, add up to a tree: before they become an image. */
int store_check_layers(struct store *store, const struct strv *keys, struct error *err)
	__attribute__((nonnull));

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE0_IMAGE_LAYER_H
#define STAGE0_IMAGE_LAYER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/error.h"
#include "common/hash.h"
#include "stage0/image/decompress.h"

/*
 * A layer: one archive (an ACI, or a layer of an OCI image) taken apart in one pass over its bytes.
 * The pass runs in a child process that can do nothing but read and write the descriptors below, so
 * a bug in a parser of hostile bytes stays there; what it leaves is read back as hostile too.
 */

enum layer_kind {
	LAYER_ACI, /* checked by the ACI's rules; the entries are those of rootfs */
	LAYER_OCI, /* entries as they are */
};

/* The files of a layer, in its directory. */
#define LAYER_DATA     "data"	  /* contents of files, each at a block boundary */
#define LAYER_INDEX    "index"	  /* index.h */
#define LAYER_SKELETON "skeleton" /* skeleton.h */
#define LAYER_INFO     "info"	  /* JSON: id, index (its SHA-512), size, dataSize, entries */

struct layer_job {
	enum layer_kind kind;
	enum hash_alg alg; /* of the identity: SHA-512 for ACIs, SHA-256 for a diff_id */
	bool hash_raw;	   /* also the digest raw_alg of the bytes as they come in */
	enum hash_alg raw_alg;
	struct decomp_limits limits;
	_Atomic uint64_t *total; /* decompressed by all who share it, limited to out_max; or NULL */
	int in;			 /* the archive, any compression */
	uint64_t offset, length; /* where it is in the regular file in; length 0: in is all of it */
	uint64_t in_max;	 /* it is refused as soon as it has more bytes; 0: no limit */
	int dir;		 /* an empty directory that gets the layer's files */
};

struct layer_result {
	uint8_t id[HASH_MAX_SIZE];  /* digest of the decompressed stream, to its very end */
	uint8_t raw[HASH_MAX_SIZE]; /* with hash_raw */
	uint64_t in_size;	    /* bytes read */
	uint64_t stream_size;	    /* bytes decompressed */
	uint64_t data_size;	    /* bytes of the data file, a multiple of IMAGE_BLOCK */
	uint64_t entries;
	uint64_t manifest, manifest_size; /* ACI: the manifest's place in the data file */
};

/*
 * Read the whole archive and write its layer; data is on its way to the disk but not flushed. On
 * failure the files are worth nothing.
 */
int layer_make(const struct layer_job *job, struct layer_result *ret, struct error *err)
	__attribute__((nonnull));

/* The SHA-512 of a layer's index, in hexadecimal. */
int layer_index_digest(int dir, char ret[HASH_HEX_MAX], struct error *err) __attribute__((nonnull));

/* Flush a layer's files, then the directory. */
int layer_sync(int dir, struct error *err) __attribute__((nonnull));

/* Write the layer's archive, as it was before compression, to fd; its digest goes to *ret_id. */
int layer_export(int dir, enum hash_alg alg, int fd, uint8_t ret_id[HASH_MAX_SIZE],
		 struct error *err) __attribute__((nonnull));

#endif

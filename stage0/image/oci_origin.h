/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE0_IMAGE_OCI_ORIGIN_H
#define STAGE0_IMAGE_OCI_ORIGIN_H

#include <stdbool.h>
#include <stdint.h>

#include "common/error.h"
#include "common/str.h"
#include "stage0/image/oci_config.h"
#include "stage0/image/oci_doc.h"
#include "stage0/image/store.h"

/*
 * Where OCI and Docker images come from: a layout directory, an archive file, a registry. An origin
 * hands out documents and blobs by descriptor and need not verify them: the import does.
 */

/* A blob's bytes, from the first to the last. */
struct oci_stream {
	int fd;		 /* a regular file, or a pipe that ends where the blob ends */
	uint64_t offset; /* of a regular file: where the blob begins */
	uint64_t length; /* of a regular file: bytes of the blob; 0: all from offset */
	void *priv;	 /* the origin's */
};
#define OCI_STREAM_INIT                                                                            \
	{                                                                                          \
		.fd = -1                                                                           \
	}

struct oci_origin {
	const struct oci_origin_ops *ops;
	/* The first document is an index, of which this entry is wanted (NULL: by platform). */
	const char *ref;
	/*
	 * The layers' descriptors carry diff_ids in the place of blob digests, and the manifest was
	 * made up: only the diff_ids are verified, no manifest digest is recorded (docker save).
	 */
	bool by_diff_id;
	const char *name, *tag; /* what the image calls itself; NULL: it does not */
};

struct oci_origin_ops {
	/*
	 * A whole JSON document of at most JSON_SIZE_MAX bytes: the one desc names, or with NULL the
	 * one the image's reference names (whose digest, when the reference has one, the origin
	 * verifies). ret is empty; *ret_media_type gets the type the sender gave, "" when it gave
	 * none. -ENOENT: there is none.
	 */
	int (*document)(struct oci_origin *origin, const struct oci_desc *desc, struct str *ret,
			char ret_media_type[OCI_MEDIA_TYPE_MAX], struct error *err);
	/* Begin to send a blob. Called from several threads at once. */
	int (*open_blob)(struct oci_origin *origin, const struct oci_desc *desc,
			 struct oci_stream *ret, struct error *err);
	/*
	 * Close the stream and end what sends it. complete: it was read to its end. An error tells
	 * why the sender gave up; it is preferred to what the receiver found wrong.
	 */
	int (*close_blob)(struct oci_origin *origin, struct oci_stream *stream, bool complete,
			  struct error *err);
	void (*free)(struct oci_origin *origin);
};

/* close_blob() of an origin whose streams are files. */
int oci_file_close_blob(struct oci_origin *origin, struct oci_stream *stream, bool complete,
			struct error *err) __attribute__((nonnull));

static inline void oci_origin_free(struct oci_origin *origin) /* NULL is fine */
{
	if (origin)
		origin->ops->free(origin);
}
static inline void oci_origin_freep(struct oci_origin **origin)
{
	oci_origin_free(*origin);
}
#define cleanup_origin cleanup(oci_origin_freep)

/* An OCI image layout directory; ref (copied; NULL: choose by platform) is one of its images. */
int oci_layout_open(const char *dir, const char *ref, struct oci_origin **ret, struct error *err)
	__attribute__((nonnull(1, 3, 4)));

/*
 * A tar file of such a directory, in any order and compression. A compressed one is unpacked into a
 * file of the store that has no name.
 */
int oci_archive_open(struct store *store, const char *path, const char *ref,
		     struct oci_origin **ret, struct error *err)
	__attribute__((nonnull(1, 2, 4, 5)));

/*
 * What "docker save" writes, of any of its times since manifest.json. ref (NULL: the only image) is
 * NAME[:TAG], or @N for the image number N, from 0. The origin's name and tag are the image's own.
 */
int docker_archive_open(struct store *store, const char *path, const char *ref,
			struct oci_origin **ret, struct error *err)
	__attribute__((nonnull(1, 2, 4, 5)));

#define OCI_JOBS_DEFAULT 3 /* what other clients use */
#define OCI_JOBS_MAX	 16

struct oci_import_options {
	unsigned jobs; /* layers at once, up to OCI_JOBS_MAX; 0: the default */
	const struct oci_platform *platform; /* what the user named; NULL: this machine's */
	/*
	 * Whether the image may be imported (NULL: it may), asked before any layer is opened.
	 * digest[0] is that of the document the reference names, the last one the manifest's;
	 * between them are indexes. There is none when the manifest was made up (by_diff_id).
	 */
	int (*accept)(void *ctx, const struct oci_digest *digest, size_t ndigests,
		      struct error *err);
	void *ctx;
};

/*
 * Import an image: choose by platform, verify every document by its digest, every layer by its
 * digest and its diff_id in one pass. Layers that the store has are not opened; a layer another
 * process imports is waited for. source says what to call the image; the digests in it are filled
 * in here. options may be NULL. warnings gets what the config says that appc can not. A failure
 * leaves nothing visible but whole layers. -ENOENT: there is no such image.
 *
 * The process forks here, before any thread of the import starts: call it when no other thread of
 * the process is in a library that does not survive a fork (TLS, resolver).
 */
int store_import_origin(struct store *store, struct oci_origin *origin,
			const struct oci_source *source, const struct oci_import_options *options,
			char ret_key[IMAGE_KEY_LEN + 1], struct strv *warnings, struct error *err)
	__attribute__((nonnull(1, 2, 3, 5, 6, 7)));

#endif

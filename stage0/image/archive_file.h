/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE0_IMAGE_ARCHIVE_FILE_H
#define STAGE0_IMAGE_ARCHIVE_FILE_H

#include "common/error.h"
#include "common/str.h"
#include "stage0/image/oci_origin.h"
#include "stage0/image/tarindex.h"

/* An archive whose members are read by name, whatever their order: a tar file of an image. */

struct archive_file {
	int fd; /* uncompressed */
	struct tarindex *index;
};
#define ARCHIVE_FILE_INIT                                                                          \
	{                                                                                          \
		.fd = -1                                                                           \
	}

/* A compressed archive is unpacked, once, into a file of the store that has no name. */
int archive_file_open(struct store *store, const char *path, struct archive_file *ret,
		      struct error *err) __attribute__((nonnull));
void archive_file_close(struct archive_file *archive) __attribute__((nonnull));

/* Append a member of at most max bytes to ret. -ENOENT: there is none of that name. */
int archive_file_read(const struct archive_file *archive, const char *name, size_t max,
		      struct str *ret, struct error *err) __attribute__((nonnull));

/* A member as a stream, to be ended by closing its descriptor. Of any number of threads at once. */
int archive_file_stream(const struct archive_file *archive, const char *name,
			struct oci_stream *ret, struct error *err) __attribute__((nonnull));

#endif

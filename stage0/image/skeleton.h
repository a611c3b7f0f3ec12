/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE0_IMAGE_SKELETON_H
#define STAGE0_IMAGE_SKELETON_H

#include <stddef.h>
#include <stdint.h>

#include "common/error.h"

/*
 * The skeleton of a layer: what of the archive's stream is not content of files, and where in the
 * data file the content is. With the data file it gives the stream back, byte for byte, so the
 * archive itself need not be kept.
 *
 * A zstd stream of records: u32 literal bytes, the literal, u64 offset in data, u64 bytes of data.
 */

struct skeleton_writer;

/* Write to fd, which stays the caller's. */
struct skeleton_writer *skeleton_writer_new(int fd) __attribute__((returns_nonnull));
/* The next bytes of the stream. */
int skeleton_feed(struct skeleton_writer *writer, const void *bytes, size_t len, struct error *err)
	__attribute__((nonnull));
/*
 * len bytes of the stream at stream_pos were stored at data_off of the data file; bytes is what was
 * stored. Only believed when it is what was fed.
 */
int skeleton_refer(struct skeleton_writer *writer, uint64_t stream_pos, const void *bytes,
		   size_t len, uint64_t data_off, struct error *err) __attribute__((nonnull));
int skeleton_finish(struct skeleton_writer *writer, struct error *err) __attribute__((nonnull));
void skeleton_writer_free(struct skeleton_writer *writer); /* NULL is fine */
static inline void skeleton_writer_freep(struct skeleton_writer **writer)
{
	skeleton_writer_free(*writer);
}
#define cleanup_skeleton_writer cleanup(skeleton_writer_freep)

/*
 * Give the stream back: sink gets it piece by piece. skeleton_fd and data_fd are read from their
 * beginnings. -EBADMSG: the skeleton is damaged.
 */
int skeleton_replay(int skeleton_fd, int data_fd,
		    int (*sink)(void *ctx, const void *bytes, size_t len, struct error *err),
		    void *ctx, struct error *err) __attribute__((nonnull(3, 5)));

#endif

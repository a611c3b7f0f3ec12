/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE0_IMAGE_TARWALK_H
#define STAGE0_IMAGE_TARWALK_H

#include <stddef.h>
#include <stdint.h>

#include "common/error.h"
#include "stage0/image/entry.h"

/*
 * The one tar reader: libarchive, tar formats only, each entry checked by the rules of
 * spec/images.md 22.1 before anybody sees it. Content is handed out as it streams by.
 */

struct tarwalk_ops {
	/* More of the tar stream: *ret_len 0 at its end. The bytes stay valid until the next call. */
	int (*read)(void *ctx, const void **ret, size_t *ret_len, struct error *err);
	/* An entry. It and what it points to are valid until the next call. */
	int (*entry)(void *ctx, const struct entry *entry, struct error *err);
	/*
	 * Content of the regular file just announced: len bytes at offset in the file, found at
	 * stream_pos in the tar stream. Offsets only grow; what is left out is a hole.
	 */
	int (*data)(void *ctx, uint64_t offset, const void *bytes, size_t len, uint64_t stream_pos,
		    struct error *err);
};

/*
 * Walk a whole tar stream to its end-of-archive mark; the rest of the stream is left to the caller.
 * Ends with the first failure of an operation, or -EBADMSG for what no image may hold.
 *
 * The process's LC_CTYPE must be "C" (as it is unless a program calls setlocale()): in a UTF-8
 * locale libarchive normalises the names of PAX headers, and two names may become one.
 */
int tarwalk(const struct tarwalk_ops *ops, void *ctx, struct error *err) __attribute__((nonnull));

#endif

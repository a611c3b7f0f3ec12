/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE0_IMAGE_DECOMPRESS_H
#define STAGE0_IMAGE_DECOMPRESS_H

#include <stddef.h>
#include <stdint.h>

#include "common/error.h"
#include "common/hash.h"

/*
 * A stream decompressed while it arrives: gzip, bzip2, xz, zstd or plain, told apart by content,
 * never by a name (spec/images.md 3 and 21.2). Several members or frames are one stream; what
 * follows the last one may only be zeroes.
 */

struct decomp;

struct decomp_limits {
	uint64_t out_max;    /* decompressed bytes */
	uint64_t ratio_max;  /* decompressed bytes a compressed one ... */
	uint64_t ratio_free; /* ... beyond this many */
};

struct decomp_input {
	int fd;			 /* file, pipe or socket, read from where it is; the caller's */
	uint64_t offset, length; /* when length is not 0: these bytes of a file */
	uint64_t max;		 /* more bytes than these are refused; 0: no limit */
};

/*
 * When raw is not NULL, every byte read goes into that digest. The caller frees *ret.
 */
int decomp_new(const struct decomp_input *in, const struct decomp_limits *limits, struct hash *raw,
	       struct decomp **ret, struct error *err) __attribute__((nonnull(1, 2, 4, 5)));
void decomp_free(struct decomp *decomp); /* NULL is fine */
static inline void decomp_freep(struct decomp **decomp)
{
	decomp_free(*decomp);
}
#define cleanup_decomp cleanup(decomp_freep)

/*
 * Fill up to cap bytes at dst; fewer only at the end. *ret_len 0: the stream ended well, all input
 * was read. -EBADMSG: damaged, -EFBIG: over a limit.
 */
int decomp_read(struct decomp *decomp, void *dst, size_t cap, size_t *ret_len, struct error *err)
	__attribute__((nonnull));

/* "gzip", "bzip2", "xz", "zstd" or "tar". */
const char *decomp_format(const struct decomp *decomp) __attribute__((nonnull));
/* Bytes read from fd so far. */
uint64_t decomp_in(const struct decomp *decomp) __attribute__((nonnull));

#endif

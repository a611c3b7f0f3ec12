/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE0_FETCH_UNFINISHED_H
#define STAGE0_FETCH_UNFINISHED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"

/*
 * What came of a URL so far, in a file, so that a download that was cut short goes on where it was
 * (images.md 9.2, 9.3): a header with the validator (a strong ETag, or a Last-Modified) of what the
 * bytes are of, then the bytes. The file is locked while it is written.
 */

#define UNFINISHED_HEADER	 512
#define UNFINISHED_VALIDATOR_MAX 400	       /* bytes; ETags are digests and the like */
#define UNFINISHED_MIN		 (1024 * 1024) /* less is sooner loaded again than written twice */

struct unfinished {
	int dir; /* the caller's */
	char name[96];
	int fd;					      /* -1: nothing is kept */
	uint64_t size;				      /* bytes that are there */
	char validator[UNFINISHED_VALIDATOR_MAX + 1]; /* "": none */
};
#define UNFINISHED_INIT                                                                            \
	{                                                                                          \
		.dir = -1, .fd = -1                                                                \
	}

/* What is there of the URL; an empty one when there is nothing. Waits for who writes to it now. */
int unfinished_open(int dir, const char *url, struct unfinished *ret, struct error *err)
	__attribute__((nonnull));
/* Forget what is there; what is written from now on is of that validator ("": can not go on). */
int unfinished_begin(struct unfinished *unfinished, const char *validator, struct error *err)
	__attribute__((nonnull));
int unfinished_write(struct unfinished *unfinished, const void *bytes, size_t len,
		     struct error *err) __attribute__((nonnull));
/* Give what is there to fn, in order. Each byte is read once. */
int unfinished_replay(const struct unfinished *unfinished,
		      int (*fn)(void *arg, const void *bytes, size_t len, struct error *err),
		      void *arg, struct error *err) __attribute__((nonnull(1, 2, 4)));
/* Delete the file. */
void unfinished_drop(struct unfinished *unfinished) __attribute__((nonnull));
/* Leave the file for another time, unless it is good for nothing. */
void unfinished_close(struct unfinished *unfinished) __attribute__((nonnull));
#define cleanup_unfinished cleanup(unfinished_close)

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COMMON_BUF_H
#define COMMON_BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * A checked reader over bytes from outside (files, messages). Reading past the end gives zeroes
 * and sets failed for good, so a parser reads a whole structure and checks once.
 */
struct buf {
	const uint8_t *p;
	size_t len; /* bytes left */
	bool failed;
};

static inline struct buf buf_from(const void *bytes, size_t len)
{
	return (struct buf){.p = bytes, .len = len};
}

/* The next len bytes, or NULL. (No bytes of no memory are NULL, too, and no failure.) */
const uint8_t *buf_bytes(struct buf *buf, size_t len) __attribute__((nonnull));
void buf_copy(struct buf *buf, void *dst, size_t len) __attribute__((nonnull));
/* A reader of its own over the next len bytes. */
struct buf buf_sub(struct buf *buf, size_t len) __attribute__((nonnull));

uint8_t buf_u8(struct buf *buf) __attribute__((nonnull));
uint16_t buf_le16(struct buf *buf) __attribute__((nonnull));
uint32_t buf_le32(struct buf *buf) __attribute__((nonnull));
uint64_t buf_le64(struct buf *buf) __attribute__((nonnull));
uint16_t buf_be16(struct buf *buf) __attribute__((nonnull));
uint32_t buf_be32(struct buf *buf) __attribute__((nonnull));

#endif

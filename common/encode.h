/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COMMON_ENCODE_H
#define COMMON_ENCODE_H

#include <stddef.h>
#include <stdint.h>

#include "common/error.h"

/* Bytes as text: base64 (RFC 4648 section 4, with padding) and hexadecimal, read to the letter. */

/* The base64 of len bytes; the caller frees it. */
char *base64_encode(const void *bytes, size_t len) __attribute__((nonnull(1), returns_nonnull));

/*
 * Read base64 of at most max bytes: no white space, no missing padding, no stray bits, so that one
 * sequence of bytes has one text. *ret is malloc()ed and the caller's. -EINVAL and -EFBIG.
 */
int base64_decode(const char *text, size_t max, uint8_t **ret, size_t *ret_len, struct error *err)
	__attribute__((nonnull));

/* Read hexadecimal, upper or lower case, of at most max bytes into dst. -EINVAL and -EFBIG. */
int hex_decode(const char *text, uint8_t *dst, size_t max, size_t *ret_len, struct error *err)
	__attribute__((nonnull));

#endif

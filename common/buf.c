/* SPDX-License-Identifier: Apache-2.0 */
#include "common/buf.h"

#include <endian.h>
#include <string.h>

const uint8_t *buf_bytes(struct buf *buf, size_t len)
{
	const uint8_t *p = buf->p;

	if (buf->failed || len > buf->len) {
		buf->failed = true;
		return NULL;
	}
	if (len > 0) /* p may be NULL before nothing */
		buf->p += len;
	buf->len -= len;
	return p;
}

void buf_copy(struct buf *buf, void *dst, size_t len)
{
	const uint8_t *p = buf_bytes(buf, len);

	if (p && len > 0)
		memcpy(dst, p, len);
	else
		memset(dst, 0, len);
}

struct buf buf_sub(struct buf *buf, size_t len)
{
	const uint8_t *p = buf_bytes(buf, len);

	return (struct buf){.p = p, .len = buf->failed ? 0 : len, .failed = buf->failed};
}

uint8_t buf_u8(struct buf *buf)
{
	uint8_t v;

	buf_copy(buf, &v, sizeof(v));
	return v;
}

uint16_t buf_le16(struct buf *buf)
{
	uint16_t v;

	buf_copy(buf, &v, sizeof(v));
	return le16toh(v);
}

uint32_t buf_le32(struct buf *buf)
{
	uint32_t v;

	buf_copy(buf, &v, sizeof(v));
	return le32toh(v);
}

uint64_t buf_le64(struct buf *buf)
{
	uint64_t v;

	buf_copy(buf, &v, sizeof(v));
	return le64toh(v);
}

uint16_t buf_be16(struct buf *buf)
{
	uint16_t v;

	buf_copy(buf, &v, sizeof(v));
	return be16toh(v);
}

uint32_t buf_be32(struct buf *buf)
{
	uint32_t v;

	buf_copy(buf, &v, sizeof(v));
	return be32toh(v);
}

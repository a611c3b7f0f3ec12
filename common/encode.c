/* SPDX-License-Identifier: Apache-2.0 */
#include "common/encode.h"

#include <errno.h>
#include <string.h>

#include "common/util.h"

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

char *base64_encode(const void *bytes, size_t len)
{
	const uint8_t *in = bytes;
	char *text = xcalloc(DIV_ROUND_UP(len, 3) + 1, 4), *out = text;

	for (size_t i = 0; i < len; i += 3) {
		uint32_t v = (uint32_t)in[i] << 16;
		size_t n = MIN(len - i, 3);

		if (n > 1)
			v |= (uint32_t)in[i + 1] << 8;
		if (n > 2)
			v |= in[i + 2];
		*out++ = alphabet[v >> 18];
		*out++ = alphabet[v >> 12 & 63];
		*out++ = n > 1 ? alphabet[v >> 6 & 63] : '=';
		*out++ = n > 2 ? alphabet[v & 63] : '=';
	}
	return text;
}

/* The value of a letter, -1 when it is none. */
static int letter(char c)
{
	const char *p = c ? strchr(alphabet, c) : NULL;

	return p ? (int)(p - alphabet) : -1;
}

/* Decode four letters of which the last pad are '='. */
static int decode_four(const char *in, size_t pad, uint8_t *out)
{
	uint32_t v = 0;

	for (size_t i = 0; i < 4; i++) {
		int value = i < 4 - pad ? letter(in[i]) : 0;

		if (value < 0)
			return -EINVAL;
		v = v << 6 | (uint32_t)value;
	}
	if (v & ((1U << 8 * pad) - 1)) /* bits that no byte has */
		return -EINVAL;
	for (size_t i = 0; i < 3 - pad; i++)
		out[i] = (uint8_t)(v >> (16 - 8 * i));
	return 0;
}

int base64_decode(const char *text, size_t max, uint8_t **ret, size_t *ret_len, struct error *err)
{
	size_t len = strlen(text), pad = 0, size;
	cleanup_free uint8_t *bytes = NULL;

	if (len % 4)
		return error_set(err, -EINVAL, "not base64: its length is no multiple of 4");
	while (pad < 2 && len > pad && text[len - 1 - pad] == '=')
		pad++;
	size = len / 4 * 3 - pad;
	if (size > max)
		return error_set(err, -EFBIG, "more than %zu bytes", max);
	bytes = malloc(size + 1);
	if (!bytes)
		return error_set(err, -ENOMEM, "out of memory");
	for (size_t i = 0; i < len / 4; i++) {
		bool last = i == len / 4 - 1;

		if (decode_four(text + 4 * i, last ? pad : 0, bytes + 3 * i) < 0)
			return error_set(err, -EINVAL, "not base64 at letter %zu", 4 * i);
	}
	*ret = take_ptr(bytes);
	*ret_len = size;
	return 0;
}

static int nibble(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

int hex_decode(const char *text, uint8_t *dst, size_t max, size_t *ret_len, struct error *err)
{
	size_t len = strlen(text);

	if (len % 2)
		return error_set(err, -EINVAL, "an odd number of hexadecimal digits");
	if (len / 2 > max)
		return error_set(err, -EFBIG, "more than %zu bytes", max);
	for (size_t i = 0; i < len; i += 2) {
		int high = nibble(text[i]), low = nibble(text[i + 1]);

		if (high < 0 || low < 0)
			return error_set(err, -EINVAL, "not hexadecimal");
		dst[i / 2] = (uint8_t)(high << 4 | low);
	}
	*ret_len = len / 2;
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "common/str.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/util.h"

static void str_reserve(struct str *str, size_t more)
{
	size_t need;

	assert(!__builtin_add_overflow(str->len, more, &need));
	assert(!__builtin_add_overflow(need, 1, &need));
	if (need <= str->cap)
		return;
	str->cap = MAX(need, str->cap ? str->cap * 2 : 64);
	str->s = xrealloc(str->s, str->cap, 1);
}

void str_addn(struct str *str, const char *bytes, size_t len)
{
	str_reserve(str, len);
	if (len > 0)
		memcpy(str->s + str->len, bytes, len);
	str->len += len;
	str->s[str->len] = '\0';
}

void str_add(struct str *str, const char *text)
{
	str_addn(str, text, strlen(text));
}

void str_addf(struct str *str, const char *fmt, ...)
{
	va_list ap, again;
	int n;

	va_start(ap, fmt);
	va_copy(again, ap);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	assert(n >= 0);
	str_reserve(str, (size_t)n);
	vsnprintf(str->s + str->len, (size_t)n + 1, fmt, again);
	va_end(again);
	str->len += (size_t)n;
}

/* Unicode 15, table 3-7. */
size_t str_utf8_length(const char *bytes, size_t len)
{
	const unsigned char *p = (const unsigned char *)bytes;
	size_t want;

	if (len == 0)
		return 0;
	if (p[0] < 0x80)
		return 1;
	if (p[0] >= 0xc2 && p[0] <= 0xdf)
		want = 2;
	else if (p[0] >= 0xe0 && p[0] <= 0xef)
		want = 3;
	else if (p[0] >= 0xf0 && p[0] <= 0xf4)
		want = 4;
	else
		return 0;
	if (len < want)
		return 0;
	for (size_t i = 1; i < want; i++)
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	/* overlong forms, surrogates, beyond U+10FFFF */
	if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f) ||
	    (p[0] == 0xf0 && p[1] < 0x90) || (p[0] == 0xf4 && p[1] > 0x8f))
		return 0;
	return want;
}

bool str_is_control(const char *bytes, size_t n)
{
	const unsigned char *p = (const unsigned char *)bytes;

	return (n == 1 && (p[0] < 0x20 || p[0] == 0x7f)) || (n == 2 && p[0] == 0xc2 && p[1] < 0xa0);
}

void str_add_escaped(struct str *str, const char *bytes, size_t len)
{
	size_t i = 0;

	while (i < len) {
		size_t n = str_utf8_length(bytes + i, len - i);

		if (n > 0 && !str_is_control(bytes + i, n)) {
			str_addn(str, bytes + i, n);
			i += n;
		} else {
			str_addf(str, "\\x%02x", (unsigned char)bytes[i]);
			i++;
		}
	}
}

const char *str_get(const struct str *str)
{
	return str->s ? str->s : "";
}

char *str_take(struct str *str)
{
	char *s = str->s ? str->s : xstrdup("");

	*str = (struct str)STR_INIT;
	return s;
}

void str_free(struct str *str)
{
	free(str->s);
	*str = (struct str)STR_INIT;
}

void strv_add_owned(struct strv *strv, char *s)
{
	strv->v = xrealloc(strv->v, strv->n + 2, sizeof(*strv->v));
	strv->v[strv->n++] = s;
	strv->v[strv->n] = NULL;
}

void strv_add(struct strv *strv, const char *s)
{
	strv_add_owned(strv, xstrdup(s));
}

void strv_split(struct strv *strv, const char *s, char sep)
{
	const char *end;

	while ((end = strchr(s, sep))) {
		strv_add_owned(strv, xstrndup(s, (size_t)(end - s)));
		s = end + 1;
	}
	strv_add(strv, s);
}

bool strv_contains(const struct strv *strv, const char *s)
{
	for (size_t i = 0; i < strv->n; i++)
		if (strcmp(strv->v[i], s) == 0)
			return true;
	return false;
}

void strv_free(struct strv *strv)
{
	for (size_t i = 0; i < strv->n; i++)
		free(strv->v[i]);
	free(strv->v);
	*strv = (struct strv)STRV_INIT;
}

bool str_starts_with(const char *s, const char *prefix)
{
	return strncmp(s, prefix, strlen(prefix)) == 0;
}

bool str_ends_with(const char *s, const char *suffix)
{
	size_t len = strlen(s), slen = strlen(suffix);

	return len >= slen && memcmp(s + len - slen, suffix, slen) == 0;
}

bool str_to_u64(const char *s, unsigned long long max, unsigned long long *ret)
{
	unsigned long long value = 0;

	if (!*s)
		return false;
	for (; *s; s++) {
		if (*s < '0' || *s > '9' || __builtin_mul_overflow(value, 10, &value) ||
		    __builtin_add_overflow(value, (unsigned long long)(*s - '0'), &value))
			return false;
	}
	if (value > max)
		return false;
	*ret = value;
	return true;
}

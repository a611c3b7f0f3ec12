/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COMMON_STR_H
#define COMMON_STR_H

#include <stdbool.h>
#include <stddef.h>

/* The one string builder. s is always NUL-terminated once something was added, NULL before. */
struct str {
	char *s;
	size_t len;
	size_t cap;
};

#define STR_INIT                                                                                   \
	{                                                                                          \
		.s = NULL                                                                          \
	}

void str_add(struct str *str, const char *text) __attribute__((nonnull));
void str_addn(struct str *str, const char *bytes, size_t len) __attribute__((nonnull(1)));
void str_addf(struct str *str, const char *fmt, ...)
	__attribute__((format(printf, 2, 3), nonnull(1)));

/* Add bytes from an untrusted source: control bytes and bytes that are not UTF-8 become \xNN. */
void str_add_escaped(struct str *str, const char *bytes, size_t len) __attribute__((nonnull(1)));

/* Length of the well-formed UTF-8 sequence that bytes begin with, 0 when they begin with none. */
size_t str_utf8_length(const char *bytes, size_t len) __attribute__((nonnull));
/* Whether the character of that length is a control: of ASCII, or of those from U+0080 to U+009F. */
bool str_is_control(const char *bytes, size_t n) __attribute__((nonnull));

/* What was built, never NULL. The pointer is str's. */
const char *str_get(const struct str *str) __attribute__((nonnull, returns_nonnull));

/* Hand the built string over (never NULL) and leave str empty. The caller frees it. */
char *str_take(struct str *str) __attribute__((nonnull, returns_nonnull));
void str_free(struct str *str) __attribute__((nonnull));
#define cleanup_str cleanup(str_free)

/* A growing vector of owned strings; v[n] is always NULL once something was added. */
struct strv {
	char **v;
	size_t n;
};

#define STRV_INIT                                                                                  \
	{                                                                                          \
		.v = NULL                                                                          \
	}

/* Append a copy. */
void strv_add(struct strv *strv, const char *s) __attribute__((nonnull));
/* Append s itself, which strv then owns. */
void strv_add_owned(struct strv *strv, char *s) __attribute__((nonnull));
/* Append every part of s between separators; empty parts count. */
void strv_split(struct strv *strv, const char *s, char sep) __attribute__((nonnull));
bool strv_contains(const struct strv *strv, const char *s) __attribute__((nonnull));
void strv_free(struct strv *strv) __attribute__((nonnull));
#define cleanup_strv cleanup(strv_free)

bool str_starts_with(const char *s, const char *prefix) __attribute__((nonnull));
bool str_ends_with(const char *s, const char *suffix) __attribute__((nonnull));

/* Whole-string unsigned decimal; false when empty, signed, overlong, over max, or not a number. */
bool str_to_u64(const char *s, unsigned long long max, unsigned long long *ret)
	__attribute__((nonnull));

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE0_ACNAME_H
#define STAGE0_ACNAME_H

#include <stdbool.h>

/*
 * The basic types of appc (images.md 1.1, 1.2). Names are read as loosely as the reference does
 * and written as strictly as the specification says.
 */

#define ACNAME_MAX 255 /* bytes: a name becomes a directory's */

bool acname_is_valid(const char *s) __attribute__((nonnull));
/* Also of the specification's stricter form: no two separators in a row. */
bool acname_is_strict(const char *s) __attribute__((nonnull));
bool acident_is_valid(const char *s) __attribute__((nonnull));
bool acident_is_strict(const char *s) __attribute__((nonnull));

/* Make a valid name of any text; NULL when nothing is left. The caller frees it. */
char *acname_sanitize(const char *s) __attribute__((nonnull));
char *acident_sanitize(const char *s) __attribute__((nonnull));

/* SemVer 2.0.0 that is not 0.0.0. ret_major may be NULL. */
bool acversion_is_valid(const char *s, unsigned long long *ret_major) __attribute__((nonnull(1)));
/* "sha512-" and 1 to 128 lower-case hexadecimal digits. */
bool acimageid_is_valid(const char *s) __attribute__((nonnull));
bool acenv_is_valid(const char *s) __attribute__((nonnull));
/* RFC 3339 with 'T'. */
bool actime_is_valid(const char *s) __attribute__((nonnull));

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COMMON_UUID_H
#define COMMON_UUID_H

#include <stdbool.h>

#define UUID_TEXT_LEN 36 /* 8-4-4-4-12 lower-case hexadecimal digits */

/* A random UUID (RFC 4122, version 4) as text. */
void uuid_generate(char ret[UUID_TEXT_LEN + 1]);
/* Whether s is a UUID in the form uuid_generate() writes. */
bool uuid_is_valid(const char *s);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COMMON_JSON_SCAN_H
#define COMMON_JSON_SCAN_H

#include <stddef.h>

/* The strict half of json_parse(): is this text one JSON document (RFC 8259), and nothing else? */

struct json_scan {
	size_t keys;	 /* members spelled out in all objects */
	size_t at;	 /* byte at which the text stops being JSON */
	const char *why; /* and why; NULL when it is JSON */
};

/* depth_max is at most 64. No memory is allocated and nothing is kept. */
struct json_scan json_scan(const char *text, size_t len, unsigned depth_max)
	__attribute__((nonnull));

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE0_FETCH_HTML_H
#define STAGE0_FETCH_HTML_H

#include <stddef.h>

/*
 * The meta tags of an HTML page, and nothing else of HTML (images.md 9.1): a scan over hostile bytes
 * that keeps no state but its place, so a page costs time in proportion to its length.
 */

#define HTML_META_MAX 1024 /* tags that are looked at; discovery pages have a handful */

/* Called for every tag with both attributes, decoded; valid during the call. Not 0 ends the scan. */
typedef int html_meta_fn(void *ctx, const char *name, const char *content);

/* Returns what fn ended the scan with, or 0. */
int html_each_meta(const char *page, size_t len, html_meta_fn *fn, void *ctx)
	__attribute__((nonnull(1, 3)));

#endif

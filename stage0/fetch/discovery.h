/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE0_FETCH_DISCOVERY_H
#define STAGE0_FETCH_DISCOVERY_H

#include <stdbool.h>
#include <stddef.h>

#include "common/error.h"
#include "common/json.h"
#include "common/str.h"
#include "stage0/config.h"
#include "stage0/fetch/http.h"

/* From an image's name to where it and its keys are (images.md 9.1). */

#define DISCOVERY_PAGE_MAX    (1 << 20) /* bytes */
#define DISCOVERY_RESULTS_MAX 16	/* endpoints, or keys, of one page */

struct discovery {
	struct http *http;
	const struct config *config; /* credentials */
	bool allow_http;	     /* plain http where https fails */
	void *priv;
	void (*debug)(void *priv, const char *line); /* why a prefix gave nothing; may be NULL */
};

struct discovery_endpoint {
	char *image;	 /* URL */
	char *signature; /* URL */
};

struct discovery_endpoints {
	struct discovery_endpoint *v;
	size_t n;
};
void discovery_endpoints_free(struct discovery_endpoints *endpoints) __attribute__((nonnull));

/*
 * Where the image with that name and those labels ({name, value}; a version that is not among them is
 * "latest") can be had, best first. -ENOENT: nobody says. The caller frees *ret.
 */
int discovery_find(const struct discovery *discovery, const char *name, struct json_object *labels,
		   struct discovery_endpoints *ret, struct error *err)
	__attribute__((nonnull(1, 2, 4, 5)));

/* Add the URLs of the keys that sign images of that name or prefix of names. -ENOENT: nobody says. */
int discovery_keys(const struct discovery *discovery, const char *name, struct strv *ret,
		   struct error *err) __attribute__((nonnull));

/* What one page says of a name: what the above do with what they loaded. */
void discovery_page_endpoints(const char *page, size_t len, const char *name,
			      struct json_object *labels, bool allow_http,
			      struct discovery_endpoints *ret) __attribute__((nonnull(1, 3, 6)));
void discovery_page_keys(const char *page, size_t len, const char *name, struct strv *ret)
	__attribute__((nonnull));

/*
 * A template with its {variables} put in: {name}, {version}, {ext} and every label. NULL: it has one
 * that has no value, or a value holds control bytes. The caller frees it.
 */
char *discovery_render(const char *tmpl, const char *name, struct json_object *labels,
		       const char *ext) __attribute__((nonnull(1, 2, 4)));

#endif

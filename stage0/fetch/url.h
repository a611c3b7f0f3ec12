/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE0_FETCH_URL_H
#define STAGE0_FETCH_URL_H

#include <stdbool.h>
#include <stdint.h>

#include "common/error.h"
#include "common/str.h"

/* URLs of things fetched: http and https, never with credentials inside. */

#define URL_MAX 8192 /* bytes: presigned URLs have up to 2 or 3 thousand */

struct url {
	bool tls;
	char *host;    /* as written, [::1] with its brackets */
	uint16_t port; /* the scheme's when not written */
	char *text;    /* what to request; no fragment */
	char *display; /* for messages: no query, which may be a credential */
};

/* -EINVAL: no http or https URL, one with a user, or with bytes no URL has. The caller frees *ret. */
int url_parse(const char *text, struct url *ret, struct error *err) __attribute__((nonnull));
/* What a redirect's Location means where base is what was requested. */
int url_resolve(const struct url *base, const char *location, struct url *ret, struct error *err)
	__attribute__((nonnull));
void url_free(struct url *url) __attribute__((nonnull));
#define cleanup_url cleanup(url_free)

/* Same scheme, host and port: credentials for one are good for the other. */
bool url_same_origin(const struct url *a, const struct url *b) __attribute__((nonnull));

/* localhost, 127.0.0.0/8 or ::1, with or without a port. */
bool host_is_loopback(const char *host) __attribute__((nonnull));

/* Add text with every byte percent-encoded that is not unreserved (RFC 3986). */
void url_encode(struct str *str, const char *text) __attribute__((nonnull));

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE0_FETCH_WEB_GET_H
#define STAGE0_FETCH_WEB_GET_H

#include <stdbool.h>
#include <stddef.h>

#include "common/error.h"
#include "stage0/config.h"
#include "stage0/fetch/http.h"

/* Small files from servers: keys, signatures. */
struct trust_web {
	struct http *http;
	const struct config *config; /* credentials */
	bool allow_http;
	bool insecure_tls; /* certificates are not checked: nothing counts as come by https */
};

/*
 * The body of a URL, at most max bytes. What leads to plain http is refused unless that is allowed;
 * *ret_secure (may be NULL): it came by https all the way. *ret is NUL-terminated and the caller's.
 */
int trust_web_get(const struct trust_web *web, const char *url, size_t max, char **ret,
		  size_t *ret_len, bool *ret_secure, struct error *err)
	__attribute__((nonnull(1, 2, 4, 5, 7)));

/* The same as a policy_download_fn, with a struct trust_web for ctx. */
int trust_web_download(void *ctx, const char *url, size_t max, char **ret, size_t *ret_len,
		       struct error *err) __attribute__((nonnull));

#endif

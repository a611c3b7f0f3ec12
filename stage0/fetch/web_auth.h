/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE0_FETCH_WEB_AUTH_H
#define STAGE0_FETCH_WEB_AUTH_H

#include <time.h>

#include "common/error.h"
#include "common/str.h"
#include "stage0/config.h"

/*
 * Who we are to a web server that has images (rkt-behaviour 3.3), from the configured credentials of
 * kind auth: basic, oauth, or AWS Signature Version 4.
 */
struct web_auth {
	char *authorization; /* the header's value, or NULL: nothing is known for this host */
	struct strv headers; /* what the signature covers besides */
};
#define WEB_AUTH_INIT                                                                              \
	{                                                                                          \
		.authorization = NULL                                                              \
	}

/* For one request of method at time now. Nothing is given for plain http. The caller frees *ret. */
int web_auth_for(const struct config *config, const char *url, const char *method, time_t now,
		 struct web_auth *ret, struct error *err) __attribute__((nonnull));
void web_auth_free(struct web_auth *auth) __attribute__((nonnull));
#define cleanup_web_auth cleanup(web_auth_free)

#endif

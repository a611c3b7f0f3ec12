/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE0_FETCH_AUTH_H
#define STAGE0_FETCH_AUTH_H

#include <stdbool.h>

#include "common/error.h"
#include "stage0/fetch/credentials.h"
#include "stage0/fetch/http.h"

/*
 * Being let in by one registry, to pull from one repository (spec/images.md 14). Safe from several
 * threads.
 */

#define AUTH_TOKEN_RESPONSE_MAX (1 << 20)   /* bytes of a token server's answer */
#define AUTH_TOKEN_MAX		(32 * 1024) /* bytes of a token: headers end at 64 KiB or earlier */
#define AUTH_LIFETIME_MIN	60	    /* seconds: servers that say less mean the default */
#define AUTH_REALM_DEADLINE_MS	60000	    /* for a token, tries included */

struct auth;

struct auth_place {
	struct http *http;		 /* the caller's until the end, like the next */
	struct credentials *credentials; /* NULL: anonymous */
	const char *host;	/* host[:port] of the registry, canonical; copied, like ... */
	const char *repository; /* ... this */
	bool tls;		/* false: nothing secret is sent, to whomever */
	bool insecure_tls;	/* certificates of the registry are not checked */
};

int auth_new(const struct auth_place *place, struct auth **ret, struct error *err)
	__attribute__((nonnull));
void auth_free(struct auth *auth); /* NULL is fine */

/*
 * What to send now: the value of an Authorization header (the caller frees it), or NULL when nothing
 * is known to be needed. *ret_public: it is no secret, an anonymous token. Renews a token that is
 * about to expire.
 */
int auth_header(struct auth *auth, char **ret, bool *ret_public, struct error *err)
	__attribute__((nonnull));

/*
 * The registry answered 401 to a request that carried used (NULL: nothing). 0: another try with
 * auth_header() may help. -EACCES: it will not.
 */
int auth_challenged(struct auth *auth, const struct http_response *response, const char *used,
		    struct error *err) __attribute__((nonnull(1, 2, 4)));

#endif

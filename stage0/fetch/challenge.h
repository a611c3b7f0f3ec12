/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE0_FETCH_CHALLENGE_H
#define STAGE0_FETCH_CHALLENGE_H

#include <stdbool.h>
#include <stddef.h>

/* What a server asks for with a 401: WWW-Authenticate (RFC 9110 11.6.1, spec/images.md 14.1). */

#define CHALLENGES_MAX 16   /* of all headers: servers send one or two */
#define CHALLENGE_MAX  8192 /* bytes of one header */

enum challenge_scheme {
	CHALLENGE_OTHER, /* nothing we can do */
	CHALLENGE_BASIC,
	CHALLENGE_BEARER,
};

struct challenge {
	enum challenge_scheme scheme;
	char *realm, *service, *scope, *error; /* NULL: not there */
};

struct challenges {
	struct challenge c[CHALLENGES_MAX];
	size_t n;
};

/*
 * Add what one header says. false: it is malformed or there are too many; then nothing of it is
 * added.
 */
bool challenge_parse(const char *header, struct challenges *challenges) __attribute__((nonnull));
void challenges_free(struct challenges *challenges) __attribute__((nonnull));

#endif

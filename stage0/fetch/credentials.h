/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE0_FETCH_CREDENTIALS_H
#define STAGE0_FETCH_CREDENTIALS_H

#include "common/error.h"
#include "common/str.h"
#include "stage0/config.h"

/* Who we are to a registry (spec/images.md 15.1 to 15.3). */

#define CREDENTIALS_FILE_MAX (1 << 20) /* bytes of one file */

/* Where credentials are looked for, in this order. NULL: not there. */
struct credential_files {
	const char *authfile;	       /* named by the user: must exist */
	const struct config *config;   /* kind dockerAuth */
	const char *containers_run;    /* $XDG_RUNTIME_DIR/containers/auth.json */
	const char *containers_config; /* ~/.config/containers/auth.json */
	const char *docker_config;     /* ~/.docker/config.json */
	const char *dockercfg;	       /* ~/.dockercfg, the old form */
};

struct credentials;

/*
 * Read the files. Missing ones are fine, malformed ones are not; files others can read give a
 * warning. What files points to is copied, but for config, which stays the caller's until the end.
 */
int credentials_load(const struct credential_files *files, struct credentials **ret,
		     struct strv *warnings, struct error *err) __attribute__((nonnull));
/* The same from where the environment says; for programs. */
int credentials_load_env(const struct config *config, struct credentials **ret,
			 struct strv *warnings, struct error *err) __attribute__((nonnull));
void credentials_free(struct credentials *credentials); /* NULL is fine */

struct credential {
	char *user, *password; /* both or none */
	char *identity_token;  /* a refresh token for the token server, or NULL */
	char *registry_token;  /* a bearer token to send as it is, or NULL */
};

/*
 * What to use for a repository of a registry (host[:port] and path): an empty credential when there
 * is nothing. Helper programs are asked at most once each; safe from several threads.
 */
int credentials_find(struct credentials *credentials, const char *host, const char *repository,
		     struct credential *ret, struct error *err) __attribute__((nonnull));
void credential_free(struct credential *credential) __attribute__((nonnull));

#endif

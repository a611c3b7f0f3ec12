/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE0_FETCH_CREDENTIALS_PRIV_H
#define STAGE0_FETCH_CREDENTIALS_PRIV_H

#include <json-c/json.h>

#include "stage0/fetch/credentials.h"

/* Between the files that know of credentials. */

#define CREDENTIALS_KEYS_MAX 10000 /* registries a file names */

/* One file in Docker's format, or of containers. */
struct auth_file {
	char *path;
	struct json_object *auths;	  /* registry → {auth, username, ...}; may be NULL */
	struct json_object *cred_helpers; /* registry → suffix; may be NULL */
	const char *creds_store;	  /* suffix, or NULL */
	struct json_object *doc;	  /* what they are part of */
};

/*
 * Check and take apart a file's text. old: the top level is the auths. The caller frees *ret.
 */
int auth_file_parse(const char *text, size_t len, const char *path, bool old, struct auth_file *ret,
		    struct error *err) __attribute__((nonnull));
void auth_file_free(struct auth_file *file) __attribute__((nonnull));

/* The helper's suffix for a registry, or NULL. */
const char *auth_file_helper(const struct auth_file *file, const char *host)
	__attribute__((nonnull));
/*
 * The entry for host/repository, the most specific key first. 1: *ret has it (and may be empty), 0:
 * there is none.
 */
int auth_file_find(const struct auth_file *file, const char *host, const char *repository,
		   struct credential *ret, struct error *err) __attribute__((nonnull));

#define CREDENTIAL_HELPER_PREFIX     "docker-credential-"
#define CREDENTIAL_HELPER_TIMEOUT_MS 30000
#define CREDENTIAL_HELPER_OUTPUT_MAX (64 * 1024)

/* Ask docker-credential-SUFFIX for a server. 1: found, 0: it knows nothing of it. */
int credential_helper_get(const char *suffix, const char *server, int timeout_ms,
			  struct credential *ret, struct error *err) __attribute__((nonnull));
/* What a helper printed. */
int credential_helper_parse(const char *text, size_t len, const char *what, struct credential *ret,
			    struct error *err) __attribute__((nonnull));

#endif

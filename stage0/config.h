/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE0_CONFIG_H
#define STAGE0_CONFIG_H

#include <stdbool.h>
#include <stddef.h>

#include "common/error.h"
#include "common/json.h"
#include "common/str.h"

/*
 * What administrators and users configure in JSON files (rkt-behaviour 3.3, images.md 15.3, 15.4):
 * credentials of web servers and registries, mirrors of registries, paths, the default stage1.
 *
 *   DIR/auth.d/NAME.json         kinds auth, dockerAuth
 *   DIR/registries.d/NAME.json   kind registries
 *   DIR/paths.d/NAME.json        kind paths
 *   DIR/stage1.d/NAME.json       kind stage1
 *
 * Three directories are read in this order: the vendor's, the administrator's, the user's. What a
 * later one says of a key (a host, a registry, a field) takes the place of what an earlier one says;
 * one directory that says two things of a key is an error.
 */

#define CONFIG_FILE_MAX	   (1 << 20) /* bytes of one file */
#define CONFIG_ENTRIES_MAX 4096	     /* hosts, registries, prefixes: of each kind, in all files */

/* Where configuration is read from. NULL or "": nowhere. What does not exist is no error. */
struct config_dirs {
	const char *system; /* /usr/lib/tripod; of a tripod called rkt /usr/lib/rkt */
	const char *local;  /* /etc/tripod, /etc/rkt */
	const char *user;
};

enum config_auth_type {
	CONFIG_BASIC, /* user, secret */
	CONFIG_OAUTH, /* secret: the token */
	CONFIG_AWS,   /* user: the access key's ID; secret: the secret key; region, may be NULL */
};

/* Credentials for what one web server serves: images, signatures, discovery, keys. */
struct config_auth {
	char *host; /* host or host:port, lower case */
	enum config_auth_type type;
	char *user;
	char *secret;
	char *region;
};

/* Credentials for one registry, for its token server or for itself. */
struct config_docker_auth {
	char *registry; /* host or host:port; registry-1.docker.io is Docker Hub */
	char *user;
	char *password;
};

/* How registry references that begin with prefix are reached. */
struct config_registry {
	char *prefix; /* host[:port][/path], or *.domain for every host below a domain */
	struct strv
		endpoints; /* host[:port][/path] to try in this order, before the registry itself */
	bool insecure;	   /* the endpoints (and the registry) may be of plain http, or any TLS */
	bool blocked;	   /* nothing is pulled from it */
	bool by_digest_only; /* the endpoints only for references with a digest */
};

struct config {
	struct config_auth *auth; /* sorted by host */
	size_t nauth;
	struct config_docker_auth *docker_auth; /* sorted by registry */
	size_t ndocker_auth;
	struct config_registry *registries; /* sorted by prefix */
	size_t nregistries;
	char *data;	     /* data directory, absolute, or NULL */
	char *stage1_images; /* directory of --stage1-from-dir, absolute, or NULL */
	char *stage1_name;   /* with stage1_version, or both NULL */
	char *stage1_version;
	char *stage1_location; /* absolute path or URL, or NULL */
};
#define CONFIG_INIT                                                                                \
	{                                                                                          \
		.auth = NULL                                                                       \
	}

/*
 * Read everything. The message of an error names the file. The caller frees *ret, which is written
 * only on success.
 */
int config_load(const struct config_dirs *dirs, struct config *ret, struct error *err)
	__attribute__((nonnull));
void config_free(struct config *config) __attribute__((nonnull));
#define cleanup_config cleanup(config_free)

/*
 * The credentials for a host ("host" or "host:port", any case), or NULL. An entry without a port is
 * for the scheme's own port: the caller leaves 443 of https away.
 */
const struct config_auth *config_auth_for(const struct config *config, const char *host)
	__attribute__((nonnull));
const struct config_docker_auth *config_docker_auth_for(const struct config *config,
							const char *registry)
	__attribute__((nonnull));
/*
 * The entry with the longest prefix of "host[:port]/path", or NULL. Prefixes match whole path
 * components; *.domain is shorter than any prefix that names the host.
 */
const struct config_registry *config_registry_for(const struct config *config,
						  const char *reference) __attribute__((nonnull));

/* What "config" prints (rkt-behaviour 2.17): {"stage0": [...]}. The caller puts it. */
struct json_object *config_json(const struct config *config) __attribute__((nonnull));

#endif

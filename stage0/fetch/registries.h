/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE0_FETCH_REGISTRIES_H
#define STAGE0_FETCH_REGISTRIES_H

#include <stdbool.h>
#include <stddef.h>

#include "common/error.h"
#include "stage0/config.h"
#include "stage0/fetch/dockerref.h"

/*
 * Mirrors, insecure and blocked registries (spec/images.md 15.4): our own configuration, and what is
 * used of containers-registries.conf(5), version 2.
 */

#define REGISTRIES_CONF_MAX    (1 << 20) /* bytes of one file */
#define REGISTRIES_ENTRIES_MAX 1024	 /* registries, or mirrors of one */

struct registries_mirror {
	char *location;
	bool insecure, digest_only, tag_only;
};

struct registries_entry {
	char *prefix;	/* host[:port][/path] or *.domain */
	char *location; /* takes the prefix's place; NULL: the prefix itself */
	bool insecure, blocked, by_digest_only;
	struct registries_mirror *mirror;
	size_t nmirrors;
};

struct registries {
	struct registries_entry *entry;
	size_t n;
};
#define REGISTRIES_INIT                                                                            \
	{                                                                                          \
		.entry = NULL                                                                      \
	}

/*
 * Read one file's text into *registries: an entry takes the place of one with the same prefix. The
 * format is a subset of TOML: tables, and keys with strings, booleans and arrays of strings. -EINVAL
 * names the line.
 */
int registries_parse(const char *text, size_t len, const char *what, struct registries *registries,
		     struct error *err) __attribute__((nonnull));
/* Read file (NULL or missing: nothing), then dir's *.conf in the order of their names. */
int registries_load(const char *file, const char *dir, struct registries *registries,
		    struct error *err) __attribute__((nonnull(3, 4)));
/* The user's file if there is one, else the system's with its directory; for programs. */
int registries_load_env(struct registries *registries, struct error *err) __attribute__((nonnull));
void registries_free(struct registries *registries) __attribute__((nonnull));

/* One place an image may be pulled from. */
struct registry_place {
	char *host; /* host[:port] */
	char *repository;
	bool insecure; /* plain http, or any certificate, is fine */
	bool mirror;   /* not the registry itself */
};

struct registry_places {
	struct registry_place *place;
	size_t n;
};

/*
 * Where to pull ref from, in this order. config and registries may be NULL; config wins where both
 * know the name. -EPERM: it is blocked. The caller frees *ret.
 */
int registry_places_find(const struct config *config, const struct registries *registries,
			 const struct dockerref *ref, struct registry_places *ret,
			 struct error *err) __attribute__((nonnull(3, 4, 5)));
void registry_places_free(struct registry_places *places) __attribute__((nonnull));

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE0_FETCH_FETCH_H
#define STAGE0_FETCH_FETCH_H

#include <stdbool.h>
#include <stdint.h>

#include "common/error.h"
#include "common/str.h"
#include "stage0/config.h"
#include "stage0/image/oci_platform.h"
#include "stage0/image/store.h"
#include "stage0/trust/keystore.h"

/*
 * From what a user calls an image to its key in the store (rkt-behaviour 5.3): every kind of
 * reference, signatures, dependencies. Nothing that was refused is ever visible in the store.
 */

enum pull_policy {
	PULL_NEW,    /* what the store has is good enough; the default of run and prepare */
	PULL_UPDATE, /* ask whether there is something newer; the default of fetch */
	PULL_NEVER,  /* the store, local files, and nothing else */
};

/* "new", "update" or "never". */
int pull_policy_parse(const char *text, enum pull_policy *ret, struct error *err)
	__attribute__((nonnull));

/*
 * What is told while it happens. Every member may be NULL. Calls come from one thread at a time.
 */
struct fetch_report {
	void *priv;
	/* a line for --debug, for everybody, and for what should be looked at */
	void (*debug)(void *priv, const char *line);
	void (*info)(void *priv, const char *line);
	void (*warn)(void *priv, const char *line);
	/*
	 * A transfer of what goes on: now bytes of total (0: not known) are here. The first call
	 * for a transfer has now 0 or what an earlier attempt left, the last one has done true.
	 */
	void (*progress)(void *priv, const char *what, uint64_t now, uint64_t total, bool done);
};

struct fetch_options {
	enum pull_policy policy;
	unsigned insecure;	    /* enum insecure of command.h */
	bool trust_keys_from_https; /* take keys found by discovery without asking */
	/* Asks about other such keys (fetch/key_import.h); NULL: there is nobody to ask. */
	int (*review)(void *priv, const struct public_key *key, const char *prefix,
		      const char *location, struct error *err);
	void *review_priv;
	const struct config *config;
	struct config_dirs dirs;	     /* of the trusted keys and the policy */
	unsigned jobs;			     /* layers loaded at a time; 0: the default */
	const struct oci_platform *platform; /* of layered images; NULL: this machine's */
	const char *user_agent;		     /* NULL: tripod's */
	bool trusted; /* an administrator says where the image comes from: no signature is needed */
	struct fetch_report report;
};

struct fetch;

/* The options are copied; what they point to, and the store, stays the caller's until the end. */
int fetch_new(struct store *store, const struct fetch_options *options, struct fetch **ret,
	      struct error *err) __attribute__((nonnull));
void fetch_free(struct fetch *fetch); /* NULL is fine */

/*
 * Have the image that text names, with all it depends on, in the store. signature (may be NULL) is
 * the file of its signature. warnings gets a line for each thing the image asks for that can not be
 * kept. -ENOENT: no such image where the policy lets look.
 */
int fetch_image(struct fetch *fetch, const char *text, const char *signature,
		char ret_key[IMAGE_KEY_LEN + 1], struct strv *warnings, struct error *err)
	__attribute__((nonnull(1, 2, 4, 5, 6)));

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE0_FETCHING_H
#define STAGE0_FETCHING_H

#include "common/error.h"
#include "stage0/command.h"
#include "stage0/fetch/fetch.h"
#include "stage0/image/oci_platform.h"
#include "stage0/progress.h"

/* What the commands that fetch images share: their options, and everything a fetch needs. */

struct fetching_options {
	char *pull_policy;
	bool no_store, store_only; /* what pull_policy was before */
	char *platform, *jobs;	   /* NULL or "": the defaults */
};

/* Rows of an option table: member is the fetching_options in what the options are parsed into. */
#define FETCHING_NO_STORE(type, member)                                                            \
	{                                                                                          \
		"no-store", OPT_BOOL, offsetof(type, member.no_store),                             \
			.help = "deprecated: --pull-policy=update"                                 \
	}
#define FETCHING_PULL_POLICY(type, member, policy)                                                 \
	{                                                                                          \
		"pull-policy", OPT_STRING, offsetof(type, member.pull_policy),                     \
			.dflt = (policy), .arg = "POLICY",                                         \
			.help = "new: what the store has is good enough; update: ask for "         \
				"something newer; never: load nothing"                             \
	}
#define FETCHING_JOBS(type, member)                                                                \
	{                                                                                          \
		"jobs", OPT_STRING, offsetof(type, member.jobs),                                   \
			.dflt = "3", .arg = "N",                                                   \
			.help = "layers of an image that are loaded at a time, up to 16"           \
	}
#define FETCHING_PLATFORM(type, member)                                                            \
	{                                                                                          \
		"platform", OPT_STRING, offsetof(type, member.platform),                           \
			.arg = "OS/ARCH[/VARIANT]",                                                \
			.help = "of docker and OCI images, the one for this kind of machine "      \
				"(default: this machine's)"                                        \
	}
#define FETCHING_STORE_ONLY(type, member)                                                          \
	{                                                                                          \
		"store-only", OPT_BOOL, offsetof(type, member.store_only),                         \
			.help = "deprecated: --pull-policy=never"                                  \
	}

struct fetching {
	struct store *store; /* the caller's */
	struct config config;
	struct progress *progress;
	enum pull_policy policy;
	struct oci_platform platform;
	bool has_platform; /* one was named */
	unsigned jobs;
	char *user_agent;
	struct fetch *fetch;
	struct fetch *trusted; /* the same without signatures: what an administrator configured */
};
#define FETCHING_INIT                                                                              \
	{                                                                                          \
		.config = CONFIG_INIT                                                              \
	}

/* Check the options, saying which are deprecated. */
int fetching_parse(const struct fetching_options *options, struct fetching *fetching,
		   struct error *err) __attribute__((nonnull));
/* Read the configuration and be ready to fetch into the store; quiet: without progress. */
int fetching_open(const struct globals *globals, struct store *store, bool quiet,
		  struct fetching *fetching, struct error *err) __attribute__((nonnull));
/*
 * fetch_image(), and its warnings to the log. With trusted the image needs no signature, as who
 * configured its place vouches for it.
 */
int fetching_image(struct fetching *fetching, const char *text, const char *signature, bool trusted,
		   char ret_key[IMAGE_KEY_LEN + 1], struct error *err)
	__attribute__((nonnull(1, 2, 5, 6)));
void fetching_close(struct fetching *fetching) __attribute__((nonnull));

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE0_COMMAND_H
#define STAGE0_COMMAND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "common/error.h"
#include "common/str.h"
#include "stage0/config.h"
#include "stage0/options.h"

/* The commands and what they share: global options, dispatch, usage text. */

#define EXIT_FAILED	254 /* usage errors and every failure without a status of its own */
#define EXIT_NO_COMMAND 2

#define APPC_VERSION "0.8.11" /* of the manifests we write, and the newest major we read */

/* This machine's kind in appc's words: pods run what the host runs. */
#if defined(__x86_64__)
#define APPC_ARCH "amd64"
#elif defined(__aarch64__)
#define APPC_ARCH "aarch64"
#endif

/* What --insecure-options switches off (rkt-behaviour 3.1). */
enum insecure {
	INSECURE_IMAGE = 1 << 0,
	INSECURE_TLS = 1 << 1,
	INSECURE_ONDISK = 1 << 2,
	INSECURE_HTTP = 1 << 3,
	INSECURE_PUBKEY = 1 << 4,
	INSECURE_CAPABILITIES = 1 << 5,
	INSECURE_PATHS = 1 << 6,
	INSECURE_SECCOMP = 1 << 7,
};

struct globals {
	const char *prog; /* name we were called by: tripod, or rkt */
	bool as_rkt;
	bool debug;
	bool help;
	char *dir;	    /* --dir, or NULL */
	char *insecure_arg; /* --insecure-options as given */
	unsigned insecure;  /* enum insecure, set by globals_apply() */
	char *system_config, *local_config, *user_config; /* NULL: the default */
	bool trust_keys_from_https;
};

extern const struct option global_options[];

/* Whether rkt's experiments are switched on: RKT_EXPERIMENT_APP=true, RKT_EXPERIMENT_ATTACH=true. */
bool experiment_app(void);
bool experiment_attach(void);

enum command_flags {
	COMMAND_GRAMMAR =
		1 << 0,	       /* flags end at the first word that is none; the command goes on */
	COMMAND_ROOT = 1 << 1, /* when called as rkt, root only (rkt-behaviour 1.7) */
};

struct command {
	const char *name; /* "rm", or "image rm": a command of the group that is called "image" */
	const char *args; /* what follows the name in the usage line */
	const char *summary; /* one line, in the list of commands */
	const char *text;    /* DESCRIPTION, may be NULL */
	const struct option *options;
	size_t size; /* of the structure options are parsed into */
	unsigned flags;
	unsigned min_args, max_args;
	bool (*only)(void); /* the command is there only if that says so; NULL: always */
	/*
	 * Returns the exit status. opts is zeroed but for defaults, freed by the caller. NULL: this is
	 * a group, which only shows what commands it has.
	 */
	int (*run)(struct globals *globals, void *opts, const struct strv *args);
};

extern const struct command *const commands[]; /* sorted by name, NULL-terminated */

/*
 * The command of the group (NULL: of no group; or a group) that word names or abbreviates, or NULL.
 * *ret_ambiguous: several begin with it.
 */
const struct command *command_find(const struct command *group, const char *word,
				   bool *ret_ambiguous) __attribute__((nonnull(2, 3)));

/* The command's last word: what its messages begin with. */
const char *command_word(const struct command *command) __attribute__((nonnull, returns_nonnull));
/* Whether the command is one of the group's; NULL: of no group. */
bool command_in(const struct command *command, const struct command *group)
	__attribute__((nonnull(1)));

/* Say that word is no command. Returns EXIT_FAILED. */
int command_unknown(const char *prog, const char *word, bool ambiguous) __attribute__((nonnull));

/* Everything: find the command, parse, run. Returns the exit status. */
int command_main(int argc, char **argv);

/* Check the global options and set the log level; again after the image grammar, which may set
 * more. */
int globals_apply(struct globals *globals, struct error *err) __attribute__((nonnull));

/* Where the configuration is, and what it says. The caller frees *ret. */
struct config_dirs globals_config_dirs(const struct globals *globals) __attribute__((nonnull));
int globals_config(const struct globals *globals, struct config *ret, struct error *err)
	__attribute__((nonnull));

/*
 * The data directory, absolute, without symlinks, created on demand. *ret is the caller's.
 * --dir, else what is configured (kind paths), else /var/lib/tripod for root and for others
 * $XDG_DATA_HOME/tripod or ~/.local/share/tripod.
 */
int globals_data_dir(const struct globals *globals, char **ret, struct error *err)
	__attribute__((nonnull));

/* Usage text of one command, or of all of tripod (rkt-behaviour 1.3). */
void usage_command(FILE *out, const char *prog, const struct command *command)
	__attribute__((nonnull));
void usage_top(FILE *out, const char *prog) __attribute__((nonnull));
/* A usage error: usage on stdout, message on stderr. Returns EXIT_FAILED. */
int usage_error(const char *prog, const struct command *command, const char *msg)
	__attribute__((nonnull));

#endif

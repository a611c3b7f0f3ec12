/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE0_OPTIONS_H
#define STAGE0_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

#include "common/error.h"
#include "common/str.h"

/*
 * One table of options per command drives parsing, usage text, completion and the check of the
 * manual pages. An entry without a name includes another table, or ends this one. Long options only, "--flag=value" or
 * "--flag value" (rkt-behaviour 1.1).
 */

enum option_type {
	OPT_BOOL,    /* bool: --x, --x=true|false and Go's other words */
	OPT_STRING,  /* char *: the last one counts, owned */
	OPT_LIST,    /* struct strv: every value, in order */
	OPT_KEYVALS, /* struct strv of K=V: a later value of a key takes the place of the earlier */
	OPT_ENV,     /* like OPT_KEYVALS, but a key given twice is an error */
};

struct option {
	const char *name; /* without the dashes */
	enum option_type type;
	size_t offset;	  /* of the value in the structure it is parsed into */
	const char *dflt; /* value when the option is absent, as shown; NULL: none, or false */
	const char
		*noopt;	 /* OPT_STRING that takes its value only with '=': value of the bare flag */
	const char *arg; /* placeholder of the value for the manual; NULL for a boolean */
	const char *help;
	bool app;     /* belongs to the image before it; offset is in struct app_request */
	size_t early; /* app, OPT_LIST: before the first image it is for all, and goes there; 0: not */
	bool explicit_value;	      /* OPT_BOOL that must be given a value */
	char letter;		      /* OPT_BOOL that may be given as -X, too */
	bool (*only)(void);	      /* the option is there only if that says so; NULL: always */
	const struct option *include; /* in an entry without a name: a table that includes none */
};

/* All options of a table with those of the tables it includes, in order; NULL at the end. */
struct option_walk {
	const struct option *at, *included;
};
const struct option *option_next(struct option_walk *walk) __attribute__((nonnull));

/* Where a table's values go. */
struct option_set {
	const struct option *table;
	void *base;
};

/* The option called name (len bytes of it), or NULL. */
const struct option *option_find(const struct option *table, const char *name, size_t len);

/* Whether the option's value is the next word when it is given without '='. */
bool option_takes_word(const struct option *option) __attribute__((nonnull));

/* Store one value (NULL: the bare flag) at base. */
int option_set_value(const struct option *option, void *base, const char *value, struct error *err)
	__attribute__((nonnull(1, 2, 4)));

/*
 * Parse the flag at words[*at], looked up in sets[0], sets[1] ... nsets, and advance *at past it
 * and its value. app_base is the structure of the options that belong to an image, NULL before the
 * first image.
 */
int option_parse_word(char *const *words, size_t nwords, size_t *at, const struct option_set *sets,
		      size_t nsets, void *app_base, struct error *err)
	__attribute__((nonnull(1, 3, 4, 7)));

/*
 * Parse all words. Flags go to the sets, the others to positional. With interspersed false the
 * first word that is no flag ends parsing and all from there on is positional; "--" does too.
 */
int options_parse(char *const *words, size_t nwords, bool interspersed,
		  const struct option_set *sets, size_t nsets, struct strv *positional,
		  struct error *err) __attribute__((nonnull));

/* Put the defaults in place; free what was parsed. */
void options_init(const struct option *table, void *base, bool app);
void options_free(const struct option *table, void *base, bool app);

/* Go's words for booleans. */
bool parse_bool(const char *s, bool *ret) __attribute__((nonnull));

/* The value of key in a vector of K=V, or NULL. */
const char *keyvals_get(const struct strv *strv, const char *key) __attribute__((nonnull));
/* Set key to value, in the place of an earlier value of the key. */
void keyvals_set(struct strv *strv, const char *key, const char *value) __attribute__((nonnull));

#endif

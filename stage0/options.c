/* SPDX-License-Identifier: Apache-2.0 */
#include "stage0/options.h"

#include <errno.h>
#include <string.h>

#include "common/util.h"

static const struct option *next_entry(struct option_walk *walk)
{
	if (walk->included) {
		if (walk->included->name)
			return walk->included++;
		walk->included = NULL;
	}
	while (walk->at && !walk->at->name && walk->at->include) {
		walk->included = walk->at++->include;
		if (walk->included->name)
			return walk->included++;
	}
	return walk->at && walk->at->name ? walk->at++ : NULL;
}

const struct option *option_next(struct option_walk *walk)
{
	const struct option *o;

	do
		o = next_entry(walk);
	while (o && o->only && !o->only());
	return o;
}

const struct option *option_find(const struct option *table, const char *name, size_t len)
{
	struct option_walk walk = {.at = table};
	const struct option *o;

	while ((o = option_next(&walk)))
		if (strlen(o->name) == len && memcmp(o->name, name, len) == 0)
			return o;
	return NULL;
}

bool option_takes_word(const struct option *option)
{
	return option->type == OPT_BOOL ? option->explicit_value : !option->noopt;
}

bool parse_bool(const char *s, bool *ret)
{
	static const char *const yes[] = {"1", "t", "T", "TRUE", "true", "True"};
	static const char *const no[] = {"0", "f", "F", "FALSE", "false", "False"};

	for (size_t i = 0; i < ARRAY_SIZE(yes); i++) {
		if (strcmp(s, yes[i]) == 0 || strcmp(s, no[i]) == 0) {
			*ret = strcmp(s, yes[i]) == 0;
			return true;
		}
	}
	return false;
}

static char **keyvals_find(const struct strv *strv, const char *key, size_t len)
{
	for (size_t i = 0; i < strv->n; i++)
		if (strncmp(strv->v[i], key, len) == 0 && strv->v[i][len] == '=')
			return &strv->v[i];
	return NULL;
}

const char *keyvals_get(const struct strv *strv, const char *key)
{
	char **found = keyvals_find(strv, key, strlen(key));

	return found ? *found + strlen(key) + 1 : NULL;
}

void keyvals_set(struct strv *strv, const char *key, const char *value)
{
	char **found = keyvals_find(strv, key, strlen(key));
	char *pair = xasprintf("%s=%s", key, value);

	if (found) {
		free(*found);
		*found = pair;
	} else {
		strv_add_owned(strv, pair);
	}
}

static int keyvals_add(const struct option *option, struct strv *strv, const char *value,
		       struct error *err)
{
	const char *eq = strchr(value, '=');
	char **found;

	if (!eq || eq == value)
		return error_set(err, -EINVAL, "--%s: \"%s\" is not of the form NAME=VALUE",
				 option->name, value);
	found = keyvals_find(strv, value, (size_t)(eq - value));
	if (!found) {
		strv_add(strv, value);
		return 0;
	}
	if (option->type == OPT_ENV)
		return error_set(err, -EINVAL, "--%s: \"%.*s\" is given twice", option->name,
				 (int)(eq - value), value);
	free(*found);
	*found = xstrdup(value);
	return 0;
}

int option_set_value(const struct option *option, void *base, const char *value, struct error *err)
{
	void *field = (char *)base + option->offset;
	bool flag = true;

	if (!value)
		value = option->noopt;
	switch (option->type) {
	case OPT_BOOL:
		if (value && !parse_bool(value, &flag))
			return error_set(err, -EINVAL, "--%s: \"%s\" is neither true nor false",
					 option->name, value);
		*(bool *)field = flag;
		return 0;
	case OPT_STRING:
		free(*(char **)field);
		*(char **)field = xstrdup(value);
		return 0;
	case OPT_LIST:
		strv_add(field, value);
		return 0;
	case OPT_KEYVALS:
	case OPT_ENV:
		return keyvals_add(option, field, value, err);
	}
	return error_set(err, -EINVAL, "--%s: unknown type", option->name);
}

/* The name that "-X" stands for, or NULL. */
static const char *letter_name(const char *word, const struct option_set *sets, size_t nsets)
{
	if (word[0] != '-' || !word[1] || word[2])
		return NULL;
	if (word[1] == 'h')
		return "help";
	for (size_t i = 0; i < nsets; i++) {
		struct option_walk walk = {.at = sets[i].table};
		const struct option *o;

		while ((o = option_next(&walk)))
			if (o->letter == word[1])
				return o->name;
	}
	return NULL;
}

int option_parse_word(char *const *words, size_t nwords, size_t *at, const struct option_set *sets,
		      size_t nsets, void *app_base, struct error *err)
{
	const char *word = words[*at], *name = letter_name(word, sets, nsets), *eq, *value = NULL;
	const struct option *option = NULL;
	void *base = NULL;
	size_t len;

	if (!name && (word[0] != '-' || word[1] != '-'))
		return error_set(err, -EINVAL, "unknown shorthand flag: %s", word);
	if (!name)
		name = word + 2;
	eq = strchr(name, '=');
	len = eq ? (size_t)(eq - name) : strlen(name);
	for (size_t i = 0; i < nsets && !option; i++) {
		option = option_find(sets[i].table, name, len);
		base = sets[i].base;
	}
	if (!option)
		return error_set(err, -EINVAL, "unknown flag: --%.*s", (int)len, name);
	if (option->app && (app_base || !option->early)) {
		if (!app_base)
			return error_set(err, -EINVAL, "--%s must follow the image it is for",
					 option->name);
		base = app_base;
	}
	if (eq)
		value = eq + 1;
	else if (option_takes_word(option)) {
		if (*at + 1 >= nwords)
			return error_set(err, -EINVAL, "flag needs an argument: --%s",
					 option->name);
		value = words[++*at];
	}
	++*at;
	if (option->app && !app_base) {
		strv_add((struct strv *)((char *)base + option->early), value);
		return 0;
	}
	return option_set_value(option, base, value, err);
}

int options_parse(char *const *words, size_t nwords, bool interspersed,
		  const struct option_set *sets, size_t nsets, struct strv *positional,
		  struct error *err)
{
	size_t at = 0;

	while (at < nwords) {
		const char *word = words[at];
		int r;

		if (strcmp(word, "--") == 0) {
			at += interspersed; /* else it is for the command to see */
			break;
		}
		if (word[0] == '-' && word[1]) {
			r = option_parse_word(words, nwords, &at, sets, nsets, NULL, err);
			if (r < 0)
				return r;
		} else if (interspersed) {
			strv_add(positional, word);
			at++;
		} else {
			break;
		}
	}
	for (; at < nwords; at++)
		strv_add(positional, words[at]);
	return 0;
}

void options_init(const struct option *table, void *base, bool app)
{
	struct option_walk walk = {.at = table};
	const struct option *o;

	while ((o = next_entry(&walk))) {
		char *field = (char *)base + o->offset;

		if (o->app != app || !o->dflt)
			continue;
		if (o->type == OPT_BOOL)
			*(bool *)field = strcmp(o->dflt, "true") == 0;
		else
			*(char **)field = xstrdup(o->dflt);
	}
}

void options_free(const struct option *table, void *base, bool app)
{
	struct option_walk walk = {.at = table};
	const struct option *o;

	while ((o = next_entry(&walk))) {
		char *field = (char *)base + o->offset;

		if (o->early && !app)
			strv_free((struct strv *)((char *)base + o->early));
		if (o->app != app || o->type == OPT_BOOL)
			continue;
		if (o->type == OPT_STRING) {
			free(*(char **)field);
			*(char **)field = NULL;
		} else {
			strv_free((struct strv *)field);
		}
	}
}

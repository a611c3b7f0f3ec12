/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The reader of containers-registries.conf(5).
 *
 * Theory of operation: line by line, the subset of TOML that such files are written in. A header
 * decides where the following keys go: an entry of [[registry]], its last [[registry.mirror]], or
 * nowhere ([aliases] and whatever else there may be). Keys we do not use must still be well-formed.
 * What is outside the subset is an error rather than skipped: a "blocked" that was not understood
 * would be worse than none.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/str.h"
#include "common/util.h"
#include "stage0/fetch/registries.h"

enum section {
	SECTION_OTHER,
	SECTION_REGISTRY,
	SECTION_MIRROR,
};

enum value_kind {
	VALUE_STRING,
	VALUE_BOOL,
	VALUE_OTHER, /* of a kind no key of ours has */
};

struct value {
	enum value_kind kind;
	char *string;
	bool truth;
};

struct reader {
	const char *p, *end;
	unsigned line;
	const char *what;
	struct registries *registries;
	struct registries new; /* of this file */
	enum section section;
	unsigned seen; /* keys of this table, by their place in the table of keys */
	struct error *err;
};

static int bad(struct reader *r, const char *why)
{
	return error_set(r->err, -EINVAL, "%s: line %u: %s", r->what, r->line, why);
}

static int at(const struct reader *r, size_t n)
{
	return (size_t)(r->end - r->p) > n ? (unsigned char)r->p[n] : -1;
}

static void skip_space(struct reader *r)
{
	while (at(r, 0) == ' ' || at(r, 0) == '\t')
		r->p++;
}

/* Space and a comment. */
static void skip_rest(struct reader *r)
{
	skip_space(r);
	if (at(r, 0) == '#')
		while (at(r, 0) >= 0 && at(r, 0) != '\n')
			r->p++;
	if (at(r, 0) == '\r' && at(r, 1) == '\n')
		r->p++;
}

/* Space, comments and line ends, as between the members of an array. */
static void skip_lines(struct reader *r)
{
	for (;;) {
		skip_rest(r);
		if (at(r, 0) != '\n')
			return;
		r->p++;
		r->line++;
	}
}

static int read_escape(struct reader *r, struct str *str)
{
	static const char from[] = "\"\\bfnrt", to[] = "\"\\\b\f\n\r\t";
	const char *found = at(r, 0) > 0 ? strchr(from, at(r, 0)) : NULL;

	if (!found)
		return bad(r, "an escape this reader does not know");
	str_addn(str, &to[found - from], 1);
	r->p++;
	return 0;
}

static int read_string(struct reader *r, char **ret)
{
	cleanup_str struct str str = STR_INIT;
	char quote = r->p[0];

	if (at(r, 1) == quote && at(r, 2) == quote)
		return bad(r, "strings of several lines are not read");
	for (r->p++; at(r, 0) != quote;) {
		if (at(r, 0) < ' ' && at(r, 0) != '\t')
			return bad(r, "a string does not end");
		if (at(r, 0) == '\\' && quote == '"') {
			r->p++;
			if (read_escape(r, &str) < 0)
				return -EINVAL;
			continue;
		}
		str_addn(&str, r->p++, 1);
	}
	r->p++;
	*ret = str_take(&str);
	return 0;
}

/* true, false, or a number or date, which no key of ours has. */
static int read_word(struct reader *r, struct value *ret)
{
	const char *start = r->p;
	size_t len;

	while (at(r, 0) > ' ' && !strchr(",]}#=\"'[{", at(r, 0)))
		r->p++;
	len = (size_t)(r->p - start);
	if (len == 0)
		return bad(r, "a value is missing");
	if ((len == 4 && memcmp(start, "true", 4) == 0) ||
	    (len == 5 && memcmp(start, "false", 5) == 0))
		*ret = (struct value){.kind = VALUE_BOOL, .truth = len == 4};
	else if (strchr("+-0123456789", *start))
		*ret = (struct value){.kind = VALUE_OTHER};
	else
		return bad(r, "a value that is not understood");
	return 0;
}

static int read_scalar(struct reader *r, struct value *ret)
{
	if (at(r, 0) != '"' && at(r, 0) != '\'')
		return read_word(r, ret);
	*ret = (struct value){.kind = VALUE_STRING};
	return read_string(r, &ret->string);
}

/* An array of such; what is in it no key of ours wants to know. */
static int read_value(struct reader *r, struct value *ret)
{
	if (at(r, 0) != '[')
		return read_scalar(r, ret);
	for (r->p++;;) {
		struct value member;
		int e;

		skip_lines(r);
		if (at(r, 0) == ']')
			break;
		e = read_scalar(r, &member);
		if (e < 0)
			return e;
		free(member.string);
		skip_lines(r);
		if (at(r, 0) == ',')
			r->p++;
		else if (at(r, 0) != ']')
			return bad(r, "an array does not end");
	}
	r->p++;
	*ret = (struct value){.kind = VALUE_OTHER};
	return 0;
}

static void entry_free(struct registries_entry *entry)
{
	for (size_t i = 0; i < entry->nmirrors; i++)
		free(entry->mirror[i].location);
	free(entry->mirror);
	free(entry->prefix);
	free(entry->location);
}

void registries_free(struct registries *registries)
{
	for (size_t i = 0; i < registries->n; i++)
		entry_free(&registries->entry[i]);
	free(registries->entry);
	*registries = (struct registries)REGISTRIES_INIT;
}

static int new_registry(struct reader *r)
{
	struct registries *all = &r->new;

	if (all->n >= REGISTRIES_ENTRIES_MAX)
		return bad(r, "too many registries");
	all->entry = xrealloc(all->entry, all->n + 1, sizeof(*all->entry));
	all->entry[all->n++] = (struct registries_entry){.prefix = NULL};
	r->section = SECTION_REGISTRY;
	return 0;
}

static int new_mirror(struct reader *r)
{
	struct registries_entry *entry;

	if (r->new.n == 0)
		return bad(r, "a mirror without a registry before it");
	entry = &r->new.entry[r->new.n - 1];
	if (entry->nmirrors >= REGISTRIES_ENTRIES_MAX)
		return bad(r, "too many mirrors");
	entry->mirror = xrealloc(entry->mirror, entry->nmirrors + 1, sizeof(*entry->mirror));
	entry->mirror[entry->nmirrors++] = (struct registries_mirror){.location = NULL};
	r->section = SECTION_MIRROR;
	return 0;
}

static int read_header(struct reader *r)
{
	const char *line = r->p, *close;
	size_t len;

	while (at(r, 0) >= 0 && at(r, 0) != '\n' && at(r, 0) != '#' && at(r, 0) != '\r')
		r->p++;
	len = (size_t)(r->p - line);
	while (len > 0 && (line[len - 1] == ' ' || line[len - 1] == '\t'))
		len--;
	close = len > 0 && line[len - 1] == ']' ? &line[len - 1] : NULL;
	if (!close || len < 3)
		return bad(r, "a table's name does not end");
	r->seen = 0;
	if (len == strlen("[[registry]]") && memcmp(line, "[[registry]]", len) == 0)
		return new_registry(r);
	if (len == strlen("[[registry.mirror]]") && memcmp(line, "[[registry.mirror]]", len) == 0)
		return new_mirror(r);
	if (memmem(line, len, "registr", strlen("registr")))
		return bad(r, "expected [[registry]] or [[registry.mirror]] (the format's first "
			      "version is not read)");
	r->section = SECTION_OTHER;
	return 0;
}

static int read_key(struct reader *r, char **ret)
{
	const char *start = r->p;

	if (at(r, 0) == '"' || at(r, 0) == '\'')
		return read_string(r, ret);
	while ((at(r, 0) >= 'a' && at(r, 0) <= 'z') || (at(r, 0) >= 'A' && at(r, 0) <= 'Z') ||
	       (at(r, 0) >= '0' && at(r, 0) <= '9') || at(r, 0) == '_' || at(r, 0) == '-')
		r->p++;
	if (r->p == start)
		return bad(r, "expected a key");
	*ret = xstrndup(start, (size_t)(r->p - start));
	return 0;
}

static bool wildcard_valid(const char *prefix)
{
	return str_starts_with(prefix, "*.") && !strchr(prefix, '/') && !strchr(prefix, ':') &&
	       registry_location_valid(prefix + 2);
}

static int keep_string(struct reader *r, const char *key, char *string)
{
	struct registries_entry *entry = &r->new.entry[r->new.n - 1];
	struct registries_mirror *mirror =
		r->section == SECTION_MIRROR ? &entry->mirror[entry->nmirrors - 1] : NULL;

	if (mirror && strcmp(key, "pull-from-mirror") == 0) {
		mirror->digest_only = strcmp(string, "digest-only") == 0;
		mirror->tag_only = strcmp(string, "tag-only") == 0;
		if (!mirror->digest_only && !mirror->tag_only && strcmp(string, "all") != 0)
			return bad(r, "pull-from-mirror is all, digest-only or tag-only");
		return 0;
	}
	if (!registry_location_valid(string) &&
	    !(strcmp(key, "prefix") == 0 && wildcard_valid(string)))
		return bad(r, "expected HOST[:PORT][/PATH]");
	if (mirror)
		mirror->location = xstrdup(string);
	else if (strcmp(key, "prefix") == 0)
		entry->prefix = xstrdup(string);
	else
		entry->location = xstrdup(string);
	return 0;
}

static void keep_bool(struct reader *r, const char *key, bool truth)
{
	struct registries_entry *entry = &r->new.entry[r->new.n - 1];

	if (r->section == SECTION_MIRROR)
		entry->mirror[entry->nmirrors - 1].insecure = truth;
	else if (strcmp(key, "insecure") == 0)
		entry->insecure = truth;
	else if (strcmp(key, "blocked") == 0)
		entry->blocked = truth;
	else
		entry->by_digest_only = truth;
}

static int keep(struct reader *r, const char *key, const struct value *value)
{
	static const struct {
		const char *key;
		enum section section;
		enum value_kind kind;
	} keys[] = {
		{"prefix", SECTION_REGISTRY, VALUE_STRING},
		{"location", SECTION_REGISTRY, VALUE_STRING},
		{"insecure", SECTION_REGISTRY, VALUE_BOOL},
		{"blocked", SECTION_REGISTRY, VALUE_BOOL},
		{"mirror-by-digest-only", SECTION_REGISTRY, VALUE_BOOL},
		{"location", SECTION_MIRROR, VALUE_STRING},
		{"insecure", SECTION_MIRROR, VALUE_BOOL},
		{"pull-from-mirror", SECTION_MIRROR, VALUE_STRING},
	};

	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		if (keys[i].section != r->section || strcmp(keys[i].key, key) != 0)
			continue;
		if (keys[i].kind != value->kind)
			return bad(r, "the key has a value of another kind");
		if (r->seen & 1u << i)
			return bad(r, "the key is there twice");
		r->seen |= 1u << i;
		if (value->kind == VALUE_STRING)
			return keep_string(r, key, value->string);
		keep_bool(r, key, value->truth);
		return 0;
	}
	return 0;
}

static int read_pair(struct reader *r)
{
	cleanup_free char *key = NULL;
	struct value value = {.kind = VALUE_OTHER};
	int e = read_key(r, &key);

	if (e < 0)
		return e;
	skip_space(r);
	if (at(r, 0) != '=')
		return bad(r, "expected KEY = VALUE");
	r->p++;
	skip_space(r);
	e = read_value(r, &value);
	if (e == 0)
		e = keep(r, key, &value);
	free(value.string);
	return e;
}

static int read_lines(struct reader *r)
{
	for (;;) {
		int e = 0;

		skip_lines(r);
		if (at(r, 0) < 0)
			return 0;
		e = at(r, 0) == '[' ? read_header(r) : read_pair(r);
		if (e < 0)
			return e;
		skip_rest(r);
		if (at(r, 0) >= 0 && at(r, 0) != '\n')
			return bad(r, "something follows the value");
	}
}

/* An entry without prefix is for its location. */
static int complete(struct reader *r)
{
	for (size_t i = 0; i < r->new.n; i++) {
		struct registries_entry *entry = &r->new.entry[i];

		for (size_t j = 0; j < entry->nmirrors; j++)
			if (!entry->mirror[j].location)
				return error_set(r->err, -EINVAL, "%s: a mirror without location",
						 r->what);
		if (entry->prefix)
			continue;
		if (!entry->location)
			return error_set(r->err, -EINVAL,
					 "%s: a registry without prefix and location", r->what);
		entry->prefix = take_ptr(entry->location);
	}
	return 0;
}

static int merge(struct reader *r)
{
	struct registries *all = r->registries;

	for (size_t i = 0; i < r->new.n; i++) {
		struct registries_entry *entry = &r->new.entry[i];
		size_t j = 0;

		while (j < all->n && strcmp(all->entry[j].prefix, entry->prefix) != 0)
			j++;
		if (j == REGISTRIES_ENTRIES_MAX)
			return error_set(r->err, -EINVAL, "%s: too many registries", r->what);
		if (j == all->n) {
			all->entry = xrealloc(all->entry, all->n + 1, sizeof(*all->entry));
			all->n++;
		} else {
			entry_free(&all->entry[j]);
		}
		all->entry[j] = *entry;
		*entry = (struct registries_entry){.prefix = NULL};
	}
	return 0;
}

int registries_parse(const char *text, size_t len, const char *what, struct registries *registries,
		     struct error *err)
{
	struct reader r = {
		.p = text,
		.end = text + len,
		.line = 1,
		.what = what,
		.registries = registries,
		.err = err,
	};
	int e = read_lines(&r);

	if (e == 0)
		e = complete(&r);
	if (e == 0)
		e = merge(&r);
	registries_free(&r.new);
	return e;
}

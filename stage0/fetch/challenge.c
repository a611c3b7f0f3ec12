/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Challenges and their parameters are both separated by commas, so which of them a word begins is
 * known only by what follows it: "=" and a value make it a parameter.
 */
#include "stage0/fetch/challenge.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/str.h"
#include "common/util.h"

static bool is_token_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       (c && strchr("!#$%&'*+-.^_`|~", c));
}

static size_t token_length(const char *p)
{
	size_t n = 0;

	while (is_token_char(p[n]))
		n++;
	return n;
}

static const char *skip_space(const char *p)
{
	return p + strspn(p, " \t");
}

/* A token or a quoted string. *p is moved behind it; NULL: there is none. */
static char *take_value(const char **p)
{
	cleanup_str struct str value = STR_INIT;
	const char *q = *p;
	size_t n;

	if (*q != '"') {
		n = token_length(q);
		*p = q + n;
		return n > 0 ? xstrndup(q, n) : NULL;
	}
	for (q++; *q != '"'; q++) {
		q += *q == '\\';
		if ((unsigned char)*q < ' ' || *q == 0x7f)
			return NULL; /* the end, too */
		str_addn(&value, q, 1);
	}
	*p = q + 1;
	return str_take(&value);
}

/* Keep a parameter; of those we know each may be there once. */
static bool keep_param(struct challenge *challenge, const char *name, size_t len, char *value)
{
	const struct {
		const char *name;
		char **at;
	} known[] = {{"realm", &challenge->realm},
		     {"service", &challenge->service},
		     {"scope", &challenge->scope},
		     {"error", &challenge->error}};

	for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
		if (strlen(known[i].name) != len || strncasecmp(known[i].name, name, len) != 0)
			continue;
		if (*known[i].at) {
			free(value);
			return false;
		}
		*known[i].at = value;
		return true;
	}
	free(value);
	return true;
}

static enum challenge_scheme scheme_of(const char *name, size_t len)
{
	if (len == 5 && strncasecmp(name, "basic", 5) == 0)
		return CHALLENGE_BASIC;
	if (len == 6 && strncasecmp(name, "bearer", 6) == 0)
		return CHALLENGE_BEARER;
	return CHALLENGE_OTHER;
}

/* The one word of credentials some schemes have instead of parameters. */
static const char *skip_token68(const char *p)
{
	const char *q = p;

	while (is_token_char(*q) || *q == '/')
		q++;
	q += strspn(q, "=");
	q = skip_space(q);
	return q > p && (*q == ',' || *q == '\0') ? q : NULL;
}

/* Behind a scheme: nothing, one word, or the first parameter, which is left for later. */
static const char *after_scheme(const char *p)
{
	const char *q = skip_space(p);
	size_t n = token_length(q);

	if (*q == ',' || *q == '\0')
		return q;
	if (q == p)
		return NULL; /* something glued to it */
	p = skip_space(q + n);
	if (n > 0 && *p == '=') {
		p = skip_space(p + 1);
		if (*p == '"' || (is_token_char(*p)))
			return q;
	}
	return skip_token68(q);
}

/* One word at p, and what belongs to it. NULL: malformed. */
static const char *take_word(const char *p, struct challenges *challenges, size_t first)
{
	size_t n = token_length(p);
	const char *q = skip_space(p + n);
	char *value;

	if (n == 0)
		return NULL;
	if (*q == '=') {
		q = skip_space(q + 1);
		value = take_value(&q);
		if (!value)
			return NULL;
		if (challenges->n == first) {
			free(value);
			return NULL;
		}
		if (!keep_param(&challenges->c[challenges->n - 1], p, n, value))
			return NULL;
		q = skip_space(q);
		return *q == ',' || *q == '\0' ? q : NULL;
	}
	if (challenges->n == CHALLENGES_MAX)
		return NULL;
	challenges->c[challenges->n++] = (struct challenge){.scheme = scheme_of(p, n)};
	return after_scheme(p + n);
}

static void drop_from(struct challenges *challenges, size_t first)
{
	while (challenges->n > first) {
		struct challenge *c = &challenges->c[--challenges->n];

		free(c->realm);
		free(c->service);
		free(c->scope);
		free(c->error);
	}
}

bool challenge_parse(const char *header, struct challenges *challenges)
{
	size_t first = challenges->n;
	const char *p = header;

	if (strlen(header) > CHALLENGE_MAX)
		return false;
	for (;;) {
		p += strspn(p, " \t,");
		if (*p == '\0')
			return true;
		p = take_word(p, challenges, first);
		if (!p) {
			drop_from(challenges, first);
			return false;
		}
	}
}

void challenges_free(struct challenges *challenges)
{
	drop_from(challenges, 0);
}

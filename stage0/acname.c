/* SPDX-License-Identifier: Apache-2.0 */
#include "stage0/acname.h"

#include <string.h>

#include "common/str.h"
#include "common/util.h"

#define NAME_SEPARATORS	 "-"
#define IDENT_SEPARATORS "-._~/"

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_alnum(char c)
{
	return is_digit(c) || (c >= 'a' && c <= 'z');
}

static bool is_valid(const char *s, const char *separators, bool strict)
{
	size_t len = strlen(s);

	if (len == 0 || !is_alnum(s[0]) || !is_alnum(s[len - 1]))
		return false;
	for (size_t i = 0; i < len; i++) {
		if (is_alnum(s[i]))
			continue;
		if (!strchr(separators, s[i]) || (strict && !is_alnum(s[i + 1])))
			return false;
	}
	return true;
}

bool acname_is_valid(const char *s)
{
	return strlen(s) <= ACNAME_MAX && is_valid(s, NAME_SEPARATORS, false);
}

bool acname_is_strict(const char *s)
{
	return strlen(s) <= ACNAME_MAX && is_valid(s, NAME_SEPARATORS, true);
}

bool acident_is_valid(const char *s)
{
	return is_valid(s, IDENT_SEPARATORS, false);
}

bool acident_is_strict(const char *s)
{
	return is_valid(s, IDENT_SEPARATORS, true);
}

static char *sanitize(const char *s, const char *separators, char substitute)
{
	char *copy = xstrdup(s), *begin = copy, *result = NULL;
	size_t len;

	for (char *p = copy; *p; p++) {
		if (*p >= 'A' && *p <= 'Z')
			*p = (char)(*p - 'A' + 'a');
		else if (!is_alnum(*p) && !strchr(separators, *p))
			*p = substitute;
	}
	while (*begin && !is_alnum(*begin))
		begin++;
	len = strlen(begin);
	while (len > 0 && !is_alnum(begin[len - 1]))
		len--;
	if (len > 0)
		result = xstrndup(begin, len);
	free(copy);
	return result;
}

char *acname_sanitize(const char *s)
{
	return sanitize(s, NAME_SEPARATORS, '-');
}

char *acident_sanitize(const char *s)
{
	return sanitize(s, IDENT_SEPARATORS, '_');
}

/* Dot-separated identifiers of a pre-release or build; numbers of the former without leading 0. */
static const char *semver_idents(const char *p, bool numeric_strict)
{
	for (;;) {
		const char *start = p;
		bool numeric = true;

		while (is_alnum(*p) || (*p >= 'A' && *p <= 'Z') || *p == '-') {
			numeric = numeric && is_digit(*p);
			p++;
		}
		if (p == start || (numeric_strict && numeric && *start == '0' && p - start > 1))
			return NULL;
		if (*p != '.')
			return p;
		p++;
	}
}

bool acversion_is_valid(const char *s, unsigned long long *ret_major)
{
	unsigned long long part[3];
	const char *p = s;

	for (int i = 0; i < 3; i++) {
		const char *start = p;

		part[i] = 0;
		for (; is_digit(*p); p++)
			if (__builtin_mul_overflow(part[i], 10, &part[i]) ||
			    __builtin_add_overflow(part[i], (unsigned long long)(*p - '0'),
						   &part[i]))
				return false;
		if (p == start || (*start == '0' && p - start > 1))
			return false;
		if (i < 2 && *p++ != '.')
			return false;
	}
	if (*p == '-')
		p = semver_idents(p + 1, true);
	if (p && *p == '+')
		p = semver_idents(p + 1, false);
	if (!p || *p || (part[0] == 0 && part[1] == 0 && part[2] == 0))
		return false;
	if (ret_major)
		*ret_major = part[0];
	return true;
}

bool acimageid_is_valid(const char *s)
{
	size_t digits;

	if (!str_starts_with(s, "sha512-"))
		return false;
	s += strlen("sha512-");
	digits = strspn(s, "0123456789abcdef");
	return digits >= 1 && digits <= 128 && s[digits] == '\0';
}

bool acenv_is_valid(const char *s)
{
	if (!*s || is_digit(*s) || *s == '.' || *s == '-')
		return false;
	for (; *s; s++)
		if (!is_alnum(*s) && !(*s >= 'A' && *s <= 'Z') && !strchr("_.-", *s))
			return false;
	return true;
}

/* width digits with a value in min..max. */
static bool number(const char **p, int width, int min, int max)
{
	int value = 0;

	for (int i = 0; i < width; i++, ++*p) {
		if (!is_digit(**p))
			return false;
		value = value * 10 + (**p - '0');
	}
	return value >= min && value <= max;
}

static bool literal(const char **p, char c)
{
	if (**p != c)
		return false;
	++*p;
	return true;
}

bool actime_is_valid(const char *s)
{
	const char *p = s;

	if (!number(&p, 4, 0, 9999) || !literal(&p, '-') || !number(&p, 2, 1, 12) ||
	    !literal(&p, '-') || !number(&p, 2, 1, 31) || !literal(&p, 'T') ||
	    !number(&p, 2, 0, 23) || !literal(&p, ':') || !number(&p, 2, 0, 59) ||
	    !literal(&p, ':') || !number(&p, 2, 0, 60))
		return false;
	if (*p == '.') {
		size_t digits = strspn(p + 1, "0123456789");

		if (digits == 0)
			return false;
		p += 1 + digits;
	}
	if (*p == 'Z')
		return p[1] == '\0';
	if (*p != '+' && *p != '-')
		return false;
	p++;
	return number(&p, 2, 0, 23) && literal(&p, ':') && number(&p, 2, 0, 59) && *p == '\0';
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "common/quantity.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "common/util.h"

#define QUANTITY_TEXT_MAX 64 /* bytes; 2^63 has 19 digits */
#define EXPONENT_MAX	  99 /* beyond it everything but zero is out of range or rounds up to one */

typedef unsigned __int128 u128;

static const struct {
	const char *suffix;
	unsigned base;
	int power; /* the factor is base to the power, base 10 in steps of one */
} suffixes[] = {
	{"", 10, 0},	 {"n", 10, -9},	  {"u", 10, -6},   {"m", 10, -3},   {"k", 10, 3},
	{"K", 10, 3},	 {"M", 10, 6},	  {"G", 10, 9},	   {"T", 10, 12},   {"P", 10, 15},
	{"E", 10, 18},	 {"Ki", 1024, 1}, {"Mi", 1024, 2}, {"Gi", 1024, 3}, {"Ti", 1024, 4},
	{"Pi", 1024, 5}, {"Ei", 1024, 6},
};

/* The digits of "1", "1.", ".5" or "1.5" as an integer, and how many of them are decimals. */
static const char *parse_digits(const char *p, u128 *ret_value, int *ret_decimals)
{
	u128 value = 0;
	int decimals = 0, digits = 0;
	bool point = false;

	for (;; p++) {
		if (*p == '.' && !point) {
			point = true;
			continue;
		}
		if (*p < '0' || *p > '9')
			break;
		digits++;
		decimals += point;
		if (__builtin_mul_overflow(value, 10, &value) ||
		    __builtin_add_overflow(value, (u128)(*p - '0'), &value))
			return NULL;
	}
	if (digits == 0)
		return NULL;
	*ret_value = value;
	*ret_decimals = decimals;
	return p;
}

/* The power of ten (and the factor of 1024s) a suffix or exponent stands for. */
static bool parse_suffix(const char *p, int *ret_power, u128 *ret_factor)
{
	*ret_factor = 1;
	if ((*p == 'e' || *p == 'E') && p[1] && p[1] != 'i') {
		bool negative = p[1] == '-';
		int power = 0;

		p += 1 + (p[1] == '-' || p[1] == '+');
		if (!*p)
			return false;
		for (; *p; p++) {
			if (*p < '0' || *p > '9')
				return false;
			power = MIN(power * 10 + (*p - '0'), EXPONENT_MAX);
		}
		*ret_power = negative ? -power : power;
		return true;
	}
	for (size_t i = 0; i < ARRAY_SIZE(suffixes); i++) {
		if (strcmp(p, suffixes[i].suffix) != 0)
			continue;
		*ret_power = suffixes[i].base == 10 ? suffixes[i].power : 0;
		for (int k = 0; suffixes[i].base == 1024 && k < suffixes[i].power; k++)
			*ret_factor *= 1024;
		return true;
	}
	return false;
}

/* value * 10^power rounded up; false when it does not fit. */
static bool scale(u128 *value, int power)
{
	bool rest = false;

	for (; power > 0 && *value > 0; power--)
		if (__builtin_mul_overflow(*value, 10, value))
			return false;
	for (; power < 0 && *value > 0; power++) {
		rest |= *value % 10 != 0;
		*value /= 10;
	}
	*value += rest;
	return true;
}

int quantity_parse(const char *text, enum quantity_unit unit, int64_t *ret, struct error *err)
{
	const char *p = text;
	u128 value, factor;
	int decimals, power;

	if (strlen(text) > QUANTITY_TEXT_MAX)
		return error_set(err, -EINVAL, "\"%.20s...\" is not a quantity", text);
	if (*p == '+' || *p == '-')
		p++;
	p = parse_digits(p, &value, &decimals);
	if (!p || !parse_suffix(p, &power, &factor))
		return error_set(err, -EINVAL, "\"%s\" is not a quantity", text);
	if (text[0] == '-' && value > 0)
		return error_set(err, -ERANGE, "\"%s\": a negative quantity", text);
	if (__builtin_mul_overflow(value, factor, &value) ||
	    __builtin_mul_overflow(value, (u128)unit, &value) || !scale(&value, power - decimals) ||
	    value > INT64_MAX)
		return error_set(err, -ERANGE, "\"%s\": the quantity is too large", text);
	*ret = (int64_t)value;
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A recogniser for RFC 8259, because the parser behind json_parse() takes more than JSON even when
 * it is told to be strict: single quotes, NaN, overlong UTF-8, keys that end at an escaped NUL,
 * integers clamped to what fits. Two programs that read such a text differently is how a checked
 * document becomes another one in use, so what is not JSON to the letter ends here.
 *
 * One loop over tokens. The open containers are bits of a word, an object a one; what may come next
 * is one of a few states. Nesting therefore costs no stack.
 */
#include "common/json_scan.h"

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "common/str.h"

enum expect {
	EXPECT_VALUE,
	EXPECT_VALUE_OR_END, /* after [ */
	EXPECT_KEY,
	EXPECT_KEY_OR_END, /* after { */
	EXPECT_NEXT,	   /* a comma, the end of the container, or of the text */
};

struct scanner {
	const char *p;
	const char *end;
	const char *why;
};

static bool fail(struct scanner *s, const char *why)
{
	s->why = why;
	return false;
}

static int peek(const struct scanner *s)
{
	return s->p < s->end ? (unsigned char)*s->p : -1;
}

static bool is_digit(int c)
{
	return c >= '0' && c <= '9';
}

static bool scan_escape(struct scanner *s, bool is_key)
{
	s->p++; /* the backslash */
	if (s->p == s->end || *s->p == '\0' || !strchr("\"\\/bfnrtu", *s->p))
		return fail(s, "bad escape in a string");
	if (*s->p++ != 'u')
		return true;
	for (int i = 0; i < 4; i++)
		if (s->p + i >= s->end || s->p[i] == '\0' ||
		    !strchr("0123456789abcdefABCDEF", s->p[i]))
			return fail(s, "bad escape in a string");
	if (is_key && memcmp(s->p, "0000", 4) == 0)
		return fail(s, "NUL in a key");
	s->p += 4;
	return true;
}

static bool scan_string(struct scanner *s, bool is_key)
{
	s->p++; /* the quote */
	for (;;) {
		int c = peek(s);
		size_t n;

		if (c < 0)
			return fail(s, "string without an end");
		if (c == '"') {
			s->p++;
			return true;
		}
		if (c == '\\') {
			if (!scan_escape(s, is_key))
				return false;
			continue;
		}
		if (c < 0x20)
			return fail(s, "control character in a string");
		n = str_utf8_length(s->p, (size_t)(s->end - s->p));
		if (n == 0)
			return fail(s, "string is not UTF-8");
		s->p += n;
	}
}

/* Digits at s->p, of which there must be one; their value in *value, false when it has no room. */
static bool scan_digits(struct scanner *s, uint64_t *value)
{
	bool fits = true;

	for (*value = 0; is_digit(peek(s)); s->p++)
		fits = fits && !__builtin_mul_overflow(*value, (uint64_t)10, value) &&
		       !__builtin_add_overflow(*value, (uint64_t)(*s->p - '0'), value);
	return fits;
}

static bool scan_number(struct scanner *s)
{
	bool negative = peek(s) == '-', integer = true, fits;
	const char *first;
	uint64_t value;

	if (negative)
		s->p++;
	first = s->p;
	if (!is_digit(peek(s)))
		return fail(s, "bad number");
	fits = scan_digits(s, &value);
	if (*first == '0' && s->p - first > 1)
		return fail(s, "number with a leading zero");
	if (peek(s) == '.') {
		uint64_t fraction;

		integer = false;
		s->p++;
		if (!is_digit(peek(s)))
			return fail(s, "bad number");
		scan_digits(s, &fraction);
	}
	if (peek(s) == 'e' || peek(s) == 'E') {
		uint64_t exponent;

		integer = false;
		s->p++;
		if (peek(s) == '+' || peek(s) == '-')
			s->p++;
		if (!is_digit(peek(s)))
			return fail(s, "bad number");
		scan_digits(s, &exponent);
	}
	if (integer && (!fits || (negative && value > (uint64_t)INT64_MAX + 1)))
		return fail(s, "integer out of range");
	return true;
}

static bool scan_word(struct scanner *s)
{
	static const char *const words[] = {"true", "false", "null"};

	for (size_t i = 0; i < 3; i++) {
		size_t n = strlen(words[i]);

		if ((size_t)(s->end - s->p) >= n && memcmp(s->p, words[i], n) == 0) {
			s->p += n;
			return true;
		}
	}
	return fail(s, "not a JSON value");
}

static void skip_space(struct scanner *s)
{
	while (s->p < s->end && (*s->p == ' ' || *s->p == '\t' || *s->p == '\n' || *s->p == '\r'))
		s->p++;
}

/* A value that is no container. */
static bool scan_scalar(struct scanner *s)
{
	int c = peek(s);

	if (c == '"')
		return scan_string(s, false);
	if (c == '-' || is_digit(c))
		return scan_number(s);
	return scan_word(s);
}

static bool scan_key(struct scanner *s)
{
	if (peek(s) != '"')
		return fail(s, "expected a key");
	if (!scan_string(s, true))
		return false;
	skip_space(s);
	if (peek(s) != ':')
		return fail(s, "expected a colon after a key");
	s->p++;
	return true;
}

static bool scan(struct scanner *s, unsigned depth_max, size_t *keys)
{
	enum expect expect = EXPECT_VALUE;
	uint64_t objects = 0; /* bit 0: is the innermost container an object? */
	unsigned depth = 0;

	for (;;) {
		int c;

		skip_space(s);
		c = peek(s);
		if (expect == EXPECT_NEXT && depth == 0)
			return c < 0 || fail(s, "text after the JSON document");
		if (c < 0)
			return fail(s, "the text ends too early");
		if ((expect == EXPECT_VALUE || expect == EXPECT_VALUE_OR_END) &&
		    (c == '{' || c == '[')) {
			if (depth == depth_max)
				return fail(s, "nested too deep");
			depth++;
			objects = objects << 1 | (c == '{');
			expect = c == '{' ? EXPECT_KEY_OR_END : EXPECT_VALUE_OR_END;
			s->p++;
		} else if (expect != EXPECT_VALUE && expect != EXPECT_KEY && depth > 0 &&
			   c == ((objects & 1) ? '}' : ']')) {
			depth--;
			objects >>= 1;
			expect = EXPECT_NEXT;
			s->p++;
		} else if (expect == EXPECT_NEXT) {
			if (c != ',')
				return fail(s, "expected a comma");
			expect = (objects & 1) ? EXPECT_KEY : EXPECT_VALUE;
			s->p++;
		} else if (expect == EXPECT_KEY || expect == EXPECT_KEY_OR_END) {
			if (!scan_key(s))
				return false;
			++*keys;
			expect = EXPECT_VALUE;
		} else {
			if (!scan_scalar(s))
				return false;
			expect = EXPECT_NEXT;
		}
	}
}

struct json_scan json_scan(const char *text, size_t len, unsigned depth_max)
{
	struct scanner s = {.p = text, .end = text + len};
	struct json_scan result = {0};

	assert(depth_max <= 64);
	scan(&s, depth_max, &result.keys);
	result.at = (size_t)(s.p - text);
	result.why = s.why;
	return result;
}

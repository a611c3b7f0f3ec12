/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A scanner for meta tags.
 *
 * Theory of operation: from '<' to '<'. A comment or declaration is skipped to its end, the text of
 * elements whose content is no markup (script, style, ...) to their end tag; of every other tag the
 * attributes are walked over, quotes respected, and those of a meta tag kept. Nothing nests, so
 * there is no stack. A construct that is not closed runs to the end of the page, as in browsers.
 */
#include "stage0/fetch/html.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>

#include "common/str.h"
#include "common/util.h"

struct scan {
	const char *p, *end;
};

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f';
}

static bool is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static void skip_space(struct scan *scan)
{
	while (scan->p < scan->end && is_space(*scan->p))
		scan->p++;
}

/* Behind the next text, or at the end of the page. */
static void skip_past(struct scan *scan, const char *text)
{
	const char *found = memmem(scan->p, (size_t)(scan->end - scan->p), text, strlen(text));

	scan->p = found ? found + strlen(text) : scan->end;
}

/* Behind "<!", "<?" or "</" that begin no tag of ours. */
static void skip_markup(struct scan *scan)
{
	if (scan->end - scan->p >= 4 && memcmp(scan->p, "<!--", 4) == 0) {
		scan->p += 4;
		skip_past(scan, "-->");
	} else {
		skip_past(scan, ">");
	}
}

/* To the end tag of an element whose content is text. */
static void skip_text(struct scan *scan, const char *element, size_t len)
{
	while (scan->p < scan->end) {
		const char *lt = memchr(scan->p, '<', (size_t)(scan->end - scan->p));

		scan->p = lt ? lt : scan->end;
		if ((size_t)(scan->end - scan->p) >= len + 2 && scan->p[1] == '/' &&
		    strncasecmp(scan->p + 2, element, len) == 0)
			return;
		if (lt)
			scan->p++;
	}
}

static void add_utf8(struct str *str, uint32_t c)
{
	char bytes[4];
	size_t n = 0;

	if (c < 0x80) {
		bytes[n++] = (char)c;
	} else if (c < 0x800) {
		bytes[n++] = (char)(0xc0 | c >> 6);
	} else if (c < 0x10000) {
		bytes[n++] = (char)(0xe0 | c >> 12);
		bytes[n++] = (char)(0x80 | (c >> 6 & 0x3f));
	} else {
		bytes[n++] = (char)(0xf0 | c >> 18);
		bytes[n++] = (char)(0x80 | (c >> 12 & 0x3f));
		bytes[n++] = (char)(0x80 | (c >> 6 & 0x3f));
	}
	if (c >= 0x80)
		bytes[n++] = (char)(0x80 | (c & 0x3f));
	str_addn(str, bytes, n);
}

static int digit_value(char c, unsigned base)
{
	int value = c >= '0' && c <= '9'   ? c - '0'
		    : c >= 'a' && c <= 'f' ? c - 'a' + 10
		    : c >= 'A' && c <= 'F' ? c - 'A' + 10
					   : -1;

	return value >= 0 && (unsigned)value < base ? value : -1;
}

/* "#39;" and "#x27;" behind an '&'. Bytes of it, 0 when it is no number of a character. */
static size_t add_number(struct str *str, const char *p, const char *end)
{
	const char *from = p;
	unsigned base = 10;
	uint32_t c = 0;
	int digit;

	if (end - p < 2 || *p++ != '#')
		return 0;
	if (*p == 'x' || *p == 'X') {
		base = 16;
		p++;
	}
	if (p == end || digit_value(*p, base) < 0)
		return 0;
	for (; p < end && (digit = digit_value(*p, base)) >= 0; p++)
		if (c <= 0x10ffff)
			c = c * base + (uint32_t)digit;
	if (c == 0 || c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
		return 0;
	add_utf8(str, c);
	return (size_t)(p - from) + (p < end && *p == ';');
}

/* The character references that URLs and names are written with. */
static size_t add_reference(struct str *str, const char *p, const char *end)
{
	static const struct {
		const char *name;
		char c;
	} names[] = {{"amp;", '&'}, {"lt;", '<'}, {"gt;", '>'}, {"quot;", '"'}, {"apos;", '\''}};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		size_t len = strlen(names[i].name);

		if ((size_t)(end - p) >= len && memcmp(p, names[i].name, len) == 0) {
			str_addn(str, &names[i].c, 1);
			return len;
		}
	}
	return add_number(str, p, end);
}

/* An attribute's value without its quotes. */
static void decode(struct str *str, const char *p, const char *end)
{
	while (p < end) {
		const char *amp = memchr(p, '&', (size_t)(end - p));
		size_t len;

		if (!amp)
			amp = end;
		str_addn(str, p, (size_t)(amp - p));
		p = amp;
		if (p == end)
			break;
		len = add_reference(str, p + 1, end);
		if (len == 0)
			str_add(str, "&");
		p += 1 + len;
	}
}

struct attribute {
	const char *name, *name_end;
	const char *value, *value_end; /* NULL: none */
};

static void read_value(struct scan *scan, struct attribute *ret)
{
	char quote;

	skip_space(scan);
	if (scan->p == scan->end)
		return;
	quote = *scan->p;
	if (quote == '"' || quote == '\'') {
		const char *close;

		ret->value = ++scan->p;
		close = memchr(scan->p, quote, (size_t)(scan->end - scan->p));
		ret->value_end = close ? close : scan->end;
		scan->p = close ? close + 1 : scan->end;
		return;
	}
	ret->value = scan->p;
	while (scan->p < scan->end && !is_space(*scan->p) && *scan->p != '>')
		scan->p++;
	ret->value_end = scan->p;
}

/* The next attribute of a tag; false, and the place behind the tag, when there is none. */
static bool next_attribute(struct scan *scan, struct attribute *ret)
{
	while (scan->p < scan->end && (is_space(*scan->p) || *scan->p == '/'))
		scan->p++;
	if (scan->p == scan->end)
		return false;
	if (*scan->p == '>') {
		scan->p++;
		return false;
	}
	*ret = (struct attribute){.name = scan->p};
	scan->p++; /* also a '=' where a name should be */
	while (scan->p < scan->end && !is_space(*scan->p) && *scan->p != '=' && *scan->p != '>' &&
	       *scan->p != '/')
		scan->p++;
	ret->name_end = scan->p;
	skip_space(scan);
	if (scan->p < scan->end && *scan->p == '=') {
		scan->p++;
		read_value(scan, ret);
	}
	return true;
}

static bool is_called(const struct attribute *attribute, const char *name)
{
	size_t len = strlen(name);

	return (size_t)(attribute->name_end - attribute->name) == len &&
	       strncasecmp(attribute->name, name, len) == 0;
}

/* Behind the tag's name. A value with a NUL in it is not what it would be taken for: not told. */
static int read_meta(struct scan *scan, html_meta_fn *fn, void *ctx)
{
	cleanup_str struct str name = STR_INIT, content = STR_INIT;
	bool has_name = false, has_content = false;
	struct attribute attribute;

	while (next_attribute(scan, &attribute)) {
		/* of an attribute given twice the first counts */
		if (!has_name && is_called(&attribute, "name")) {
			has_name = true;
			decode(&name, attribute.value, attribute.value_end);
		} else if (!has_content && is_called(&attribute, "content")) {
			has_content = true;
			decode(&content, attribute.value, attribute.value_end);
		}
	}
	if (!has_name || !has_content || strlen(str_get(&name)) != name.len ||
	    strlen(str_get(&content)) != content.len)
		return 0;
	return fn(ctx, str_get(&name), str_get(&content));
}

int html_each_meta(const char *page, size_t len, html_meta_fn *fn, void *ctx)
{
	static const char *const texts[] = {"script", "style",	"textarea", "title",
					    "xmp",    "iframe", "noembed",  "noframes"};
	struct scan scan = {page, page + len};
	unsigned metas = 0;
	int r = 0;

	while (r == 0 && metas < HTML_META_MAX && scan.p < scan.end) {
		const char *lt = memchr(scan.p, '<', (size_t)(scan.end - scan.p)), *element;
		struct attribute attribute;
		size_t n = 0;

		if (!lt || lt + 1 == scan.end)
			break;
		scan.p = lt;
		if (lt[1] == '!' || lt[1] == '?' || lt[1] == '/') {
			skip_markup(&scan);
			continue;
		}
		scan.p = element = lt + 1;
		if (!is_letter(*element))
			continue;
		while (scan.p < scan.end && !is_space(*scan.p) && *scan.p != '>' && *scan.p != '/')
			scan.p++;
		n = (size_t)(scan.p - element);
		if (n == 4 && strncasecmp(element, "meta", 4) == 0) {
			metas++;
			r = read_meta(&scan, fn, ctx);
			continue;
		}
		while (next_attribute(&scan, &attribute))
			;
		for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
			if (strlen(texts[i]) == n && strncasecmp(element, texts[i], n) == 0)
				skip_text(&scan, texts[i], n);
	}
	return r;
}

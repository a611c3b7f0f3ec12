/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The parser is a function of all bytes that have come, called again when more have: there is no
 * state to get wrong, and a request is short. Lines end with CRLF or LF (RFC 9112 section 2.2); what
 * is ambiguous about where a message ends is refused (two lengths, a transfer coding, folded lines).
 */
#include "vmm/metadata_http.h"

#include <stdint.h>
#include <string.h>
#include <strings.h>

#include "common/util.h"

/* Bytes with an end, eaten from the front. */
struct span {
	const char *p;
	size_t len;
};

static bool equals(const struct span *span, const char *word)
{
	return span->len == strlen(word) && strncasecmp(span->p, word, span->len) == 0;
}

/* The line at the front, without its end. False: it has none. */
static bool take_line(struct span *rest, struct span *ret)
{
	const char *end = memchr(rest->p, '\n', rest->len);
	size_t len;

	if (!end)
		return false;
	len = (size_t)(end - rest->p);
	*ret = (struct span){rest->p, len > 0 && end[-1] == '\r' ? len - 1 : len};
	rest->p += len + 1;
	rest->len -= len + 1;
	return true;
}

/* Up to the byte, which is eaten, too. */
static bool take_until(struct span *rest, char byte, struct span *ret)
{
	const char *end = memchr(rest->p, byte, rest->len);

	if (!end)
		return false;
	*ret = (struct span){rest->p, (size_t)(end - rest->p)};
	rest->len -= ret->len + 1;
	rest->p = end + 1;
	return true;
}

static void trim(struct span *span)
{
	while (span->len && (span->p[0] == ' ' || span->p[0] == '\t')) {
		span->p++;
		span->len--;
	}
	while (span->len && (span->p[span->len - 1] == ' ' || span->p[span->len - 1] == '\t'))
		span->len--;
}

static bool is_token(const struct span *span)
{
	static const char set[] = "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz"
				  "ABCDEFGHIJKLMNOPQRSTUVWXYZ";

	for (size_t i = 0; i < span->len; i++)
		if (!memchr(set, span->p[i], sizeof(set) - 1))
			return false;
	return span->len > 0;
}

/* Neither a control byte nor, where that matters, a blank. */
static bool is_visible(const struct span *span, bool blanks)
{
	for (size_t i = 0; i < span->len; i++) {
		unsigned char c = (unsigned char)span->p[i];

		if (c == 0x7f || c < ' ' ? !(blanks && c == '\t') : c == ' ' && !blanks)
			return false;
	}
	return true;
}

/* "/path", or "http://host/path" as sent to a proxy. */
static bool parse_target(struct span target, struct mdhttp_request *ret)
{
	static const char scheme[] = "http://";
	const char *query;

	if (target.len >= strlen(scheme) && strncasecmp(target.p, scheme, strlen(scheme)) == 0) {
		const char *slash;

		target.p += strlen(scheme);
		target.len -= strlen(scheme);
		slash = memchr(target.p, '/', target.len);
		if (!slash)
			return false;
		target.len -= (size_t)(slash - target.p);
		target.p = slash;
	}
	if (!target.len || target.p[0] != '/' || !is_visible(&target, false))
		return false;
	query = memchr(target.p, '?', target.len);
	ret->path = target.p;
	ret->path_len = query ? (size_t)(query - target.p) : target.len;
	return true;
}

/* 0, or the status to answer. */
static int parse_request_line(struct span line, struct mdhttp_request *ret)
{
	static const char *const names[] = {
		[MDHTTP_GET] = "GET", [MDHTTP_HEAD] = "HEAD", [MDHTTP_POST] = "POST"};
	struct span method, target;

	if (!take_until(&line, ' ', &method) || !take_until(&line, ' ', &target) ||
	    !is_token(&method) || line.len != strlen("HTTP/1.1") ||
	    strncmp(line.p, "HTTP/", 5) != 0)
		return 400;
	if (strncmp(line.p, "HTTP/1.", 7) != 0)
		return 505;
	if (!parse_target(target, ret))
		return 400;
	ret->method = MDHTTP_OTHER;
	for (unsigned i = 0; i < ARRAY_SIZE(names); i++)
		if (method.len == strlen(names[i]) && !memcmp(method.p, names[i], method.len))
			ret->method = (enum mdhttp_method)i;
	return 0;
}

struct headers {
	bool has_length, expects;
	uint64_t length;
};

static int parse_length(const struct span *value, struct headers *headers)
{
	uint64_t length = 0;

	if (!value->len || value->len > 18) /* digits: can not wrap */
		return 400;
	for (size_t i = 0; i < value->len; i++) {
		if (value->p[i] < '0' || value->p[i] > '9')
			return 400;
		length = length * 10 + (uint64_t)(value->p[i] - '0');
	}
	if (headers->has_length && headers->length != length)
		return 400;
	headers->has_length = true;
	headers->length = length;
	return 0;
}

static int parse_header(struct span line, struct headers *headers, struct mdhttp_request *ret)
{
	static const char form[] = "application/x-www-form-urlencoded";
	struct span name;

	if (!take_until(&line, ':', &name) || !is_token(&name) || !is_visible(&line, true))
		return 400;
	trim(&line);
	if (equals(&name, "Content-Length"))
		return parse_length(&line, headers);
	if (equals(&name, "Transfer-Encoding"))
		return 501;
	if (equals(&name, "Expect")) {
		if (!equals(&line, "100-continue"))
			return 417;
		headers->expects = true;
	} else if (equals(&name, "Content-Type")) {
		const char *semicolon = memchr(line.p, ';', line.len);

		if (semicolon)
			line.len = (size_t)(semicolon - line.p);
		trim(&line);
		ret->form = equals(&line, form);
	}
	return 0;
}

/* 1: the head is whole, 0: it is not, else the status to answer. */
static int parse_head(struct span *rest, struct headers *headers, struct mdhttp_request *ret)
{
	struct span line;
	int r;

	if (!take_line(rest, &line))
		return 0;
	if (!line.len && !take_line(rest, &line)) /* one empty line before a request is no harm */
		return 0;
	r = parse_request_line(line, ret);
	while (r == 0 && take_line(rest, &line)) {
		if (!line.len)
			return 1;
		r = parse_header(line, headers, ret);
	}
	return r;
}

enum mdhttp_state mdhttp_parse(const char *bytes, size_t len, struct mdhttp_request *ret,
			       int *ret_status)
{
	struct mdhttp_request request = {.method = MDHTTP_OTHER};
	struct span rest = {bytes, MIN(len, (size_t)MDHTTP_HEAD_MAX)};
	struct headers headers = {.has_length = false};
	int r = parse_head(&rest, &headers, &request);

	if (r == 0 && len >= MDHTTP_HEAD_MAX)
		r = 431;
	if (r == 1 && headers.length > MDHTTP_BODY_MAX)
		r = 413;
	if (r > 1) {
		*ret_status = r;
		return MDHTTP_WRONG;
	}
	if (r == 0)
		return MDHTTP_MORE;
	request.body = rest.p;
	request.body_len = (size_t)headers.length;
	if (len - (size_t)(rest.p - bytes) < request.body_len)
		return headers.expects ? MDHTTP_CONTINUE : MDHTTP_MORE;
	*ret = request;
	return MDHTTP_WHOLE;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

long mdhttp_decode(const char *text, size_t len, bool plus, char *ret)
{
	size_t n = 0;

	for (size_t i = 0; i < len; i++) {
		if (text[i] == '%') {
			int high = len - i > 2 ? hex_digit(text[i + 1]) : -1;
			int low = len - i > 2 ? hex_digit(text[i + 2]) : -1;

			if (high < 0 || low < 0)
				return -1;
			ret[n++] = (char)(high << 4 | low);
			i += 2;
		} else {
			ret[n++] = plus && text[i] == '+' ? ' ' : text[i];
		}
	}
	return (long)n;
}

long mdhttp_form_field(const char *form, size_t len, const char *name, char *ret)
{
	struct span rest = {form, len}, field, key;

	while (rest.len) {
		long n;

		if (!take_until(&rest, '&', &field)) {
			field = rest;
			rest.len = 0;
		}
		if (!take_until(&field, '=', &key)) {
			key = field;
			field.len = 0;
		}
		n = mdhttp_decode(key.p, key.len, true, ret);
		if (n == (long)strlen(name) && memcmp(ret, name, (size_t)n) == 0)
			return mdhttp_decode(field.p, field.len, true, ret);
	}
	return -1;
}

static const char *reason(int status)
{
	static const struct {
		int status;
		const char *text;
	} reasons[] = {
		{200, "OK"},
		{400, "Bad Request"},
		{401, "Unauthorized"},
		{403, "Forbidden"},
		{404, "Not Found"},
		{405, "Method Not Allowed"},
		{413, "Content Too Large"},
		{417, "Expectation Failed"},
		{431, "Request Header Fields Too Large"},
		{501, "Not Implemented"},
		{505, "HTTP Version Not Supported"},
	};

	for (unsigned i = 0; i < ARRAY_SIZE(reasons); i++)
		if (reasons[i].status == status)
			return reasons[i].text;
	return "Error";
}

void mdhttp_respond(struct str *out, const struct mdhttp_response *response)
{
	str_addf(out, "HTTP/1.1 %d %s\r\n", response->status, reason(response->status));
	if (response->type)
		str_addf(out, "Content-Type: %s\r\n", response->type);
	if (response->allow)
		str_addf(out, "Allow: %s\r\n", response->allow);
	str_addf(out, "Content-Length: %zu\r\nConnection: close\r\n\r\n", response->body_len);
	if (!response->no_body)
		str_addn(out, response->body, response->body_len);
}

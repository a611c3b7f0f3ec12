/* SPDX-License-Identifier: Apache-2.0 */
/* What a response's headers and error bodies say. */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/json.h"
#include "common/util.h"
#include "stage0/fetch/http_priv.h"

#define MAX_AGE_LIMIT (366 * 24 * 60 * 60) /* seconds: a year is for ever */

const char *http_header(const struct http_response *response, const char *name, size_t n)
{
	size_t len = strlen(name);

	for (size_t i = 0; i < response->headers.n; i++) {
		const char *line = response->headers.v[i];

		if (strncmp(line, name, len) == 0 && str_starts_with(line + len, ": ") && n-- == 0)
			return line + len + 2;
	}
	return NULL;
}

bool http_content_type(const struct http_response *response, char *ret, size_t size)
{
	const char *type = http_header(response, "content-type", 0);
	size_t len = type ? strcspn(type, "; \t") : 0;

	if (len == 0 || len >= size)
		return false;
	for (size_t i = 0; i < len; i++)
		ret[i] = (char)tolower((unsigned char)type[i]);
	ret[len] = '\0';
	return true;
}

/* A decimal number; *text is moved behind it. */
static bool number(const char **text, uint64_t *ret)
{
	uint64_t value = 0;
	const char *p = *text;

	if (!isdigit((unsigned char)*p))
		return false;
	for (; isdigit((unsigned char)*p); p++)
		if (__builtin_mul_overflow(value, 10, &value) ||
		    __builtin_add_overflow(value, (uint64_t)(*p - '0'), &value))
			return false;
	*text = p;
	*ret = value;
	return true;
}

bool http_content_range(const char *text, uint64_t *ret_first, uint64_t *ret_last,
			uint64_t *ret_total)
{
	uint64_t first, last, total = 0;

	if (strncasecmp(text, "bytes ", 6) != 0)
		return false;
	text += 6;
	if (!number(&text, &first) || *text++ != '-' || !number(&text, &last) || *text++ != '/')
		return false;
	if (strcmp(text, "*") != 0 && (!number(&text, &total) || *text || last >= total))
		return false;
	if (first > last)
		return false;
	*ret_first = first;
	*ret_last = last;
	*ret_total = total;
	return true;
}

int64_t http_max_age(const char *text)
{
	int64_t age = -1;
	uint64_t value;

	while (*text) {
		size_t len;

		text += strspn(text, " \t,");
		len = strcspn(text, ",");
		if ((len == 8 && strncasecmp(text, "no-cache", 8) == 0) ||
		    (len == 8 && strncasecmp(text, "no-store", 8) == 0))
			return 0;
		if (strncasecmp(text, "max-age=", 8) == 0) {
			const char *p = text + 8;

			p += *p == '"';
			if (number(&p, &value))
				age = (int64_t)MIN(value, (uint64_t)MAX_AGE_LIMIT);
			else if (isdigit((unsigned char)*p))
				age = MAX_AGE_LIMIT;
		}
		text += len;
	}
	return age;
}

/* {"errors":[{"code":...,"message":...}]}: the first one, in one line. */
static void registry_error(const struct http_response *response, struct str *ret)
{
	cleanup_json struct json_object *doc = NULL;
	struct json_object *errors = NULL, *first;
	const char *code = NULL, *message = NULL;
	struct error ignored = ERROR_INIT;

	if (response->body.len == 0 ||
	    json_parse(str_get(&response->body), response->body.len, "error", &doc, &ignored) < 0)
		return;
	if (!json_object_is_type(doc, json_type_object) ||
	    json_get_array(doc, "errors", &errors, &ignored) < 0 || !errors ||
	    json_object_array_length(errors) == 0)
		return;
	first = json_object_array_get_idx(errors, 0);
	if (!json_object_is_type(first, json_type_object) ||
	    json_get_string(first, "code", &code, &ignored) < 0 ||
	    json_get_string(first, "message", &message, &ignored) < 0)
		return;
	if (code)
		str_add_escaped(ret, code, MIN(strlen(code), 64));
	if (message) {
		str_add(ret, code ? ": " : "");
		str_add_escaped(ret, message, MIN(strlen(message), 256));
	}
}

static const char *hint(const struct http_response *response)
{
	switch (response->status) {
	case 401:
		return response->authorization_withheld
			       ? " (credentials are not sent over plain http)"
			       : "";
	case 429:
		return " (too many requests: logging in may raise the limit)";
	default:
		return "";
	}
}

int http_status_error(const struct http_response *response, struct error *err)
{
	const char *limit = http_header(response, "ratelimit-limit", 0);
	cleanup_str struct str more = STR_INIT;
	int code = -EPROTO;

	registry_error(response, &more);
	if (response->status == 429 && limit) {
		str_add(&more, more.len ? ", limit " : "limit ");
		str_add_escaped(&more, limit, MIN(strlen(limit), 64));
	}
	if (response->status == 429 && response->retry_after >= 0)
		str_addf(&more, "%stry again in %lld s", more.len ? ", " : "",
			 (long long)response->retry_after);
	if (response->status == 401 || response->status == 403)
		code = -EACCES;
	else if (response->status == 404 || response->status == 410)
		code = -ENOENT;
	else if (response->status == 429)
		code = -EAGAIN;
	return error_set(err, code, "%s: bad HTTP status code: %ld%s%s%s", response->final_url,
			 response->status, more.len ? ": " : "", str_get(&more), hint(response));
}

void http_response_free(struct http_response *response)
{
	strv_free(&response->headers);
	str_free(&response->body);
	free(response->final_url);
	*response = (struct http_response)HTTP_RESPONSE_INIT;
}

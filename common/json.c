/* SPDX-License-Identifier: Apache-2.0 */
/*
 * json-c builds the document, but is too generous to decide what a document is: json_scan() does
 * that first. json-c also keeps the last of several equal keys and does not say so; it then holds
 * fewer members than the text spells out, and that is how duplicates are found.
 */
#include "common/json.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "common/json_scan.h"
#include "common/util.h"

static void json_tokener_freep(struct json_tokener **tok)
{
	if (*tok)
		json_tokener_free(*tok);
}

/* Count the members of every object, so that they can be compared with what the text spells. */
static size_t count_members(struct json_object *root)
{
	struct json_object *stack[JSON_DEPTH_MAX + 1];
	size_t at[JSON_DEPTH_MAX + 1] = {0};
	struct json_object_iterator it[JSON_DEPTH_MAX + 1];
	size_t members = 0;
	int depth = 0;

	stack[0] = root;
	if (json_object_is_type(root, json_type_object))
		it[0] = json_object_iter_begin(root);
	while (depth >= 0) {
		struct json_object *obj = stack[depth], *child = NULL;

		if (json_object_is_type(obj, json_type_object)) {
			struct json_object_iterator end = json_object_iter_end(obj);

			if (json_object_iter_equal(&it[depth], &end)) {
				depth--;
				continue;
			}
			child = json_object_iter_peek_value(&it[depth]);
			json_object_iter_next(&it[depth]);
			members++;
		} else if (json_object_is_type(obj, json_type_array) &&
			   at[depth] < json_object_array_length(obj)) {
			child = json_object_array_get_idx(obj, at[depth]++);
		} else {
			depth--;
			continue;
		}
		if (!json_object_is_type(child, json_type_object) &&
		    !json_object_is_type(child, json_type_array))
			continue;
		assert(depth < JSON_DEPTH_MAX);
		depth++;
		stack[depth] = child;
		at[depth] = 0;
		if (json_object_is_type(child, json_type_object))
			it[depth] = json_object_iter_begin(child);
	}
	return members;
}

/* What was read is at most this deep in something we made around it. */
#define TEXT_DEPTH_MAX (2 * JSON_DEPTH_MAX)

int json_parse(const char *text, size_t len, const char *what, struct json_object **ret,
	       struct error *err)
{
	cleanup(json_tokener_freep) struct json_tokener *tok = json_tokener_new_ex(JSON_DEPTH_MAX);
	cleanup_json struct json_object *obj = NULL;
	enum json_tokener_error jerr;
	struct json_scan scan;

	if (len > JSON_SIZE_MAX)
		return error_set(err, -EFBIG, "%s: JSON larger than %d bytes", what, JSON_SIZE_MAX);
	if (!tok)
		return error_set(err, -ENOMEM, "%s: out of memory", what);
	scan = json_scan(text, len, JSON_DEPTH_MAX);
	if (scan.why)
		return error_set(err, -EINVAL, "%s: malformed JSON at byte %zu: %s", what, scan.at,
				 scan.why);

	obj = json_tokener_parse_ex(tok, text, (int)len);
	jerr = json_tokener_get_error(tok);
	if (jerr == json_tokener_continue) { /* a bare number has no end of its own */
		obj = json_tokener_parse_ex(tok, "", 1);
		jerr = json_tokener_get_error(tok);
	}
	if (jerr != json_tokener_success)
		return error_set(err, -EINVAL, "%s: malformed JSON: %s", what,
				 json_tokener_error_desc(jerr));
	if (scan.keys != count_members(obj))
		return error_set(err, -EINVAL, "%s: duplicate key in JSON", what);
	*ret = take_ptr(obj);
	return 0;
}

/* 1 and the value when key holds something, 0 when it is absent or null. */
static int get_typed(struct json_object *obj, const char *key, enum json_type type,
		     struct json_object **ret, struct error *err)
{
	struct json_object *value;

	if (!obj)
		return 0;
	if (!json_object_is_type(obj, json_type_object))
		return error_set(err, -EINVAL, "%s: looked for in %s, not in an object", key,
				 json_type_to_name(json_object_get_type(obj)));
	if (!json_object_object_get_ex(obj, key, &value) || !value)
		return 0;
	if (!json_object_is_type(value, type))
		return error_set(err, -EINVAL, "%s: expected %s, found %s", key,
				 json_type_to_name(type),
				 json_type_to_name(json_object_get_type(value)));
	*ret = value;
	return 1;
}

int json_get_string(struct json_object *obj, const char *key, const char **ret, struct error *err)
{
	struct json_object *value = NULL;
	int r = get_typed(obj, key, json_type_string, &value, err);

	if (r <= 0)
		return r;
	if (strlen(json_object_get_string(value)) != (size_t)json_object_get_string_len(value))
		return error_set(err, -EINVAL, "%s: NUL byte in string", key);
	*ret = json_object_get_string(value);
	return 0;
}

int json_get_bool(struct json_object *obj, const char *key, bool *ret, struct error *err)
{
	struct json_object *value = NULL;
	int r = get_typed(obj, key, json_type_boolean, &value, err);

	if (r > 0)
		*ret = json_object_get_boolean(value);
	return r < 0 ? r : 0;
}

int json_get_int(struct json_object *obj, const char *key, int64_t min, int64_t max, int64_t *ret,
		 struct error *err)
{
	struct json_object *value = NULL;
	int r = get_typed(obj, key, json_type_int, &value, err);
	int64_t n;

	if (r <= 0)
		return r;
	n = json_object_get_int64(value);
	/* json-c holds what an int64_t can not as uint64_t, and gives INT64_MAX for it here */
	if (n == INT64_MAX && json_object_get_uint64(value) > INT64_MAX)
		return error_set(err, -ERANGE, "%s: number too large", key);
	if (n < min || n > max)
		return error_set(err, -ERANGE, "%s: %lld is not in %lld..%lld", key, (long long)n,
				 (long long)min, (long long)max);
	*ret = n;
	return 0;
}

int json_get_object(struct json_object *obj, const char *key, struct json_object **ret,
		    struct error *err)
{
	int r = get_typed(obj, key, json_type_object, ret, err);

	return r < 0 ? r : 0;
}

int json_get_array(struct json_object *obj, const char *key, struct json_object **ret,
		   struct error *err)
{
	int r = get_typed(obj, key, json_type_array, ret, err);

	return r < 0 ? r : 0;
}

void json_add(struct json_object *obj, const char *key, struct json_object *value)
{
	if (json_object_object_add(obj, key, value) < 0)
		out_of_memory();
}

int json_each(struct json_object *obj, const char *key,
	      int (*check)(struct json_object *element, void *ctx, struct error *err), void *ctx,
	      struct error *err)
{
	struct json_object *list = NULL;
	int r = json_get_array(obj, key, &list, err);

	for (size_t i = 0; r == 0 && list && i < json_object_array_length(list); i++) {
		struct json_object *element = json_object_array_get_idx(list, i);

		r = json_object_is_type(element, json_type_object)
			    ? check(element, ctx, err)
			    : error_set(err, -EINVAL, "not an object");
		if (r < 0)
			error_wrap(err, "%s[%zu]", key, i);
	}
	return r;
}

int json_check_strings(struct json_object *obj, const char *key, struct error *err)
{
	struct json_object *map = NULL;
	struct json_object_iter it;
	int r = json_get_object(obj, key, &map, err);

	if (r < 0 || !map)
		return r;
	json_object_object_foreachC(map, it)
	{
		if (!json_object_is_type(it.val, json_type_string))
			return error_set(err, -EINVAL, "%s: %.100s is not a string", key, it.key);
	}
	return 0;
}

void json_add_string(struct json_object *obj, const char *key, const char *value)
{
	json_add(obj, key, json_object_new_string(value));
}

void json_add_bool(struct json_object *obj, const char *key, bool value)
{
	json_add(obj, key, json_object_new_boolean(value));
}

void json_add_int(struct json_object *obj, const char *key, int64_t value)
{
	json_add(obj, key, json_object_new_int64(value));
}

/*
 * json-c goes on with a shorter text when memory runs out while it writes, so what it wrote is read
 * again: a manifest must not be stored by half.
 */
const char *json_text(struct json_object *obj)
{
	cleanup(json_tokener_freep) struct json_tokener *tok = json_tokener_new_ex(TEXT_DEPTH_MAX);
	const char *text = json_object_to_json_string_ext(
		obj, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE);
	cleanup_json struct json_object *again = NULL;

	if (!tok || !text)
		out_of_memory();
	/* with its NUL, so that a bare number ends */
	again = json_tokener_parse_ex(tok, text, (int)strlen(text) + 1);
	if (json_tokener_get_error(tok) != json_tokener_success || !json_object_equal(obj, again))
		out_of_memory();
	return text;
}

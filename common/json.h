/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COMMON_JSON_H
#define COMMON_JSON_H

#include <json-c/json.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"
#include "common/util.h"

/*
 * JSON from outside, over json-c: RFC 8259 to the letter, bounded size and depth, integers that fit
 * 64 bits, duplicate keys refused (what was checked and what is used must be the same), typed
 * access with messages that name the key.
 */

#define JSON_DEPTH_MAX 64	 /* nesting of any document we read */
#define JSON_SIZE_MAX  (4 << 20) /* bytes of any document we read: manifests, indexes, configs */

/* Parse one document of len bytes, which what names in messages. The caller puts *ret. */
int json_parse(const char *text, size_t len, const char *what, struct json_object **ret,
	       struct error *err) __attribute__((nonnull));

/*
 * Member access. An absent key or null gives 0 and leaves *ret alone, also when obj is NULL; a
 * value of another type, or an obj that is no object, is -EINVAL with the key named. Strings and
 * objects stay the document's.
 */
int json_get_string(struct json_object *obj, const char *key, const char **ret, struct error *err);
int json_get_bool(struct json_object *obj, const char *key, bool *ret, struct error *err);
int json_get_int(struct json_object *obj, const char *key, int64_t min, int64_t max, int64_t *ret,
		 struct error *err);
int json_get_object(struct json_object *obj, const char *key, struct json_object **ret,
		    struct error *err);
int json_get_array(struct json_object *obj, const char *key, struct json_object **ret,
		   struct error *err);

/*
 * Call check with ctx on each element of the array at key, all of which must be objects, up to the
 * first failure, whose message gets "key[n]: " before it.
 */
int json_each(struct json_object *obj, const char *key,
	      int (*check)(struct json_object *element, void *ctx, struct error *err), void *ctx,
	      struct error *err);
/* Whether the object at key, if there is one, holds strings alone. */
int json_check_strings(struct json_object *obj, const char *key, struct error *err);

/* Add members. The object owns what is added. */
void json_add_string(struct json_object *obj, const char *key, const char *value);
void json_add_bool(struct json_object *obj, const char *key, bool value);
void json_add_int(struct json_object *obj, const char *key, int64_t value);
void json_add(struct json_object *obj, const char *key, struct json_object *value);

/* json-c's makers end the process without memory, as xcalloc() does. */
static inline struct json_object *json_must(struct json_object *obj)
{
	if (!obj)
		out_of_memory();
	return obj;
}
static inline int json_must_add(int result)
{
	if (result < 0)
		out_of_memory();
	return result;
}
#define json_object_new_object()	  json_must((json_object_new_object)())
#define json_object_new_array()		  json_must((json_object_new_array)())
#define json_object_new_string(s)	  json_must((json_object_new_string)(s))
#define json_object_new_boolean(b)	  json_must((json_object_new_boolean)(b))
#define json_object_new_int64(i)	  json_must((json_object_new_int64)(i))
#define json_object_array_add(list, item) json_must_add((json_object_array_add)((list), (item)))

/* Compact text without escaped slashes. The pointer lives as long as obj is not changed. */
const char *json_text(struct json_object *obj);

static inline void json_putp(struct json_object **obj)
{
	json_object_put(*obj);
}
#define cleanup_json cleanup(json_putp)

#endif

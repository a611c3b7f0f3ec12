/* SPDX-License-Identifier: Apache-2.0 */
#include "stage0/attest/bytes.h"

#include <errno.h>
#include <string.h>

#include "common/encode.h"
#include "common/hash.h"
#include "common/str.h"
#include "common/util.h"

#define FORMAT_VERSION 1 /* of every document of this room */

void bytes_free(struct bytes *bytes)
{
	free(bytes->p);
	*bytes = (struct bytes){.p = NULL};
}

struct bytes bytes_copy(const void *p, size_t len)
{
	struct bytes copy = {.p = xcalloc(1, len + 1), .len = len};

	memcpy(copy.p, p, len);
	return copy;
}

int json_need_string(struct json_object *obj, const char *key, const char **ret, struct error *err)
{
	const char *text = NULL;
	int r = json_get_string(obj, key, &text, err);

	if (r == 0 && !text)
		r = error_set(err, -EINVAL, "%s is missing", key);
	if (r == 0)
		*ret = text;
	return r;
}

int bytes_from_base64(struct json_object *obj, const char *key, size_t max, struct bytes *ret,
		      struct error *err)
{
	struct bytes bytes = {.p = NULL};
	const char *text = NULL;
	int r = json_need_string(obj, key, &text, err);

	if (r < 0)
		return r;
	if (base64_decode(text, max, &bytes.p, &bytes.len, err) < 0)
		return error_wrap(err, "%s", key);
	if (bytes.len == 0) {
		bytes_free(&bytes);
		return error_set(err, -EINVAL, "%s is empty", key);
	}
	*ret = bytes;
	return 0;
}

int bytes_from_hex(struct json_object *obj, const char *key, size_t max, struct bytes *ret,
		   struct error *err)
{
	cleanup_free uint8_t *p = xcalloc(1, max);
	const char *text = NULL;
	size_t len = 0;
	int r = json_need_string(obj, key, &text, err);

	if (r < 0)
		return r;
	if (hex_decode(text, p, max, &len, err) < 0)
		return error_wrap(err, "%s", key);
	if (len == 0)
		return error_set(err, -EINVAL, "%s is empty", key);
	*ret = (struct bytes){.p = take_ptr(p), .len = len};
	return 0;
}

void json_add_base64(struct json_object *obj, const char *key, const void *p, size_t len)
{
	cleanup_free char *text = base64_encode(p, len);

	json_add_string(obj, key, text);
}

void json_add_hex(struct json_object *obj, const char *key, const void *p, size_t len)
{
	cleanup_free char *text = xcalloc(2, len + 1);

	hash_hex(p, len, text);
	json_add_string(obj, key, text);
}

int json_need_kind(struct json_object *doc, const char *kind, struct error *err)
{
	const char *given = "";
	int64_t version = 0;
	int r;

	if (!json_object_is_type(doc, json_type_object))
		return error_set(err, -EINVAL, "not a JSON object");
	r = json_get_string(doc, "kind", &given, err);
	if (r == 0 && strcmp(given, kind) != 0)
		r = error_set(err, -EINVAL, "kind is not %s", kind);
	if (r == 0)
		r = json_get_int(doc, "version", 0, INT32_MAX, &version, err);
	if (r == 0 && version != FORMAT_VERSION)
		r = error_set(err, -EINVAL, "version is not %d", FORMAT_VERSION);
	return r;
}

const char *bank_name(enum bank bank)
{
	return bank == BANK_SHA256 ? "sha256" : "sha384";
}

unsigned bank_alg(enum bank bank)
{
	return bank == BANK_SHA256 ? 0x000b : 0x000c;
}

size_t bank_size(enum bank bank)
{
	return bank == BANK_SHA256 ? SHA256_SIZE : SHA384_SIZE;
}

uint8_t *bank_digest(struct digests *digests, enum bank bank)
{
	return bank == BANK_SHA256 ? digests->sha256 : digests->sha384;
}

static int bank_from_json(struct json_object *obj, enum bank bank, struct pcr_set *set,
			  struct error *err)
{
	json_object_object_foreach(obj, key, value)
	{
		unsigned long long pcr;
		uint8_t digest[HASH_MAX_SIZE];
		size_t len = 0;

		if (!str_to_u64(key, EVENTLOG_PCRS - 1, &pcr))
			return error_set(err, -EINVAL, "%s: a member is not a PCR's number",
					 bank_name(bank));
		if (!json_object_is_type(value, json_type_string) ||
		    hex_decode(json_object_get_string(value), digest, bank_size(bank), &len, err) <
			    0 ||
		    len != bank_size(bank))
			return error_set(err, -EINVAL,
					 "%s: PCR %llu is not a digest in hexadecimal",
					 bank_name(bank), pcr);
		/* "1" and "01" are two keys and one PCR */
		if (set->mask[bank] & (1U << pcr))
			return error_set(err, -EINVAL, "%s: PCR %llu is there twice",
					 bank_name(bank), pcr);
		set->mask[bank] |= 1U << pcr;
		memcpy(bank_digest(&set->values.pcr[pcr], bank), digest, len);
	}
	return 0;
}

int pcr_set_from_json(struct json_object *obj, struct pcr_set *ret, struct error *err)
{
	struct pcr_set set = {.mask = {0}};

	for (enum bank bank = 0; bank < BANKS; bank++) {
		struct json_object *values = NULL;
		int r = json_get_object(obj, bank_name(bank), &values, err);

		if (r == 0 && values)
			r = bank_from_json(values, bank, &set, err);
		if (r < 0)
			return r;
	}
	*ret = set;
	return 0;
}

struct json_object *pcr_set_json(const struct pcr_set *set)
{
	struct json_object *obj = json_object_new_object();

	for (enum bank bank = 0; bank < BANKS; bank++) {
		struct json_object *values = json_object_new_object();

		for (unsigned pcr = 0; pcr < EVENTLOG_PCRS; pcr++) {
			struct digests value = set->values.pcr[pcr];
			char key[8];

			if (!(set->mask[bank] & (1U << pcr)))
				continue;
			snprintf(key, sizeof(key), "%u", pcr);
			json_add_hex(values, key, bank_digest(&value, bank), bank_size(bank));
		}
		if (json_object_object_length(values) > 0)
			json_add(obj, bank_name(bank), values);
		else
			json_object_put(values);
	}
	return obj;
}

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE0_ATTEST_BYTES_H
#define STAGE0_ATTEST_BYTES_H

#include <stddef.h>
#include <stdint.h>

#include "common/error.h"
#include "common/eventlog.h"
#include "common/json.h"

/* What the JSON files of this room are made of. Reading trusts nothing and names the member. */

/* Bytes on the heap. */
struct bytes {
	uint8_t *p;
	size_t len;
};

void bytes_free(struct bytes *bytes) __attribute__((nonnull));
struct bytes bytes_copy(const void *p, size_t len) __attribute__((nonnull));

/* A member that must be there: base64 or hexadecimal of 1 to max bytes. */
int bytes_from_base64(struct json_object *obj, const char *key, size_t max, struct bytes *ret,
		      struct error *err) __attribute__((nonnull(2, 4, 5)));
int bytes_from_hex(struct json_object *obj, const char *key, size_t max, struct bytes *ret,
		   struct error *err) __attribute__((nonnull(2, 4, 5)));
void json_add_base64(struct json_object *obj, const char *key, const void *p, size_t len);
void json_add_hex(struct json_object *obj, const char *key, const void *p, size_t len);

/* A member that must be there and be a string. */
int json_need_string(struct json_object *obj, const char *key, const char **ret, struct error *err)
	__attribute__((nonnull(2, 3, 4)));

/* "version" and "kind" of a document, which must be these. */
int json_need_kind(struct json_object *doc, const char *kind, struct error *err)
	__attribute__((nonnull(2, 3)));

/* The banks of a pod's TPM, and of the host's as far as we use them. */
enum bank {
	BANK_SHA256,
	BANK_SHA384,
};
#define BANKS 2

/* Values of some PCRs; bit n of mask: PCR n of that bank is known. */
struct pcr_set {
	struct pcrs values;
	uint32_t mask[BANKS];
};

const char *bank_name(enum bank bank) __attribute__((returns_nonnull));
/* TPM_ALG_ID of the bank's digest, and its size. */
unsigned bank_alg(enum bank bank);
size_t bank_size(enum bank bank);
/* Where the bank's digest is. */
uint8_t *bank_digest(struct digests *digests, enum bank bank)
	__attribute__((nonnull, returns_nonnull));

/* {"sha256":{"0":HEX,...},"sha384":{...}}; a bank without values may be absent. */
int pcr_set_from_json(struct json_object *obj, struct pcr_set *ret, struct error *err)
	__attribute__((nonnull(2, 3)));
struct json_object *pcr_set_json(const struct pcr_set *set) __attribute__((nonnull));

#endif

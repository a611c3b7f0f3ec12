/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE0_TRUST_RULES_H
#define STAGE0_TRUST_RULES_H

#include <stdbool.h>

#include "common/error.h"
#include "common/json.h"
#include "stage0/config.h"

/* What documents of CONFIG/policy.d have in common, and the kind that is about signatures. */

#define POLICY_DIR	      "policy.d"
#define POLICY_VERSION	      "v1"
#define POLICY_KIND_IMAGE     "imagePolicy"
#define POLICY_KIND_SIGNATURE "signaturePolicy"

/* Whether doc is of this kind: -EINVAL when it is of none, or of another version. */
int rules_kind(struct json_object *doc, const char *kind, bool *ret, struct error *err)
	__attribute__((nonnull(2, 3, 4)));

/* -EINVAL when doc has a member that is neither kind nor version nor one of these (NULL ends). */
int rules_members(struct json_object *doc, const char *const *known, struct error *err)
	__attribute__((nonnull));

/*
 * Whether signatures of keys that have expired since are refused: {"rktKind": "signaturePolicy",
 * "rktVersion": "v1", "expiredKeys": "reject"}, or "accept", which is the default. The last
 * directory that says it counts.
 */
int rules_expired_keys(const struct config_dirs *dirs, bool *ret_reject, struct error *err)
	__attribute__((nonnull));

#endif

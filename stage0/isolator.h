/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE0_ISOLATOR_H
#define STAGE0_ISOLATOR_H

#include "common/error.h"
#include "common/json.h"
#include "common/str.h"

/* Isolators of apps and pods: reading (images.md 7.1) and making (rkt-behaviour 7.1, 7.2). */

#define MEMORY_LIMIT_MIN 4096 /* bytes; rkt refuses less */

/*
 * Check a list of {name, value}. An isolator nobody knows is fine, with a line in warnings;
 * a known one must be well-formed.
 */
int isolators_check(struct json_object *list, struct strv *warnings, struct error *err)
	__attribute__((nonnull));

/* {name, value: {request: text, limit: text}}; -EINVAL when text is no quantity, or too small. */
int isolator_memory(const char *text, struct json_object **ret, struct error *err)
	__attribute__((nonnull));
int isolator_cpu(const char *text, struct json_object **ret, struct error *err)
	__attribute__((nonnull));
/* {name, value: text as a number}; -EINVAL when it is none from min to max. */
int isolator_number(const char *name, const char *text, int min, int max, struct json_object **ret,
		    struct error *err) __attribute__((nonnull));
/* A capability isolator called name from a comma list of names, with or without "CAP_". */
int isolator_capabilities(const char *name, const char *list, struct json_object **ret,
			  struct error *err) __attribute__((nonnull));

/* A seccomp isolator from "mode=retain|remove[,errno=E],NAME,..." (rkt-behaviour 7.3). */
int isolator_seccomp(const char *text, struct json_object **ret, struct error *err)
	__attribute__((nonnull));

/* {name, value: {K: V, ...}} of K=V pairs. */
struct json_object *isolator_map(const char *name, const struct strv *pairs)
	__attribute__((nonnull, returns_nonnull));

/* Whether this is the name of a Linux capability, CAP_... */
bool capability_is_known(const char *name) __attribute__((nonnull));

#define ISOLATOR_CAPS_RETAIN "os/linux/capabilities-retain-set"
#define ISOLATOR_CAPS_REMOVE "os/linux/capabilities-remove-set"

/* Not appc's: limits of setrlimit(2), {NAME: "SOFT[:HARD]"} (common/ulimit.h). */
#define ISOLATOR_ULIMIT "tripod/ulimit"
#define ISOLATOR_SYSCTL "os/unix/sysctl"

/* The beginning of the names of both seccomp isolators, of which an app has one at most. */
#define ISOLATOR_SECCOMP "os/linux/seccomp-"

#endif

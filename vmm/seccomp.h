/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMM_SECCOMP_H
#define VMM_SECCOMP_H

#include <stddef.h>
#include <stdint.h>

#include "common/error.h"
#include "common/json.h"
#include "common/str.h"

/* System call filters of apps (rkt-behaviour.md section 7.3): from words to a BPF program. */

enum seccomp_mode {
	SECCOMP_DEFAULT = 0, /* the default white list */
	SECCOMP_OFF,
	SECCOMP_RETAIN, /* only the calls named */
	SECCOMP_REMOVE, /* all but the calls named */
};

struct seccomp_spec {
	enum seccomp_mode mode;
	int code;	   /* the errno of a call that is not allowed; 0: the process is killed */
	struct strv calls; /* names of system calls, no sets any more */
};

/*
 * Read the value of a seccomp isolator, {set: [words], errno?}. Words that mean nothing here are
 * left out, with a line each in notes. *ret is the caller's to seccomp_spec_free().
 */
int seccomp_parse(struct json_object *value, enum seccomp_mode mode, struct seccomp_spec *ret,
		  struct strv *notes, struct error *err) __attribute__((nonnull(3, 4, 5)));
void seccomp_spec_free(struct seccomp_spec *spec) __attribute__((nonnull));

struct seccomp_actions;

/* What is to happen with each call; of a filter that is not off. */
void seccomp_decide(const struct seccomp_spec *spec, struct seccomp_actions *ret)
	__attribute__((nonnull));

/* The filter as an array of struct sock_filter, *ret_len bytes, to free(); none when it is off. */
void seccomp_compile(const struct seccomp_spec *spec, uint8_t **ret, size_t *ret_len)
	__attribute__((nonnull));

/* The calls of a set ("@scope/name"), parted by spaces; NULL when there is no such set. */
const char *seccomp_set(const char *name) __attribute__((nonnull));

#define SECCOMP_SET_DEFAULT "@rkt/default-whitelist"
/* What a program needs to begin and to end; systemd adds it to every white list, and so does rkt. */
#define SECCOMP_SET_IMPLICIT "@systemd/default-whitelist"

#endif

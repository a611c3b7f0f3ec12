/* SPDX-License-Identifier: Apache-2.0 */
#ifndef INITRD_TEXT_H
#define INITRD_TEXT_H

#include <stddef.h>
#include <stdint.h>

#include "vmm/agent_proto.h"

/*
 * The one error text of init, built without stdio: what the VMM is told in FAILED and FATAL. A text
 * that does not fit is cut, never lost. Room for the u32 that goes before it in FAILED is left.
 */
#define INIT_TEXT_MAX (AGENT_TEXT_MAX - sizeof(uint32_t))

struct init_text {
	size_t len;
	char s[INIT_TEXT_MAX + 1];
};

void init_text_add(struct init_text *text, const char *s) __attribute__((nonnull));
void init_text_addn(struct init_text *text, const char *s, size_t len) __attribute__((nonnull));
void init_text_add_num(struct init_text *text, uint64_t n) __attribute__((nonnull));
/* ": " and the name of an errno, given as is or negated. */
void init_text_add_errno(struct init_text *text, int code) __attribute__((nonnull));

/* The text, terminated. */
const char *init_text_str(struct init_text *text) __attribute__((nonnull));

/* Replace the text by what, or by what "object": errno's text. Returns code, a negative errno. */
int init_text_set(struct init_text *text, int code, const char *what) __attribute__((nonnull));
int init_text_fail(struct init_text *text, int code, const char *what, const char *object)
	__attribute__((nonnull));

#endif

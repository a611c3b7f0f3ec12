/* SPDX-License-Identifier: Apache-2.0 */
#ifndef INITRD_USER_H
#define INITRD_USER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "initrd/text.h"

/* Users and groups of an app, resolved in its own root, which is the caller's root already. */

#define INIT_PASSWD_MAX (1U << 20) /* bytes of /etc/passwd and /etc/group that are looked at */

/*
 * The number in the third field of the line whose first is name, in a table of passwd's or group's
 * form. False when there is no such line or its number is none.
 */
bool init_user_lookup(const char *table, size_t len, const char *name, uint32_t *ret)
	__attribute__((nonnull));

/*
 * The user (or group) text names: "root", an absolute path whose owner is meant, a name in
 * /etc/passwd (/etc/group), or a number. 0, or a negative errno and why.
 */
int init_user_resolve(const char *text, bool group, uint32_t *ret, struct init_text *why)
	__attribute__((nonnull));

#endif

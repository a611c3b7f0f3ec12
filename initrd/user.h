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

/*
 * The fourth field of the first line of passwd whose third is uid. False when there is none. Lines
 * that are not of passwd's form are passed over.
 */
bool init_user_primary(const char *passwd, size_t len, uint32_t uid, uint32_t *ret)
	__attribute__((nonnull));

/* The groups of a table of group's form that list the name, at most max. Returns how many. */
unsigned init_user_groups(const char *group, size_t len, const char *name, uint32_t *ret,
			  unsigned max) __attribute__((nonnull));

#define INIT_USER_GROUPS_MAX 256 /* as many as images have groups */

struct init_user {
	uint32_t uid, gid;
	unsigned ngroups; /* supplementary */
	uint32_t groups[INIT_USER_GROUPS_MAX];
	bool group_failed; /* it was not the user that could not be resolved */
};

/*
 * The user and group by OCI's rule (images.md 17.2): numbers are numbers, names are looked up.
 * Without a group it is the user's own, or 0, and a user given by name has those of /etc/group that
 * list it. *ret is to be zero.
 */
int init_user_oci(const char *user, const char *group, struct init_user *ret, struct init_text *why)
	__attribute__((nonnull(1, 3, 4)));

#endif

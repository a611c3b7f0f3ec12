/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE0_IMAGE_ENTRY_H
#define STAGE0_IMAGE_ENTRY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"
#include "stage0/image/limits.h"

/* One entry of an archive, as the reader, the index and the tree hand it around. */

enum entry_type {
	ENTRY_REG = 1,
	ENTRY_DIR,
	ENTRY_SYMLINK,
	ENTRY_HARDLINK, /* link is the normalised path of the file it is another name of */
	ENTRY_CHR,
	ENTRY_BLK,
	ENTRY_FIFO,
};

struct entry_xattr {
	const char *name; /* with its prefix: "user.x", "security.capability" */
	const void *value;
	uint32_t len;
};

struct entry {
	enum entry_type type;
	uint32_t perm; /* permission bits with setuid, setgid and sticky: 07777 at most */
	uint32_t uid, gid;
	int64_t mtime; /* seconds, 0 to ENTRY_TIME_MAX */
	uint32_t mtime_ns;
	uint64_t size; /* regular files: logical bytes, holes included */
	uint64_t data; /* regular files: where the content begins in the layer's data */
	uint32_t major, minor;
	const char *path; /* normalised: no leading slash, "." or "..", "" is the archive's root */
	const char *link; /* symlink and hard link target, else "" */
	const struct entry_xattr *xattr;
	unsigned nxattr;
};

/*
 * Bring an archive's path to the one form we use: leading slashes, "." and doubled slashes go. out
 * holds ENTRY_PATH_MAX + 1 bytes. NULL, or what is wrong with it (spec/images.md 22.1).
 */
const char *entry_path_normalise(const char *path, char *out) __attribute__((nonnull));

/* Whether every promise above about an entry holds: for entries read back from a file. */
int entry_check(const struct entry *entry, struct error *err) __attribute__((nonnull));

/* How an extended attribute's name is stored in EROFS: prefix number and the rest of the name. */
struct xattr_kind {
	uint8_t prefix;
	const char *suffix;
};

/*
 * Whether an image may set this attribute (spec/images.md 18): user.* but overlayfs's own, file
 * capabilities and POSIX ACLs. *ret tells how EROFS spells it.
 */
bool xattr_allowed(const char *name, struct xattr_kind *ret) __attribute__((nonnull));

/* Whether a value of an allowed attribute is one the kernel would take. */
bool xattr_value_valid(const char *name, const void *value, size_t len) __attribute__((nonnull(1)));

/* The escaped form of a name for messages. The caller frees it. */
char *entry_name(const char *path) __attribute__((nonnull, returns_nonnull));

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#include "stage0/image/entry.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "common/buf.h"
#include "common/str.h"

/* erofs_fs.h */
#define EROFS_XATTR_INDEX_USER		    1
#define EROFS_XATTR_INDEX_POSIX_ACL_ACCESS  2
#define EROFS_XATTR_INDEX_POSIX_ACL_DEFAULT 3
#define EROFS_XATTR_INDEX_SECURITY	    6

/* linux/capability.h */
#define VFS_CAP_REVISION_MASK 0xff000000
#define VFS_CAP_REVISION_2    0x02000000
#define XATTR_CAPS_SZ_2	      20

/* linux/posix_acl_xattr.h */
#define POSIX_ACL_XATTR_VERSION 2
#define POSIX_ACL_ENTRY_SIZE	8

#define DEV_MAJOR_MAX ((1U << 12) - 1) /* new_encode_dev() */
#define DEV_MINOR_MAX ((1U << 20) - 1)

const char *entry_path_normalise(const char *path, char *out)
{
	size_t len = 0, depth = 0;

	if (strnlen(path, ENTRY_PATH_MAX + 1) > ENTRY_PATH_MAX)
		return "is too long";
	while (*path) {
		size_t n = strcspn(path, "/");

		if (n == 0) {
			path++;
			continue;
		}
		if (n == 2 && path[0] == '.' && path[1] == '.')
			return "has a '..' component";
		if (n > ENTRY_COMPONENT_MAX)
			return "has a component longer than 255 bytes";
		if (!(n == 1 && path[0] == '.')) {
			if (++depth > ENTRY_DEPTH_MAX)
				return "has more than 256 components";
			if (len > 0)
				out[len++] = '/';
			memcpy(out + len, path, n);
			len += n;
		}
		path += n;
	}
	out[len] = '\0';
	return NULL;
}

char *entry_name(const char *path)
{
	struct str str = STR_INIT;

	str_add_escaped(&str, path, strlen(path));
	return str_take(&str);
}

bool xattr_allowed(const char *name, struct xattr_kind *ret)
{
	static const struct {
		const char *name;
		struct xattr_kind kind;
	} exact[] = {
		{"security.capability", {EROFS_XATTR_INDEX_SECURITY, "capability"}},
		{"system.posix_acl_access", {EROFS_XATTR_INDEX_POSIX_ACL_ACCESS, ""}},
		{"system.posix_acl_default", {EROFS_XATTR_INDEX_POSIX_ACL_DEFAULT, ""}},
	};

	for (size_t i = 0; i < ARRAY_SIZE(exact); i++) {
		if (strcmp(name, exact[i].name) == 0) {
			*ret = exact[i].kind;
			return true;
		}
	}
	/* user.overlay.* would steer an overlayfs on top: opaque, redirect, metacopy */
	if (!str_starts_with(name, "user.") || str_starts_with(name, "user.overlay."))
		return false;
	*ret = (struct xattr_kind){EROFS_XATTR_INDEX_USER, name + strlen("user.")};
	return ret->suffix[0] && strlen(ret->suffix) <= 250;
}

bool xattr_value_valid(const char *name, const void *value, size_t len)
{
	struct buf buf = buf_from(value, len);

	if (strcmp(name, "security.capability") == 0) {
		if (len != XATTR_CAPS_SZ_2)
			return false;
		return (buf_le32(&buf) & VFS_CAP_REVISION_MASK) == VFS_CAP_REVISION_2;
	}
	if (str_starts_with(name, "system.posix_acl_"))
		return len >= 4 && (len - 4) % POSIX_ACL_ENTRY_SIZE == 0 &&
		       buf_le32(&buf) == POSIX_ACL_XATTR_VERSION;
	return len <= UINT16_MAX;
}

static const char *xattrs_problem(const struct entry *entry)
{
	size_t total = 0;

	if (entry->nxattr > ENTRY_XATTRS_MAX)
		return "too many extended attributes";
	for (unsigned i = 0; i < entry->nxattr; i++) {
		const struct entry_xattr *xattr = &entry->xattr[i];
		struct xattr_kind kind;

		if (!xattr_allowed(xattr->name, &kind) ||
		    !xattr_value_valid(xattr->name, xattr->value, xattr->len))
			return "an extended attribute that images may not have";
		total += strlen(xattr->name) + xattr->len;
	}
	return total > ENTRY_XATTR_BYTES ? "too many bytes of extended attributes" : NULL;
}

static const char *entry_problem(const struct entry *entry)
{
	char path[ENTRY_PATH_MAX + 1];
	const char *problem = entry_path_normalise(entry->path, path);

	if (problem)
		return problem;
	if (strcmp(path, entry->path) != 0)
		return "the path is not normalised";
	if (entry->perm > 07777)
		return "the mode has unknown bits";
	if (entry->uid == UINT32_MAX || entry->gid == UINT32_MAX)
		return "the owner is out of range";
	if (entry->mtime < 0 || entry->mtime > ENTRY_TIME_MAX || entry->mtime_ns > 999999999)
		return "the time is out of range";
	if (entry->type != ENTRY_REG && entry->size != 0)
		return "it has content but is no file";

	switch (entry->type) {
	case ENTRY_REG:
		if (entry->size > ENTRY_SIZE_MAX)
			return "the file is too large";
		break;
	case ENTRY_HARDLINK:
		problem = entry_path_normalise(entry->link, path);
		if (problem)
			return problem;
		if (!path[0] || strcmp(path, entry->link) != 0)
			return "the link target is not normalised";
		break;
	case ENTRY_SYMLINK:
		if (!entry->link[0] || strlen(entry->link) > ENTRY_SYMLINK_MAX)
			return "the link target is empty or too long";
		break;
	case ENTRY_CHR:
	case ENTRY_BLK:
		if (entry->major > DEV_MAJOR_MAX || entry->minor > DEV_MINOR_MAX)
			return "the device number is out of range";
		if (entry->type == ENTRY_CHR && !entry->major && !entry->minor)
			return "device 0:0 is overlayfs's whiteout and would hide files";
		break;
	case ENTRY_DIR:
	case ENTRY_FIFO:
		break;
	default:
		return "it is of an unknown type";
	}
	if (!entry->path[0] && entry->type != ENTRY_DIR)
		return "the archive's root is not a directory";
	return xattrs_problem(entry);
}

int entry_check(const struct entry *entry, struct error *err)
{
	const char *problem = entry_problem(entry);
	cleanup_free char *name = NULL;

	if (!problem)
		return 0;
	name = entry_name(entry->path);
	return error_set(err, -EINVAL, "entry \"%.200s\": %s", name, problem);
}

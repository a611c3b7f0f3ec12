/* SPDX-License-Identifier: Apache-2.0 */
#include "stage0/imageref.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/str.h"
#include "common/util.h"

/* The part of ref before a URL's ':', or 0. */
static size_t scheme_length(const char *ref)
{
	size_t len =
		strspn(ref, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+-.");

	return ref[len] == ':' ? len : 0;
}

static bool has_scheme(const char *ref, const char *scheme)
{
	return scheme_length(ref) == strlen(scheme) &&
	       strncasecmp(ref, scheme, strlen(scheme)) == 0;
}

int imageref_path(const char *ref, char **ret, struct error *err)
{
	struct stat st;

	if (has_scheme(ref, "file")) {
		const char *path = ref + strlen("file:");

		if (str_starts_with(path, "//"))
			path += 2;
		if (path[0] != '/')
			return error_set(err, -EINVAL, "%s: the path is not absolute", ref);
		if (!str_ends_with(path, ".aci"))
			return error_set(err, -EINVAL, "%s: the name does not end in .aci", ref);
		*ret = xstrdup(path);
		return 0;
	}
	if (ref[0] == '/' || (stat(ref, &st) == 0 && S_ISREG(st.st_mode)) ||
	    (scheme_length(ref) == 0 && !strchr(ref, ':') &&
	     (strstr(ref, "./") || str_ends_with(ref, ".aci")))) {
		*ret = xstrdup(ref);
		return 0;
	}
	return error_set(err, -EOPNOTSUPP,
			 "image \"%s\": images can only be named by the path of an .aci file", ref);
}

int imageref_import(struct store *store, const char *path, char ret_key[IMAGE_KEY_LEN + 1],
		    struct error *err)
{
	cleanup_fd int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return error_errno(err, "%s", path);
	if (S_ISDIR(st.st_mode))
		return error_set(err, -EISDIR, "%s: is a directory", path);
	return store_import_aci(store, fd, path, ret_key, err);
}

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
#include "stage0/image/oci_origin.h"

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

static int set_path(struct imageref *ref, enum imageref_kind kind, const char *path, size_t len)
{
	*ref = (struct imageref){.kind = kind, .path = xstrndup(path, len)};
	return 0;
}

static int parse_file_url(const char *text, struct imageref *ret, struct error *err)
{
	const char *path = text + strlen("file:");

	if (str_starts_with(path, "//"))
		path += 2;
	if (path[0] != '/')
		return error_set(err, -EINVAL, "%s: the path is not absolute", text);
	if (!str_ends_with(path, ".aci"))
		return error_set(err, -EINVAL, "%s: the name does not end in .aci", text);
	return set_path(ret, IMAGEREF_ACI, path, strlen(path));
}

/* oci:DIR[:NAME], as other tools spell it: DIR has no colon. */
static int parse_oci(const char *text, struct imageref *ret, struct error *err)
{
	const char *dir = text + strlen("oci:"), *colon = strchrnul(dir, ':');

	if (colon == dir || strcmp(colon, ":") == 0)
		return error_set(err, -EINVAL, "%s: expected oci:DIRECTORY or oci:DIRECTORY:NAME",
				 text);
	set_path(ret, IMAGEREF_OCI, dir, (size_t)(colon - dir));
	if (*colon)
		ret->name = xstrdup(colon + 1);
	return 0;
}

int imageref_parse(const char *text, struct imageref *ret, struct error *err)
{
	struct stat st;

	if (has_scheme(text, "file"))
		return parse_file_url(text, ret, err);
	if (has_scheme(text, "oci"))
		return parse_oci(text, ret, err);
	if (text[0] == '/' || (stat(text, &st) == 0 && S_ISREG(st.st_mode)) ||
	    (scheme_length(text) == 0 && !strchr(text, ':') &&
	     (strstr(text, "./") || str_ends_with(text, ".aci"))))
		return set_path(ret, IMAGEREF_ACI, text, strlen(text));
	return error_set(err, -EOPNOTSUPP,
			 "image \"%s\": images are named by the path of an .aci file, or as "
			 "oci:DIRECTORY[:NAME]",
			 text);
}

void imageref_free(struct imageref *ref)
{
	free(ref->path);
	free(ref->name);
	*ref = (struct imageref){.path = NULL};
}

int imageref_import_aci(struct store *store, const char *path, char ret_key[IMAGE_KEY_LEN + 1],
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

/* A layout says nothing of what its images are called elsewhere, so its directory names them. */
static int import_oci(struct store *store, const struct imageref *ref,
		      char ret_key[IMAGE_KEY_LEN + 1], struct strv *warnings, struct error *err)
{
	cleanup_free char *dir = realpath(ref->path, NULL);
	cleanup_free char *original = xasprintf("oci:%s%s%s", ref->path, ref->name ? ":" : "",
						ref->name ? ref->name : "");
	struct oci_source source = {.original = original, .tag = ref->name};
	cleanup_origin struct oci_origin *origin = NULL;
	int r;

	if (!dir)
		return error_errno(err, "%s", ref->path);
	source.name = strrchr(dir, '/') + 1;
	r = oci_layout_open(dir, ref->name, &origin, err);
	if (r == 0)
		r = store_import_origin(store, origin, &source, NULL, ret_key, warnings, err);
	return r < 0 ? error_wrap(err, "%s", dir) : 0;
}

int imageref_import(struct store *store, const struct imageref *ref,
		    char ret_key[IMAGE_KEY_LEN + 1], struct strv *warnings, struct error *err)
{
	if (ref->kind == IMAGEREF_OCI)
		return import_oci(store, ref, ret_key, warnings, err);
	return imageref_import_aci(store, ref->path, ret_key, err);
}

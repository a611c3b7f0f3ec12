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

/* Images of several files, as other tools spell them: the path has no colon. */
static const struct layered {
	enum imageref_kind kind;
	const char *scheme;
} layered[] = {
	{IMAGEREF_OCI, "oci"},
	{IMAGEREF_OCI_ARCHIVE, "oci-archive"},
	{IMAGEREF_DOCKER_ARCHIVE, "docker-archive"},
};

static int parse_layered(const char *text, const struct layered *kind, struct imageref *ret,
			 struct error *err)
{
	const char *path = text + strlen(kind->scheme) + 1, *colon = strchrnul(path, ':');

	if (colon == path || strcmp(colon, ":") == 0)
		return error_set(err, -EINVAL, "%s: expected %s:PATH or %s:PATH:NAME", text,
				 kind->scheme, kind->scheme);
	set_path(ret, kind->kind, path, (size_t)(colon - path));
	if (*colon)
		ret->name = xstrdup(colon + 1);
	return 0;
}

int imageref_parse(const char *text, struct imageref *ret, struct error *err)
{
	struct stat st;

	if (has_scheme(text, "file"))
		return parse_file_url(text, ret, err);
	for (size_t i = 0; i < ARRAY_SIZE(layered); i++)
		if (has_scheme(text, layered[i].scheme))
			return parse_layered(text, &layered[i], ret, err);
	if (text[0] == '/' || (stat(text, &st) == 0 && S_ISREG(st.st_mode)) ||
	    (scheme_length(text) == 0 && !strchr(text, ':') &&
	     (strstr(text, "./") || str_ends_with(text, ".aci"))))
		return set_path(ret, IMAGEREF_ACI, text, strlen(text));
	return error_set(err, -EOPNOTSUPP,
			 "image \"%s\": images are named by the path of an .aci file, or as "
			 "oci:DIRECTORY[:NAME], oci-archive:FILE[:NAME] or "
			 "docker-archive:FILE[:NAME[:TAG]]",
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

static int open_layered(struct store *store, const struct imageref *ref, const char *path,
			struct oci_origin **ret, struct error *err)
{
	switch (ref->kind) {
	case IMAGEREF_OCI_ARCHIVE:
		return oci_archive_open(store, path, ref->name, ret, err);
	case IMAGEREF_DOCKER_ARCHIVE:
		return docker_archive_open(store, path, ref->name, ret, err);
	default:
		return oci_layout_open(path, ref->name, ret, err);
	}
}

/* What does not say what its images are called elsewhere names them itself, by its file name. */
static char *file_name(const char *path)
{
	const char *base = strrchr(path, '/') + 1;
	size_t len = strlen(base);

	return xstrndup(base, str_ends_with(base, ".tar") && len > 4 ? len - 4 : len);
}

static int import_layered(struct store *store, const struct imageref *ref,
			  char ret_key[IMAGE_KEY_LEN + 1], struct strv *warnings, struct error *err)
{
	cleanup_free char *path = realpath(ref->path, NULL);
	cleanup_free char *name = path ? file_name(path) : NULL, *original = NULL;
	cleanup_origin struct oci_origin *origin = NULL;
	struct oci_source source = {.name = name, .tag = ref->name};
	int r;

	if (!path)
		return error_errno(err, "%s", ref->path);
	for (size_t i = 0; i < ARRAY_SIZE(layered); i++)
		if (layered[i].kind == ref->kind)
			original = xasprintf("%s:%s%s%s", layered[i].scheme, ref->path,
					     ref->name ? ":" : "", ref->name ? ref->name : "");
	source.original = original;
	r = open_layered(store, ref, path, &origin, err);
	if (r < 0)
		return r;
	if (origin->name) {
		source.name = origin->name;
		source.tag = origin->tag;
	} else if (ref->kind == IMAGEREF_DOCKER_ARCHIVE) {
		source.tag = NULL; /* @N is no tag */
	}
	r = store_import_origin(store, origin, &source, NULL, ret_key, warnings, err);
	return r < 0 ? error_wrap(err, "%s", path) : 0;
}

int imageref_import(struct store *store, const struct imageref *ref,
		    char ret_key[IMAGE_KEY_LEN + 1], struct strv *warnings, struct error *err)
{
	if (ref->kind == IMAGEREF_ACI)
		return imageref_import_aci(store, ref->path, ret_key, err);
	return import_layered(store, ref, ret_key, warnings, err);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The cache of files: DATA/cache/files/DEVICE-INODE holds "SIZE MTIME CTIME KEY". The owner of a
 * file can set its times but not its ctime, which every change moves; so equal ctime, size and
 * inode are the same bytes. A file that changed within the last seconds is not remembered, since a
 * second change could fall into the same tick of the clock.
 */
#include "stage0/imageref.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/file.h"
#include "common/json.h"
#include "common/str.h"
#include "common/util.h"

#define CACHE_ENTRY_MAX 512 /* bytes */
#define SETTLED_SECONDS 2   /* coarser than the timestamps of any file system in use */

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

static char *cache_entry(const struct stat *st, const char *key)
{
	return xasprintf("%lld %lld.%09ld %lld.%09ld %s", (long long)st->st_size,
			 (long long)st->st_mtim.tv_sec, st->st_mtim.tv_nsec,
			 (long long)st->st_ctim.tv_sec, st->st_ctim.tv_nsec, key);
}

/* Whether the cache knows this very file, and the store still has its image. */
static bool cache_get(struct store *store, const char *cache, const struct stat *st,
		      char ret_key[IMAGE_KEY_LEN + 1])
{
	cleanup_free char *text = NULL, *entry = NULL;
	cleanup_json struct json_object *manifest = NULL;
	struct error ignored = ERROR_INIT;
	const char *key;
	size_t len;

	if (file_read(AT_FDCWD, cache, CACHE_ENTRY_MAX, &text, &len, &ignored) < 0 ||
	    len < IMAGE_KEY_LEN)
		return false;
	key = text + len - IMAGE_KEY_LEN;
	entry = cache_entry(st, key);
	if (strcmp(entry, text) != 0 || !str_starts_with(key, "sha512-") ||
	    store_manifest(store, key, &manifest, &ignored) < 0)
		return false;
	memcpy(ret_key, key, IMAGE_KEY_LEN + 1);
	return true;
}

/* Remember the file, if it did not change while it was read. A cache that can not be written is
 * fine. */
static void cache_put(const char *data_dir, const char *cache, int fd, const struct stat *before,
		      const char *key)
{
	cleanup_free char *dir = xasprintf("%s/cache/files", data_dir);
	cleanup_free char *entry = cache_entry(before, key), *now = NULL;
	struct error ignored = ERROR_INIT;
	struct stat after;

	if (fstat(fd, &after) < 0 || time(NULL) - after.st_ctim.tv_sec < SETTLED_SECONDS)
		return;
	now = cache_entry(&after, key);
	if (strcmp(entry, now) == 0 && mkdir_path(AT_FDCWD, dir, 0750, &ignored) == 0)
		(void)file_write(AT_FDCWD, cache, entry, strlen(entry), 0640, &ignored);
}

int imageref_import(struct store *store, const char *data_dir, const char *path,
		    char ret_key[IMAGE_KEY_LEN + 1], struct error *err)
{
	cleanup_fd int fd = open(path, O_RDONLY | O_CLOEXEC);
	cleanup_free char *cache = NULL;
	struct stat st;
	int r;

	if (fd < 0 || fstat(fd, &st) < 0)
		return error_errno(err, "%s", path);
	if (S_ISDIR(st.st_mode))
		return error_set(err, -EISDIR, "%s: is a directory", path);
	cache = xasprintf("%s/cache/files/%llx-%llu", data_dir, (unsigned long long)st.st_dev,
			  (unsigned long long)st.st_ino);
	if (S_ISREG(st.st_mode) && cache_get(store, cache, &st, ret_key))
		return 0;
	r = store_import_aci(store, fd, path, ret_key, err);
	if (r == 0 && S_ISREG(st.st_mode))
		cache_put(data_dir, cache, fd, &st, ret_key);
	return r;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The image is unpacked beside the place it goes to and renamed when it is complete; what it replaces
 * is exchanged with it in one step and deleted afterwards.
 */
#include "stage0/unpack.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/file.h"
#include "common/log.h"
#include "common/util.h"
#include "stage0/image_find.h"

const struct option unpack_options[] = {
	{"overwrite", OPT_BOOL, offsetof(struct unpack_options, overwrite),
	 .help = "replace DIRECTORY if it is there"},
	{"rootfs-only", OPT_BOOL, offsetof(struct unpack_options, rootfs_only),
	 .help = "put the content of rootfs into DIRECTORY, and no manifest"},
	{.name = NULL},
};

/* Where the result goes: a name in a directory. */
struct place {
	int parent;
	char *name;  /* owned */
	char *aside; /* owned: beside it, while it is made */
};

static void place_free(struct place *place)
{
	close_fd(&place->parent);
	free(place->name);
	free(place->aside);
}

/* Whether dir is path or holds it; both are absolute and without links. */
static bool is_above(const char *dir, const char *path)
{
	size_t len = strlen(dir);

	return strncmp(dir, path, len) == 0 && (path[len] == '/' || path[len] == '\0');
}

/* What is there must not be the world, nor hold the store. */
static int check_existing(const char *path, const char *data_dir, bool overwrite, struct error *err)
{
	cleanup_free char *real = realpath(path, NULL);
	struct stat st;

	if (real && strcmp(real, "/") == 0)
		return error_set(err, -EINVAL, "refusing to write to /");
	if (lstat(path, &st) < 0)
		return errno == ENOENT ? 0 : error_errno(err, "%s", path);
	if (!overwrite)
		return error_set(err, -EEXIST, "%s is there already (see --overwrite)", path);
	if (!S_ISDIR(st.st_mode))
		return error_set(err, -ENOTDIR, "%s is not a directory", path);
	if (!real || is_above(real, data_dir))
		return error_set(err, -EINVAL, "refusing to replace %s", path);
	return 0;
}

/* The last component of a path that is to be made, and the directory it is in. */
static int find_place(const char *path, struct place *ret, struct error *err)
{
	cleanup_free char *copy = xstrdup(path);
	size_t len = strlen(copy);
	char *slash;

	while (len > 1 && copy[len - 1] == '/')
		copy[--len] = '\0';
	slash = strrchr(copy, '/');
	ret->name = xstrdup(slash ? slash + 1 : copy);
	if (!ret->name[0] || strcmp(ret->name, ".") == 0 || strcmp(ret->name, "..") == 0)
		return error_set(err, -EINVAL, "\"%s\" does not name a directory to make", path);
	ret->aside = xasprintf(".%.200s.tmp-%ld", ret->name, (long)getpid());
	if (slash)
		slash[slash == copy] = '\0';
	ret->parent = open(slash ? copy : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return ret->parent < 0 ? error_errno(err, "%s", slash ? copy : ".") : 0;
}

static int move_into_place(const struct place *place, bool overwrite, struct error *err)
{
	if (renameat2(place->parent, place->aside, place->parent, place->name, RENAME_NOREPLACE) ==
	    0)
		return 0;
	if (errno == EEXIST && !overwrite)
		return error_set(err, -EEXIST, "%s is there already (see --overwrite)",
				 place->name);
	if (errno != EEXIST ||
	    renameat2(place->parent, place->aside, place->parent, place->name, RENAME_EXCHANGE) < 0)
		return error_errno(err, "%s", place->name);
	return remove_tree(place->parent, place->aside, err);
}

static int unpack_to(struct store *store, const char *key, const struct store_unpack *how,
		     const struct place *place, bool overwrite, struct error *err)
{
	cleanup_strv struct strv warnings = STRV_INIT;
	struct error ignored = ERROR_INIT;
	int r = store_unpack(store, key, how, place->parent, place->aside, &warnings, err);

	if (r < 0)
		return r;
	r = move_into_place(place, overwrite, err);
	if (r < 0)
		remove_tree(place->parent, place->aside, &ignored);
	for (size_t i = 0; r == 0 && i < warnings.n; i++)
		log_warn("%s", warnings.v[i]);
	return r;
}

int unpack(const struct globals *globals, const char *text, const char *path,
	   const struct unpack_options *options, bool dependencies, struct error *err)
{
	const struct store_unpack how = {.dependencies = dependencies,
					 .rootfs_only = options->rootfs_only};
	struct place place = {.parent = -1};
	cleanup_store struct store *store = NULL;
	cleanup_free char *data_dir = NULL;
	char key[IMAGE_KEY_LEN + 1];
	int r = globals_data_dir(globals, &data_dir, err);

	if (r == 0)
		r = check_existing(path, data_dir, options->overwrite, err);
	if (r == 0)
		r = find_place(path, &place, err);
	if (r == 0)
		r = store_open(data_dir, &store, err);
	if (r == 0)
		r = image_find(store, text, key, err);
	if (r == 0)
		r = unpack_to(store, key, &how, &place, options->overwrite, err);
	place_free(&place);
	return r;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The archive is written aside and renamed when it is whole and its digest is right, so a file of
 * that name is never half an image.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/log.h"
#include "common/util.h"
#include "stage0/cmds.h"
#include "stage0/image_find.h"

struct export_options {
	bool overwrite;
};

static const struct option options[] = {
	{"overwrite", OPT_BOOL, offsetof(struct export_options, overwrite),
	 .help = "replace FILE if it is there"},
	{.name = NULL},
};

static int move_into_place(const char *aside, const char *path, bool overwrite, struct error *err)
{
	int r = overwrite ? rename(aside, path)
			  : renameat2(AT_FDCWD, aside, AT_FDCWD, path, RENAME_NOREPLACE);

	/* a file system without such renames: a link does not replace either */
	if (r < 0 && errno == EINVAL && !overwrite) {
		r = link(aside, path);
		if (r == 0)
			unlink(aside);
	}
	if (r < 0 && errno == EEXIST)
		return error_set(err, -EEXIST, "%s is there already (see --overwrite)", path);
	return r < 0 ? error_errno(err, "%s", path) : 0;
}

static int write_aside(struct store *store, const char *key, const char *aside, struct error *err)
{
	cleanup_fd int fd = open(aside, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	int r;

	if (fd < 0)
		return error_errno(err, "%s", aside);
	r = store_export_aci(store, key, fd, err);
	if (r == 0 && (fchmod(fd, 0644) < 0 || fsync(fd) < 0))
		r = error_errno(err, "%s", aside);
	return r;
}

static int export_to(struct store *store, const char *key, const char *path, bool overwrite,
		     struct error *err)
{
	cleanup_free char *aside = xasprintf("%s.tmp-%ld", path, (long)getpid());
	struct stat st;
	int r;

	if (lstat(path, &st) == 0 && !overwrite)
		return error_set(err, -EEXIST, "%s is there already (see --overwrite)", path);
	if (lstat(path, &st) == 0 && !S_ISREG(st.st_mode))
		return error_set(err, -EINVAL, "refusing to replace %s, which is no regular file",
				 path);
	r = write_aside(store, key, aside, err);
	if (r == 0)
		r = move_into_place(aside, path, overwrite, err);
	if (r < 0)
		unlink(aside);
	return r;
}

static int run(struct globals *globals, void *opts, const struct strv *args)
{
	const struct export_options *given = opts;
	cleanup_free char *data_dir = NULL;
	cleanup_store struct store *store = NULL;
	char key[IMAGE_KEY_LEN + 1];
	struct error err = ERROR_INIT;

	if (globals_data_dir(globals, &data_dir, &err) < 0 ||
	    store_open(data_dir, &store, &err) < 0 ||
	    image_find(store, args->v[0], key, &err) < 0 ||
	    export_to(store, key, args->v[1], given->overwrite, &err) < 0) {
		log_error("%s", err.msg);
		return EXIT_FAILED;
	}
	return 0;
}

const struct command cmd_image_export = {
	.name = "image export",
	.args = "[options] IMAGE FILE",
	.summary = "write an image as an ACI",
	.text = "The archive is not compressed. What came as an ACI is written as it was, byte "
		"for\n"
		"byte, and its digest is checked; what came as layers, as an archive made of "
		"them,\n"
		"the same whenever it is made.",
	.options = options,
	.size = sizeof(struct export_options),
	.min_args = 2,
	.max_args = 2,
	.run = run,
};

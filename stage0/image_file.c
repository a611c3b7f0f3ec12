/* SPDX-License-Identifier: Apache-2.0 */
#include "stage0/image_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/util.h"

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

static int write_aside(const char *aside, const char *path,
		       int (*fill)(void *ctx, int fd, struct error *err), void *ctx,
		       struct error *err)
{
	cleanup_fd int fd = open(aside, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	int r;

	/* the file that was asked for is named, but where only the other one is in the way */
	if (fd < 0)
		return error_errno(err, "%s", errno == EEXIST ? aside : path);
	r = fill(ctx, fd, err);
	if (r == 0 && (fchmod(fd, 0644) < 0 || fsync(fd) < 0))
		r = error_errno(err, "%s", path);
	return r;
}

int image_file_write(const char *path, bool overwrite,
		     int (*fill)(void *ctx, int fd, struct error *err), void *ctx,
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
	r = write_aside(aside, path, fill, ctx, err);
	if (r == 0)
		r = move_into_place(aside, path, overwrite, err);
	if (r < 0)
		unlink(aside);
	return r;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The layer above an app's image, before an overlay is made of the two.
 *
 * Writing to a tmpfs is cheaper than writing to an overlay of it, which would copy parents up, and
 * works for a read-only root too. To put a file into a directory of the image, the directory is made
 * in the layer with the image's mode and owner, and the overlay merges them. One with extended
 * attributes (access lists), which a copy would lose, is left alone, as is what is no directory.
 */
#include "initrd/layer.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

enum kind {
	KIND_MISSING,
	KIND_DIR,
	KIND_OTHER,
};

/* What the image has at path, without following a link at its end. */
static int look(const char *path, enum kind *ret, struct stat *st, struct init_text *why)
{
	if (lstat(path, st) == 0)
		*ret = S_ISDIR(st->st_mode) ? KIND_DIR : KIND_OTHER;
	else if (errno == ENOENT)
		*ret = KIND_MISSING;
	else
		return init_text_fail(why, -errno, "looking at", path);
	return 0;
}

/* A directory of the layer, with the image's attributes. */
static int copy_dir(const char *path, const struct stat *st, struct init_text *why)
{
	if (mkdir(path, st->st_mode & 07777) < 0 ||
	    ((st->st_uid | st->st_gid) != 0 && chown(path, st->st_uid, st->st_gid) < 0))
		return init_text_fail(why, -errno, "making", path);
	return 0;
}

static int make_dir(const char *path, mode_t mode, struct init_text *why)
{
	return mkdir(path, mode) < 0 ? init_text_fail(why, -errno, "making", path) : 0;
}

/*
 * Make path in the layer for the image's directory lower, so that files can be put into it. *ret is
 * false when that must not be.
 */
static int open_up(const char *lower, const char *path, bool *ret, struct init_text *why)
{
	struct stat st;
	enum kind kind;
	int r = look(lower, &kind, &st, why);

	if (r < 0)
		return r;
	*ret = kind == KIND_MISSING || (kind == KIND_DIR && llistxattr(lower, NULL, 0) <= 0);
	if (!*ret)
		return 0;
	return kind == KIND_DIR ? copy_dir(path, &st, why) : make_dir(path, 0755, why);
}

static bool is_missing(const char *path)
{
	struct stat st;

	return lstat(path, &st) < 0;
}

static bool is_empty(const char *path)
{
	struct stat st;

	return lstat(path, &st) < 0 || (S_ISREG(st.st_mode) && st.st_size == 0);
}

/* A file of the layer's /etc, unless there is no text for it. */
static int write_etc(const char *path, const char *text, const char *end, struct init_text *why)
{
	ssize_t len = text ? (ssize_t)strlen(text) : 0, end_len = (ssize_t)strlen(end);
	int fd, r = 0;

	if (!text)
		return 0;
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	if (fd < 0 || write(fd, text, (size_t)len) != len ||
	    write(fd, end, (size_t)end_len) != end_len)
		r = init_text_fail(why, -errno, "writing", path);
	if (fd >= 0)
		close(fd);
	return r;
}

static int fill_etc(const struct init_plan *pod, struct init_text *why)
{
	bool mtab = is_missing("/lower/etc/mtab"), open;
	const char *id = is_empty("/lower/etc/machine-id") ? pod->machine_id : NULL;
	const char *hosts = pod->hosts_set;
	int r;

	if (!hosts && pod->hosts && is_missing("/lower/etc/hosts"))
		hosts = pod->hosts;
	if (!mtab && !pod->hostname && !hosts && !pod->resolv && !id)
		return 0;
	r = open_up("/lower/etc", "root/etc", &open, why);
	if (r < 0 || !open)
		return r;
	if (mtab && symlink("../proc/self/mounts", "root/etc/mtab") < 0)
		return init_text_fail(why, -errno, "making", "/etc/mtab");
	r = write_etc("root/etc/hostname", pod->hostname, "\n", why);
	if (r == 0)
		r = write_etc("root/etc/hosts", hosts, "", why);
	if (r == 0)
		r = write_etc("root/etc/machine-id", id, "\n", why);
	return r < 0 ? r : write_etc("root/etc/resolv.conf", pod->resolv, "", why);
}

static int fill_run(struct init_text *why)
{
	bool open;
	int r;

	if (!is_missing("/lower/run/systemd"))
		return 0;
	r = open_up("/lower/run", "root/run", &open, why);
	return r < 0 || !open ? r : make_dir("root/run/systemd", 0755, why);
}

int init_layer_make(const struct init_plan *pod, struct init_text *why)
{
	static const struct {
		const char *lower, *upper, *name;
		mode_t mode;
		bool mounted_on;
	} dir[] = {
		{"/lower/dev", "root/dev", "/dev", 0755, true},
		{"/lower/proc", "root/proc", "/proc", 0755, true},
		{"/lower/sys", "root/sys", "/sys", 0755, true},
		{"/lower/tmp", "root/tmp", "/tmp", 01777, false},
	};
	struct stat st;
	int r;

	/* the merged root shows the layer's mode and owner */
	if (stat("/lower", &st) < 0)
		return init_text_fail(why, -errno, "looking at", "/lower");
	r = copy_dir("root", &st, why);
	for (size_t i = 0; r == 0 && i < sizeof(dir) / sizeof(dir[0]); i++) {
		enum kind kind = KIND_DIR;

		r = look(dir[i].lower, &kind, &st, why);
		if (r == 0 && kind == KIND_MISSING)
			r = make_dir(dir[i].upper, dir[i].mode, why);
		else if (r == 0 && kind == KIND_OTHER && dir[i].mounted_on)
			r = init_text_fail(why, -ENOTDIR, "mounting", dir[i].name);
	}
	if (r == 0)
		r = fill_etc(pod, why);
	return r < 0 ? r : fill_run(why);
}

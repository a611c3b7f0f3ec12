/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Volumes are directories of init's own tree, one for each, called by its number: an empty one is
 * made where the pod's writable file system is, on the share of one of the host's its virtio-fs is
 * mounted. Apps get clones of these mounts, made read only before they are attached, at a target
 * that was opened before: no path is walked twice, so nothing can be put in between.
 *
 * Nothing an app mounts in a volume is seen by others, unless files of the kernel are open to them,
 * too (--insecure-options=paths): then it is seen by all that have the volume.
 *
 * A seeded volume belongs to one mount of one app, and begins as what the image has there (Docker's
 * rule). An empty directory of the image is taken for its mode and owner. One with something in it
 * is not copied: it becomes the lower layer of an overlay, so that its size does not matter.
 */
#include "initrd/volume.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <linux/openat2.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "initrd/disk.h"
#include "initrd/target.h"

#define VOLUMES "/volumes"

/* <sys/mount.h> and <linux/mount.h> do not go together. */
int mount(const char *source, const char *target, const char *type, unsigned long flags,
	  const void *data);

/* The directory of a volume, or something in it. */
static const char *volume_path(struct init_text *text, const struct init_plan *pod, unsigned n,
			       const char *rest)
{
	text->len = 0;
	init_text_add(text, init_disk_dir(pod));
	init_text_add(text, VOLUMES "/");
	init_text_add_num(text, pod->first_volume + n);
	init_text_add(text, rest);
	return init_text_str(text);
}

void init_volume_path(struct init_text *text, const struct init_plan *pod, unsigned n)
{
	volume_path(text, pod, n, "");
}

/* A directory whose mode does not depend on umask. */
static int make_dir(const char *path, mode_t mode, uid_t uid, gid_t gid, struct init_text *why)
{
	if ((mkdir(path, 0700) < 0 && errno != EEXIST) || chown(path, uid, gid) < 0 ||
	    chmod(path, mode) < 0)
		return init_text_fail(why, -errno, "making volume", path);
	return 0;
}

static int mount_share(const char *path, unsigned share, struct init_text *why)
{
	struct init_text tag = {.len = 0};

	init_text_add(&tag, "v");
	init_text_add_num(&tag, share);
	/* a device's number means another device here */
	if (mount(init_text_str(&tag), path, "virtiofs", MS_NODEV, NULL) < 0)
		return init_text_fail(why, -errno, "mounting volume", init_text_str(&tag));
	return 0;
}

static bool is_open(const struct init_plan *pod)
{
	for (unsigned i = 0; i < pod->napps; i++)
		if (!(pod->app[i].flags & PLAN_MASK_PATHS))
			return true;
	return false;
}

/* Let mounts in the volume be seen wherever it is mounted. */
static int make_shared(const char *path, bool is_mount, struct init_text *why)
{
	if ((!is_mount && mount(path, path, NULL, MS_BIND, NULL) < 0) ||
	    mount(NULL, path, NULL, MS_SHARED, NULL) < 0)
		return init_text_fail(why, -errno, "making a shared volume of", path);
	return 0;
}

int init_volume_make(const struct init_plan *pod, struct init_text *why)
{
	struct init_text path = {.len = 0};
	bool shared = is_open(pod);
	int r;

	init_text_add(&path, init_disk_dir(pod));
	init_text_add(&path, VOLUMES);
	r = make_dir(init_text_str(&path), 0700, 0, 0, why);
	for (unsigned i = 0; r == 0 && i < pod->nvolumes; i++) {
		const struct plan_volume volume = init_plan_volume(pod, i);

		r = make_dir(volume_path(&path, pod, i, ""), volume.mode, volume.uid, volume.gid,
			     why);
		if (r == 0 && volume.flags & PLAN_VOLUME_HOST)
			r = mount_share(init_text_str(&path), volume.share, why);
		if (r == 0 && shared)
			r = make_shared(init_text_str(&path), volume.flags & PLAN_VOLUME_HOST, why);
	}
	return r;
}

/* The directory the image itself has at a path without links; -ENOENT and the like: none. */
static int open_image(const char *path)
{
	const struct open_how how = {
		.flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC,
		.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_SYMLINKS,
	};
	int image = open("/lower", O_PATH | O_DIRECTORY | O_CLOEXEC), r;

	if (image < 0)
		return -errno;
	r = (int)syscall(SYS_openat2, image, path, &how, sizeof(how));
	if (r < 0)
		r = -errno;
	close(image);
	return r;
}

static bool is_empty(int dir)
{
	/* "." and ".." are 24 bytes each; what does not fit comes with the next call */
	_Alignas(struct dirent) char entries[1024];
	long len = 1;

	while (len > 0) {
		len = syscall(SYS_getdents64, dir, entries, sizeof(entries));
		for (long at = 0; at < len;) {
			const struct dirent *entry = (const struct dirent *)(entries + at);

			if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
				return false;
			at += entry->d_reclen;
		}
	}
	return len == 0;
}

/* Mount path, or the tree below it, at the target. */
static int attach(const char *path, const struct init_target *target, bool read_only)
{
	struct mount_attr attr = {.attr_set = read_only ? MOUNT_ATTR_RDONLY : 0};
	int tree = (int)syscall(SYS_open_tree, AT_FDCWD, path,
				OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE |
					AT_SYMLINK_NOFOLLOW);
	int r = 0;

	if (tree < 0)
		return -errno;
	if ((read_only && syscall(SYS_mount_setattr, tree, "", AT_EMPTY_PATH | AT_RECURSIVE, &attr,
				  sizeof(attr)) < 0) ||
	    syscall(SYS_move_mount, tree, "", target->fd, "",
		    MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0)
		r = -errno;
	close(tree);
	return r;
}

/* The image's directory with a layer of the volume's above. */
static int attach_layers(int image, const char *upper, const char *work,
			 const struct init_target *target, bool read_only)
{
	struct init_text data = {.len = 0}, at = {.len = 0};

	init_text_add(&data, "lowerdir=/proc/self/fd/");
	init_text_add_num(&data, (uint64_t)image);
	init_text_add(&data, ",upperdir=");
	init_text_add(&data, upper);
	init_text_add(&data, ",workdir=");
	init_text_add(&data, work);
	init_text_add(&at, "/proc/self/fd/");
	init_text_add_num(&at, (uint64_t)target->fd);
	return mount("overlay", init_text_str(&at), "overlay", read_only ? MS_RDONLY : 0,
		     init_text_str(&data)) < 0
		       ? -errno
		       : 0;
}

/* A volume that begins as the image's directory, which is open. */
static int attach_seeded(const struct init_plan *pod, unsigned n, int image,
			 const struct init_target *target, bool read_only, struct init_text *why)
{
	struct init_text path, work;
	struct stat st;
	bool empty = is_empty(image);
	int r;

	if (fstat(image, &st) < 0)
		return -errno;
	volume_path(&path, pod, n, empty ? "" : "/data");
	r = make_dir(init_text_str(&path), st.st_mode & 07777, st.st_uid, st.st_gid, why);
	if (r < 0)
		return r;
	if (empty)
		return attach(init_text_str(&path), target, read_only);
	volume_path(&work, pod, n, "/work");
	r = make_dir(init_text_str(&work), 0700, 0, 0, why);
	if (r < 0)
		return r;
	return attach_layers(image, init_text_str(&path), init_text_str(&work), target, read_only);
}

static int attach_volume(const struct init_plan *pod, struct plan_mount mount,
			 const struct init_target *target, struct init_text *why)
{
	const struct plan_volume volume = init_plan_volume(pod, mount.volume);
	bool read_only = mount.flags & PLAN_MOUNT_READ_ONLY;
	struct init_text path;
	int image, r;

	if (volume.flags & PLAN_VOLUME_SEEDED && (image = open_image(target->path)) >= 0) {
		r = attach_seeded(pod, mount.volume, image, target, read_only, why);
		close(image);
		return r;
	}
	volume_path(&path, pod, mount.volume,
		    volume.flags & PLAN_VOLUME_FILE ? "/" PLAN_VOLUME_NAME : "");
	return attach(init_text_str(&path), target, read_only);
}

int init_volume_mount(const struct init_plan_app *app, const struct init_plan *pod,
		      struct init_text *why)
{
	int root = open("/root", O_PATH | O_DIRECTORY | O_CLOEXEC), r = 0;

	if (root < 0)
		return init_text_fail(why, -errno, "opening", "/root");
	for (unsigned i = 0; r == 0 && i < app->nmounts; i++) {
		const struct plan_mount mount = init_plan_mount(app, i);
		const struct plan_volume volume = init_plan_volume(pod, mount.volume);
		struct init_target target;

		r = init_target_open(root, app->mounts[i], volume.flags & PLAN_VOLUME_FILE,
				     &target);
		if (r == 0) {
			r = attach_volume(pod, mount, &target, why);
			close(target.fd);
		}
		if (r < 0)
			init_text_fail(why, r, "mounting a volume at", app->mounts[i]);
	}
	close(root);
	return r;
}

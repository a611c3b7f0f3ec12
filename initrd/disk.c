/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What apps write to the pod's disk.
 *
 * The disk has two directories for each app, NAME.upper and NAME.work, which its maker has put there
 * (stage0/disk.c): making them here would cost the guest more than mounting. What init itself gives
 * to an app (layer.c) stays in memory, as a layer between the image and the disk, so that the disk
 * holds what the app wrote and nothing else; tripod export reads it.
 *
 * An app started later may have no directories yet.
 */
#include "initrd/disk.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#define UPPER ".upper"
#define WORK  ".work"

/*
 * Blocks of removed files are given back to the host at once. The rest leaves out what costs a boot
 * more than it is worth to a disk that is mounted once and thrown away: reading ahead of inodes and
 * bitmaps, a tree of the metadata's blocks, and flushing the host's cache, which outlives the pod.
 */
#define OPTIONS                                                                                    \
	"discard,nobarrier,noblock_validity,no_prefetch_block_bitmaps,noinit_itable,"              \
	"inode_readahead_blks=0"

/* Nothing of the lower layers is named in the upper one but by whiteouts and opaque directories. */
#define OVERLAY_OPTIONS "redirect_dir=off,metacopy=off,index=off,xino=off"

int init_disk_mount(const char *device, struct init_text *why)
{
	if (mkdir(INIT_DISK, 0700) < 0)
		return init_text_fail(why, -errno, "making", INIT_DISK);
	if (mount(device, INIT_DISK, "ext4", 0, OPTIONS) < 0)
		return init_text_fail(why, -errno, "mounting the disk", device);
	return 0;
}

static int make_dir(const char *path, mode_t mode, struct init_text *why)
{
	if (mkdir(path, mode) < 0 && errno != EEXIST)
		return init_text_fail(why, -errno, "making", path);
	return 0;
}

/* The merged root shows the upper directory's mode and owner. */
static int copy_attributes(const char *from, const char *to, struct init_text *why)
{
	struct stat want, have;

	if (stat(from, &want) < 0)
		return init_text_fail(why, -errno, "looking at", from);
	if (stat(to, &have) < 0)
		return init_text_fail(why, -errno, "looking at", to);
	if ((want.st_uid != have.st_uid || want.st_gid != have.st_gid) &&
	    chown(to, want.st_uid, want.st_gid) < 0)
		return init_text_fail(why, -errno, "changing the owner of", to);
	if ((want.st_mode & 07777) != (have.st_mode & 07777) && chmod(to, want.st_mode & 07777) < 0)
		return init_text_fail(why, -errno, "changing the mode of", to);
	return 0;
}

int init_disk_overlay(const char *app, struct init_text *why)
{
	struct init_text upper = {.len = 0}, work = {.len = 0}, data = {.len = 0};
	int r;

	init_text_add(&upper, INIT_DISK "/");
	init_text_add(&upper, app);
	init_text_add(&work, init_text_str(&upper));
	init_text_add(&upper, UPPER);
	init_text_add(&work, WORK);
	r = make_dir(init_text_str(&upper), 0755, why);
	if (r == 0)
		r = make_dir(init_text_str(&work), 0700, why);
	if (r == 0)
		r = copy_attributes("/lower", init_text_str(&upper), why);
	if (r < 0)
		return r;
	init_text_add(&data, "lowerdir=root:/lower,upperdir=");
	init_text_add(&data, init_text_str(&upper));
	init_text_add(&data, ",workdir=");
	init_text_add(&data, init_text_str(&work));
	init_text_add(&data, "," OVERLAY_OPTIONS);
	if (mount("overlay", "/root", "overlay", 0, init_text_str(&data)) < 0)
		return init_text_fail(why, -errno, "mounting", "/root");
	return 0;
}

void init_disk_sync(void)
{
	int fd = open(INIT_DISK, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return;
	/* the host says what fails */
	(void)!syncfs(fd);
	close(fd);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A mount costs thousands of instructions, so there are as few as can be. All that is to be read
 * only below /sys together with all that is hidden there is everything in it, so the whole is made
 * read only; hidden things are covered with one file and one directory that all apps share, which
 * nobody may write: their mount is read only, and so are its copies.
 */
#include "initrd/mask.h"

#include <errno.h>
#include <stddef.h>
#include <sys/mount.h>
#include <sys/stat.h>

#define COVER	   "/cover"
#define COVER_FILE COVER "/file"
#define COVER_DIR  COVER "/dir"
#define READ_ONLY  (MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC)

int init_mask_make(struct init_text *why)
{
	if (mkdir(COVER, 0700) < 0 || mkdir(COVER_DIR, 0) < 0 || mknod(COVER_FILE, S_IFREG, 0) < 0)
		return init_text_fail(why, -errno, "making", COVER);
	if (mount(COVER, COVER, NULL, MS_BIND, NULL) < 0 ||
	    mount(NULL, COVER, NULL, READ_ONLY, NULL) < 0)
		return init_text_fail(why, -errno, "mounting", COVER);
	return 0;
}

/* Mount source, or the path itself read only, over the path. */
static int cover(const char *path, const char *source, struct init_text *why)
{
	if (mount(source ? source : path, path, NULL, MS_BIND, NULL) < 0)
		return errno == ENOENT ? 0 : init_text_fail(why, -errno, "covering", path);
	if (!source && mount(NULL, path, NULL, READ_ONLY, NULL) < 0)
		return init_text_fail(why, -errno, "making read only", path);
	return 0;
}

int init_mask_paths(struct init_text *why)
{
	static const struct {
		const char *path, *source;
	} masks[] = {
		{"/root/proc/bus", NULL},
		{"/root/proc/sys/kernel/core_pattern", NULL},
		{"/root/proc/sys/kernel/modprobe", NULL},
		{"/root/proc/sys/vm/panic_on_oom", NULL},
		{"/root/proc/sysrq-trigger", NULL},
		{"/root/proc/config.gz", COVER_FILE},
		{"/root/proc/kallsyms", COVER_FILE},
		{"/root/proc/sched_debug", COVER_FILE},
		{"/root/proc/kcore", COVER_FILE},
		{"/root/proc/kmem", COVER_FILE},
		{"/root/proc/mem", COVER_FILE},
		{"/root/sys/firmware", COVER_DIR},
		{"/root/sys/fs", COVER_DIR},
		{"/root/sys/hypervisor", COVER_DIR},
		{"/root/sys/module", COVER_DIR},
		{"/root/sys/power", COVER_DIR},
	};
	int r = 0;

	if (mount(NULL, "/root/sys", NULL, READ_ONLY, NULL) < 0)
		return init_text_fail(why, -errno, "making read only", "/sys");
	for (size_t i = 0; r == 0 && i < sizeof(masks) / sizeof(masks[0]); i++)
		r = cover(masks[i].path, masks[i].source, why);
	return r;
}

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
#include <unistd.h>

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

struct mask {
	const char *path, *source; /* NULL: itself, read only */
};

/* Cover what is below the directory. A path is looked up from there: it is shorter. */
static int cover(const char *dir, const struct mask *masks, size_t n, struct init_text *why)
{
	if (chdir(dir) < 0)
		return init_text_fail(why, -errno, "entering", dir);
	for (size_t i = 0; i < n; i++) {
		const char *path = masks[i].path, *source = masks[i].source;

		if (mount(source ? source : path, path, NULL, MS_BIND, NULL) < 0) {
			if (errno == ENOENT)
				continue;
			return init_text_fail(why, -errno, "covering", path);
		}
		if (!source && mount(NULL, path, NULL, READ_ONLY, NULL) < 0)
			return init_text_fail(why, -errno, "making read only", path);
	}
	return 0;
}

int init_mask_paths(struct init_text *why)
{
	static const struct mask proc[] = {
		{"bus", NULL},
		{"sys/kernel/core_pattern", NULL},
		{"sys/kernel/modprobe", NULL},
		{"sys/vm/panic_on_oom", NULL},
		{"sysrq-trigger", NULL},
		{"config.gz", COVER_FILE},
		{"kallsyms", COVER_FILE},
		{"sched_debug", COVER_FILE},
		{"kcore", COVER_FILE},
		{"kmem", COVER_FILE},
		{"mem", COVER_FILE},
	};
	static const struct mask sys[] = {
		{"firmware", COVER_DIR}, {"fs", COVER_DIR},    {"hypervisor", COVER_DIR},
		{"module", COVER_DIR},	 {"power", COVER_DIR},
	};
	int r;

	if (mount(NULL, "/root/sys", NULL, READ_ONLY, NULL) < 0)
		return init_text_fail(why, -errno, "making read only", "/sys");
	r = cover("/root/proc", proc, sizeof(proc) / sizeof(proc[0]), why);
	return r < 0 ? r : cover("/root/sys", sys, sizeof(sys) / sizeof(sys[0]), why);
}

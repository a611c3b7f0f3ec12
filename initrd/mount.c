/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The root an app sees.
 *
 * Every app has a mount namespace of its own, a copy of init's, in which its image (EROFS, read
 * only) is mounted at /lower and, with a writable layer above it, as an overlay at /root. What
 * belongs below is mounted there, then the tree is moved over / and made the root, so nothing of
 * init's is reachable any more. The initial root can not be given to pivot_root(2), but a mount that
 * covers the namespace's root is where every ".." ends, also for a process that gets outside of its
 * root with chroot(2).
 *
 * A superblock costs the kernel some 15 000 instructions, so apps share what can be shared. The
 * initial root file system, a tmpfs, has a directory for each app (/upper/N) with its writable layer,
 * the overlay's scratch directory and its /dev; /proc is init's own. Paths in this file without a
 * leading slash are relative to that directory.
 *
 * The image's links are never followed out of it: what is mounted on before the root is changed was
 * seen to be a directory of the image (layer.c).
 *
 * Propagation between apps is private: a namespace made by copying a private one is, and init mounts
 * nothing in an app's tree later that would have to get there.
 */
#include "initrd/mount.h"

#include <errno.h>
#include <stdbool.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "initrd/disk.h"
#include "initrd/layer.h"
#include "initrd/mask.h"
#include "initrd/tpm.h"
#include "initrd/volume.h"

#define RESTRICTED (MS_NOSUID | MS_NODEV | MS_NOEXEC)

#define SHM "/shm" /* of all apps, where there are several */

#define DEVPTS_DATA "ptmxmode=0666,mode=0620,gid=5"

static int do_mount(const char *source, const char *target, const char *type, unsigned long flags,
		    const char *data, struct init_text *why)
{
	if (mount(source, target, type, flags, data) < 0)
		return init_text_fail(why, -errno, "mounting", target);
	return 0;
}

int init_mount_boot(struct init_text *why)
{
	int r = do_mount("devtmpfs", "/dev", "devtmpfs", MS_NOSUID | MS_NOEXEC, NULL, why);

	return r < 0 ? r : do_mount("proc", "/proc", "proc", RESTRICTED, NULL, why);
}

int init_mount_pts(struct init_text *why)
{
	return do_mount("devpts", "/pts", "devpts", MS_NOSUID | MS_NOEXEC, DEVPTS_DATA, why);
}

static bool shared_shm; /* SHM is there */

int init_mount_shm(struct init_text *why)
{
	mode_t old = umask(0);
	int r = mkdir(SHM, 01777) < 0 ? init_text_fail(why, -errno, "making", SHM) : 0;

	umask(old);
	shared_shm = r == 0;
	return r;
}

int init_mount_resize(uint64_t memory, struct init_text *why)
{
	struct init_text data = {.len = 0};

	init_text_add(&data, "size=");
	init_text_add_num(&data, memory / 2);
	init_text_add(&data, ",nr_inodes=");
	init_text_add_num(&data, memory / 2 / (uint64_t)sysconf(_SC_PAGESIZE));
	return do_mount(NULL, "/", NULL, MS_REMOUNT, init_text_str(&data), why);
}

/* The image with the app's layer above, at /root. */
static int mount_layers(const struct init_plan_app *app, const struct init_plan *pod,
			struct init_text *why)
{
	bool readonly = app->flags & PLAN_READONLY_ROOT;
	int r = do_mount(app->root, "/lower", "erofs", MS_RDONLY, NULL, why);

	if (r == 0)
		r = init_layer_make(pod, why);
	if (r < 0)
		return r;
	if (readonly && !app->nmounts)
		return do_mount("overlay", "/root", "overlay", MS_RDONLY, "lowerdir=root:/lower",
				why);
	if (pod->disk && !readonly)
		return init_disk_overlay(app->name, why);
	if (mkdir("work", 0700) < 0)
		return init_text_fail(why, -errno, "making", "work");
	return do_mount("overlay", "/root", "overlay", 0,
			"lowerdir=/lower,upperdir=root,workdir=work", why);
}

/* What /dev holds, in the directory dev, which the caller is in. */
static int fill_dev(struct init_text *why)
{
	static const struct {
		const char *name;
		mode_t mode;
	} dir[] = {{"net", 0755}, {"pts", 0755}, {"shm", 01777}, {"mqueue", 01777}};
	static const struct {
		const char *name;
		uint8_t major, minor;
		mode_t mode;
	} node[] = {
		{"null", 1, 3, 0666},	 {"zero", 1, 5, 0666},	     {"full", 1, 7, 0666},
		{"random", 1, 8, 0666},	 {"urandom", 1, 9, 0666},    {"tty", 5, 0, 0666},
		{"console", 5, 1, 0600}, {"net/tun", 10, 200, 0666},
	};
	static const struct {
		const char *name;
		const char *target;
	} link[] = {
		{"ptmx", "pts/ptmx"},	       {"fd", "/proc/self/fd"},
		{"stdin", "/proc/self/fd/0"},  {"stdout", "/proc/self/fd/1"},
		{"stderr", "/proc/self/fd/2"},
	};

	for (size_t i = 0; i < sizeof(dir) / sizeof(dir[0]); i++)
		if (mkdir(dir[i].name, dir[i].mode) < 0)
			return init_text_fail(why, -errno, "making in /dev", dir[i].name);
	for (size_t i = 0; i < sizeof(node) / sizeof(node[0]); i++)
		if (mknod(node[i].name, S_IFCHR | node[i].mode,
			  makedev(node[i].major, node[i].minor)) < 0)
			return init_text_fail(why, -errno, "making in /dev", node[i].name);
	for (size_t i = 0; i < sizeof(link) / sizeof(link[0]); i++)
		if (symlink(link[i].target, link[i].name) < 0)
			return init_text_fail(why, -errno, "making in /dev", link[i].name);
	return 0;
}

static int mount_dev(uint32_t flags, struct init_text *why)
{
	int r;

	if (mkdir("dev", 0755) < 0 || chdir("dev") < 0)
		return init_text_fail(why, -errno, "making", "/dev");
	r = fill_dev(why);
	if (r == 0 && flags & PLAN_TPM_DEVICE)
		r = init_tpm_nodes(why);
	if (r < 0)
		return r;
	r = do_mount(".", "/root/dev", NULL, MS_BIND, NULL, why);
	if (r == 0 && chdir("/root/dev") < 0) /* what is below is found sooner from here */
		r = init_text_fail(why, -errno, "entering", "/dev");
	if (r < 0)
		return r;
	r = flags & PLAN_TTY
		    ? do_mount("/pts", "pts", NULL, MS_BIND, NULL, why)
		    : do_mount("devpts", "pts", "devpts", MS_NOSUID | MS_NOEXEC, DEVPTS_DATA, why);
	if (r == 0 && shared_shm)
		r = do_mount(SHM, "shm", NULL, MS_BIND, NULL, why);
	return r < 0 ? r : do_mount("mqueue", "mqueue", "mqueue", RESTRICTED, NULL, why);
}

int init_mount_root(const struct init_plan_app *app, unsigned index, const struct init_plan *pod,
		    struct init_text *why)
{
	struct init_text dir = {.len = 0};
	int r;

	init_text_add(&dir, "/upper/");
	init_text_add_num(&dir, index);
	if (mkdir(init_text_str(&dir), 0700) < 0 || chdir(init_text_str(&dir)) < 0)
		return init_text_fail(why, -errno, "making", init_text_str(&dir));
	if ((r = mount_layers(app, pod, why)) < 0 ||
	    (r = do_mount("/proc", "/root/proc", NULL, MS_BIND, NULL, why)) < 0 ||
	    (r = do_mount("sysfs", "/root/sys", "sysfs", RESTRICTED, NULL, why)) < 0 ||
	    (r = mount_dev(app->flags, why)) < 0)
		return r;
	if (app->flags & PLAN_MASK_PATHS && (r = init_mask_paths(why)) < 0)
		return r;
	/* the event log of the launch is a file there */
	if (app->flags & PLAN_TPM_DEVICE && (r = do_mount("securityfs", "/root/sys/kernel/security",
							  "securityfs", RESTRICTED, NULL, why)) < 0)
		return r;
	if (app->nmounts && (r = init_volume_mount(app, pod, why)) < 0)
		return r;
	/* targets may have had to be made */
	if (app->nmounts && app->flags & PLAN_READONLY_ROOT &&
	    (r = do_mount(NULL, "/root", NULL, MS_REMOUNT | MS_RDONLY, NULL, why)) < 0)
		return r;
	if (chdir("/root") < 0 || mount(".", "/", NULL, MS_MOVE, NULL) < 0 || chroot(".") < 0)
		return init_text_fail(why, -errno, "entering", "/root");
	return 0;
}

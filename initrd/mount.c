/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The root an app sees.
 *
 * Every app has a mount namespace of its own, a copy of init's, in which its image (EROFS, read
 * only) is mounted at /lower, a tmpfs at /upper, and both as an overlay at /root. That is then
 * moved over / and made the root, so nothing of init's is reachable any more: the initial root can
 * not be given to pivot_root(2), but a mount that covers the namespace's root is where every ".."
 * ends, also for a process that gets outside of its root with chroot(2).
 *
 * Only then are the file systems below it mounted, so a path through a link of the image resolves
 * inside of it. What comes from outside of the root (the hostname file, the terminals) is taken
 * along as a detached mount.
 *
 * A directory that exists costs nothing: mounting is tried first, and only when that fails for want
 * of a directory is it made. Propagation between apps is private: a namespace made by copying a
 * private one is, and init mounts nothing in an app's tree later that would have to get there.
 */
#include "initrd/mount.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <linux/mount.h>

#define RESTRICTED (MS_NOSUID | MS_NODEV | MS_NOEXEC)

/* mount(2) at a directory that is made when it is missing. */
static int mount_at(const char *source, const char *target, const char *type, unsigned long flags,
		    const char *data, struct init_text *why)
{
	if (mount(source, target, type, flags, data) == 0)
		return 0;
	if (errno == ENOENT && mkdir(target, 0755) == 0 &&
	    mount(source, target, type, flags, data) == 0)
		return 0;
	return init_text_fail(why, -errno, "mounting", target);
}

int init_mount_boot(struct init_text *why)
{
	return mount_at("devtmpfs", "/dev", "devtmpfs", MS_NOSUID | MS_NOEXEC, NULL, why);
}

int init_mount_proc(struct init_text *why)
{
	return mount_at("proc", "/proc", "proc", RESTRICTED, NULL, why);
}

int init_mount_pts(struct init_text *why)
{
	return mount_at("devpts", "/pts", "devpts", MS_NOSUID | MS_NOEXEC,
			"ptmxmode=0666,mode=0620,gid=5", why);
}

int init_mount_hostname(const char *hostname, struct init_text *why)
{
	int fd = open(INIT_HOSTNAME_FILE, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	ssize_t len = (ssize_t)strlen(hostname);

	if (fd < 0 || write(fd, hostname, (size_t)len) != len || write(fd, "\n", 1) != 1) {
		int r = -errno;

		if (fd >= 0)
			close(fd);
		return init_text_fail(why, r, "writing", INIT_HOSTNAME_FILE);
	}
	close(fd);
	return 0;
}

/* A detached copy of what is at path, or a negative errno. */
static int tree_of(const char *path)
{
	long fd = syscall(SYS_open_tree, AT_FDCWD, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);

	return fd < 0 ? -errno : (int)fd;
}

/* Attach a detached mount, whose descriptor is used up. */
static int attach(int tree, const char *target, struct init_text *why)
{
	int r = 0;

	if (syscall(SYS_move_mount, tree, "", AT_FDCWD, target, MOVE_MOUNT_F_EMPTY_PATH) < 0)
		r = init_text_fail(why, -errno, "mounting", target);
	close(tree);
	return r;
}

/* The image's tree with a writable layer above, at /root. */
static int mount_layers(const struct init_plan_app *app, struct init_text *why)
{
	struct stat st;

	if (mount(app->root, "/lower", "erofs", MS_RDONLY, NULL) < 0)
		return init_text_fail(why, -errno, "mounting", app->root);
	if (mount("tmpfs", "/upper", "tmpfs", 0, "mode=700") < 0)
		return init_text_fail(why, -errno, "mounting", "/upper");
	/* The merged root shows mode and owner of the upper directory. */
	if (stat("/lower", &st) < 0 || mkdir("/upper/root", st.st_mode & 07777) < 0 ||
	    ((st.st_uid | st.st_gid) != 0 && chown("/upper/root", st.st_uid, st.st_gid) < 0) ||
	    mkdir("/upper/work", 0700) < 0)
		return init_text_fail(why, -errno, "making", "/upper/root");
	if (mount("overlay", "/root", "overlay", 0,
		  "lowerdir=/lower,upperdir=/upper/root,workdir=/upper/work") < 0)
		return init_text_fail(why, -errno, "mounting", "/root");
	return 0;
}

static int move_into_root(struct init_text *why)
{
	if (chdir("/root") < 0 || mount(".", "/", NULL, MS_MOVE, NULL) < 0 || chroot(".") < 0)
		return init_text_fail(why, -errno, "entering", "/root");
	return 0;
}

/* What /dev holds. Paths are relative to it. */
static int fill_dev(struct init_text *why)
{
	static const struct {
		const char *name;
		uint8_t major, minor;
		uint16_t mode;
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
	static const struct {
		const char *name;
		mode_t mode;
	} dir[] = {{"net", 0755}, {"pts", 0755}, {"shm", 01777}, {"mqueue", 01777}};

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

static int mount_dev(int pts, struct init_text *why)
{
	int r = mount_at("dev", "/dev", "tmpfs", MS_NOSUID, "mode=755", why);

	if (r < 0)
		return r;
	if (chdir("/dev") < 0)
		return init_text_fail(why, -errno, "entering", "/dev");
	r = fill_dev(why);
	if (r == 0 && pts >= 0)
		r = attach(pts, "pts", why);
	else if (r == 0)
		r = mount_at("devpts", "pts", "devpts", MS_NOSUID | MS_NOEXEC,
			     "ptmxmode=0666,mode=0620,gid=5", why);
	if (r == 0)
		r = mount_at("mqueue", "mqueue", "mqueue", RESTRICTED, NULL, why);
	if (chdir("/") < 0 && r == 0)
		r = init_text_fail(why, -errno, "entering", "/");
	return r;
}

/* Directories and links every app finds, beside those that are mounted on. */
static int fill_root(struct init_text *why)
{
	static const struct {
		const char *name;
		mode_t mode;
	} dir[] = {{"/tmp", 01777}, {"/etc", 0755}, {"/run", 0755}, {"/run/systemd", 0755}};

	for (size_t i = 0; i < sizeof(dir) / sizeof(dir[0]); i++)
		if (mkdir(dir[i].name, dir[i].mode) < 0 && errno != EEXIST)
			return init_text_fail(why, -errno, "making", dir[i].name);
	if (symlink("../proc/self/mounts", "/etc/mtab") < 0 && errno != EEXIST)
		return init_text_fail(why, -errno, "making", "/etc/mtab");
	return 0;
}

static int mount_hostname(int tree, struct init_text *why)
{
	int fd;

	/* an image that has none gets a file to mount on */
	if (access("/etc/hostname", F_OK) < 0) {
		fd = open("/etc/hostname", O_WRONLY | O_CREAT | O_CLOEXEC | O_NOCTTY, 0644);
		if (fd < 0) {
			close(tree);
			return init_text_fail(why, -errno, "making", "/etc/hostname");
		}
		close(fd);
	}
	return attach(tree, "/etc/hostname", why);
}

int init_mount_root(const struct init_plan_app *app, bool tty, bool hostname, struct init_text *why)
{
	int hostname_tree = -1, pts = -1;
	int r = mount_layers(app, why);

	if (r < 0)
		return r;
	if (hostname && (hostname_tree = tree_of(INIT_HOSTNAME_FILE)) < 0)
		return init_text_fail(why, hostname_tree, "taking along", INIT_HOSTNAME_FILE);
	if (tty && (pts = tree_of("/pts")) < 0)
		return init_text_fail(why, pts, "taking along", "/pts");
	if ((r = move_into_root(why)) < 0 ||
	    (r = mount_at("proc", "/proc", "proc", RESTRICTED, NULL, why)) < 0 ||
	    (r = mount_at("sysfs", "/sys", "sysfs", RESTRICTED, NULL, why)) < 0 ||
	    (r = mount_dev(pts, why)) < 0 || (r = fill_root(why)) < 0)
		return r;
	if (hostname && (r = mount_hostname(hostname_tree, why)) < 0)
		return r;
	if (app->flags & PLAN_READONLY_ROOT &&
	    mount(NULL, "/", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL) < 0)
		return init_text_fail(why, -errno, "making read only", "/");
	return 0;
}

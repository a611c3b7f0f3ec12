/* SPDX-License-Identifier: Apache-2.0 */
/*
 * In a pod where no app has limits there are no groups. Otherwise every app has one, and a namespace
 * of control groups that begins with it: an app that may mount (by CAP_SYS_ADMIN, or in a user
 * namespace of its own) sees its own group as the root of the hierarchy, and nothing of the others'.
 * The option nsdelegate has the kernel refuse what would change that group's limits, or leave it, from
 * inside. Our mount of the hierarchy belongs to no namespace and is a descriptor only.
 */
#include "initrd/limit.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <sched.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static int groups = -1; /* the root of the hierarchy; -1: the pod needs none */

/* What a quota of processor time is for, in microseconds: plan_limits.cpu is of it. */
#define PERIOD " 100000"

static bool has_limits(const struct init_plan_app *app)
{
	return app->limits.memory | app->limits.cpu | app->limits.weight;
}

static int write_file(const char *path, const char *text, struct init_text *why)
{
	int fd = openat(groups, path, O_WRONLY | O_CLOEXEC), r = 0;

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		r = init_text_fail(why, -errno, "writing", path);
	if (fd >= 0)
		close(fd);
	return r;
}

/* The path of a file of the app's group, or with "" of the group. */
static const char *group_path(struct init_text *path, const struct init_plan_app *app,
			      const char *file)
{
	path->len = 0;
	init_text_add(path, app->name);
	init_text_add(path, file);
	return init_text_str(path);
}

/* Write a number, with more behind it, to a file of the app's group; 0 is no limit. */
static int set(const struct init_plan_app *app, const char *file, uint64_t n, const char *more,
	       struct init_text *why)
{
	struct init_text path, value = {.len = 0};

	if (n == 0)
		return 0;
	init_text_add_num(&value, n);
	init_text_add(&value, more);
	return write_file(group_path(&path, app, file), init_text_str(&value), why);
}

static int mount_groups(struct init_text *why)
{
	int fs = (int)syscall(SYS_fsopen, "cgroup2", FSOPEN_CLOEXEC);

	if (fs < 0 || syscall(SYS_fsconfig, fs, FSCONFIG_SET_FLAG, "nsdelegate", NULL, 0) < 0 ||
	    syscall(SYS_fsconfig, fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0 ||
	    (groups = (int)syscall(SYS_fsmount, fs, FSMOUNT_CLOEXEC,
				   MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC)) < 0)
		return init_text_fail(why, -errno, "mounting", "cgroup2");
	close(fs);
	return write_file("cgroup.subtree_control", "+memory +cpu", why);
}

int init_limit_prepare(const struct init_plan *plan, struct init_text *why)
{
	if (plan->mutable) /* there is no telling what comes */
		return mount_groups(why);
	for (unsigned i = 0; groups < 0 && i < plan->napps; i++)
		if (has_limits(&plan->app[i]))
			return mount_groups(why);
	return 0;
}

int init_limit_make(const struct init_plan_app *app, struct init_text *why)
{
	struct init_text path;
	int r = 0;

	if (groups < 0)
		return 0;
	if (mkdirat(groups, group_path(&path, app, ""), 0755) < 0)
		r = init_text_fail(why, -errno, "making", init_text_str(&path));
	if (r == 0)
		r = set(app, "/memory.max", app->limits.memory, "", why);
	if (r == 0)
		r = set(app, "/cpu.max", app->limits.cpu, PERIOD, why);
	return r < 0 ? r : set(app, "/cpu.weight", app->limits.weight, "", why);
}

int init_limit_join(const struct init_plan_app *app, struct init_text *why)
{
	struct init_text path;
	int r;

	if (groups < 0)
		return 0;
	r = write_file(group_path(&path, app, "/cgroup.procs"), "0", why);
	if (r == 0 && unshare(CLONE_NEWCGROUP) < 0)
		r = init_text_fail(why, -errno, "making a namespace for", app->name);
	return r;
}

void init_limit_remove(const struct init_plan_app *app)
{
	struct init_text path;

	if (groups >= 0)
		(void)!unlinkat(groups, group_path(&path, app, ""), AT_REMOVEDIR);
}

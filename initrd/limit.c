/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Apps without limits stay in the root group, where each process weighs as much as a group of the
 * default weight. The hierarchy is mounted in init's namespace only, out of the apps' sight.
 */
#include "initrd/limit.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#define GROUPS "/cgroup"
/* What a quota of processor time is for, in microseconds: plan_limits.cpu is of it. */
#define PERIOD " 100000"

static bool has_limits(const struct init_plan_app *app)
{
	return app->limits.memory | app->limits.cpu | app->limits.weight;
}

static int write_file(const char *path, const char *text, struct init_text *why)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC), r = 0;

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
	init_text_add(path, GROUPS "/");
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
	static bool done;

	if (done)
		return 0;
	if (mkdir(GROUPS, 0700) < 0 ||
	    mount("cgroup2", GROUPS, "cgroup2", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) < 0)
		return init_text_fail(why, -errno, "mounting", GROUPS);
	done = true;
	return write_file(GROUPS "/cgroup.subtree_control", "+memory +cpu", why);
}

int init_limit_make(const struct init_plan_app *app, struct init_text *why)
{
	struct init_text path;
	int r;

	if (!has_limits(app))
		return 0;
	r = mount_groups(why);
	if (r == 0 && mkdir(group_path(&path, app, ""), 0755) < 0)
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

	return has_limits(app) ? write_file(group_path(&path, app, "/cgroup.procs"), "0", why) : 0;
}

void init_limit_remove(const struct init_plan_app *app)
{
	struct init_text path;

	if (has_limits(app))
		(void)!rmdir(group_path(&path, app, ""));
}

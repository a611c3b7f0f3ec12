/* SPDX-License-Identifier: Apache-2.0 */
#include "initrd/share.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "initrd/driver.h"
#include "initrd/volume.h"

/* A host that does not take an app's last writes must not keep init from all the others. */
#define UNBIND_POLL_MS	  1
#define UNBIND_TIMEOUT_MS 10000

static bool is_slot(const struct init_plan *pod, unsigned n)
{
	return init_plan_volume(pod, n).flags & PLAN_VOLUME_SLOT;
}

static bool any_slot(const struct init_plan *pod)
{
	for (unsigned i = 0; i < pod->nvolumes; i++)
		if (is_slot(pod, i))
			return true;
	return false;
}

int init_share_bind(const struct init_plan *pod, struct init_text *why)
{
	int sysfs, r = 0;

	if (!any_slot(pod))
		return 0;
	sysfs = init_driver_open();
	if (sysfs < 0)
		return init_text_fail(why, sysfs, "mounting", "sysfs");
	for (unsigned i = 0; r == 0 && i < pod->nvolumes; i++)
		if (is_slot(pod, i))
			r = init_driver_bind(sysfs, init_plan_volume(pod, i).window);
	close(sysfs);
	return r < 0 ? init_text_fail(why, r, "binding the driver of", "a volume") : 0;
}

static void unmount(const struct init_plan *pod, unsigned n)
{
	struct init_text path;
	int fd;

	init_volume_path(&path, pod, n);
	fd = open(init_text_str(&path), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd >= 0) {
		syncfs(fd);
		close(fd);
	}
	umount2(init_text_str(&path), MNT_DETACH);
	rmdir(init_text_str(&path));
}

/* In a process of its own. A device that is not bound is as good as unbound: the host looks itself. */
static void unbind(const struct init_plan *pod)
{
	int sysfs = init_driver_open();

	for (unsigned i = 0; i < pod->nvolumes; i++)
		if (is_slot(pod, i))
			unmount(pod, i);
	for (unsigned i = 0; sysfs >= 0 && i < pod->nvolumes; i++)
		if (is_slot(pod, i))
			(void)!init_driver_unbind(sysfs, init_plan_volume(pod, i).window);
}

int init_share_unbind(const struct init_plan *pod, struct init_text *why)
{
	const struct timespec pause = {.tv_nsec = UNBIND_POLL_MS * 1000000L};
	pid_t pid;

	if (!any_slot(pod))
		return 0;
	pid = fork();
	if (pid == 0) {
		unbind(pod);
		_exit(0);
	}
	if (pid < 0)
		return init_text_fail(why, -errno, "unmounting", "volumes");
	for (int waited = 0; waited < UNBIND_TIMEOUT_MS; waited += UNBIND_POLL_MS) {
		if (waitpid(pid, NULL, WNOHANG) != 0)
			return 0;
		nanosleep(&pause, NULL);
	}
	return init_text_set(why, -ETIMEDOUT, "the host does not take what the app has written");
}

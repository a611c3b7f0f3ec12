/* SPDX-License-Identifier: Apache-2.0 */
#include "initrd/late.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "initrd/fatal.h"
#include "initrd/text.h"

/* The first device, in the device tree's words: firmware/fdt.c. No driver is for it by its name. */
#define DEVICE	  "d0000000.virtio_late"
#define DRIVER	  "virtio-mmio"
#define OVERRIDE  "bus/platform/devices/" DEVICE "/driver_override"
#define BIND_FILE "bus/platform/drivers/" DRIVER "/bind"

static uint64_t due; /* ms of the monotonic clock; 0: nothing is left to do */

static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* A mount that belongs to no namespace: no app may have it. */
static int mount_sysfs(void)
{
	int fs = (int)syscall(SYS_fsopen, "sysfs", FSOPEN_CLOEXEC), fd = -1;

	if (fs < 0)
		return -errno;
	if (syscall(SYS_fsconfig, fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) == 0)
		fd = (int)syscall(SYS_fsmount, fs, FSMOUNT_CLOEXEC,
				  MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC);
	if (fd < 0)
		fd = -errno;
	close(fs);
	return fd;
}

static int write_file(int sysfs, const char *path, const char *text)
{
	int fd = openat(sysfs, path, O_WRONLY | O_CLOEXEC), r = 0;

	if (fd < 0)
		return -errno;
	if (write(fd, text, strlen(text)) < 0)
		r = -errno;
	close(fd);
	return r;
}

/* The balloon. Without it the guest keeps its memory, which is no reason to end a pod. */
static void bind(void)
{
	int sysfs = mount_sysfs(), r = sysfs;
	struct init_text why;

	if (sysfs >= 0) {
		r = write_file(sysfs, OVERRIDE, DRIVER);
		if (r == 0)
			r = write_file(sysfs, BIND_FILE, DEVICE);
		close(sysfs);
	}
	if (r < 0) {
		init_text_set(&why, r, "binding " DEVICE);
		init_text_add_errno(&why, r);
		init_warn(&why);
	}
}

void init_late_begin(void)
{
	due = now_ms() + LATE_MS;
}

int init_late(void)
{
	uint64_t now;

	if (!due)
		return -1;
	now = now_ms();
	if (now < due)
		return (int)(due - now);
	due = 0;
	bind();
	return -1;
}

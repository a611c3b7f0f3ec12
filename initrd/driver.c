/* SPDX-License-Identifier: Apache-2.0 */
#include "initrd/driver.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <stdint.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "initrd/text.h"

/* LAYOUT_VIRTIO_BASE in firmware/firmware.h, a page a device, and the name of the node. */
#define WINDOW_BASE 0xd0000000U
#define WINDOW_SIZE 0x1000U
#define NODE	    ".virtio_late"

#define DRIVER	 "virtio-mmio"
#define DRIVERS	 "bus/platform/drivers/" DRIVER
#define DEVICES	 "bus/platform/devices/"
#define OVERRIDE "/driver_override"

int init_driver_open(void)
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

static void add_device(struct init_text *text, unsigned window)
{
	uint32_t address = WINDOW_BASE + window * WINDOW_SIZE;

	for (int shift = 28; shift >= 0; shift -= 4)
		init_text_addn(text, &"0123456789abcdef"[address >> shift & 0xf], 1);
	init_text_add(text, NODE);
}

int init_driver_bind(int sysfs, unsigned window)
{
	struct init_text path = {.len = 0}, device = {.len = 0};
	int r;

	add_device(&device, window);
	init_text_add(&path, DEVICES);
	add_device(&path, window);
	init_text_add(&path, OVERRIDE);
	r = write_file(sysfs, init_text_str(&path), DRIVER);
	return r < 0 ? r : write_file(sysfs, DRIVERS "/bind", init_text_str(&device));
}

int init_driver_unbind(int sysfs, unsigned window)
{
	struct init_text device = {.len = 0};

	add_device(&device, window);
	return write_file(sysfs, DRIVERS "/unbind", init_text_str(&device));
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "initrd/tpm.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

/* The name the device tree gives it: LAYOUT_TPM_BASE in firmware/firmware.h. */
#define DEVICE	  "fed40000.tpm"
#define BIND_FILE "/root/bus/platform/drivers/tpm_tis/bind"

static const struct {
	const char *name, *path;
} nodes[] = {{"tpm0", "/dev/tpm0"}, {"tpmrm0", "/dev/tpmrm0"}};

#define EVENT_LOG "/sys/kernel/security/tpm0/binary_bios_measurements"

/* Init has no sysfs of its own: one is mounted where no app is yet, for as long as it takes. */
int init_tpm_bind(struct init_text *why)
{
	int fd, r = 0;

	if (mount("sysfs", "/root", "sysfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) < 0)
		return init_text_fail(why, -errno, "mounting", "sysfs");
	fd = open(BIND_FILE, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, DEVICE, strlen(DEVICE)) < 0)
		r = init_text_fail(why, -errno, "binding the TPM", DEVICE);
	if (fd >= 0)
		close(fd);
	umount2("/root", MNT_DETACH);
	return r;
}

int init_tpm_nodes(struct init_text *why)
{
	for (unsigned i = 0; i < sizeof(nodes) / sizeof(nodes[0]); i++) {
		struct stat st;

		if (stat(nodes[i].path, &st) < 0 ||
		    mknod(nodes[i].name, S_IFCHR | 0600, st.st_rdev) < 0)
			return init_text_fail(why, -errno, "making in /dev", nodes[i].name);
	}
	return 0;
}

int init_tpm_own(uint32_t uid, uint32_t gid)
{
	if ((uid | gid) == 0)
		return 0;
	for (unsigned i = 0; i < sizeof(nodes) / sizeof(nodes[0]); i++)
		if (chown(nodes[i].path, uid, gid) < 0)
			return -errno;
	return chown(EVENT_LOG, uid, gid) < 0 ? -errno : 0;
}

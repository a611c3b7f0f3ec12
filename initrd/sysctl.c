/* SPDX-License-Identifier: Apache-2.0 */
#include "initrd/sysctl.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

static int set(const char *setting, struct init_text *why)
{
	size_t len = strcspn(setting, "=");
	struct init_text path = {.len = 0};
	const char *value = setting + len + 1;
	int fd, r = 0;

	init_text_add(&path, "/proc/sys/");
	init_text_addn(&path, setting, len);
	fd = open(init_text_str(&path), O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, value, strlen(value)) < 0)
		r = init_text_fail(why, -errno, "setting", init_text_str(&path));
	if (fd >= 0)
		close(fd);
	return r;
}

int init_sysctl_set(const struct init_plan *plan, struct init_text *why)
{
	int r = 0;

	for (unsigned i = 0; r == 0 && i < plan->nsysctls; i++)
		r = set(plan->sysctl[i], why);
	return r;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "initrd/ulimit.h"

#include <errno.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

int init_ulimit_set(const struct init_plan_app *app, struct init_text *why)
{
	for (unsigned i = 0; i < app->nulimits; i++) {
		struct plan_ulimit limit;
		uint64_t both[2];

		memcpy(&limit, app->ulimits + i * sizeof(limit), sizeof(limit));
		both[0] = limit.soft;
		both[1] = limit.hard;
		/* not the C library's, which has its own idea of what some of them may be */
		if (syscall(SYS_prlimit64, 0, limit.resource, both, NULL) == 0)
			continue;
		init_text_set(why, 0, "setting ulimit ");
		init_text_add_num(why, limit.resource);
		init_text_add_errno(why, errno);
		return -EPERM;
	}
	return 0;
}

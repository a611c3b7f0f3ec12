/* SPDX-License-Identifier: Apache-2.0 */
#include "initrd/late.h"

#include <stdint.h>
#include <time.h>
#include <unistd.h>

#include "initrd/driver.h"
#include "initrd/fatal.h"
#include "initrd/text.h"

#define BALLOON 0 /* the first device */

static uint64_t due; /* ms of the monotonic clock; 0: nothing is left to do */

static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* Without it the guest keeps its memory, which is no reason to end a pod. */
static void bind_balloon(void)
{
	int sysfs = init_driver_open(), r = sysfs;
	struct init_text why;

	if (sysfs >= 0) {
		r = init_driver_bind(sysfs, BALLOON);
		close(sysfs);
	}
	if (r < 0) {
		init_text_set(&why, r, "binding the balloon");
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
	bind_balloon();
	return -1;
}

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMM_KLOG_H
#define VMM_KLOG_H

#include <stdbool.h>
#include <stdint.h>

#include "common/gmem.h"

/*
 * The guest kernel's last words, read out of its memory after its vCPUs have stopped: a pod has no
 * console, but a guest that dies should say why. Works for Linux 6.1's printk ring buffer.
 */

#define KLOG_LINES    10  /* what is shown */
#define KLOG_LINE_MAX 200 /* bytes of a line; longer ones are cut */
#define KLOG_SCAN     256 /* messages looked at for the panic, newest first */

enum klog_end {
	KLOG_END_UNKNOWN,
	KLOG_END_PANIC,	 /* "Kernel panic - not syncing: ..." */
	KLOG_END_REBOOT, /* somebody in the guest asked for a reboot, halt or power off */
};

struct klog {
	enum klog_end end;
	char panic[KLOG_LINE_MAX + 1]; /* KLOG_END_PANIC: that line */
	unsigned n;
	/* What led to the panic, or the last messages: oldest first, as the guest wrote them. */
	char line[KLOG_LINES][KLOG_LINE_MAX + 1];
};

/*
 * Read the log of the kernel in kernel_fd, for its symbols. 0, or a negative errno when there is
 * nothing to be found. Everything in guest memory is hostile; the work is bounded.
 */
int klog_read(const struct gmem *mem, int kernel_fd, struct klog *ret) __attribute__((nonnull));

/* The same for a ring buffer whose pointer variable lies at a kernel virtual address. */
int klog_read_at(const struct gmem *mem, uint64_t prb_va, struct klog *ret)
	__attribute__((nonnull));

#endif

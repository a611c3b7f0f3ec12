/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMM_PODRUN_H
#define VMM_PODRUN_H

#include <stdint.h>

#include "common/error.h"
#include "vmm/stage1.h"

/*
 * A pod from its manifest to its exit status: rkt's stage1 run entry point, in the working
 * directory, which is the pod's.
 */

/* A guest that has not said hello by then never will: seconds are usual where kernel mode is emulated, and
 * such a host may be loaded. */
#define POD_BOOT_DEADLINE_MS 300000
/* From hello until every app was started: plugging many GiB of memory takes its time. */
#define POD_START_DEADLINE_MS 120000
/*
 * Both are for a guest that gets the host's time or wants none. One whose vCPUs used at least this much
 * since the last deadline, and less than that in all, is waited for again: many pods may be started at
 * once. A guest that waits for nothing uses less, one that spins more.
 */
#define POD_STARVED_MIN_MS 500
#define POD_STARVED_MAX_MS 60000
/* From SIGTERM to the apps until the VM is killed; systemd's default, as rkt users know it. */
#define POD_STOP_DEADLINE_MS 90000
/* From the last app's end until its streams have ended: init closes them before it tells. */
#define POD_STREAMS_DEADLINE_MS 10000

/*
 * Run it. start_ns is CLOCK_MONOTONIC when the program began, for --debug. *ret_status is the pod's
 * exit status:
 *
 *	0		every app ended with 0
 *	N		the first app that ended otherwise did so with N, or could not be started (N is
 *			then one of AGENT_EXIT_*)
 *	128 + N		... was killed by signal N; or the pod was, before its apps ran or because they
 *			did not end in time
 *
 * A failure of the pod itself (set-up, guest kernel, init) is an error.
 */
int pod_run(const struct stage1_args *args, uint64_t start_ns, int *ret_status, struct error *err)
	__attribute__((nonnull));

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMM_STOP_H
#define VMM_STOP_H

#include "common/error.h"

/* From a kill request to the VM's end. A VMM that does not do it itself by then is killed. */
#define STOP_KILL_TIMEOUT_MS 5000

/*
 * rkt's stage1 stop entry point (rkt-behaviour 6.1), "[--force] UUID" in the pod directory: ask the
 * apps to end, or kill the pod, and wait until its VMM lets go of us. A pod that has ended is fine.
 */
int stop_pod(int argc, char *const *argv, struct error *err) __attribute__((nonnull));

#endif

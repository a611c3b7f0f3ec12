/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMM_ENTER_H
#define VMM_ENTER_H

#include "common/error.h"

/* From the request until init says that the command runs, or why not. */
#define ENTER_START_TIMEOUT_MS 60000

/*
 * rkt's stage1 enter entry point (rkt-behaviour 6.1), "--pid=PID --appname=APP -- CMD ARGS..." in the
 * pod directory: execute a command beside an app, with our streams, on a terminal of its own if ours
 * is one. *ret_status is the command's exit status, 128 + signal if it was killed, or what init says
 * of one that could not be started.
 */
int enter_pod(int argc, char *const *argv, int *ret_status, struct error *err)
	__attribute__((nonnull));

#endif

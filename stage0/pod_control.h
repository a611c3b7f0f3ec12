/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE0_POD_CONTROL_H
#define STAGE0_POD_CONTROL_H

#include "common/json.h"
#include "stage0/pod.h"

/* The host's end of control.sock in a pod's directory: one verb, one line of JSON back. */

#define POD_CONTROL_TIMEOUT_MS 30000	   /* for what must be: a busy host takes its time */
#define POD_CONTROL_LOOK_MS    1000	   /* for what is only shown */
#define POD_CONTROL_REPLY_MAX  (256 << 10) /* bytes of an answer */

/*
 * Ask a running pod, and wait so long for the answer. -ENOENT and -ECONNREFUSED: it does not run;
 * -EREMOTEIO: it says that something is wrong, in its own words. The caller puts *ret.
 */
int pod_control(const struct pod *pod, const char *request, int timeout_ms,
		struct json_object **ret, struct error *err) __attribute__((nonnull));

#endif

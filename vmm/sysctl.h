/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMM_SYSCTL_H
#define VMM_SYSCTL_H

#include "common/error.h"
#include "common/json.h"
#include "common/str.h"

/* The pod's isolator os/unix/sysctl: parameters of its kernel. */

/*
 * Read them from the pod manifest. "NAME=VALUE" each is added to ret, NAME a path below /proc/sys.
 * What would take effect outside of the apps' confinement is refused.
 */
int sysctl_parse(struct json_object *pod, struct strv *ret, struct error *err)
	__attribute__((nonnull));

#endif

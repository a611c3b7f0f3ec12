/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMM_POD_CHECK_H
#define VMM_POD_CHECK_H

#include <json-c/json.h>

#include "common/error.h"

/*
 * What a pod manifest may not say (images.md 5, 11), beyond what is read of it: the members that are
 * another program's to act on are checked all the same, so that one manifest means one thing.
 */
int pod_check(struct json_object *pod, struct error *err) __attribute__((nonnull));

#endif

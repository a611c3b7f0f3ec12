/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMM_DOCKER_H
#define VMM_DOCKER_H

#include <stdbool.h>

#include "common/error.h"

/* What Docker's images say and appc has no words for: kept in annotations (images.md 17). */

#define DOCKER_ANNOTATION_USER	      "appc.io/docker/user"
#define DOCKER_ANNOTATION_STOP_SIGNAL "appc.io/docker/stopsignal"

/*
 * Whether the annotation's text is what user and group of an app section were made of, so that OCI's
 * rule is the one for them; *ret_primary: the text names no group.
 */
bool docker_user_applies(const char *text, const char *user, const char *group, bool *ret_primary)
	__attribute__((nonnull));

/* SIGTERM, TERM, SIGRTMIN+3, RTMAX-1 or a number, as Docker knows them. */
int docker_signal(const char *text, int *ret, struct error *err) __attribute__((nonnull));

#endif

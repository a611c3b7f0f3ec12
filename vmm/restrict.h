/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMM_RESTRICT_H
#define VMM_RESTRICT_H

#include <stdbool.h>

#include "common/error.h"

/*
 * Rules of the host's packet filter for a pod of a restricted network (docs/networking.md): from its
 * interface come answers, and connections to what is published; nothing else gets to the host, or
 * through it. To the pod, others than the host get by what is published.
 *
 * The rules name the interface, which is the host's end of the pod's only.
 */

struct restriction {
	const char *interface; /* the host's end */
	const char *uuid;      /* of the pod, for who reads the rules */
	bool ip4, ip6;
};

/* All of them, or none. */
int restrict_add(const struct restriction *what, struct error *err) __attribute__((nonnull));
/* 0 also when they are not there. */
int restrict_remove(const struct restriction *what, struct error *err) __attribute__((nonnull));

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef INITRD_MUTABLE_H
#define INITRD_MUTABLE_H

#include <stddef.h>
#include <stdint.h>

#include "initrd/apps.h"

/* Apps that come and go while the pod runs (vmm/agent_proto.h: ADD, START and REMOVE). */

/*
 * The host is answered with DONE, or for START as when the pod started. A number that is none, or that
 * the message is not for, is a negative errno: the host is broken.
 */
int init_mutable_add(struct init_apps *apps, unsigned n, const uint8_t *payload, size_t len)
	__attribute__((nonnull));
int init_mutable_start(struct init_apps *apps, unsigned n) __attribute__((nonnull));
int init_mutable_remove(struct init_apps *apps, unsigned n) __attribute__((nonnull));

#endif

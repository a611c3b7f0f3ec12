/* SPDX-License-Identifier: Apache-2.0 */
#ifndef INITRD_METADATA_H
#define INITRD_METADATA_H

#include <stdint.h>

#include "initrd/text.h"

/*
 * The guest's end of the metadata service (vmm/agent_proto.h): what apps send to a port of the pod's
 * loop-back goes to the host, and what the host says goes back. Nothing of it is looked at here.
 */

/* Listen; epfd then reports key | n << 8 | side, for init_metadata_event(). */
int init_metadata_listen(int epfd, uint64_t key, struct init_text *why) __attribute__((nonnull));

void init_metadata_event(unsigned n, unsigned side);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef INITRD_CONTROL_H
#define INITRD_CONTROL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "initrd/text.h"
#include "vmm/agent_proto.h"

/* The control connection: dialling the host, and messages framed by struct agent_hdr. */

#define INIT_MESSAGE_MAX 64 /* payload of any message to init after the plan */

struct init_control {
	int fd;
	size_t have; /* bytes of the current message that have come */
	struct agent_hdr hdr;
	uint8_t *payload; /* where the current message's goes, max bytes */
	size_t max;
};

/* Connect to a port of the host; blocks until it answers. Returns the socket or a negative errno.
 */
int init_dial(unsigned port);

/* Send one message of at most AGENT_TEXT_MAX bytes; blocks. 0 or a negative errno. */
int init_control_send(const struct init_control *control, unsigned type, unsigned app,
		      const void *payload, size_t len) __attribute__((nonnull(1)));

/*
 * Receive as much as there is of one message. 1: control->hdr and control->payload are a whole one,
 * and the next call starts another. 0: more must come (never when wait is set). Else a negative
 * errno: -EPIPE when the host closed, -EMSGSIZE when the payload is longer than max.
 */
int init_control_receive(struct init_control *control, bool wait) __attribute__((nonnull));

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef INITRD_FATAL_H
#define INITRD_FATAL_H

#include <stddef.h>

#include "initrd/control.h"
#include "initrd/text.h"

/* Tell the kernel's log, and go on. */
void init_warn(const struct init_text *why) __attribute__((nonnull));

/* Tell the kernel's log and the host why the pod can not go on, and end. */
__attribute__((noreturn, nonnull)) void init_fatal(struct init_control *control,
						   const struct init_text *why);
__attribute__((noreturn, nonnull)) void init_fatal_errno(struct init_control *control,
							 const char *what, int code);

/* Send a message, or end. */
void init_say(struct init_control *control, unsigned type, unsigned app, const void *payload,
	      size_t len) __attribute__((nonnull(1)));

#endif

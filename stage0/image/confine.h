/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE0_IMAGE_CONFINE_H
#define STAGE0_IMAGE_CONFINE_H

#include <stddef.h>

#include "common/error.h"

/*
 * Call fn(arg, result, err) in a child process that holds only the descriptors given, can read and
 * write them, use memory and make threads, and nothing else: no files, no network, no processes, no
 * signals (seccomp). result_len bytes and the error come back through a pipe; *ret is written on
 * success only. The result is the child's word: check it.
 *
 * -EPROTO: the child died, with the signal in the message.
 */
int confined_call(int (*fn)(void *arg, void *result, struct error *err), void *arg, void *ret,
		  size_t result_len, const int *fds, size_t nfds, struct error *err)
	__attribute__((nonnull(1, 3, 5, 7)));

#endif

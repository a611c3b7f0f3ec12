/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE0_ATTEST_CHILD_H
#define STAGE0_ATTEST_CHILD_H

#include "common/error.h"
#include "common/str.h"

/*
 * A function with a deadline: called in a child process, which is killed when the time is over. For
 * libraries that wait for something outside for as long as that takes.
 */

/*
 * Call fn(arg, out, err). What it adds to out is in *ret when it succeeds; its error is ours.
 * -ETIMEDOUT: it took longer than timeout_ms. what names it in messages. Whatever else fn changes is
 * changed in the child only; files are files.
 */
int child_call(int (*fn)(const void *arg, struct str *out, struct error *err), const void *arg,
	       const char *what, int timeout_ms, struct str *ret, struct error *err)
	__attribute__((nonnull));

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMM_JOIN_H
#define VMM_JOIN_H

#include "common/error.h"

/*
 * rkt's stage1 attach entry point (rkt-behaviour 2.18, 6.2), "--action=list|auto-attach|custom-attach
 * --app=NAME" in the pod directory: connect our streams with an app's that are for clients. With
 * custom-attach the environment says which: STAGE2_ATTACH_STDIN, _STDOUT, _STDERR, or _TTYIN and
 * _TTYOUT, are true. Ends when an output does, or by a signal.
 */
int join_app(int argc, char *const *argv, struct error *err) __attribute__((nonnull));

#endif

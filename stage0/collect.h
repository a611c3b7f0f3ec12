/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE0_COLLECT_H
#define STAGE0_COLLECT_H

#include <stdbool.h>

#include "common/error.h"
#include "stage0/pod.h"

/*
 * Take a locked, ended pod away for good: stage1 cleans up what it made outside the pod's directory,
 * then the directory goes (rkt-behaviour 2.13). A stage1 whose clean-up fails is an error, but the
 * directory is removed all the same.
 */
int collect_pod(const struct pods *pods, struct pod *pod, bool debug, struct error *err)
	__attribute__((nonnull));

#endif

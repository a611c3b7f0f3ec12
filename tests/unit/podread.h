/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_UNIT_PODREAD_H
#define TESTS_UNIT_PODREAD_H

#include "vmm/pod.h"

/* A pod manifest that must be accepted: *ret is the caller's. */
void podread_accept(const char *text, struct pod_spec *ret);
/* One that must be refused, with a message that says why. */
void podread_refuse(const char *text, const char *why);

#endif

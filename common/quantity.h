/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COMMON_QUANTITY_H
#define COMMON_QUANTITY_H

#include <stdint.h>

#include "common/error.h"

/*
 * Amounts of a resource as appc and Kubernetes write them: "512Mi", "1.5G", "500m", "1e3"
 * (images.md 1.3). Integers all the way, rounded up; never negative.
 */

enum quantity_unit {
	QUANTITY_ONE = 1,      /* bytes, operations */
	QUANTITY_MILLI = 1000, /* thousandths, for CPUs */
};

/* The amount in units of 1 or 1/1000. -EINVAL: no quantity; -ERANGE: negative or over 2^63-1. */
int quantity_parse(const char *text, enum quantity_unit unit, int64_t *ret, struct error *err)
	__attribute__((nonnull));

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMM_POD_RATE_H
#define VMM_POD_RATE_H

#include <stdint.h>

#include "common/error.h"

/*
 * Rate limits of a pod's devices, from a file that stage0 leaves in the pod's directory
 * (stage0/rate.h): a line of numbers, each a rate a second, 0 for no limit. The guest sees nothing
 * of them: they are no part of what is measured.
 */

#define POD_RATE_NET "net-rate" /* bytes in, packets in, bytes out, packets out */

#define POD_RATE_DISK "disk-rate" /* bytes, operations */

/* n numbers of the file in the working directory, all 0 when there is none. */
int pod_rate_read(const char *file, uint64_t *ret, unsigned n, struct error *err)
	__attribute__((nonnull));
/* The same of a file's text. */
int pod_rate_parse(const char *text, uint64_t *ret, unsigned n, struct error *err)
	__attribute__((nonnull));

#endif

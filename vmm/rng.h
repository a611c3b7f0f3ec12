/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMM_RNG_H
#define VMM_RNG_H

#include "vmm/virtio.h"

/* virtio-rng (virtio 1.2 section 5.4): the host's random numbers. */

#define RNG_REQUEST_MAX 65536 /* bytes for one request; a driver that wants more asks again */

struct rng {
	struct virtio_device dev;
};

int rng_new(const struct gmem *mem, struct rng **ret, struct error *err) __attribute__((nonnull));
void rng_free(struct rng *rng);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMM_PODSHARE_H
#define VMM_PODSHARE_H

#include "common/error.h"
#include "vmm/fs.h"
#include "vmm/loop.h"
#include "vmm/pod.h"
#include "vmm/pod_volume.h"
#include "vmm/virtiofsd.h"

/*
 * The host's files in a pod: a server and a device for each volume of kind host, in the order of the
 * volumes. A pod whose volume's server ends, ends: its apps would wait for files for ever.
 */

struct podshare {
	const struct pod_volume *volume; /* the pod's */
	struct virtiofsd server;
	int fd;	       /* the server's socket */
	struct fs *fs; /* the guest's, NULL before there is one */
};

struct podshares {
	struct podshare v[POD_SHARES_MAX];
	unsigned n;
};

/* How many there will be. */
unsigned podshares_count(const struct pod_spec *pod) __attribute__((nonnull));

/*
 * Start the servers of a pod whose volumes were looked at, without waiting for them. pod outlives the
 * shares. Before the process has other threads.
 */
int podshares_start(struct podshares *shares, const struct pod_spec *pod, struct error *err)
	__attribute__((nonnull));
/* All of them are devices: wait until they serve, and watch them (LOOP_SHARE). */
int podshares_wait(struct podshares *shares, struct loop *loop, struct error *err)
	__attribute__((nonnull));
/* One hung up: its device stands still. Returns the error that says why. */
int podshares_event(struct podshares *shares, struct loop *loop, uint32_t index, struct error *err)
	__attribute__((nonnull));
/* Nothing is wanted of them any more: wait for the servers' end. */
void podshares_end(struct podshares *shares) __attribute__((nonnull));
/* End them at once. For a pod that did not start. */
void podshares_free(struct podshares *shares) __attribute__((nonnull));

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMM_NETNS_H
#define VMM_NETNS_H

#include <stdint.h>

#include "common/error.h"
#include "vmm/net_guard.h"

/*
 * A pod's network namespace, where CNI plugins put its interfaces, and what joins them to the guest: a
 * TAP device for each, with every frame that comes to one redirected to the other (section 16 of the
 * machine interfaces). Needs root.
 */

#define NETNS_DIR "/run/netns" /* as ip-netns(8) has it */

/* Make the namespace and hold it at path, below NETNS_DIR. */
int netns_new(const char *path, struct error *err) __attribute__((nonnull));
/* Let it go; 0 also when it is not there. */
int netns_remove(const char *path, struct error *err) __attribute__((nonnull));

struct netns_tap {
	int fd; /* the TAP device, non-blocking, for net_tap; the caller's */
	uint16_t mtu;
};

/*
 * Join the interface ifname of the namespace to a new TAP device. The guard's MAC becomes the
 * interface's; when it has addresses to check, the kernel drops what it does not allow, too, whatever
 * comes out of the VMM.
 */
int netns_join(const char *path, const char *ifname, unsigned index, struct net_guard *guard,
	       struct netns_tap *ret, struct error *err) __attribute__((nonnull));

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMM_PASST_H
#define VMM_PASST_H

#include <sys/types.h>

#include "common/error.h"
#include "vmm/pod_port.h"

/*
 * A network for who has no privilege: passt(1), one process a pod, which turns the guest's frames
 * into sockets of the host's. It confines itself, and ends when our end of its socket is closed.
 *
 * The pod's addresses are the same in every pod and no host's: they mean nothing outside of it.
 */

#define PASST_ADDRESS "10.0.2.15"
#define PASST_PREFIX  24
#define PASST_GATEWAY "10.0.2.2" /* also how a pod reaches the host's loop-back addresses */
#define PASST_DNS     "10.0.2.3" /* forwarded to the host's resolvers */
#define PASST_MTU     65520 /* the largest it assigns: fewer frames, less to do for the guest */

struct passt {
	pid_t pid;
	int pidfd;
	int log; /* what it says */
};

#define PASST_NONE                                                                                 \
	{                                                                                          \
		.pid = -1, .pidfd = -1, .log = -1                                                  \
	}

/*
 * Start it with these ports published, and return without waiting for it. *ret_fd is a non-blocking
 * stream of frames (net_stream), the caller's. -ENOENT: it is not installed.
 */
int passt_start(struct passt *passt, const struct pod_port *ports, unsigned nports, int *ret_fd,
		struct error *err) __attribute__((nonnull(1, 4, 5)));
/*
 * Wait until it serves, its ports open: it answers on the stream fd when the NIC mac asks for the
 * gateway. An error when it can not, with its own words.
 */
int passt_wait(struct passt *passt, int fd, const uint8_t mac[6], struct error *err)
	__attribute__((nonnull));
/* End it, if it runs. */
void passt_free(struct passt *passt) __attribute__((nonnull));

#endif

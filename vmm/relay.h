/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMM_RELAY_H
#define VMM_RELAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "vmm/agent_proto.h"
#include "vmm/loop.h"
#include "vmm/vsock.h"

/*
 * Sessions (vmm/agent_proto.h) as far as the VMM has to do with them: each of a session's streams,
 * its control messages among them, is a socket of a client on the host and a connection of init, and
 * a relay between the two, which looks at nothing.
 *
 * All functions but relays_new() and relays_free() want the vsock's lock.
 */

#define RELAY_CHUNK (16U << 10) /* moved from a client to the guest at once */

struct relays;

void relays_new(struct vsock *vs, struct loop *loop, struct relays **ret) __attribute__((nonnull));
void relays_free(struct relays *relays);

/*
 * A new session, whose control messages come from and go to fd, a socket, which is taken over.
 * *ret_cookie is what init has to show. The session's number, or -EBUSY: there is no room.
 */
int relays_open(struct relays *relays, int *fd, uint64_t *ret_cookie) __attribute__((nonnull));

/*
 * Add a client's end of a stream to a session; fd is taken over. Must be done before the session's
 * command is started. -ENOENT: there is no such session, -EEXIST: it has the stream.
 */
int relays_add(struct relays *relays, unsigned session, unsigned kind, int *fd)
	__attribute__((nonnull));

/* The endpoint's side (struct vsock_ops) for AGENT_PORT_SESSION. */
bool relays_accept(struct relays *relays, unsigned conn) __attribute__((nonnull));
bool relays_owns(const struct relays *relays, unsigned conn) __attribute__((nonnull));
size_t relays_data(struct relays *relays, unsigned conn, const struct iovec *iov, unsigned n,
		   size_t len) __attribute__((nonnull));
void relays_eof(struct relays *relays, unsigned conn) __attribute__((nonnull));
void relays_writable(struct relays *relays, unsigned conn) __attribute__((nonnull));
void relays_closed(struct relays *relays, unsigned conn) __attribute__((nonnull));

/* LOOP_RELAY: a client's socket. */
void relays_ready(struct relays *relays, unsigned index, uint32_t events) __attribute__((nonnull));

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMM_ATTACH_H
#define VMM_ATTACH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "vmm/agent_proto.h"
#include "vmm/loop.h"
#include "vmm/vsock.h"

/*
 * Apps whose streams are for clients that come and go (stdio modes stream and tty, rkt-behaviour 7.9):
 * what such an app writes goes to every client of the stream, what clients send is the app's input.
 *
 * All functions but attach_new() and attach_free() want the vsock's lock.
 */

#define ATTACH_CLIENTS_MAX 32	       /* at once, of all apps */
#define ATTACH_CHUNK	   (16U << 10) /* moved from a client to the guest at once */

/* Streams of an app that are for clients, a bit for each enum agent_stream_kind. */
#define ATTACH_BIT(kind) (1U << (kind))

struct attach;

void attach_new(struct vsock *vs, struct loop *loop, struct attach **ret) __attribute__((nonnull));
void attach_free(struct attach *attach);
/* Say which streams of an app are for clients; none are before. Clients of others are sent away. */
void attach_offer(struct attach *attach, unsigned app, unsigned bits) __attribute__((nonnull));
unsigned attach_offered(const struct attach *attach, unsigned app) __attribute__((nonnull));

/*
 * A client's socket for a stream, which is taken over. -ENOENT: the app has no such stream for
 * clients, -EBUSY: there are too many clients.
 */
int attach_add(struct attach *attach, unsigned app, unsigned kind, int *fd)
	__attribute__((nonnull));

/*
 * Output of the app, to every client of that stream. One that does not keep up is sent away: an app
 * waits for nobody who only looks.
 */
void attach_output(struct attach *attach, unsigned app, unsigned kind, const struct iovec *iov,
		   unsigned n, size_t len) __attribute__((nonnull));
/* The app's output has ended, and so do its clients. */
void attach_output_end(struct attach *attach, unsigned app, unsigned kind) __attribute__((nonnull));

/* The connection of the app's input: it is there, it takes bytes again, it is gone. */
void attach_input(struct attach *attach, unsigned app, unsigned conn) __attribute__((nonnull));
void attach_input_writable(struct attach *attach, unsigned app) __attribute__((nonnull));
void attach_input_closed(struct attach *attach, unsigned app) __attribute__((nonnull));

/* LOOP_ATTACH: a client's socket. */
void attach_ready(struct attach *attach, unsigned index, uint32_t events) __attribute__((nonnull));

#endif

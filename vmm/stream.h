/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMM_STREAM_H
#define VMM_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "common/error.h"
#include "vmm/agent_proto.h"
#include "vmm/applog.h"
#include "vmm/attach.h"
#include "vmm/loop.h"
#include "vmm/vsock.h"

/*
 * The apps' streams and the VMM's own descriptors 0, 1 and 2. All functions but streams_new() and
 * streams_free() want the vsock's lock.
 */

#define STREAM_LINE_MAX	 8192	     /* longer lines of a prefixed app are cut into several */
#define STREAM_SINK_BUF	 (64U << 10) /* prefixed output gathered for one write */
#define STREAM_STDIN_BUF (16U << 10) /* read ahead of the guest */

struct stream_app {
	const char *name;	       /* borrowed */
	uint32_t flags;		       /* PLAN_FLAGS: PLAN_TTY and PLAN_STDIN */
	bool discard_out, discard_err; /* stdio mode null */
	struct applog *log;	       /* what it writes is kept there too, borrowed; or NULL */
	struct attach *attach; /* streams it offers there are for clients, borrowed; or NULL */
};

struct streams;

/*
 * out, err and in are the host's descriptors, borrowed. One app's output is passed on as it is,
 * several apps' line by line behind "NAME: ". in is read for the first app with PLAN_STDIN or
 * PLAN_TTY, -1 when there is none.
 */
void streams_new(struct vsock *vs, struct loop *loop, const struct stream_app *apps, unsigned napps,
		 int in, int out, int err_fd, struct streams **ret) __attribute__((nonnull));
void streams_free(struct streams *st);

/*
 * Of several apps, whose numbers were given to streams_new(): number is that app's, whose streams are
 * to be dialled, as it was made or again; nobody's any more. Only when streams_app_idle().
 */
void streams_join(struct streams *st, unsigned number, const struct stream_app *app)
	__attribute__((nonnull));
void streams_leave(struct streams *st, unsigned number) __attribute__((nonnull));
/* No output of that app is on its way. */
bool streams_app_idle(const struct streams *st, unsigned number) __attribute__((nonnull));

/* The endpoint's side (struct vsock_ops) for AGENT_PORT_STREAM. */
bool streams_accept(struct streams *st, unsigned conn) __attribute__((nonnull));
size_t streams_data(struct streams *st, unsigned conn, const struct iovec *iov, unsigned n,
		    size_t len) __attribute__((nonnull));
void streams_eof(struct streams *st, unsigned conn) __attribute__((nonnull));
void streams_writable(struct streams *st, unsigned conn) __attribute__((nonnull));
void streams_closed(struct streams *st, unsigned conn) __attribute__((nonnull));

/* LOOP_STREAM_OUT and LOOP_STREAM_IN. */
void streams_out_ready(struct streams *st, unsigned index, uint32_t events)
	__attribute__((nonnull));
void streams_in_ready(struct streams *st) __attribute__((nonnull));

/* No output of any app is on its way: all their streams have ended and all bytes are written. */
bool streams_idle(const struct streams *st) __attribute__((nonnull));
/* The guest has ended all streams, though bytes may wait for a slow reader on the host. */
bool streams_ended(const struct streams *st) __attribute__((nonnull));
/* The guest is gone: end all streams and try once to write what is there. */
void streams_finish(struct streams *st) __attribute__((nonnull));

/* Negative errno of the first of our descriptors that failed otherwise than by EPIPE, or 0. */
int streams_error(const struct streams *st) __attribute__((nonnull));

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef INITRD_STREAM_H
#define INITRD_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vmm/agent_proto.h"

/*
 * A stream of an app or a session: a pipe or pseudo terminal on this side, a vsock connection on the
 * other.
 */

/* One read and one packet. A pipe's default size, and what vsock puts in a packet at most. */
#define INIT_STREAM_CHUNK 65536

/* Bytes taken from one side the other has not accepted yet. */
struct init_flow {
	bool ended; /* the host sends no more */
	uint32_t off, len;
	uint8_t held[INIT_STREAM_CHUNK + sizeof(struct agent_session_stream)];
};

enum init_pump {
	INIT_PUMP_IDLE,	 /* nothing to do before the next event */
	INIT_PUMP_MORE,	 /* there is more, but it is others' turn */
	INIT_PUMP_ENDED, /* the stream is closed on both sides */
};

struct init_stream {
	bool used;     /* the app has such a stream */
	bool draining; /* the app has ended: what is there now is the last */
	uint8_t kind;  /* enum agent_stream_kind */
	bool session;  /* ... or rather a session's, which shows the cookie */
	uint16_t app;  /* or session */
	uint64_t cookie;
	int local; /* our end of the pipe, or the pseudo terminal's master; non-blocking */
	int sock;  /* -1 until it is dialled */
	int epfd;
	uint64_t key; /* epoll data */
	bool sock_watched, widened;
	struct init_flow *out, *in; /* to the host, from the host; NULL when there is none */
};

/*
 * Take over local, which epfd then reports under key. A stream the host feeds is dialled now, one
 * that only carries output when there is some. 0 or a negative errno.
 */
int init_stream_open(struct init_stream *stream, int epfd, uint64_t key, int local)
	__attribute__((nonnull));

/* Move bytes as long as both sides go on, for a while. */
enum init_pump init_stream_pump(struct init_stream *stream) __attribute__((nonnull));

/* The app has ended and with it everything that could write: end as soon as all has been read. */
enum init_pump init_stream_drain(struct init_stream *stream) __attribute__((nonnull));

void init_stream_close(struct init_stream *stream) __attribute__((nonnull));

#endif

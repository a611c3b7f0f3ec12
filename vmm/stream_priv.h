/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMM_STREAM_PRIV_H
#define VMM_STREAM_PRIV_H

#include "vmm/stream.h"

/* Between the streams (stream.c) and the descriptors they end in (sink.c). */

enum fd_kind {
	FD_PLAIN,    /* never blocks */
	FD_NONBLOCK, /* opened once more */
	FD_SOCKET,
	FD_POLLED,
};

struct sink {
	int fd, own_fd; /* what is written; to be closed if it is ours, else -1 */
	enum fd_kind kind;
	bool dead, blocked;
	int error; /* errno it died of, 0 while it lives */
	uint8_t *buf;
	size_t start, len;
};

/* An app's stdout (or terminal) or stderr. */
struct output {
	const char *name;
	bool dialled, eof, is_stderr;
	struct sink *sink;  /* NULL: discarded */
	struct applog *log; /* or NULL */
	char *line;	    /* STREAM_LINE_MAX bytes; NULL: bytes are passed on as they are */
	size_t line_len;
};

struct app {
	uint32_t flags;
	bool in_dialled;
	struct attach *attach; /* NULL: no stream is for clients */
	unsigned offered;      /* ATTACH_BIT() of those that are */
	struct output out[2];
};

/* A connection to the stream port, by its number. */
struct slot {
	bool used, bound;
	uint8_t header[sizeof(struct agent_stream)];
	unsigned header_len;
	struct output *out; /* NULL: input */
	bool attach_in;	    /* clients give the input of that app */
	unsigned app;
	uint8_t kind;
};

struct streams {
	struct vsock *vs;
	struct loop *loop;
	struct app *apps;
	unsigned napps;
	struct sink sink[2];
	int current;   /* connection whose bytes are being taken, -1: none */
	unsigned next; /* connection that goes first when a sink has room again */
	struct {
		int fd, own_fd;
		enum fd_kind kind;
		int conn; /* -1: not (or no longer) dialled */
		unsigned app;
		bool watched, eof, eof_sent;
		size_t start, len;
		uint8_t buf[STREAM_STDIN_BUF];
	} in;
	struct slot slot[VSOCK_CONNS_MAX];
};

/* How to use fd without blocking; *ret_own is a description of our own to use instead, or -1. */
enum fd_kind sink_fd_kind(int fd, int flags, int *ret_own);

void sink_open(struct streams *st, unsigned index, int fd);
/* Wait, or no longer, until the sink can be written. */
void sink_watch(struct streams *st, struct sink *sink, bool on);
/* Nobody reads any more, or writing failed: drop everything and tell the guest. */
void sink_die(struct streams *st, struct sink *sink, int error);
/* How many bytes were written; 0: the sink is blocked or dead. */
size_t sink_writev(struct streams *st, struct sink *sink, const struct iovec *iov, unsigned n);
/* Write what lines have gathered. */
void sink_flush(struct streams *st, struct sink *sink);
void sink_put(struct sink *sink, const void *data, size_t len); /* room was made before */
/* Room for len more bytes behind what is gathered, by writing some of it if need be. */
bool sink_room(struct streams *st, struct sink *sink, size_t len);

#endif

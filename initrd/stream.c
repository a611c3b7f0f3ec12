/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Streams of apps and sessions.
 *
 * Bytes are moved with read and send through one buffer all streams share; what the other side did
 * not accept is kept in the flow's own, and nothing more is read before that is gone. So a flow
 * holds at most one chunk, and a slow reader on the host stops the app by the pipe filling up.
 * (splice(2) would save a copy, but it hands over page by page, and a packet costs more than
 * copying a page.)
 *
 * epoll is edge triggered on both sides and every event simply pumps: a pump ends only when one
 * side would block, which is what the next edge is about, or when it says that there is more.
 *
 * Output is dialled when there is some, so a stream nobody writes to costs nothing. The connection
 * is watched only once it did not accept everything, or when it carries input.
 */
#include "initrd/stream.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "initrd/control.h"

/* Chunks a stream may move before it is another one's turn: half a megabyte. */
#define TURN 8
/* A pipe that was found full once is made this large: fewer switches between writer and init. */
#define WIDE_PIPE (256 << 10)

enum side {
	SIDE_BLOCKED, /* would block */
	SIDE_ENDED,   /* end of input */
	SIDE_BROKEN,  /* takes no more */
};

static int watch(const struct init_stream *stream, int fd, uint32_t events)
{
	struct epoll_event ev = {.events = events | EPOLLET, .data.u64 = stream->key};

	return epoll_ctl(stream->epfd, EPOLL_CTL_ADD, fd, &ev) < 0 ? -errno : 0;
}

static int watch_sock(struct init_stream *stream)
{
	if (stream->sock_watched)
		return 0;
	stream->sock_watched = true;
	return watch(stream, stream->sock,
		     EPOLLOUT | (stream->in && !stream->in->ended ? EPOLLIN | EPOLLRDHUP : 0));
}

/* An opening of either kind; its length. The shorter is how the longer begins. */
static size_t opening(const struct init_stream *stream, struct agent_session_stream *ret)
{
	*ret = (struct agent_session_stream){
		.magic = AGENT_STREAM_MAGIC,
		.session = stream->app,
		.kind = stream->kind,
		.cookie = stream->cookie,
	};
	return stream->session ? sizeof(*ret) : sizeof(struct agent_stream);
}

static int dial(const struct init_stream *stream)
{
	return init_dial(stream->session ? AGENT_PORT_SESSION : AGENT_PORT_STREAM);
}

int init_stream_open(struct init_stream *stream, int epfd, uint64_t key, int local)
{
	int r;

	stream->used = true;
	stream->local = local;
	stream->sock = -1;
	stream->epfd = epfd;
	stream->key = key;
	if (fcntl(local, F_SETFL, O_NONBLOCK) < 0)
		return -errno;
	if (stream->in) {
		struct agent_session_stream hdr;
		size_t len = opening(stream, &hdr);

		stream->sock = dial(stream);
		if (stream->sock < 0)
			return stream->sock;
		if (send(stream->sock, &hdr, len, MSG_NOSIGNAL) != (ssize_t)len)
			return -EIO;
		r = watch_sock(stream);
		if (r < 0)
			return r;
	}
	return watch(stream, local, (stream->out ? EPOLLIN : 0) | (stream->in ? EPOLLOUT : 0));
}

static void close_local(struct init_stream *stream)
{
	if (stream->local >= 0)
		close(stream->local);
	stream->local = -1;
}

void init_stream_close(struct init_stream *stream)
{
	close_local(stream);
	if (stream->sock >= 0)
		close(stream->sock);
	stream->sock = -1;
	stream->used = false;
}

/* Bytes taken: 0 when it would block, -1 when it takes no more. */
static ssize_t put(int fd, bool sock, const uint8_t *p, size_t len)
{
	ssize_t n;

	do
		n = sock ? send(fd, p, len, MSG_DONTWAIT | MSG_NOSIGNAL) : write(fd, p, len);
	while (n < 0 && errno == EINTR);
	if (n >= 0)
		return n;
	return errno == EAGAIN ? 0 : -1;
}

/* Hand on what is held. False when it is not all gone. */
static bool flush(struct init_flow *flow, int fd, bool sock, bool *broken)
{
	while (flow->len > 0) {
		ssize_t n = put(fd, sock, flow->held + flow->off, flow->len);

		if (n <= 0) {
			*broken = n < 0;
			return false;
		}
		flow->off += (uint32_t)n;
		flow->len -= (uint32_t)n;
	}
	return true;
}

/* Dial for the first output. The opening goes with it, in the bytes before p: how many, or < 0. */
static ssize_t open_output(struct init_stream *stream, uint8_t *p)
{
	struct agent_session_stream hdr;
	size_t len = opening(stream, &hdr);

	stream->sock = dial(stream);
	if (stream->sock < 0)
		return stream->sock;
	memcpy(p - len, &hdr, len);
	return (ssize_t)len;
}

/* The chunk everything passes through, with room for an opening before it. */
static uint8_t chunk[sizeof(struct agent_session_stream) + INIT_STREAM_CHUNK];

/* Move one chunk to the host. True while there may be more. */
static bool move_out(struct init_stream *stream, enum side *ret)
{
	struct init_flow *flow = stream->out;
	uint8_t *p = chunk + sizeof(struct agent_session_stream);
	bool broken = false;
	ssize_t n, done;

	if (!flush(flow, stream->sock, true, &broken)) {
		*ret = broken ? SIDE_BROKEN : SIDE_BLOCKED;
		return false;
	}
	n = read(stream->local, p, INIT_STREAM_CHUNK);
	if (n <= 0) {
		/* a terminal nobody has open says EIO; somebody may open it again */
		bool wait = n < 0 && (errno == EAGAIN || errno == EIO) && !stream->draining;

		if (n < 0 && errno == EINTR)
			return true;
		*ret = wait ? SIDE_BLOCKED : SIDE_ENDED;
		return false;
	}
	if (n == INIT_STREAM_CHUNK && !stream->widened) {
		stream->widened = true;
		(void)fcntl(stream->local, F_SETPIPE_SZ, WIDE_PIPE);
	}
	if (stream->sock < 0) {
		ssize_t len = open_output(stream, p);

		if (len < 0) {
			*ret = SIDE_BROKEN;
			return false;
		}
		p -= len;
		n += len;
	}
	done = put(stream->sock, true, p, (size_t)n);
	if (done < 0) {
		*ret = SIDE_BROKEN;
		return false;
	}
	if (done < n) {
		flow->off = 0;
		flow->len = (uint32_t)(n - done);
		memcpy(flow->held, p + done, flow->len);
		if (watch_sock(stream) < 0) {
			*ret = SIDE_BROKEN;
			return false;
		}
	}
	return true;
}

/* Move one chunk from the host. */
static bool move_in(struct init_stream *stream, enum side *ret)
{
	struct init_flow *flow = stream->in;
	bool broken = false;
	ssize_t n, done;

	if (!flush(flow, stream->local, false, &broken)) {
		*ret = broken ? SIDE_BROKEN : SIDE_BLOCKED;
		return false;
	}
	if (flow->ended) {
		*ret = SIDE_ENDED;
		return false;
	}
	n = recv(stream->sock, chunk, INIT_STREAM_CHUNK, MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
		*ret = SIDE_BLOCKED;
		return errno == EINTR;
	}
	if (n <= 0) {
		flow->ended = true;
		return true;
	}
	done = put(stream->local, false, chunk, (size_t)n);
	if (done < 0) {
		*ret = SIDE_BROKEN;
		return false;
	}
	flow->off = 0;
	flow->len = (uint32_t)(n - done);
	memcpy(flow->held, chunk + done, flow->len);
	return true;
}

enum init_pump init_stream_pump(struct init_stream *stream)
{
	enum side side = SIDE_BLOCKED;
	bool more = false;
	int turn;

	if (!stream->used)
		return INIT_PUMP_ENDED;
	if (stream->out) {
		for (turn = 0; turn < TURN && move_out(stream, &side);)
			turn++;
		if (turn == TURN) {
			more = true;
		} else if (side != SIDE_BLOCKED) {
			/*
			 * All was read, or the host wants no more: then the app's next write
			 * fails, or its terminal hangs up.
			 */
			init_stream_close(stream);
			return INIT_PUMP_ENDED;
		}
	}
	if (stream->in && !stream->draining) {
		for (turn = 0; turn < TURN && move_in(stream, &side);)
			turn++;
		if (turn == TURN) {
			more = true;
		} else if (side != SIDE_BLOCKED && !stream->out) {
			/* end of input, or the app closed its end */
			init_stream_close(stream);
			return INIT_PUMP_ENDED;
		}
	}
	return more ? INIT_PUMP_MORE : INIT_PUMP_IDLE;
}

enum init_pump init_stream_drain(struct init_stream *stream)
{
	if (stream->used && !stream->out)
		init_stream_close(stream);
	stream->draining = true;
	return init_stream_pump(stream);
}

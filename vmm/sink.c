/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Our descriptors' open file descriptions are shared with whoever started us, so O_NONBLOCK must
 * not be set on them. A pipe or terminal is opened once more through /proc, which gives a
 * description of our own; where that is refused, a write follows a poll(2) and is small enough not
 * to block (PIPE_BUF). Sockets have MSG_DONTWAIT. Files and devices that epoll does not know never
 * block.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/util.h"
#include "vmm/stream_priv.h"

/* How to use fd without blocking; *ret_own is a description of our own, to be used instead, or -1.
 */
enum fd_kind sink_fd_kind(int fd, int flags, int *ret_own)
{
	struct stat st;
	char path[32];

	*ret_own = -1;
	if (fstat(fd, &st) < 0 || S_ISREG(st.st_mode) || S_ISBLK(st.st_mode))
		return FD_PLAIN;
	if (S_ISSOCK(st.st_mode))
		return FD_SOCKET;
	if (!S_ISFIFO(st.st_mode) && !isatty(fd))
		return FD_PLAIN;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	*ret_own = open(path, flags | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	return *ret_own >= 0 ? FD_NONBLOCK : FD_POLLED;
}

void sink_open(struct streams *st, unsigned index, int fd)
{
	struct sink *sink = &st->sink[index];
	struct error ignored;

	sink->kind = sink_fd_kind(fd, O_WRONLY, &sink->own_fd);
	sink->fd = sink->own_fd >= 0 ? sink->own_fd : fd;
	if (sink->kind != FD_PLAIN &&
	    loop_add(st->loop, sink->fd, 0, LOOP_STREAM_OUT, index, &ignored) < 0)
		sink->kind = FD_PLAIN;
	if (fcntl(fd, F_GETFD) < 0) { /* started with a closed descriptor */
		sink->dead = true;
		sink->kind = FD_PLAIN;
	}
}

void sink_watch(struct streams *st, struct sink *sink, bool on)
{
	sink->blocked = on;
	if (sink->kind != FD_PLAIN)
		loop_set(st->loop, sink->fd, on ? EPOLLOUT : 0, LOOP_STREAM_OUT,
			 (uint32_t)(sink - st->sink));
}

void sink_die(struct streams *st, struct sink *sink, int error)
{
	if (sink->dead)
		return;
	if (sink->kind != FD_PLAIN)
		loop_del(st->loop, sink->fd);
	sink->dead = true;
	sink->blocked = false;
	sink->error = error;
	sink->len = 0;
	for (unsigned i = 0; i < VSOCK_CONNS_MAX; i++) {
		struct output *out = st->slot[i].used ? st->slot[i].out : NULL;

		if (!out || out->sink != sink)
			continue;
		vsock_shutdown(st->vs, i, VSOCK_SHUTDOWN_RCV);
		if ((int)i != st->current)
			vsock_flush(st->vs, i);
	}
}

/* How many bytes were written; less than all: the sink is blocked or dead. */
size_t sink_writev(struct streams *st, struct sink *sink, const struct iovec *iov, unsigned n)
{
	struct msghdr msg = {.msg_iov = (struct iovec *)iov, .msg_iovlen = n};
	struct pollfd poll_out = {.fd = sink->fd, .events = POLLOUT};
	ssize_t r = -1;

	if (sink->dead || sink->blocked)
		return 0;
	do {
		switch (sink->kind) {
		case FD_SOCKET:
			r = sendmsg(sink->fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
			break;
		case FD_POLLED:
			errno = EAGAIN;
			if (poll(&poll_out, 1, 0) > 0)
				r = write(sink->fd, iov[0].iov_base,
					  MIN(iov[0].iov_len, (size_t)PIPE_BUF));
			break;
		case FD_PLAIN:
		case FD_NONBLOCK:
			r = writev(sink->fd, iov, (int)n);
			break;
		}
	} while (r < 0 && errno == EINTR);
	if (r >= 0)
		return (size_t)r;
	if (errno == EAGAIN || errno == EWOULDBLOCK)
		sink_watch(st, sink, true);
	else
		sink_die(st, sink, errno);
	return 0;
}

/* Write what lines have gathered. */
void sink_flush(struct streams *st, struct sink *sink)
{
	while (sink->len) {
		struct iovec iov = {sink->buf + sink->start, sink->len};
		size_t n = sink_writev(st, sink, &iov, 1);

		if (!n)
			return;
		sink->start += n;
		sink->len -= n;
	}
	sink->start = 0;
}

void sink_put(struct sink *sink, const void *data, size_t len)
{
	memcpy(sink->buf + sink->start + sink->len, data, len);
	sink->len += len;
}

/* Room for len more bytes behind what is gathered, by writing some of it if need be. */
bool sink_room(struct streams *st, struct sink *sink, size_t len)
{
	if (sink->start + sink->len + len <= STREAM_SINK_BUF)
		return true;
	sink_flush(st, sink);
	memmove(sink->buf, sink->buf + sink->start, sink->len);
	sink->start = 0;
	return !sink->dead && sink->len + len <= STREAM_SINK_BUF;
}

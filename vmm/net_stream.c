/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A NIC's frames over a stream socket: a big-endian 32-bit length before each, as QEMU's stream
 * network and passt speak it. No headers, so no offloads.
 *
 * The peer loses its place if a frame stops in the middle, so what was begun is finished before
 * anything else: the rest of a frame that did not fit is kept, one at the most.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "common/util.h"
#include "vmm/net.h"

#define LENGTH_SIZE	 4
#define STREAM_FRAME_MAX 65535 /* what passt takes */

static bool stream_flush(struct net *net)
{
	while (net->out_pos < net->out_len) {
		ssize_t n = send(net->fd, net->out + net->out_pos, net->out_len - net->out_pos,
				 MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return false;
		if (n < 0)
			break; /* nobody is there any more; receiving tells */
		net->out_pos += (size_t)n;
	}
	net->out_pos = net->out_len = 0;
	return true;
}

/* Keep what is behind the first done bytes. */
static void keep_rest(struct net *net, const struct iovec *iov, int n, size_t done)
{
	for (int i = 0; i < n; i++) {
		size_t skip = MIN(done, iov[i].iov_len), len = iov[i].iov_len - skip;

		memcpy(net->out + net->out_len, (const uint8_t *)iov[i].iov_base + skip, len);
		net->out_len += len;
		done -= skip;
	}
}

static enum net_sent stream_send(struct net *net, struct iovec *iov, int n, size_t len)
{
	uint32_t length = htonl((uint32_t)len);
	const struct msghdr msg = {.msg_iov = iov, .msg_iovlen = (size_t)n};
	ssize_t sent;

	if (len > STREAM_FRAME_MAX)
		return NET_DROPPED;
	if (!stream_flush(net))
		return NET_LATER;
	iov[0] = (struct iovec){&length, LENGTH_SIZE};
	do
		sent = sendmsg(net->fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
	while (sent < 0 && errno == EINTR);
	if (sent < 0)
		return errno == EAGAIN ? NET_LATER : NET_DROPPED;
	if ((size_t)sent < LENGTH_SIZE + len)
		keep_rest(net, iov, n, (size_t)sent);
	return NET_SENT;
}

/* The next whole frame among the bytes that are there. False: the peer's framing makes no sense. */
static bool take_frame(struct net *net, struct net_frame *ret)
{
	size_t have = net->in_len - net->in_pos;
	uint32_t length;

	ret->data = NULL;
	if (have < LENGTH_SIZE)
		return true;
	memcpy(&length, net->in + net->in_pos, LENGTH_SIZE);
	length = ntohl(length);
	if (length < NET_FRAME_MIN || length > STREAM_FRAME_MAX)
		return false;
	if (have - LENGTH_SIZE < length)
		return true;
	ret->header = (struct net_header){.flags = 0};
	ret->data = net->in + net->in_pos + LENGTH_SIZE;
	ret->len = length;
	net->in_pos += LENGTH_SIZE + length;
	return true;
}

static bool stream_receive(struct net *net, struct net_frame *ret)
{
	for (;;) {
		ssize_t n;

		if (!take_frame(net, ret))
			return false;
		if (ret->data)
			return true;
		memmove(net->in, net->in + net->in_pos, net->in_len - net->in_pos);
		net->in_len -= net->in_pos;
		net->in_pos = 0;
		n = recv(net->fd, net->in + net->in_len, NET_IN_SIZE - net->in_len, MSG_DONTWAIT);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 && errno == EAGAIN;
		net->in_len += (size_t)n;
	}
}

const struct net_backend net_stream = {
	.send = stream_send,
	.flush = stream_flush,
	.receive = stream_receive,
};

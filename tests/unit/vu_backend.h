/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_UNIT_VU_BACKEND_H
#define TESTS_UNIT_VU_BACKEND_H

#include <assert.h>
#include <string.h>
#include <sys/socket.h>

#include "common/util.h"

/*
 * The other side of vhost-user, for tests: what it answers is put in the socket before the front end
 * asks, what it was asked is read afterwards.
 */

enum {
	VU_GET_FEATURES = 1,
	VU_SET_FEATURES = 2,
	VU_SET_OWNER = 3,
	VU_SET_MEM_TABLE = 5,
	VU_SET_VRING_NUM = 8,
	VU_SET_VRING_ADDR = 9,
	VU_SET_VRING_BASE = 10,
	VU_GET_VRING_BASE = 11,
	VU_SET_VRING_KICK = 12,
	VU_SET_VRING_CALL = 13,
	VU_GET_PROTOCOL_FEATURES = 15,
	VU_SET_PROTOCOL_FEATURES = 16,
	VU_SET_VRING_ENABLE = 18,
};

#define VU_REPLY      5 /* the version, and that it is one */
#define VU_REPLY_ACK  8 /* of the protocol's features */
#define VU_FEATURES   (UINT64_C(1) << 32 | UINT64_C(1) << 30 | UINT64_C(1) << 29 | UINT64_C(1) << 28)
#define VU_NEED_REPLY 8

struct vu_message {
	uint32_t request, flags, size;
	union {
		uint64_t u64[40];
		uint32_t u32[80];
	};
	int fd[8];
	unsigned nfds;
};

struct vu_backend {
	int front, back; /* the two ends */
};

static inline void vu_init(struct vu_backend *b)
{
	int fds[2], r = socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds);

	assert(r == 0);
	(void)r;
	b->front = fds[0];
	b->back = fds[1];
}

static inline void vu_free(struct vu_backend *b)
{
	close_fd(&b->front);
	close_fd(&b->back);
}

static inline void vu_put(struct vu_backend *b, uint32_t request, uint32_t flags,
			  const void *payload, uint32_t size)
{
	const uint32_t header[] = {request, flags, size};
	ssize_t n = send(b->back, header, sizeof(header), MSG_NOSIGNAL);

	assert(n == sizeof(header));
	n = size ? send(b->back, payload, size, MSG_NOSIGNAL) : 0;
	assert(n == (ssize_t)size);
	(void)n;
}

static inline void vu_put_u64(struct vu_backend *b, uint32_t request, uint64_t value)
{
	vu_put(b, request, VU_REPLY, &value, sizeof(value));
}

static inline void vu_ack(struct vu_backend *b, uint32_t request)
{
	vu_put_u64(b, request, 0);
}

/* What a meeting wants. */
static inline void vu_greet(struct vu_backend *b)
{
	vu_put_u64(b, VU_GET_FEATURES, VU_FEATURES);
	vu_put_u64(b, VU_GET_PROTOCOL_FEATURES, VU_REPLY_ACK);
	vu_ack(b, VU_SET_OWNER);
}

/* What one queue's start wants. */
static inline void vu_ack_queue(struct vu_backend *b)
{
	vu_ack(b, VU_SET_VRING_NUM);
	vu_ack(b, VU_SET_VRING_BASE);
	vu_ack(b, VU_SET_VRING_ADDR);
	vu_ack(b, VU_SET_VRING_CALL);
	vu_ack(b, VU_SET_VRING_KICK);
	vu_ack(b, VU_SET_VRING_ENABLE);
}

/* The next message of the front end; false when there is none. Descriptors are the caller's. */
static inline bool vu_take(struct vu_backend *b, struct vu_message *ret)
{
	struct iovec iov = {ret, 12};
	char control[CMSG_SPACE(sizeof(ret->fd))];
	struct msghdr msg = {.msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = control,
			     .msg_controllen = sizeof(control)};
	const struct cmsghdr *cmsg;
	ssize_t n = recvmsg(b->back, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

	if (n <= 0)
		return false;
	assert(n == 12 && ret->size <= sizeof(ret->u64));
	ret->nfds = 0;
	cmsg = CMSG_FIRSTHDR(&msg);
	if (cmsg) {
		ret->nfds = (unsigned)((cmsg->cmsg_len - CMSG_LEN(0)) / sizeof(int));
		memcpy(ret->fd, CMSG_DATA(cmsg), ret->nfds * sizeof(int));
	}
	n = ret->size ? recv(b->back, ret->u64, ret->size, MSG_DONTWAIT) : 0;
	assert(n == (ssize_t)ret->size);
	return true;
}

/* The next message must be this one. */
static inline struct vu_message vu_expect(struct vu_backend *b, uint32_t request)
{
	struct vu_message m = {.request = 0};
	bool some = vu_take(b, &m);

	assert(some && m.request == request);
	(void)some;
	(void)request;
	return m;
}

/* Forget what was asked. */
static inline void vu_skip(struct vu_backend *b)
{
	struct vu_message m;

	while (vu_take(b, &m))
		while (m.nfds)
			close(m.fd[--m.nfds]);
}

#endif

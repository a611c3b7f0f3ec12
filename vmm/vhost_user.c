/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A message is a header of three words, {request, flags, size}, then size bytes; descriptors come with
 * the header. A request that has no reply of its own asks for an acknowledgement (REPLY_ACK), a word
 * that is 0 when all went well: so nothing is ever in flight, and a back end that fails is asked for
 * nothing more. Replies are read without room for descriptors: what a back end sends along is dropped
 * by the kernel.
 *
 * The regions of guest memory are told with their guest addresses in the place of ours ("user
 * addresses"), so rings can be told by guest addresses, too.
 */
#include "vmm/vhost_user.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#include "common/clock.h"
#include "common/util.h"
#include "vmm/virtio.h"

enum vhost_user_request {
	VHOST_USER_GET_FEATURES = 1,
	VHOST_USER_SET_FEATURES = 2,
	VHOST_USER_SET_OWNER = 3,
	VHOST_USER_SET_MEM_TABLE = 5,
	VHOST_USER_SET_VRING_NUM = 8,
	VHOST_USER_SET_VRING_ADDR = 9,
	VHOST_USER_SET_VRING_BASE = 10,
	VHOST_USER_GET_VRING_BASE = 11,
	VHOST_USER_SET_VRING_KICK = 12,
	VHOST_USER_SET_VRING_CALL = 13,
	VHOST_USER_GET_PROTOCOL_FEATURES = 15,
	VHOST_USER_SET_PROTOCOL_FEATURES = 16,
	VHOST_USER_SET_VRING_ENABLE = 18,
};

#define VHOST_USER_VERSION    1
#define VHOST_USER_REPLY      (1U << 2)
#define VHOST_USER_NEED_REPLY (1U << 3)

#define VHOST_USER_F_PROTOCOL_FEATURES	(UINT64_C(1) << 30)
#define VHOST_USER_PROTOCOL_F_REPLY_ACK (UINT64_C(1) << 3)

/* Of what a back end can do, what the transport knows: no device here has features of its own. */
#define FEATURES (VIRTIO_F_RING_INDIRECT_DESC | VIRTIO_F_RING_EVENT_IDX | VIRTIO_F_VERSION_1)

struct header {
	uint32_t request, flags, size;
};

struct vring_state {
	uint32_t index, num;
};

struct vring_addr {
	uint32_t index, flags;
	uint64_t desc, used, avail, log;
};

struct memory_table {
	uint32_t nregions, padding;
	struct {
		uint64_t guest_addr, size, user_addr, mmap_offset;
	} region[GMEM_MAX_REGIONS];
};
_Static_assert(GMEM_MAX_REGIONS <= 8, "of vhost-user's SET_MEM_TABLE");

#define PAYLOAD_MAX sizeof(struct memory_table)

/* Whatever went wrong, the stream may be anywhere in a message now. */
static int lost(struct vhost_user *vu, uint32_t request, int code, const char *why,
		struct error *err)
{
	vu->dead = true;
	return error_set(err, code, "vhost-user request %u: %s", request, why);
}

static int send_message(struct vhost_user *vu, uint32_t request, uint32_t flags,
			const void *payload, uint32_t size, const int *fds, unsigned nfds,
			struct error *err)
{
	struct header header = {request, VHOST_USER_VERSION | flags, size};
	uint8_t bytes[sizeof(header) + PAYLOAD_MAX];
	struct iovec iov = {bytes, sizeof(header) + size};
	union {
		struct cmsghdr head;
		char bytes[CMSG_SPACE(GMEM_MAX_REGIONS * sizeof(int))];
	} cmsg = {.bytes = {0}};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
	ssize_t n;

	if (vu->dead)
		return error_set(err, -EPIPE, "the back end is gone");
	memcpy(bytes, &header, sizeof(header));
	if (size > 0)
		memcpy(bytes + sizeof(header), payload, size);
	if (nfds == 0) {
		n = send(vu->fd, bytes, iov.iov_len, MSG_NOSIGNAL | MSG_DONTWAIT);
	} else {
		cmsg.head.cmsg_level = SOL_SOCKET;
		cmsg.head.cmsg_type = SCM_RIGHTS;
		cmsg.head.cmsg_len = CMSG_LEN(nfds * sizeof(int));
		memcpy(CMSG_DATA(&cmsg.head), fds, nfds * sizeof(int));
		msg.msg_control = cmsg.bytes;
		msg.msg_controllen = CMSG_SPACE(nfds * sizeof(int));
		n = sendmsg(vu->fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
	}
	/* the one message in flight always fits the socket's buffer */
	return n == (ssize_t)iov.iov_len ? 0 : lost(vu, request, -EPIPE, "it is gone", err);
}

/* Exactly len bytes. */
static int read_exactly(struct vhost_user *vu, uint32_t request, void *dst, size_t len,
			uint64_t deadline, struct error *err)
{
	struct pollfd pfd = {.fd = vu->fd, .events = POLLIN};
	size_t done = 0;

	while (done < len) {
		ssize_t n = recv(vu->fd, (uint8_t *)dst + done, len - done, MSG_DONTWAIT);
		uint64_t now;

		if (n > 0) {
			done += (size_t)n;
			continue;
		}
		if (n == 0 || (errno != EAGAIN && errno != EINTR))
			return lost(vu, request, -EPIPE, "it is gone", err);
		now = clock_now_ns();
		if (now >= deadline)
			return lost(vu, request, -ETIMEDOUT, "it does not answer", err);
		(void)poll(&pfd, 1, (int)((deadline - now) / 1000000) + 1);
	}
	return 0;
}

/* The reply to request, which has exactly size bytes. */
static int read_reply(struct vhost_user *vu, uint32_t request, void *payload, uint32_t size,
		      struct error *err)
{
	uint64_t deadline = clock_now_ns() + (uint64_t)vu->timeout_ms * 1000000;
	struct header header;
	int r = read_exactly(vu, request, &header, sizeof(header), deadline, err);

	if (r < 0)
		return r;
	if (header.request != request || header.size != size ||
	    (header.flags & ~VHOST_USER_NEED_REPLY) != (VHOST_USER_VERSION | VHOST_USER_REPLY))
		return lost(vu, request, -EPROTO, "its answer makes no sense", err);
	return read_exactly(vu, request, payload, size, deadline, err);
}

/* A request without a reply of its own. */
static int tell(struct vhost_user *vu, uint32_t request, const void *payload, uint32_t size,
		const int *fds, unsigned nfds, struct error *err)
{
	uint64_t result;
	int r = send_message(vu, request, VHOST_USER_NEED_REPLY, payload, size, fds, nfds, err);

	if (r == 0)
		r = read_reply(vu, request, &result, sizeof(result), err);
	if (r == 0 && result != 0)
		r = lost(vu, request, -EIO, "it can not do that", err);
	return r;
}

static int tell_u64(struct vhost_user *vu, uint32_t request, uint64_t value, struct error *err)
{
	return tell(vu, request, &value, sizeof(value), NULL, 0, err);
}

static int tell_state(struct vhost_user *vu, uint32_t request, uint32_t index, uint32_t num,
		      struct error *err)
{
	const struct vring_state state = {index, num};

	return tell(vu, request, &state, sizeof(state), NULL, 0, err);
}

static int tell_eventfd(struct vhost_user *vu, uint32_t request, uint32_t index, int fd,
			struct error *err)
{
	const uint64_t value = index;

	return tell(vu, request, &value, sizeof(value), &fd, 1, err);
}

static int ask_u64(struct vhost_user *vu, uint32_t request, uint64_t *ret, struct error *err)
{
	uint64_t value;
	int r = send_message(vu, request, 0, NULL, 0, NULL, 0, err);

	if (r == 0)
		r = read_reply(vu, request, &value, sizeof(value), err);
	if (r == 0)
		*ret = value;
	return r;
}

int vhost_user_open(struct vhost_user *vu, int fd, struct error *err)
{
	const uint64_t wanted = VHOST_USER_PROTOCOL_F_REPLY_ACK;
	uint64_t features, protocol;
	int r;

	*vu = (struct vhost_user){.fd = fd, .timeout_ms = VHOST_USER_TIMEOUT_MS};
	r = ask_u64(vu, VHOST_USER_GET_FEATURES, &features, err);
	if (r == 0 && !(features & VHOST_USER_F_PROTOCOL_FEATURES))
		return lost(vu, VHOST_USER_GET_FEATURES, -EPROTO, "it has no protocol features",
			    err);
	if (r == 0)
		r = ask_u64(vu, VHOST_USER_GET_PROTOCOL_FEATURES, &protocol, err);
	if (r == 0 && (protocol & wanted) != wanted)
		return lost(vu, VHOST_USER_GET_PROTOCOL_FEATURES, -EPROTO,
			    "it does not acknowledge", err);
	/* the last one that is not acknowledged */
	if (r == 0)
		r = send_message(vu, VHOST_USER_SET_PROTOCOL_FEATURES, 0, &wanted, sizeof(wanted),
				 NULL, 0, err);
	if (r == 0)
		r = tell(vu, VHOST_USER_SET_OWNER, NULL, 0, NULL, 0, err);
	if (r == 0)
		vu->features = features & FEATURES;
	return r;
}

void vhost_user_take(struct vhost_user *vu, int fd, uint64_t features)
{
	*vu = (struct vhost_user){
		.fd = fd, .features = features & FEATURES, .timeout_ms = VHOST_USER_TIMEOUT_MS};
}

static int tell_memory(struct vhost_user *vu, const struct gmem *mem, int memfd, struct error *err)
{
	struct memory_table table = {.nregions = mem->nregions};
	uint32_t size = (uint32_t)(offsetof(struct memory_table, region) +
				   mem->nregions * sizeof(table.region[0]));
	int fds[GMEM_MAX_REGIONS];

	for (unsigned i = 0; i < mem->nregions; i++) {
		const struct gmem_region *region = &mem->region[i];

		table.region[i].guest_addr = table.region[i].user_addr = region->gpa;
		table.region[i].size = region->size;
		table.region[i].mmap_offset = (uint64_t)(region->hva - mem->region[0].hva);
		fds[i] = memfd;
	}
	return tell(vu, VHOST_USER_SET_MEM_TABLE, &table, size, fds, mem->nregions, err);
}

int vhost_user_set_up(struct vhost_user *vu, uint64_t features, const struct gmem *mem, int memfd,
		      struct error *err)
{
	int r = tell_u64(vu, VHOST_USER_SET_FEATURES, features | VHOST_USER_F_PROTOCOL_FEATURES,
			 err);

	return r < 0 ? r : tell_memory(vu, mem, memfd, err);
}

int vhost_user_start(struct vhost_user *vu, const struct vhost_user_queue *queue, struct error *err)
{
	const struct vring_addr addr = {
		.index = queue->index,
		.desc = queue->desc_gpa,
		.used = queue->used_gpa,
		.avail = queue->avail_gpa,
	};
	int r = tell_state(vu, VHOST_USER_SET_VRING_NUM, queue->index, queue->size, err);

	if (r == 0)
		r = tell_state(vu, VHOST_USER_SET_VRING_BASE, queue->index, 0, err);
	if (r == 0)
		r = tell(vu, VHOST_USER_SET_VRING_ADDR, &addr, sizeof(addr), NULL, 0, err);
	if (r == 0)
		r = tell_eventfd(vu, VHOST_USER_SET_VRING_CALL, queue->index, queue->callfd, err);
	if (r == 0)
		r = tell_eventfd(vu, VHOST_USER_SET_VRING_KICK, queue->index, queue->kickfd, err);
	if (r == 0)
		r = tell_state(vu, VHOST_USER_SET_VRING_ENABLE, queue->index, 1, err);
	return r;
}

int vhost_user_stop(struct vhost_user *vu, uint32_t index, struct error *err)
{
	struct vring_state state = {.index = index};
	int r = send_message(vu, VHOST_USER_GET_VRING_BASE, 0, &state, sizeof(state), NULL, 0, err);

	if (r == 0)
		r = read_reply(vu, VHOST_USER_GET_VRING_BASE, &state, sizeof(state), err);
	if (r == 0 && state.index != index)
		r = lost(vu, VHOST_USER_GET_VRING_BASE, -EPROTO, "its answer makes no sense", err);
	return r;
}

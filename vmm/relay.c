/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Relays of sessions.
 *
 * A relay has its place by session and kind of stream, so there is nothing to allocate and nothing
 * to search. It begins when a client brings its socket, is paired when init dials with the session's
 * number and cookie, and ends when either side ends it or the client has gone.
 *
 * Nothing is buffered here. What a client's socket does not take stays in the vsock's buffer, and
 * what the guest does not take stays in the socket, out of which bytes are first peeked and then, as
 * many as the guest took, received.
 *
 * The control stream is the session's life: when it ends, streams that init has not dialled end too.
 * Those that it has end by themselves, so that output on its way is not lost.
 *
 * A client's socket is watched for its hang-up all the time, which means that the client has gone,
 * and for more only while that can be used.
 */
#include "vmm/relay.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/util.h"

struct relay {
	int fd;		 /* owned, -1: not in use */
	int conn;	 /* -1: init has not dialled */
	bool in_blocked; /* the guest takes no more now */
	bool in_ended;	 /* the client sends no more */
	bool out_blocked;
};

struct session {
	uint64_t cookie;
	struct relay relay[AGENT_KINDS];
};

/* A connection to the session port, by its number. */
struct slot {
	bool used;
	unsigned header_len;
	uint8_t header[sizeof(struct agent_session_stream)];
	struct relay *relay; /* NULL: it has not said what it is */
};

struct relays {
	struct vsock *vs;
	struct loop *loop;
	struct session session[AGENT_SESSIONS_MAX];
	struct slot slot[VSOCK_CONNS_MAX];
	unsigned next; /* session to try first */
	uint8_t chunk[RELAY_CHUNK];
};

void relays_new(struct vsock *vs, struct loop *loop, struct relays **ret)
{
	struct relays *relays = xcalloc(1, sizeof(*relays));

	relays->vs = vs;
	relays->loop = loop;
	for (unsigned i = 0; i < AGENT_SESSIONS_MAX; i++)
		for (unsigned k = 0; k < AGENT_KINDS; k++)
			relays->session[i].relay[k].fd = -1;
	*ret = relays;
}

static unsigned session_of(const struct relays *relays, const struct relay *relay)
{
	return (unsigned)(((const char *)relay - (const char *)relays->session) /
			  sizeof(struct session));
}

static uint32_t index_of(const struct relays *relays, const struct relay *relay)
{
	unsigned session = session_of(relays, relay);

	return session * AGENT_KINDS + (unsigned)(relay - relays->session[session].relay);
}

static void watch(struct relays *relays, struct relay *relay)
{
	bool in = relay->conn >= 0 && !relay->in_blocked && !relay->in_ended;

	loop_set(relays->loop, relay->fd,
		 (in ? (uint32_t)EPOLLIN : 0) | (relay->out_blocked ? (uint32_t)EPOLLOUT : 0),
		 LOOP_RELAY, index_of(relays, relay));
}

static void drop(struct relays *relays, struct relay *relay);

/* The control stream has ended: so do the streams init has not dialled. */
static void end_session(struct relays *relays, unsigned session)
{
	for (unsigned k = 0; k < AGENT_CONTROL; k++) {
		struct relay *relay = &relays->session[session].relay[k];

		if (relay->fd >= 0 && relay->conn < 0)
			drop(relays, relay);
	}
}

/* Forget the client. The guest's connection is the caller's to end. */
static void let_go(struct relays *relays, struct relay *relay)
{
	unsigned session = session_of(relays, relay);

	loop_del(relays->loop, relay->fd);
	close_fd(&relay->fd);
	if (relay == &relays->session[session].relay[AGENT_CONTROL])
		end_session(relays, session);
}

/* End a relay on both sides. */
static void drop(struct relays *relays, struct relay *relay)
{
	int conn = relay->conn;

	let_go(relays, relay);
	if (conn < 0)
		return;
	relays->slot[conn].used = false;
	vsock_reset(relays->vs, (unsigned)conn);
}

void relays_free(struct relays *relays)
{
	if (!relays)
		return;
	for (unsigned i = 0; i < AGENT_SESSIONS_MAX; i++)
		for (unsigned k = 0; k < AGENT_KINDS; k++)
			if (relays->session[i].relay[k].fd >= 0)
				let_go(relays, &relays->session[i].relay[k]);
	free(relays);
}

static bool is_free(const struct session *session)
{
	for (unsigned k = 0; k < AGENT_KINDS; k++)
		if (session->relay[k].fd >= 0)
			return false;
	return true;
}

static int add(struct relays *relays, struct relay *relay, int *fd)
{
	struct error err;

	*relay = (struct relay){.fd = *fd, .conn = -1};
	if (loop_add(relays->loop, *fd, 0, LOOP_RELAY, index_of(relays, relay), &err) < 0) {
		relay->fd = -1;
		return err.code;
	}
	*fd = -1;
	return 0;
}

int relays_open(struct relays *relays, int *fd, uint64_t *ret_cookie)
{
	/* not the one that ended last: init may not know yet that it has */
	for (unsigned tried = 0; tried < AGENT_SESSIONS_MAX; tried++) {
		unsigned i = relays->next++ % AGENT_SESSIONS_MAX;
		struct session *session = &relays->session[i];
		int r;

		if (!is_free(session))
			continue;
		if (getrandom(&session->cookie, sizeof(session->cookie), 0) !=
		    sizeof(session->cookie))
			return -EIO;
		r = add(relays, &session->relay[AGENT_CONTROL], fd);
		if (r < 0)
			return r;
		*ret_cookie = session->cookie;
		return (int)i;
	}
	return -EBUSY;
}

int relays_add(struct relays *relays, unsigned session, unsigned kind, int *fd)
{
	struct session *s;

	if (session >= AGENT_SESSIONS_MAX || kind >= AGENT_CONTROL)
		return -ENOENT;
	s = &relays->session[session];
	if (s->relay[AGENT_CONTROL].fd < 0)
		return -ENOENT;
	if (s->relay[kind].fd >= 0)
		return -EEXIST;
	return add(relays, &s->relay[kind], fd);
}

/* From the client to the guest, as much as goes. */
static void move_in(struct relays *relays, struct relay *relay)
{
	while (relay->conn >= 0 && !relay->in_ended && !relay->in_blocked) {
		ssize_t n = recv(relay->fd, relays->chunk, sizeof(relays->chunk),
				 MSG_PEEK | MSG_DONTWAIT);
		size_t took;

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			break;
		if (n < 0) {
			drop(relays, relay);
			return;
		}
		if (n == 0) {
			relay->in_ended = true;
			vsock_shutdown(relays->vs, (unsigned)relay->conn, VSOCK_SHUTDOWN_SEND);
			break;
		}
		took = vsock_send(relays->vs, (unsigned)relay->conn, relays->chunk, (size_t)n);
		relay->in_blocked = took < (size_t)n;
		if (took)
			(void)!recv(relay->fd, relays->chunk, took, MSG_DONTWAIT);
	}
	watch(relays, relay);
}

void relays_ready(struct relays *relays, unsigned index, uint32_t events)
{
	struct pollfd now = {.events = POLLIN};
	struct relay *relay;

	assert(index < AGENT_SESSIONS_MAX * AGENT_KINDS);
	relay = &relays->session[index / AGENT_KINDS].relay[index % AGENT_KINDS];
	if (relay->fd < 0) /* an event of the same batch has ended it */
		return;
	now.fd = relay->fd;
	/* one asked for now: the event may be about a socket that had the place before */
	if (events & (EPOLLHUP | EPOLLERR) && poll(&now, 1, 0) > 0 &&
	    now.revents & (POLLHUP | POLLERR)) {
		drop(relays, relay);
		return;
	}
	if (events & EPOLLOUT && relay->conn >= 0) {
		relay->out_blocked = false;
		watch(relays, relay);
		vsock_flush(relays->vs, (unsigned)relay->conn);
	}
	if (events & EPOLLIN && relay->fd >= 0)
		move_in(relays, relay);
}

bool relays_accept(struct relays *relays, unsigned conn)
{
	relays->slot[conn] = (struct slot){.used = true};
	return true;
}

bool relays_owns(const struct relays *relays, unsigned conn)
{
	return relays->slot[conn].used;
}

/* The connection has said what it is. False when nobody waits for that. */
static bool pair(struct relays *relays, struct slot *slot, unsigned conn)
{
	struct agent_session_stream hello;
	struct relay *relay;

	memcpy(&hello, slot->header, sizeof(hello));
	if (hello.magic != AGENT_STREAM_MAGIC || hello.zero || hello.kind >= AGENT_KINDS ||
	    hello.session >= AGENT_SESSIONS_MAX)
		return false;
	relay = &relays->session[hello.session].relay[hello.kind];
	if (relay->fd < 0 || relay->conn >= 0 ||
	    hello.cookie != relays->session[hello.session].cookie)
		return false;
	relay->conn = (int)conn;
	slot->relay = relay;
	watch(relays, relay); /* what the client has sent already makes an event */
	return true;
}

/* How many bytes the client took. */
static size_t give(struct relays *relays, struct relay *relay, const struct iovec *iov, unsigned n,
		   size_t len)
{
	struct msghdr msg = {.msg_iov = (struct iovec *)iov, .msg_iovlen = n};
	ssize_t r;

	do
		r = sendmsg(relay->fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
	while (r < 0 && errno == EINTR);
	if (r < 0 && errno != EAGAIN) {
		drop(relays, relay);
		return len;
	}
	if (r < (ssize_t)len) {
		relay->out_blocked = true;
		watch(relays, relay);
	}
	return r < 0 ? 0 : (size_t)r;
}

size_t relays_data(struct relays *relays, unsigned conn, const struct iovec *iov, unsigned n,
		   size_t len)
{
	struct slot *slot = &relays->slot[conn];
	struct iovec rest[VQ_CHAIN_MAX];
	size_t head = 0;
	unsigned m = 0;

	assert(slot->used && n <= VQ_CHAIN_MAX);
	for (unsigned i = 0; i < n; i++) {
		size_t part = MIN(sizeof(slot->header) - slot->header_len, iov[i].iov_len);

		memcpy(slot->header + slot->header_len, iov[i].iov_base, part);
		slot->header_len += (unsigned)part;
		head += part;
		if (part < iov[i].iov_len)
			rest[m++] = (struct iovec){(uint8_t *)iov[i].iov_base + part,
						   iov[i].iov_len - part};
	}
	if (slot->header_len < sizeof(slot->header))
		return len;
	if (!slot->relay && !pair(relays, slot, conn)) {
		slot->used = false;
		vsock_reset(relays->vs, conn);
		return len;
	}
	return m ? head + give(relays, slot->relay, rest, m, len - head) : len;
}

void relays_eof(struct relays *relays, unsigned conn)
{
	struct relay *relay = relays->slot[conn].relay;

	if (relay)
		shutdown(relay->fd, SHUT_WR);
}

void relays_writable(struct relays *relays, unsigned conn)
{
	struct relay *relay = relays->slot[conn].relay;

	if (!relay)
		return;
	relay->in_blocked = false;
	move_in(relays, relay);
}

void relays_closed(struct relays *relays, unsigned conn)
{
	struct relay *relay = relays->slot[conn].relay;

	relays->slot[conn].used = false;
	if (relay)
		let_go(relays, relay);
}

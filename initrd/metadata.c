/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A connection of an app is paired with one to the host, which has been dialled before it is wanted:
 * that is half the work, and nobody waits for it then. Each direction has a small buffer and ends by
 * itself: an app may shut down what it sends and still get its answer.
 *
 * The host's answer ends the connection. The app's end is then only shut down, since closing it with
 * unread bytes would make the kernel throw away what the app has not read: it is kept until the app
 * closes it, or its place is wanted by another.
 *
 * epoll is edge triggered. That a side takes bytes again is asked for when it took none once: else
 * every acknowledgement would wake us up.
 */
#include "initrd/metadata.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "initrd/control.h"

#define LISTENER AGENT_METADATA_MAX /* in the place of a connection's number */
#define CHUNK	 8192
#define BACKLOG	 64 /* an app each */

#define EVENTS (EPOLLIN | EPOLLRDHUP | EPOLLET)

enum side {
	SIDE_APP,
	SIDE_HOST,
};

struct flow {
	bool ended;
	unsigned off, len;
	uint8_t held[CHUNK];
};

static struct conn {
	int fd[2];	     /* by side, -1: none. A host alone waits for an app */
	struct flow flow[2]; /* by the side it comes from */
} conns[AGENT_METADATA_MAX];

static struct {
	int epfd, listener;
	bool full; /* nobody is accepted */
	uint64_t key;
} service;

static void watch(int op, int fd, uint32_t events, unsigned n, enum side side)
{
	struct epoll_event ev = {.events = events, .data.u64 = service.key | n << 8 | side};

	(void)epoll_ctl(service.epfd, op, fd, &ev);
}

static unsigned number(const struct conn *conn)
{
	return (unsigned)(conn - conns);
}

static void hang_up(struct conn *conn, enum side side)
{
	if (conn->fd[side] >= 0)
		close(conn->fd[side]);
	conn->fd[side] = -1;
}

/* Dial for the next app, unless that is done or there is no place. */
static void dial_ahead(void)
{
	struct conn *place = NULL;

	for (unsigned i = 0; i < AGENT_METADATA_MAX; i++) {
		struct conn *conn = &conns[i];

		if (conn->fd[SIDE_APP] < 0 && conn->fd[SIDE_HOST] >= 0)
			return;
		if (conn->fd[SIDE_APP] < 0)
			place = conn;
	}
	if (!place)
		return;
	place->fd[SIDE_HOST] = init_dial(AGENT_PORT_METADATA);
	for (unsigned side = 0; side < 2; side++) {
		place->flow[side].ended = false;
		place->flow[side].len = 0;
	}
	if (place->fd[SIDE_HOST] >= 0)
		watch(EPOLL_CTL_ADD, place->fd[SIDE_HOST], EVENTS, number(place), SIDE_HOST);
}

static void end(struct conn *conn)
{
	hang_up(conn, SIDE_HOST);
	hang_up(conn, SIDE_APP);
	if (service.full)
		watch(EPOLL_CTL_MOD, service.listener, EPOLLIN, LISTENER, 0);
	service.full = false;
}

/* Move bytes that come from a side until one would block. False: one is broken. */
static bool move(struct conn *conn, enum side from)
{
	struct flow *flow = &conn->flow[from];
	enum side to = from == SIDE_APP ? SIDE_HOST : SIDE_APP;

	for (;;) {
		ssize_t n;

		while (flow->len > 0) {
			n = send(conn->fd[to], flow->held + flow->off, flow->len,
				 MSG_DONTWAIT | MSG_NOSIGNAL);
			if (n < 0 && errno == EAGAIN) {
				watch(EPOLL_CTL_MOD, conn->fd[to], EVENTS | EPOLLOUT, number(conn),
				      to);
				return true;
			}
			if (n < 0 && errno != EINTR)
				return false;
			flow->off += n > 0 ? (unsigned)n : 0;
			flow->len -= n > 0 ? (unsigned)n : 0;
		}
		if (flow->ended)
			return true;
		n = recv(conn->fd[from], flow->held, sizeof(flow->held), MSG_DONTWAIT);
		if (n < 0 && errno != EINTR)
			return errno == EAGAIN;
		if (n == 0) {
			flow->ended = true;
			shutdown(conn->fd[to], SHUT_WR);
		}
		flow->off = 0;
		flow->len = n > 0 ? (unsigned)n : 0;
	}
}

/* The host has said all: what the app still sends is for nobody. */
static bool discard(struct conn *conn)
{
	struct flow *flow = &conn->flow[SIDE_APP];
	ssize_t n;

	do
		n = recv(conn->fd[SIDE_APP], flow->held, sizeof(flow->held), MSG_DONTWAIT);
	while (n > 0 || (n < 0 && errno == EINTR));
	return n < 0 && errno == EAGAIN;
}

/* Something has happened at a side. */
static void pump(struct conn *conn, enum side side)
{
	struct flow *answer = &conn->flow[SIDE_HOST], *request = &conn->flow[SIDE_APP];
	bool good = true;

	if (conn->fd[SIDE_HOST] < 0) {
		if (!discard(conn))
			end(conn);
		return;
	}
	/* a host that takes no more may have answered all the same */
	if ((side == SIDE_APP || request->len) && !move(conn, SIDE_APP)) {
		request->ended = true;
		request->len = 0;
	}
	if (side == SIDE_HOST || answer->len || request->ended)
		good = move(conn, SIDE_HOST);
	if (good && !(answer->ended && answer->len == 0))
		return;
	if (good) {
		hang_up(conn, SIDE_HOST);
		good = discard(conn);
	}
	if (!good)
		end(conn);
	dial_ahead();
}

/* A place for an app: one that the host waits at, one that is free, or whose answer has been given. */
static struct conn *find_place(void)
{
	struct conn *free = NULL, *answered = NULL;

	for (unsigned i = 0; i < AGENT_METADATA_MAX; i++) {
		struct conn *conn = &conns[i];

		if (conn->fd[SIDE_APP] < 0 && conn->fd[SIDE_HOST] >= 0)
			return conn;
		if (conn->fd[SIDE_APP] < 0)
			free = conn;
		else if (conn->fd[SIDE_HOST] < 0)
			answered = conn;
	}
	if (!free && answered) {
		end(answered);
		free = answered;
	}
	if (free)
		dial_ahead();
	return free;
}

static void accept_one(void)
{
	struct conn *conn = find_place();
	int app;

	if (!conn) { /* until one ends */
		service.full = true;
		watch(EPOLL_CTL_MOD, service.listener, 0, LISTENER, 0);
		return;
	}
	app = accept4(service.listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (app >= 0 && conn->fd[SIDE_HOST] < 0) {
		close(app); /* the host does not serve any more */
		return;
	}
	conn->fd[SIDE_APP] = app;
	if (app >= 0)
		watch(EPOLL_CTL_ADD, app, EVENTS, number(conn), SIDE_APP);
}

/* A host that hangs up before there is an app. */
static void drop_idle(struct conn *conn)
{
	char byte;

	if (recv(conn->fd[SIDE_HOST], &byte, 1, MSG_DONTWAIT) < 0 && errno == EAGAIN)
		return;
	hang_up(conn, SIDE_HOST);
}

void init_metadata_event(unsigned n, unsigned side)
{
	struct conn *conn = &conns[n];

	if (n == LISTENER)
		accept_one();
	else if (conn->fd[SIDE_APP] >= 0)
		pump(conn, side == SIDE_APP ? SIDE_APP : SIDE_HOST);
	else if (conn->fd[SIDE_HOST] >= 0)
		drop_idle(conn);
}

int init_metadata_listen(int epfd, uint64_t key, struct init_text *why)
{
	const struct sockaddr_in at = {
		.sin_family = AF_INET,
		.sin_port = htons(AGENT_METADATA_TCP_PORT),
		.sin_addr.s_addr = htonl(AGENT_METADATA_ADDRESS),
	};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0 || bind(fd, (const struct sockaddr *)&at, sizeof(at)) < 0 ||
	    listen(fd, BACKLOG) < 0)
		return init_text_fail(why, -errno, "listening for", "the metadata service");
	service.epfd = epfd;
	service.listener = fd;
	service.key = key;
	for (unsigned i = 0; i < AGENT_METADATA_MAX; i++)
		conns[i].fd[SIDE_APP] = conns[i].fd[SIDE_HOST] = -1;
	watch(EPOLL_CTL_ADD, fd, EPOLLIN, LISTENER, 0);
	dial_ahead();
	return 0;
}

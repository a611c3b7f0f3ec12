/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A connection of an app is paired with one to the host. Each direction has a small buffer and ends
 * by itself: an app may shut down what it sends and still get its answer.
 *
 * The host's answer ends the connection. The app's end is then only shut down, since closing it with
 * unread bytes would make the kernel throw away what the app has not read: it is kept until the app
 * closes it, or its place is wanted by another.
 *
 * epoll is edge triggered, and every event pumps both directions until neither goes on.
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

struct flow {
	bool ended;
	unsigned off, len;
	uint8_t held[CHUNK];
};

static struct conn {
	bool used;
	int app, host; /* sockets; host is -1 once it has said all */
	struct flow to_host, to_app;
} conns[AGENT_METADATA_MAX];

static struct {
	int epfd, listener;
	bool full; /* nobody is accepted */
	uint64_t key;
} service;

static void watch(int op, int fd, uint32_t events, unsigned n)
{
	struct epoll_event ev = {.events = events, .data.u64 = service.key | n << 8};

	(void)epoll_ctl(service.epfd, op, fd, &ev);
}

static void close_host(struct conn *conn)
{
	if (conn->host >= 0)
		close(conn->host);
	conn->host = -1;
}

static void end(struct conn *conn)
{
	close_host(conn);
	close(conn->app);
	conn->used = false;
	if (service.full)
		watch(EPOLL_CTL_MOD, service.listener, EPOLLIN, LISTENER);
	service.full = false;
}

/* Move bytes until one side would block. False: one of them is broken. */
static bool move(struct flow *flow, int from, int to)
{
	for (;;) {
		ssize_t n;

		while (flow->len > 0) {
			n = send(to, flow->held + flow->off, flow->len,
				 MSG_DONTWAIT | MSG_NOSIGNAL);
			if (n < 0 && errno != EINTR)
				return errno == EAGAIN;
			flow->off += n > 0 ? (unsigned)n : 0;
			flow->len -= n > 0 ? (unsigned)n : 0;
		}
		if (flow->ended)
			return true;
		n = recv(from, flow->held, sizeof(flow->held), MSG_DONTWAIT);
		if (n < 0 && errno != EINTR)
			return errno == EAGAIN;
		if (n == 0) {
			flow->ended = true;
			shutdown(to, SHUT_WR);
		}
		flow->off = 0;
		flow->len = n > 0 ? (unsigned)n : 0;
	}
}

/* The host has said all: what the app still sends is for nobody. */
static bool discard(struct conn *conn)
{
	ssize_t n;

	do
		n = recv(conn->app, conn->to_host.held, sizeof(conn->to_host.held), MSG_DONTWAIT);
	while (n > 0 || (n < 0 && errno == EINTR));
	return n < 0 && errno == EAGAIN;
}

static void pump(struct conn *conn)
{
	bool good = true;

	if (conn->host >= 0) {
		/* a host that takes no more may have answered all the same */
		if (!move(&conn->to_host, conn->app, conn->host)) {
			conn->to_host.ended = true;
			conn->to_host.len = 0;
		}
		good = move(&conn->to_app, conn->host, conn->app);
		if (conn->to_app.ended && conn->to_app.len == 0)
			close_host(conn);
	}
	if (good && conn->host < 0)
		good = discard(conn);
	if (!good)
		end(conn);
}

/* A place for a connection: one that is free, or whose answer has been given. */
static struct conn *find_place(void)
{
	struct conn *answered = NULL;

	for (unsigned i = 0; i < AGENT_METADATA_MAX; i++) {
		if (!conns[i].used)
			return &conns[i];
		if (conns[i].host < 0)
			answered = &conns[i];
	}
	if (answered)
		end(answered);
	return answered;
}

static void accept_one(void)
{
	struct conn *conn = find_place();
	int app, host;

	if (!conn) { /* until one ends */
		service.full = true;
		watch(EPOLL_CTL_MOD, service.listener, 0, LISTENER);
		return;
	}
	app = accept4(service.listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (app < 0)
		return;
	host = init_dial(AGENT_PORT_METADATA);
	if (host < 0) {
		close(app);
		return;
	}
	conn->used = true;
	conn->app = app;
	conn->host = host;
	conn->to_host.ended = conn->to_app.ended = false;
	conn->to_host.len = conn->to_app.len = 0;
	watch(EPOLL_CTL_ADD, app, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
	      (unsigned)(conn - conns));
	watch(EPOLL_CTL_ADD, host, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
	      (unsigned)(conn - conns));
	pump(conn);
}

void init_metadata_event(unsigned n)
{
	if (n == LISTENER)
		accept_one();
	else if (conns[n].used)
		pump(&conns[n]);
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
	watch(EPOLL_CTL_ADD, fd, EPOLLIN, LISTENER);
	return 0;
}

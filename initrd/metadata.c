/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An app's connection is paired with one to the host, which is dialled once and then kept for one app
 * after the other (vmm/agent_proto.h); the first is dialled before it is wanted. What an answer costs is
 * wake-ups and packets, so there are few: the kernel lets us know of an app when it has sent something;
 * our BYE goes with the next request; the end of the answer goes with its last bytes.
 *
 * An app that was answered is not closed at once, since closing it with bytes that nobody has read would
 * make the kernel throw away what the app has not read. Nor is it watched: it is closed when as many have
 * been answered after it.
 *
 * epoll is edge triggered. That a side takes bytes again is asked for when it took none once: else
 * every acknowledgement would wake us up.
 */
#include "initrd/metadata.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "initrd/control.h"

#define LISTENER  AGENT_METADATA_MAX /* in the place of a connection's number */
#define BACKLOG	  64		     /* an app each */
#define ANSWERED  16		     /* apps kept after their answer */
#define SILENCE_S 10 /* an app that says nothing for so long is accepted all the same */
#define HEADER	  sizeof(struct agent_metadata_hdr)

#define EVENTS (EPOLLIN | EPOLLRDHUP | EPOLLET)

enum side {
	SIDE_APP,
	SIDE_HOST,
};

static struct conn {
	int app;       /* -1: none */
	int host;      /* -1: not dialled */
	bool open;     /* an exchange, of which the host has not said BYE */
	bool asked;    /* the host has heard of it */
	bool owe_bye;  /* of the exchange before: it goes with the next */
	bool said_eof; /* the app sends no more */
	struct {
		unsigned off, len; /* of what the host has not taken */
		uint8_t held[3 * HEADER + AGENT_METADATA_CHUNK];
	} request;
	struct {
		unsigned off, len; /* of what was received and not looked at */
		unsigned left;	   /* bytes of the frame that are still to come out of it */
		bool last;	   /* it is BYE's */
		uint8_t held[HEADER + AGENT_METADATA_CHUNK];
	} answer;
} conns[AGENT_METADATA_MAX];

static struct {
	int epfd, listener;
	bool full; /* nobody is accepted */
	uint64_t key;
	int answered[ANSWERED];
	unsigned next; /* of them, the oldest */
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

static void shut(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static bool is_free(const struct conn *conn)
{
	return conn->app < 0 && !conn->open && conn->request.len == 0;
}

/* There may be a place again. */
static void let_in(void)
{
	if (service.full)
		watch(EPOLL_CTL_MOD, service.listener, EPOLLIN, LISTENER, 0);
	service.full = false;
}

static bool dial(struct conn *conn)
{
	conn->host = init_dial(AGENT_PORT_METADATA);
	if (conn->host >= 0)
		watch(EPOLL_CTL_ADD, conn->host, EVENTS, number(conn), SIDE_HOST);
	return conn->host >= 0;
}

/* The host has hung up. */
static void lose_host(struct conn *conn)
{
	shut(&conn->host);
	shut(&conn->app);
	conn->open = conn->asked = conn->owe_bye = false;
	conn->request.len = conn->answer.len = conn->answer.left = 0;
	conn->answer.last = false;
	let_in();
}

/* Put a header behind what is held for the host. */
static void put_header(struct conn *conn, unsigned kind, size_t len)
{
	const struct agent_metadata_hdr hdr = {.kind = (uint8_t)kind, .len = (uint16_t)len};

	memcpy(conn->request.held + conn->request.off + conn->request.len, &hdr, HEADER);
	conn->request.len += HEADER;
}

/* Give the host what is held. False: it takes no more now, or no more at all. */
static bool flush_request(struct conn *conn)
{
	while (conn->request.len > 0) {
		ssize_t n = send(conn->host, conn->request.held + conn->request.off,
				 conn->request.len, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n < 0 && errno == EAGAIN) {
			watch(EPOLL_CTL_MOD, conn->host, EVENTS | EPOLLOUT, number(conn),
			      SIDE_HOST);
			return false;
		}
		if (n < 0 && errno != EINTR) {
			lose_host(conn);
			return false;
		}
		conn->request.off += n > 0 ? (unsigned)n : 0;
		conn->request.len -= n > 0 ? (unsigned)n : 0;
	}
	return true;
}

/* The app has gone before its answer: whatever comes until the host has said BYE is for nobody. */
static void leave(struct conn *conn)
{
	shut(&conn->app);
	if (conn->asked) {
		put_header(conn, AGENT_METADATA_BYE, 0);
		flush_request(conn);
	} else {
		conn->open = false;
		let_in();
	}
}

/* Take what the app sends, once, or until there is none. */
static void take_request(struct conn *conn, bool once)
{
	while (conn->app >= 0 && conn->open && flush_request(conn) && !conn->said_eof) {
		uint8_t *data = conn->request.held + 2 * HEADER;
		ssize_t n = recv(conn->app, data, AGENT_METADATA_CHUNK, MSG_DONTWAIT);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return;
		if (n < 0) {
			leave(conn);
			return;
		}
		conn->request.off = conn->owe_bye ? 0 : HEADER;
		if (conn->owe_bye)
			put_header(conn, AGENT_METADATA_BYE, 0);
		conn->owe_bye = false;
		conn->asked = true;
		conn->said_eof = n == 0;
		put_header(conn, n ? AGENT_METADATA_DATA : AGENT_METADATA_EOF, (size_t)n);
		conn->request.len += (unsigned)n;
		if (once && flush_request(conn))
			return;
	}
}

/* Give the app of the answer what is there. False: it takes no more now. */
static bool give_answer(struct conn *conn)
{
	while (conn->answer.left > 0 && conn->answer.len > 0) {
		unsigned part =
			conn->answer.left < conn->answer.len ? conn->answer.left : conn->answer.len;
		ssize_t n = part;

		if (conn->app >= 0) /* the end comes right after the last */
			n = send(conn->app, conn->answer.held + conn->answer.off, part,
				 MSG_DONTWAIT | MSG_NOSIGNAL | (conn->answer.last ? MSG_MORE : 0));
		if (n < 0 && errno == EAGAIN) {
			watch(EPOLL_CTL_MOD, conn->app, EVENTS | EPOLLOUT, number(conn), SIDE_APP);
			return false;
		}
		if (n < 0 && errno != EINTR) {
			leave(conn);
			n = 0;
		}
		conn->answer.off += n > 0 ? (unsigned)n : 0;
		conn->answer.len -= n > 0 ? (unsigned)n : 0;
		conn->answer.left -= n > 0 ? (unsigned)n : 0;
	}
	return true;
}

/* The host has said BYE, and all of the answer is given. */
static void finish(struct conn *conn)
{
	conn->open = conn->asked = conn->answer.last = false;
	if (conn->app >= 0) {
		shutdown(conn->app, SHUT_WR);
		watch(EPOLL_CTL_DEL, conn->app, 0, 0, 0);
		shut(&service.answered[service.next]);
		service.answered[service.next] = conn->app;
		service.next = (service.next + 1) % ANSWERED;
		conn->app = -1;
		conn->owe_bye = true;
	}
	if (is_free(conn))
		let_in();
}

/* Look for a frame in what has come; what there is of a header is at the front then. */
static bool find_frame(struct conn *conn)
{
	struct agent_metadata_hdr hdr;

	if (conn->answer.len < HEADER) {
		memmove(conn->answer.held, conn->answer.held + conn->answer.off, conn->answer.len);
		conn->answer.off = 0;
		return false;
	}
	memcpy(&hdr, conn->answer.held + conn->answer.off, HEADER);
	conn->answer.off += HEADER;
	conn->answer.len -= HEADER;
	conn->answer.left = hdr.len;
	conn->answer.last = hdr.kind == AGENT_METADATA_BYE;
	return true;
}

/* Take what the host says, until there is none, or the app takes no more. */
static void take_answer(struct conn *conn)
{
	while (conn->host >= 0) {
		unsigned have;
		ssize_t n;

		if (!give_answer(conn) || conn->host < 0)
			return;
		if (conn->answer.left == 0 && conn->answer.last) {
			finish(conn); /* and the host says nothing until it is asked */
			return;
		}
		if (conn->answer.left == 0 && find_frame(conn))
			continue;
		if (conn->answer.len == 0)
			conn->answer.off = 0;
		have = conn->answer.off + conn->answer.len;
		n = recv(conn->host, conn->answer.held + have, sizeof(conn->answer.held) - have,
			 MSG_DONTWAIT);
		if (n < 0 && errno == EAGAIN)
			return;
		if (n == 0 || (n < 0 && errno != EINTR) || (n > 0 && !conn->open))
			lose_host(conn);
		else
			conn->answer.len += n > 0 ? (unsigned)n : 0;
	}
}

/* Something has happened at a side. */
static void pump(struct conn *conn, enum side side)
{
	if (side == SIDE_APP) {
		take_request(conn, false);
		if (conn->answer.left > 0)
			take_answer(conn);
		return;
	}
	if (conn->request.len > 0) {
		if (flush_request(conn))
			take_request(conn, false);
		if (is_free(conn))
			let_in();
	}
	take_answer(conn);
}

/*
 * A place for an app, if there is one with the host at its other side. Who has been accepted for his
 * silence gives up his.
 */
static struct conn *find_place(void)
{
	struct conn *place = NULL, *silent = NULL;

	for (unsigned i = 0; i < AGENT_METADATA_MAX; i++) {
		struct conn *conn = &conns[i];

		if (is_free(conn) && conn->host >= 0)
			return conn;
		if (is_free(conn))
			place = conn;
		else if (!conn->asked && conn->request.len == 0)
			silent = conn;
	}
	if (!place && silent)
		leave(silent);
	return place ? place : silent;
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
	if (app >= 0 && conn->host < 0 && !dial(conn)) {
		close(app); /* the host does not serve any more */
		return;
	}
	if (app < 0)
		return;
	conn->app = app;
	conn->open = true;
	conn->said_eof = false;
	take_request(conn, true);
	if (conn->app >= 0) /* and tell if there is more already */
		watch(EPOLL_CTL_ADD, conn->app, EVENTS, number(conn), SIDE_APP);
}

void init_metadata_event(unsigned n, unsigned side)
{
	if (n == LISTENER)
		accept_one();
	else if (conns[n].host >= 0)
		pump(&conns[n], side == SIDE_APP ? SIDE_APP : SIDE_HOST);
}

int init_metadata_listen(int epfd, uint64_t key, struct init_text *why)
{
	const struct sockaddr_in at = {
		.sin_family = AF_INET,
		.sin_port = htons(AGENT_METADATA_TCP_PORT),
		.sin_addr.s_addr = htonl(AGENT_METADATA_ADDRESS),
	};
	const int silence = SILENCE_S;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0 || bind(fd, (const struct sockaddr *)&at, sizeof(at)) < 0 ||
	    setsockopt(fd, IPPROTO_TCP, TCP_DEFER_ACCEPT, &silence, sizeof(silence)) < 0 ||
	    listen(fd, BACKLOG) < 0)
		return init_text_fail(why, -errno, "listening for", "the metadata service");
	service.epfd = epfd;
	service.listener = fd;
	service.key = key;
	for (unsigned i = 0; i < AGENT_METADATA_MAX; i++)
		conns[i].app = conns[i].host = -1;
	for (unsigned i = 0; i < ANSWERED; i++)
		service.answered[i] = -1;
	watch(EPOLL_CTL_ADD, fd, EPOLLIN, LISTENER, 0);
	(void)dial(&conns[0]);
	return 0;
}

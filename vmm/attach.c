/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A client is a socket for one stream: for stdin it only sends, for stdout and stderr it only
 * receives, for a terminal both. Its end of file means nothing, since others may come; its hang-up
 * means that it has gone.
 *
 * Nothing is buffered here: output a client's socket does not take is the end of that client, and
 * input is peeked out of the socket and received when the guest has taken it, also when the client
 * has hung up meanwhile. With nobody attached output is dropped (it is in the app's log), and an app
 * that reads waits.
 */
#include "vmm/attach.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "common/util.h"

struct client {
	int fd; /* owned, -1: free */
	unsigned app;
	uint8_t kind;
	bool ended; /* it sends no more */
	bool gone;  /* hung up with input still to be taken; no event is waited for */
};

struct endpoint {
	unsigned offered; /* ATTACH_BIT() */
	int conn;	  /* of its input, -1: none */
	bool blocked;	  /* the guest takes no more input now */
};

struct attach {
	struct vsock *vs;
	struct loop *loop;
	struct client client[ATTACH_CLIENTS_MAX];
	struct endpoint app[PLAN_APPS_MAX];
	uint8_t chunk[ATTACH_CHUNK];
};

void attach_new(struct vsock *vs, struct loop *loop, struct attach **ret)
{
	struct attach *attach = xcalloc(1, sizeof(*attach));

	attach->vs = vs;
	attach->loop = loop;
	for (unsigned i = 0; i < ATTACH_CLIENTS_MAX; i++)
		attach->client[i].fd = -1;
	for (unsigned i = 0; i < PLAN_APPS_MAX; i++)
		attach->app[i].conn = -1;
	*ret = attach;
}

static void drop(struct attach *attach, struct client *client)
{
	if (!client->gone)
		loop_del(attach->loop, client->fd);
	close_fd(&client->fd);
}

void attach_free(struct attach *attach)
{
	if (!attach)
		return;
	for (unsigned i = 0; i < ATTACH_CLIENTS_MAX; i++)
		if (attach->client[i].fd >= 0)
			drop(attach, &attach->client[i]);
	free(attach);
}

void attach_offer(struct attach *attach, unsigned app, unsigned bits)
{
	assert(app < PLAN_APPS_MAX);
	attach->app[app].offered = bits;
	for (unsigned i = 0; i < ATTACH_CLIENTS_MAX; i++) {
		struct client *client = &attach->client[i];

		if (client->fd >= 0 && client->app == app && !(bits & ATTACH_BIT(client->kind)))
			drop(attach, client);
	}
}

unsigned attach_offered(const struct attach *attach, unsigned app)
{
	assert(app < PLAN_APPS_MAX);
	return attach->app[app].offered;
}

static bool has_input(const struct client *client)
{
	return client->kind == AGENT_STDIN || client->kind == AGENT_TTY;
}

/* Its hang-up is waited for all the time, input while the app takes some. */
static void watch(struct attach *attach, struct client *client)
{
	const struct endpoint *app = &attach->app[client->app];
	bool in = has_input(client) && !client->ended && app->conn >= 0 && !app->blocked;

	if (client->gone)
		return;
	loop_set(attach->loop, client->fd, in ? EPOLLIN : 0, LOOP_ATTACH,
		 (uint32_t)(client - attach->client));
}

static void watch_all(struct attach *attach, unsigned app)
{
	for (unsigned i = 0; i < ATTACH_CLIENTS_MAX; i++)
		if (attach->client[i].fd >= 0 && attach->client[i].app == app)
			watch(attach, &attach->client[i]);
}

int attach_add(struct attach *attach, unsigned app, unsigned kind, int *fd)
{
	struct error err;

	if (app >= PLAN_APPS_MAX || kind > AGENT_TTY ||
	    !(attach->app[app].offered & ATTACH_BIT(kind)))
		return -ENOENT;
	for (unsigned i = 0; i < ATTACH_CLIENTS_MAX; i++) {
		struct client *client = &attach->client[i];

		if (client->fd >= 0)
			continue;
		if (loop_add(attach->loop, *fd, 0, LOOP_ATTACH, i, &err) < 0)
			return err.code;
		*client = (struct client){.fd = take_fd(fd), .app = app, .kind = (uint8_t)kind};
		watch(attach, client);
		return 0;
	}
	return -EBUSY;
}

void attach_output(struct attach *attach, unsigned app, unsigned kind, const struct iovec *iov,
		   unsigned n, size_t len)
{
	struct msghdr msg = {.msg_iov = (struct iovec *)iov, .msg_iovlen = n};

	for (unsigned i = 0; i < ATTACH_CLIENTS_MAX; i++) {
		struct client *client = &attach->client[i];

		if (client->fd < 0 || client->app != app || client->kind != kind)
			continue;
		if (sendmsg(client->fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL) != (ssize_t)len)
			drop(attach, client);
	}
}

void attach_output_end(struct attach *attach, unsigned app, unsigned kind)
{
	for (unsigned i = 0; i < ATTACH_CLIENTS_MAX; i++) {
		struct client *client = &attach->client[i];

		if (client->fd >= 0 && client->app == app && client->kind == kind)
			drop(attach, client);
	}
}

/* From a client to the app, as much as goes. */
static void move_in(struct attach *attach, struct client *client)
{
	struct endpoint *app = &attach->app[client->app];

	while (app->conn >= 0 && !app->blocked && !client->ended) {
		ssize_t n = recv(client->fd, attach->chunk, sizeof(attach->chunk),
				 MSG_PEEK | MSG_DONTWAIT);
		size_t took;

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return;
		if (n < 0) {
			drop(attach, client);
			return;
		}
		client->ended = n == 0;
		if (n == 0)
			break;
		took = vsock_send(attach->vs, (unsigned)app->conn, attach->chunk, (size_t)n);
		app->blocked = took < (size_t)n;
		if (took)
			(void)!recv(client->fd, attach->chunk, took, MSG_DONTWAIT);
	}
	if (client->gone && client->ended)
		drop(attach, client);
	watch_all(attach, client->app);
}

/* The app takes input again: from those that have gone at once, they make no events. */
static void resume(struct attach *attach, unsigned app)
{
	for (unsigned i = 0; i < ATTACH_CLIENTS_MAX; i++) {
		struct client *client = &attach->client[i];

		if (client->fd >= 0 && client->app == app && client->gone)
			move_in(attach, client);
	}
	watch_all(attach, app);
}

/* A client has hung up. What it sent before is the app's, as soon as that takes it. */
static void hung_up(struct attach *attach, struct client *client)
{
	if (!has_input(client) || client->ended) {
		drop(attach, client);
		return;
	}
	loop_del(attach->loop, client->fd);
	client->gone = true;
	move_in(attach, client);
}

void attach_input(struct attach *attach, unsigned app, unsigned conn)
{
	attach->app[app].conn = (int)conn;
	attach->app[app].blocked = false;
	resume(attach, app);
}

void attach_input_writable(struct attach *attach, unsigned app)
{
	attach->app[app].blocked = false;
	resume(attach, app);
}

void attach_input_closed(struct attach *attach, unsigned app)
{
	attach->app[app].conn = -1;
	watch_all(attach, app);
	attach_output_end(attach, app, AGENT_STDIN);
}

void attach_ready(struct attach *attach, unsigned index, uint32_t events)
{
	struct client *client = &attach->client[index];
	struct pollfd now = {.fd = client->fd, .events = POLLIN};

	assert(index < ATTACH_CLIENTS_MAX);
	if (client->fd < 0 || client->gone) /* an event of the same batch has ended it */
		return;
	/* one asked for now: the event may be about a socket that had the place before */
	if (events & (EPOLLHUP | EPOLLERR) && poll(&now, 1, 0) > 0 &&
	    now.revents & (POLLHUP | POLLERR))
		hung_up(attach, client);
	else if (events & EPOLLIN && has_input(client))
		move_in(attach, client);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A hostile guest at the session port: connections that say anything, in any pieces, and end at any
 * time, while a client waits. Each input byte pair is a step: what to do, and on which connection.
 */
#include "tests/fuzz/fuzz.h"

#include <assert.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/unit/vsock_guest.h"
#include "vmm/relay.h"

#define FIRST 100
#define PORTS 8

static struct relays *relays;

static bool on_accept(void *ctx, unsigned conn, uint32_t port)
{
	(void)ctx;
	return port == AGENT_PORT_SESSION && relays_accept(relays, conn);
}

static size_t on_data(void *ctx, unsigned conn, const struct iovec *iov, unsigned n, size_t len)
{
	size_t took = relays_data(relays, conn, iov, n, len);

	(void)ctx;
	assert(took <= len);
	return took;
}

static void on_eof(void *ctx, unsigned conn)
{
	(void)ctx;
	relays_eof(relays, conn);
}

static void on_writable(void *ctx, unsigned conn)
{
	(void)ctx;
	relays_writable(relays, conn);
}

static void on_closed(void *ctx, unsigned conn)
{
	(void)ctx;
	relays_closed(relays, conn);
}

static const struct vsock_ops ops = {on_accept, on_data, on_eof, on_writable, on_closed};

static void turn(struct loop *loop)
{
	struct loop_event events[8];
	int n = loop_wait(loop, events, 8, 0);

	for (int i = 0; i < n; i++)
		relays_ready(relays, events[i].index, events[i].events);
}

/* A client's socket for a stream; its other end, -1 when it was refused. */
static int client(unsigned session, int kind, uint64_t *cookie)
{
	int fds[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) < 0)
		return -1;
	if ((kind == AGENT_CONTROL ? relays_open(relays, &fds[1], cookie)
				   : relays_add(relays, session, (unsigned)kind, &fds[1])) >= 0)
		return fds[0];
	close(fds[0]);
	close(fds[1]);
	return -1;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct {
		struct agent_session_stream hello;
		char more[8];
	} opening = {.hello.magic = AGENT_STREAM_MAGIC};
	struct agent_session_stream *hello = &opening.hello;
	int fds[AGENT_KINDS];
	struct loop loop;
	struct error err;
	struct vsg v;
	char buf[512] = "";

	if (loop_init(&loop, &err) < 0)
		return 0;
	vsg_init(&v, &ops, NULL);
	relays_new(v.vs, &loop, &relays);
	fds[AGENT_CONTROL] = client(0, AGENT_CONTROL, &hello->cookie);
	for (int k = 0; k < AGENT_CONTROL; k++)
		fds[k] = client(0, k, &hello->cookie);
	for (; size >= 2; data += 2, size -= 2) {
		uint32_t port = FIRST + data[1] % PORTS, len = data[1];

		switch (data[0] % 10) {
		case 0:
			vsg_send(&v, VSG_REQUEST, port, AGENT_PORT_SESSION, 0, NULL, 0);
			break;
		case 1: /* a good opening */
			hello->kind = data[1] / PORTS % AGENT_KINDS;
			vsg_send(&v, VSG_RW, port, AGENT_PORT_SESSION, 0, hello, sizeof(*hello));
			break;
		case 2: /* a part of one, or too much */
			vsg_send(&v, VSG_RW, port, AGENT_PORT_SESSION, 0, hello,
				 len % sizeof(opening));
			break;
		case 3: /* anything */
			len = (uint32_t)(len < size - 2 ? len : size - 2);
			vsg_send(&v, VSG_RW, port, AGENT_PORT_SESSION, 0, data + 2, len);
			break;
		case 4:
			vsg_send(&v, VSG_SHUTDOWN, port, AGENT_PORT_SESSION, data[1] >> 3 & 3, NULL,
				 0);
			break;
		case 5:
			vsg_send(&v, VSG_RST, port, AGENT_PORT_SESSION, 0, NULL, 0);
			break;
		case 6:
			vsg_post(&v, 1);
			break;
		case 7: /* the client */
			(void)!send(fds[data[1] % AGENT_KINDS], buf, len, MSG_NOSIGNAL);
			break;
		case 8:
			(void)!recv(fds[data[1] % AGENT_KINDS], buf, sizeof(buf), 0);
			break;
		case 9:
			if (data[1] & 0x80)
				close_fd(&fds[data[1] % AGENT_KINDS]);
			else
				turn(&loop);
			break;
		}
	}
	turn(&loop);
	relays_free(relays);
	vsg_free(&v);
	loop_free(&loop);
	for (int k = 0; k < AGENT_KINDS; k++)
		close_fd(&fds[k]);
	return 0;
}

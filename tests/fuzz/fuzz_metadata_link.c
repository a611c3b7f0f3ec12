/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A hostile guest on one side of the metadata service's relay, a hostile process on the other: both
 * say anything at any time. Each input byte pair is a step: what to do, and on which connection.
 */
#include "tests/fuzz/fuzz.h"

#include <assert.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/unit/vsock_guest.h"
#include "vmm/metadata_link.h"

#define FIRST 100
#define PORTS 20 /* more than there are slots */

static struct metadata_link *md_link;

static bool on_accept(void *ctx, unsigned conn, uint32_t port)
{
	(void)ctx;
	return port == AGENT_PORT_METADATA && metadata_link_accept(md_link, conn);
}

static size_t on_data(void *ctx, unsigned conn, const struct iovec *iov, unsigned n, size_t len)
{
	size_t took = metadata_link_data(md_link, conn, iov, n, len);

	(void)ctx;
	assert(took <= len);
	return took;
}

static void on_eof(void *ctx, unsigned conn)
{
	(void)ctx;
	(void)conn;
}

static void on_writable(void *ctx, unsigned conn)
{
	(void)ctx;
	metadata_link_writable(md_link, conn);
}

static void on_closed(void *ctx, unsigned conn)
{
	(void)ctx;
	metadata_link_closed(md_link, conn);
}

static const struct vsock_ops ops = {on_accept, on_data, on_eof, on_writable, on_closed};

static void turn(struct loop *loop)
{
	struct loop_event events[8];
	int n = loop_wait(loop, events, 8, 0);

	for (int i = 0; i < n; i++)
		metadata_link_ready(md_link, events[i].index, events[i].events);
}

static void process_says(int fd, uint8_t kind, const uint8_t *data, size_t len)
{
	uint8_t packet[1 + 2 * METADATA_CHUNK] = {kind};

	memcpy(packet + 1, data, len);
	(void)!send(fd, packet, 1 + len, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static void step(struct vsg *v, struct loop *loop, int *fds, const uint8_t *data, size_t size)
{
	static const uint8_t zeroes[2 * METADATA_CHUNK];
	uint32_t port = FIRST + data[1] % PORTS;
	int *fd = &fds[data[1] % METADATA_SLOTS];
	struct agent_metadata_hdr hdr = {.zero = 0};
	uint8_t buf[METADATA_CHUNK];

	switch (data[0] % 11) {
	case 0:
		vsg_send(v, VSG_REQUEST, port, AGENT_PORT_METADATA, 0, NULL, 0);
		break;
	case 1:
		vsg_send(v, VSG_RW, port, AGENT_PORT_METADATA, 0, data,
			 (uint32_t)(size < data[1] ? size : data[1]));
		break;
	case 2:
		vsg_send(v, VSG_SHUTDOWN, port, AGENT_PORT_METADATA, data[0] >> 4 & 3, NULL, 0);
		break;
	case 3:
		vsg_send(v, VSG_RST, port, AGENT_PORT_METADATA, 0, NULL, 0);
		break;
	case 4:
		vsg_post(v, 1);
		break;
	case 5:
		process_says(*fd, METADATA_DATA, zeroes, (size_t)data[0] * 64 % sizeof(zeroes));
		break;
	case 6:
		process_says(*fd, METADATA_BYE, data, data[0] >> 7);
		break;
	case 7:
		process_says(*fd, data[0], data, 0);
		break;
	case 8:
		(void)!recv(*fd, buf, sizeof(buf), MSG_DONTWAIT);
		break;
	case 10: /* a frame that is one */
		hdr.kind = (uint8_t) "debd"[data[0] >> 6];
		hdr.len = hdr.kind == METADATA_DATA ? sizeof(buf) / 2 : 0;
		vsg_send(v, VSG_RW, port, AGENT_PORT_METADATA, 0, &hdr, sizeof(hdr));
		vsg_send(v, VSG_RW, port, AGENT_PORT_METADATA, 0, zeroes, hdr.len);
		break;
	case 9:
		if (data[0] == 251)
			close_fd(fd);
		else
			turn(loop);
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int ours[METADATA_SLOTS], fds[METADATA_SLOTS], pair[2];
	struct loop loop;
	struct error err;
	struct vsg v;

	if (loop_init(&loop, &err) < 0)
		return 0;
	for (unsigned i = 0; i < METADATA_SLOTS; i++) {
		assert(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == 0);
		ours[i] = pair[0];
		fds[i] = pair[1];
	}
	vsg_init(&v, &ops, NULL);
	metadata_link_new(ours, -1, &md_link);
	assert(metadata_link_join(md_link, v.vs, &loop, &err) == 0);
	for (; size >= 2; data += 2, size -= 2)
		step(&v, &loop, fds, data, size);
	turn(&loop);
	metadata_link_free(md_link);
	vsg_free(&v);
	loop_free(&loop);
	for (unsigned i = 0; i < METADATA_SLOTS; i++)
		close_fd(&fds[i]);
	return 0;
}

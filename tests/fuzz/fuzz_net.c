/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A NIC between a hostile driver and a hostile stream. Input: steps; each is a byte of what to do, a
 * shape (how buffers are cut) and bytes for guest memory or the stream. A driver that broke its
 * device starts again; a stream that made no sense is replaced.
 */
#include "tests/fuzz/fuzz.h"

#include <assert.h>
#include <sys/socket.h>

#include "tests/unit/guest_driver.h"
#include "vmm/net.h"

enum { RX, TX };

#define DATA GUEST_BUFFERS

struct step {
	uint8_t what;
	uint8_t shape[4]; /* a buffer each: direction, unit, how many of them */
	uint8_t len;
};

static struct guest g;
static struct loop loop;
static struct net *net;
static int peer = -1;

static void make(void)
{
	struct net_params params = {
		.backend = &net_stream,
		.mtu = 1500,
		.guard = {.mac = {2, 0, 0, 0, 0, 1}, .addresses = true, .nip4 = 1},
	};
	struct error err = ERROR_INIT;
	int fds[2], r;

	net_free(net);
	close_fd(&peer);
	r = socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds);
	assert(r == 0);
	peer = fds[1];
	params.fd = fds[0];
	r = net_new(&params, &loop, &g.mem, &net, &err);
	assert(r == 0);
	guest_start(&g, &net->dev, UINT64_MAX);
}

static void turn(void)
{
	struct loop_event event;
	uint8_t drain[4096];

	guest_run_loop(&g);
	for (int i = 0; i < 64 && loop_wait(&loop, &event, 1, 0) == 1; i++) {
		net_event(net, event.index, event.events);
		guest_run_loop(&g);
	}
	while (recv(peer, drain, sizeof(drain), MSG_DONTWAIT) > 0)
		;
}

static void add(unsigned queue, const uint8_t *shape)
{
	static const uint32_t unit[] = {1, 12, 512, 65536};
	struct guest_buf buf[sizeof(((struct step *)0)->shape)];
	uint64_t gpa = DATA;
	unsigned n = 0;

	for (size_t i = 0; i < ARRAY_SIZE(buf) && shape[i] != 0xff; i++) {
		uint32_t len = unit[shape[i] >> 1 & 3] * (shape[i] >> 3);

		buf[n++] = (struct guest_buf){gpa, len, (shape[i] & 1) ^ (queue == RX)};
		gpa += len;
	}
	if (n)
		guest_add(&g, queue, buf, n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct error err = ERROR_INIT;
	struct step step;

	if (!g.mem.nregions) {
		int r = loop_init(&loop, &err);

		assert(r == 0);
		guest_init(&g);
	}
	make();
	while (size >= sizeof(step)) {
		size_t len;

		memcpy(&step, data, sizeof(step));
		data += sizeof(step);
		size -= sizeof(step);
		len = MIN(size, (size_t)step.len);
		if (step.what & 1) {
			(void)!send(peer, data, len, MSG_DONTWAIT | MSG_NOSIGNAL);
		} else {
			memcpy(guest_ptr(&g, DATA), data, len);
			add(step.what >> 1 & 1, step.shape);
			guest_write32(&g, 0x50, step.what >> 1 & 1);
		}
		data += len;
		size -= len;
		turn();
		if (net->fd < 0)
			make();
		else if (guest_is_broken(&g) || step.what & 0x80)
			guest_start(&g, &net->dev,
				    step.what & 0x40 ? ~VIRTIO_NET_F_MRG_RXBUF : UINT64_MAX);
	}
	return 0;
}

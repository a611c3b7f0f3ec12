/* SPDX-License-Identifier: Apache-2.0 */
/* A NIC's frames over a TAP device, with the kernel's virtio header in front (linux/if_tun.h). */
#include <errno.h>
#include <linux/if_tun.h>
#include <sys/ioctl.h>
#include <sys/uio.h>

#include "vmm/net.h"

static enum net_sent tap_send(struct net *net, struct iovec *iov, int n, size_t len)
{
	ssize_t r;

	(void)len;
	do
		r = writev(net->fd, iov, n);
	while (r < 0 && errno == EINTR);
	if (r >= 0)
		return NET_SENT;
	return errno == EAGAIN ? NET_LATER : NET_DROPPED;
}

static bool tap_receive(struct net *net, struct net_frame *ret)
{
	struct iovec iov[] = {{&ret->header, sizeof(ret->header)}, {net->in, NET_IN_SIZE}};
	ssize_t r;

	do
		r = readv(net->fd, iov, 2);
	while (r < 0 && errno == EINTR);
	ret->data = NULL;
	if (r < 0)
		return errno == EAGAIN;
	if ((size_t)r < sizeof(ret->header) + NET_FRAME_MIN)
		return r != 0;
	ret->data = net->in;
	ret->len = (size_t)r - sizeof(ret->header);
	return true;
}

/* What the kernel may leave undone in the frames we get. A refusal leaves it all done: slower. */
static void tap_driver(struct net *net, uint64_t accepted)
{
	unsigned long offload = 0;

	if (accepted & VIRTIO_NET_F_GUEST_CSUM) {
		offload |= TUN_F_CSUM;
		if (accepted & VIRTIO_NET_F_GUEST_TSO4)
			offload |= TUN_F_TSO4;
		if (accepted & VIRTIO_NET_F_GUEST_TSO6)
			offload |= TUN_F_TSO6;
	}
	(void)ioctl(net->fd, TUNSETOFFLOAD, offload);
}

const struct net_backend net_tap = {
	.features = VIRTIO_NET_F_CSUM | VIRTIO_NET_F_GUEST_CSUM | VIRTIO_NET_F_GUEST_TSO4 |
		    VIRTIO_NET_F_GUEST_TSO6 | VIRTIO_NET_F_HOST_TSO4 | VIRTIO_NET_F_HOST_TSO6,
	.send = tap_send,
	.receive = tap_receive,
	.driver = tap_driver,
};

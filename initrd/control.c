/* SPDX-License-Identifier: Apache-2.0 */
#include "initrd/control.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <linux/vm_sockets.h>

/*
 * The kernel gives up after 2 s, in which a loaded host may not have answered; the VMM has deadlines
 * of its own for everything, so there is no need for one here.
 */
#define DIAL_TIMEOUT_S 3600

int init_dial(unsigned port)
{
	const struct timeval timeout = {.tv_sec = DIAL_TIMEOUT_S};
	const struct sockaddr_vm host = {
		.svm_family = AF_VSOCK,
		.svm_cid = VMADDR_CID_HOST,
		.svm_port = port,
	};
	int fd = socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	if (setsockopt(fd, AF_VSOCK, SO_VM_SOCKETS_CONNECT_TIMEOUT, &timeout, sizeof(timeout)) <
		    0 ||
	    connect(fd, (const struct sockaddr *)&host, sizeof(host)) < 0) {
		int r = -errno;

		close(fd);
		return r;
	}
	return fd;
}

int init_control_send(const struct init_control *control, unsigned type, unsigned app,
		      const void *payload, size_t len)
{
	uint8_t message[sizeof(struct agent_hdr) + AGENT_TEXT_MAX];
	const struct agent_hdr hdr = {
		.len = (uint32_t)len, .type = (uint16_t)type, .app = (uint16_t)app};
	size_t sent = 0;

	if (len > AGENT_TEXT_MAX)
		return -EMSGSIZE;
	memcpy(message, &hdr, sizeof(hdr));
	if (len > 0)
		memcpy(message + sizeof(hdr), payload, len);
	while (sent < sizeof(hdr) + len) {
		ssize_t n =
			send(control->fd, message + sent, sizeof(hdr) + len - sent, MSG_NOSIGNAL);

		if (n < 0 && errno != EINTR)
			return -errno;
		if (n > 0)
			sent += (size_t)n;
	}
	return 0;
}

int init_control_receive(struct init_control *control, bool wait)
{
	const size_t header = sizeof(control->hdr);

	if (control->have >= header && control->have == header + control->hdr.len)
		control->have = 0;
	for (;;) {
		bool head = control->have < header;
		uint8_t *to = head ? (uint8_t *)&control->hdr + control->have
				   : control->payload + (control->have - header);
		size_t want = (head ? header : header + control->hdr.len) - control->have;
		ssize_t n = recv(control->fd, to, want, wait ? MSG_WAITALL : MSG_DONTWAIT);

		if (n == 0)
			return -EPIPE;
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN ? 0 : -errno;
		control->have += (size_t)n;
		if (control->have < header)
			continue;
		if (control->hdr.len > control->max)
			return -EMSGSIZE;
		if (control->have == header + control->hdr.len)
			return 1;
	}
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/pump.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

struct pollfd pump_poll(const struct pump *pump)
{
	return (struct pollfd){.fd = pump->len ? pump->to : pump->from,
			       .events = pump->len ? POLLOUT : POLLIN};
}

void pump_turn(struct pump *pump)
{
	ssize_t n;

	if (!pump->len) {
		n = read(pump->from, pump->buf, sizeof(pump->buf));
		if (n < 0 && (errno == EINTR || errno == EAGAIN))
			return;
		if (n > 0) {
			pump->off = 0;
			pump->len = (size_t)n;
			return;
		}
		if (pump->to_pod)
			shutdown(pump->to, SHUT_WR);
		pump->from = pump->to = -1;
		return;
	}
	if (pump->to_pod)
		n = send(pump->to, pump->buf + pump->off, pump->len, MSG_NOSIGNAL | MSG_DONTWAIT);
	else
		n = write(pump->to, pump->buf + pump->off, pump->len);
	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	if (n < 0) { /* nobody reads it: the command shall know */
		if (!pump->to_pod)
			shutdown(pump->from, SHUT_RDWR);
		pump->from = pump->to = -1;
		pump->len = 0;
		return;
	}
	pump->off += (size_t)n;
	pump->len -= (size_t)n;
}

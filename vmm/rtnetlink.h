/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMM_RTNETLINK_H
#define VMM_RTNETLINK_H

/* Shared with init, as vmm/agent_proto.h is: one question to rtnetlink(7) at a time. */

#include <errno.h>
#include <linux/netlink.h>
#include <sys/socket.h>
#include <sys/types.h>

/* Send a request with NLM_F_ACK and take the kernel's answer: 0 or a negative errno. */
static inline int rtnetlink_ask(int fd, const struct nlmsghdr *request)
{
	struct {
		struct nlmsghdr hdr;
		struct nlmsgerr err;
	} answer;
	ssize_t n;

	if (send(fd, request, request->nlmsg_len, 0) < 0)
		return -errno;
	/* the request again, when it was refused, is cut off */
	n = recv(fd, &answer, sizeof(answer), 0);
	if (n < 0)
		return -errno;
	if ((size_t)n < NLMSG_LENGTH(sizeof(answer.err)) || answer.hdr.nlmsg_type != NLMSG_ERROR)
		return -EPROTO;
	return answer.err.error;
}

#endif

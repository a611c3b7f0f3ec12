/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The pod's network, by rtnetlink(7): a request a setting, each acknowledged. Nothing is waited for:
 * addresses are used at once (no duplicate address detection), the link is up when the kernel says
 * so.
 */
#include "initrd/net.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdbool.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "vmm/rtnetlink.h"

/* A request being made: the header, a fixed part and attributes. */
struct request {
	struct nlmsghdr hdr;
	uint8_t body[128];
};

static void *begin(struct request *req, uint16_t type, uint16_t flags, size_t len)
{
	memset(req, 0, sizeof(*req));
	req->hdr.nlmsg_len = (uint32_t)NLMSG_LENGTH(len);
	req->hdr.nlmsg_type = type;
	req->hdr.nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | flags;
	return req->body;
}

/* All requests of this file fit their buffer. */
static void attribute(struct request *req, uint16_t type, const void *data, size_t len)
{
	struct rtattr *attr = (struct rtattr *)((uint8_t *)req + NLMSG_ALIGN(req->hdr.nlmsg_len));

	attr->rta_type = type;
	attr->rta_len = (unsigned short)RTA_LENGTH(len);
	memcpy(RTA_DATA(attr), data, len);
	req->hdr.nlmsg_len = (uint32_t)(NLMSG_ALIGN(req->hdr.nlmsg_len) + RTA_LENGTH(len));
}

static size_t address_len(uint8_t family)
{
	return family == 4 ? 4 : 16;
}

static uint8_t address_family(uint8_t family)
{
	return family == 4 ? AF_INET : AF_INET6;
}

static int link_up(int fd, int index, uint32_t mtu)
{
	struct request req;
	struct ifinfomsg *info = begin(&req, RTM_NEWLINK, 0, sizeof(*info));

	info->ifi_index = index;
	info->ifi_flags = info->ifi_change = IFF_UP;
	attribute(&req, IFLA_MTU, &mtu, sizeof(mtu));
	return rtnetlink_ask(fd, &req.hdr);
}

static int add_address(int fd, int index, const struct plan_address *address)
{
	size_t len = address_len(address->family);
	struct request req;
	struct ifaddrmsg *info =
		begin(&req, RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE, sizeof(*info));

	info->ifa_family = address_family(address->family);
	info->ifa_prefixlen = address->prefix;
	info->ifa_index = (uint32_t)index;
	info->ifa_flags = address->family == 6 ? IFA_F_NODAD : 0;
	attribute(&req, IFA_LOCAL, address->ip, len);
	attribute(&req, IFA_ADDRESS, address->ip, len);
	return rtnetlink_ask(fd, &req.hdr);
}

static int add_route(int fd, int index, const struct plan_route *route)
{
	static const uint8_t none[16];
	size_t len = address_len(route->family);
	bool gateway = memcmp(route->via, none, len) != 0;
	struct request req;
	struct rtmsg *info = begin(&req, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, sizeof(*info));

	info->rtm_family = address_family(route->family);
	info->rtm_dst_len = route->prefix;
	info->rtm_table = RT_TABLE_MAIN;
	info->rtm_protocol = RTPROT_BOOT;
	info->rtm_scope = gateway ? RT_SCOPE_UNIVERSE : RT_SCOPE_LINK;
	info->rtm_type = RTN_UNICAST;
	if (route->prefix)
		attribute(&req, RTA_DST, route->to, len);
	if (gateway)
		attribute(&req, RTA_GATEWAY, route->via, len);
	attribute(&req, RTA_OIF, &index, sizeof(index));
	return rtnetlink_ask(fd, &req.hdr);
}

static int nic_up(int fd, int index, const struct init_plan_nic *nic, const char *name,
		  struct init_text *why)
{
	int r = link_up(fd, index, nic->mtu);

	if (r < 0)
		return init_text_fail(why, r, "bringing up", name);
	for (unsigned i = 0; i < nic->naddresses; i++)
		if ((r = add_address(fd, index, &nic->address[i])) < 0)
			return init_text_fail(why, r, "giving an address to", name);
	for (unsigned i = 0; i < nic->nroutes; i++)
		if ((r = add_route(fd, index, &nic->route[i])) < 0)
			return init_text_fail(why, r, "making a route through", name);
	return 0;
}

static int find(int fd, const char *name, int *ret)
{
	struct ifreq ifr = {.ifr_name = ""};

	memcpy(ifr.ifr_name, name, strlen(name) + 1);
	if (ioctl(fd, SIOCGIFINDEX, &ifr) < 0)
		return -errno;
	*ret = ifr.ifr_ifindex;
	return 0;
}

/*
 * TCP hands out frames as large as the rate it believes in lets it send in a millisecond, or more of
 * them on a short way. The way to the host is none, but through a host with little time for us it
 * looks long and slow; so say that up to a second is short (a power of two, in microseconds). A
 * segment more in a frame costs next to nothing, a frame more does.
 */
static void send_large_frames(void)
{
	static const char exponent[] = "20";
	int fd = open("/proc/sys/net/ipv4/tcp_tso_rtt_log", O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return; /* it works without */
	(void)!write(fd, exponent, strlen(exponent));
	close(fd);
}

int init_net_up(const struct init_plan *plan, struct init_text *why)
{
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	char name[] = "eth0";
	int index = 0, r = 0;

	if (fd < 0)
		return init_text_fail(why, -errno, "opening", "rtnetlink");
	for (unsigned i = 0; r == 0 && i < plan->nnics; i++) {
		name[3] = (char)('0' + i);
		r = find(fd, name, &index);
		if (r < 0)
			init_text_fail(why, r, "looking for", name);
		else
			r = nic_up(fd, index, &plan->nic[i], name, why);
	}
	close(fd);
	send_large_frames();
	return r;
}

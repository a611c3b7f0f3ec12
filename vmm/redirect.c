/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/redirect.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/pkt_cls.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <linux/tc_act/tc_mirred.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/util.h"
#include "vmm/rtnetlink.h"

#define REQUEST_MAX	4096
#define INGRESS_HANDLE	0xffff0000U
#define GUARD_PRIORITY	1U
#define FILTER_PRIORITY 2U
#define BUSY_TRIES	20
#define BUSY_PAUSE_US	1000

struct request {
	struct nlmsghdr hdr;
	struct tcmsg tc;
	uint8_t attributes[REQUEST_MAX];
};

static void begin(struct request *req, uint16_t type, unsigned ifindex)
{
	memset(req, 0, sizeof(*req));
	req->hdr.nlmsg_len = NLMSG_LENGTH(sizeof(req->tc));
	req->hdr.nlmsg_type = type;
	req->hdr.nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL;
	req->tc.tcm_family = AF_UNSPEC;
	req->tc.tcm_ifindex = (int)ifindex;
}

static struct rtattr *put(struct request *req, unsigned short type, const void *data, size_t len)
{
	struct rtattr *attr = (struct rtattr *)((uint8_t *)req + NLMSG_ALIGN(req->hdr.nlmsg_len));

	assert(NLMSG_ALIGN(req->hdr.nlmsg_len) + RTA_SPACE(len) <= sizeof(*req));
	attr->rta_type = type;
	attr->rta_len = (unsigned short)RTA_LENGTH(len);
	if (len)
		memcpy(RTA_DATA(attr), data, len);
	req->hdr.nlmsg_len = (uint32_t)(NLMSG_ALIGN(req->hdr.nlmsg_len) + RTA_ALIGN(attr->rta_len));
	return attr;
}

/* What is put between these two is inside of the attribute. */
static struct rtattr *nest(struct request *req, unsigned short type)
{
	return put(req, type, NULL, 0);
}

static void end(struct request *req, struct rtattr *attr)
{
	attr->rta_len = (unsigned short)((uint8_t *)req + NLMSG_ALIGN(req->hdr.nlmsg_len) -
					 (uint8_t *)attr);
}

/* An interface that a plugin has only just made may be busy for a moment. */
static int ask_patiently(int fd, struct request *req)
{
	int r = rtnetlink_ask(fd, &req->hdr);

	for (int i = 0; r == -EBUSY && i < BUSY_TRIES; i++) {
		usleep(BUSY_PAUSE_US);
		r = rtnetlink_ask(fd, &req->hdr);
	}
	return r;
}

static int add_ingress(int fd, unsigned ifindex)
{
	struct request req;

	begin(&req, RTM_NEWQDISC, ifindex);
	req.tc.tcm_parent = TC_H_INGRESS;
	req.tc.tcm_handle = INGRESS_HANDLE;
	put(&req, TCA_KIND, "ingress", sizeof("ingress"));
	return ask_patiently(fd, &req);
}

static void put_redirect(struct request *req, unsigned short type, unsigned to)
{
	const struct tc_mirred parms = {
		.action = TC_ACT_STOLEN, .eaction = TCA_EGRESS_REDIR, .ifindex = to};
	struct rtattr *actions = nest(req, type), *first = nest(req, 1), *options;

	put(req, TCA_ACT_KIND, "mirred", sizeof("mirred"));
	options = nest(req, TCA_ACT_OPTIONS);
	put(req, TCA_MIRRED_PARMS, &parms, sizeof(parms));
	end(req, options);
	end(req, first);
	end(req, actions);
}

static void begin_filter(struct request *req, unsigned from, const char *kind, unsigned priority)
{
	begin(req, RTM_NEWTFILTER, from);
	req->tc.tcm_parent = INGRESS_HANDLE;
	req->tc.tcm_info = priority << 16 | htons(ETH_P_ALL);
	put(req, TCA_KIND, kind, strlen(kind) + 1);
}

static int add_matchall(int fd, unsigned from, unsigned to)
{
	struct rtattr *options;
	struct request req;

	begin_filter(&req, from, "matchall", FILTER_PRIORITY);
	options = nest(&req, TCA_OPTIONS);
	put_redirect(&req, TCA_MATCHALL_ACT, to);
	end(&req, options);
	return rtnetlink_ask(fd, &req.hdr);
}

/* The same for kernels without matchall: 0 of the bits of a frame's first word are 0. */
static int add_u32(int fd, unsigned from, unsigned to)
{
	const struct tc_u32_sel sel = {.flags = TC_U32_TERMINAL, .nkeys = 1};
	uint8_t match[sizeof(sel) + sizeof(struct tc_u32_key)] = {0};
	struct rtattr *options;
	struct request req;

	begin_filter(&req, from, "u32", FILTER_PRIORITY);
	options = nest(&req, TCA_OPTIONS);
	memcpy(match, &sel, sizeof(sel));
	put(&req, TCA_U32_SEL, match, sizeof(match));
	put_redirect(&req, TCA_U32_ACT, to);
	end(&req, options);
	return rtnetlink_ask(fd, &req.hdr);
}

static int redirect(int fd, unsigned from, unsigned to)
{
	int r = add_ingress(fd, from);

	if (r == 0)
		r = add_matchall(fd, from, to);
	return r == -ENOENT || r == -EOPNOTSUPP ? add_u32(fd, from, to) : r;
}

int redirect_both(unsigned a, unsigned b, struct error *err)
{
	cleanup_fd int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	int r;

	if (fd < 0)
		return error_errno(err, "rtnetlink");
	r = redirect(fd, a, b);
	if (r == 0)
		r = redirect(fd, b, a);
	return r < 0 ? error_set(err, r, "redirecting frames: %s", strerror(-r)) : 0;
}

int redirect_guard(unsigned ifindex, const struct sock_filter *program, unsigned n,
		   struct error *err)
{
	cleanup_fd int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	const uint32_t flags = TCA_BPF_FLAG_ACT_DIRECT;
	const uint16_t len = (uint16_t)n;
	struct rtattr *options;
	struct request req;
	int r;

	if (fd < 0)
		return error_errno(err, "rtnetlink");
	begin_filter(&req, ifindex, "bpf", GUARD_PRIORITY);
	options = nest(&req, TCA_OPTIONS);
	put(&req, TCA_BPF_FLAGS, &flags, sizeof(flags));
	put(&req, TCA_BPF_OPS_LEN, &len, sizeof(len));
	put(&req, TCA_BPF_OPS, program, n * sizeof(*program));
	end(&req, options);
	r = rtnetlink_ask(fd, &req.hdr);
	return r < 0 ? error_set(err, r, "guarding frames: %s (cls_bpf)", strerror(-r)) : 0;
}

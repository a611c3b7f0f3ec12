/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/passt.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/spawn.h"
#include "common/str.h"
#include "common/util.h"

#define SOCKET_FD 3 /* in the child */

#define READY_TIMEOUT_MS 10000 /* usual is 10 */

/* As the text of a number. */
#define TEXT(x)	 TEXT_(x)
#define TEXT_(x) #x

static void add_ports(struct strv *argv, const struct pod_port *ports, unsigned nports)
{
	for (unsigned i = 0; i < nports; i++) {
		strv_add(argv, ports[i].udp ? "-u" : "-t");
		strv_add_owned(argv, xasprintf("%s%s%u:%u", ports[i].host_ip,
					       ports[i].host_ip[0] ? "/" : "", ports[i].host,
					       ports[i].pod));
	}
}

static void add_options(struct strv *argv)
{
	static const char *const words[] = {
		"passt",
		"--foreground",
		"--quiet",
		"--stderr",
		"--fd",
		TEXT(SOCKET_FD),
		"--address",
		PASST_ADDRESS,
		"--netmask",
		TEXT(PASST_PREFIX),
		"--gateway",
		PASST_GATEWAY,
		"--mtu",
		TEXT(PASST_MTU),
		"--dns-forward",
		PASST_DNS,
		"--no-dhcp-search",
	};

	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		strv_add(argv, words[i]);
}

int passt_start(struct passt *passt, const struct pod_port *ports, unsigned nports, int *ret_fd,
		struct error *err)
{
	cleanup_strv struct strv argv = STRV_INIT;
	cleanup_fd int ours = -1, theirs = -1;
	struct spawn_fd fds[2];
	struct spawn_args args = {.path = "passt", .cwd = -1, .fds = fds, .nfds = 2};
	int pair[2], r;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return error_errno(err, "passt: socketpair");
	ours = pair[0];
	theirs = pair[1];
	if (fcntl(ours, F_SETFL, O_NONBLOCK) < 0)
		return error_errno(err, "passt: socketpair");
	passt->log = memfd_create("passt", MFD_CLOEXEC);
	if (passt->log < 0)
		return error_errno(err, "passt: memfd");
	fds[0] = (struct spawn_fd){.parent = theirs, .child = SOCKET_FD};
	fds[1] = (struct spawn_fd){.parent = passt->log, .child = STDERR_FILENO};
	add_options(&argv);
	add_ports(&argv, ports, nports);
	args.argv = argv.v;
	r = spawn(&args, &passt->pid, &passt->pidfd, err);
	if (r == 0)
		*ret_fd = take_fd(&ours);
	return r;
}

/* Its last words, which say what was wrong. */
static int failed(struct passt *passt, struct error *err)
{
	char text[1024], *line;
	ssize_t n = pread(passt->log, text, sizeof(text) - 1, 0);

	text[n > 0 ? n : 0] = '\0';
	while (n > 0 && text[n - 1] == '\n')
		text[--n] = '\0';
	line = strrchr(text, '\n');
	line = line ? line + 1 : text;
	return error_set(err, -EIO, "passt: %s", *line ? line : "it ended without a word");
}

#define ETHERTYPE_ARP 0x0806
#define ARP_REPLY     2

struct arp_frame {
	uint32_t length; /* of the stream's framing */
	uint8_t to[6], from[6];
	uint16_t type;
	uint16_t hardware, protocol;
	uint8_t hardware_len, protocol_len;
	uint16_t operation;
	uint8_t sender_mac[6], sender_ip[4], target_mac[6], target_ip[4];
} __attribute__((packed));
#define ARP_FRAME_LEN (sizeof(struct arp_frame) - sizeof(uint32_t))

static int ask_for_gateway(int fd, const uint8_t mac[6], struct error *err)
{
	struct arp_frame ask = {
		.length = htonl(ARP_FRAME_LEN),
		.type = htons(ETHERTYPE_ARP),
		.hardware = htons(1),
		.protocol = htons(0x0800),
		.hardware_len = 6,
		.protocol_len = 4,
		.operation = htons(1),
	};

	memset(ask.to, 0xff, sizeof(ask.to));
	memcpy(ask.from, mac, sizeof(ask.from));
	memcpy(ask.sender_mac, mac, sizeof(ask.sender_mac));
	inet_pton(AF_INET, PASST_ADDRESS, ask.sender_ip);
	inet_pton(AF_INET, PASST_GATEWAY, ask.target_ip);
	if (send(fd, &ask, sizeof(ask), MSG_NOSIGNAL) != sizeof(ask))
		return error_errno(err, "passt");
	return 0;
}

/* Exactly len bytes: what follows is the guest's. False: there will be none, or not in time. */
static bool read_exactly(struct passt *passt, int fd, void *dst, size_t len, uint64_t deadline)
{
	struct pollfd fds[] = {{.fd = fd, .events = POLLIN},
			       {.fd = passt->pidfd, .events = POLLIN}};
	size_t done = 0;

	while (done < len) {
		uint64_t now = clock_now_ns();
		ssize_t n;

		if (now >= deadline ||
		    poll(fds, ARRAY_SIZE(fds), (int)((deadline - now) / 1000000) + 1) < 0)
			return false;
		n = recv(fd, (uint8_t *)dst + done, len - done, MSG_DONTWAIT);
		if (n == 0 || (n < 0 && (errno != EAGAIN || fds[1].revents)))
			return false;
		done += n > 0 ? (size_t)n : 0;
	}
	return true;
}

int passt_wait(struct passt *passt, int fd, const uint8_t mac[6], struct error *err)
{
	uint64_t deadline = clock_now_ns() + READY_TIMEOUT_MS * UINT64_C(1000000);
	union {
		struct arp_frame arp;
		uint8_t bytes[2048]; /* nobody has spoken to it: it has nothing long to say */
	} frame;
	size_t len;

	if (ask_for_gateway(fd, mac, err) < 0)
		return failed(passt, err);
	do {
		if (!read_exactly(passt, fd, &frame.arp.length, sizeof(frame.arp.length), deadline))
			return failed(passt, err);
		len = ntohl(frame.arp.length);
		if (len > sizeof(frame) - sizeof(frame.arp.length) ||
		    !read_exactly(passt, fd, frame.bytes + sizeof(frame.arp.length), len, deadline))
			return failed(passt, err);
	} while (len < ARP_FRAME_LEN || frame.arp.type != htons(ETHERTYPE_ARP) ||
		 frame.arp.operation != htons(ARP_REPLY));
	return 0;
}

void passt_free(struct passt *passt)
{
	if (passt->pidfd >= 0)
		spawn_kill(passt->pid, passt->pidfd);
	close_fd(&passt->pidfd);
	close_fd(&passt->log);
	passt->pid = -1;
}

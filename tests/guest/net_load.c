/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The guest's end of tests/bench/net: connects to a host and does what that says, a letter and a
 * number a line:
 *
 *	r N	read N MiB of what the host sends
 *	w N	write N MiB
 *	q	end
 *
 * and answers each with one byte. As an app: net_load ADDRESS PORT. As PID 1 of a guest without a
 * system: it takes 10.82.0.2/24 for eth0 first, and 10.82.0.1 for the host.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define GUEST_ADDRESS "10.82.0.2"
#define HOST_ADDRESS  "10.82.0.1"
#define HOST_PORT     5001
#define MIB	      (1L << 20)
#define TRIES	      600

static char block[256 * 1024];

static struct sockaddr_in address_of(const char *ip, int port)
{
	struct sockaddr_in sin = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};

	inet_pton(AF_INET, ip, &sin.sin_addr);
	return sin;
}

static int set_address(int sock, unsigned long request, const char *ip)
{
	struct sockaddr_in sin = address_of(ip, 0);
	struct ifreq ifr = {.ifr_name = "eth0"};

	memcpy(&ifr.ifr_addr, &sin, sizeof(sin));
	return ioctl(sock, (int)request, &ifr);
}

/* As a pod's init does: what is to be compared is the NIC. */
static int send_large_frames(void)
{
	int fd, r;

	mkdir("/proc", 0555);
	if (mount("proc", "/proc", "proc", 0, NULL) < 0)
		return -1;
	fd = open("/proc/sys/net/ipv4/tcp_tso_rtt_log", O_WRONLY);
	r = fd >= 0 && write(fd, "20", 2) == 2 ? 0 : -1;
	close(fd);
	return r;
}

static int bring_up(void)
{
	int sock = socket(AF_INET, SOCK_DGRAM, 0), r;
	struct ifreq ifr = {.ifr_name = "eth0", .ifr_flags = IFF_UP | IFF_RUNNING};

	if (sock < 0)
		return -1;
	r = set_address(sock, SIOCSIFADDR, GUEST_ADDRESS) ||
	    set_address(sock, SIOCSIFNETMASK, "255.255.255.0") || ioctl(sock, SIOCSIFFLAGS, &ifr);
	close(sock);
	return r ? -1 : 0;
}

static int dial(const char *ip, int port)
{
	struct sockaddr_in sin = address_of(ip, port);

	for (int i = 0; i < TRIES; i++) {
		int sock = socket(AF_INET, SOCK_STREAM, 0);

		if (connect(sock, (struct sockaddr *)&sin, sizeof(sin)) == 0)
			return sock;
		close(sock);
		usleep(100000);
	}
	return -1;
}

static long number(const char *text)
{
	return strtol(text, NULL, 10);
}

/* Move that many bytes one way. */
static int move(int sock, long left, ssize_t (*how)(int sock, void *data, size_t len))
{
	while (left > 0) {
		ssize_t n = how(sock, block,
				(size_t)(left < (long)sizeof(block) ? left : (long)sizeof(block)));

		if (n <= 0)
			return -1;
		left -= n;
	}
	return 0;
}

static ssize_t put(int sock, void *data, size_t len)
{
	return write(sock, data, len);
}

/* A line of what is to be done; nothing follows before it was answered. */
static int serve(int sock)
{
	char line[32];
	size_t len = 0;

	while (len < sizeof(line) && (!len || line[len - 1] != '\n')) {
		if (read(sock, &line[len], 1) != 1)
			return -1;
		len++;
	}
	line[len - 1] = '\0';
	if (line[0] == 'r' && move(sock, number(line + 1) * MIB, read) < 0)
		return -1;
	if (line[0] == 'w' && move(sock, number(line + 1) * MIB, put) < 0)
		return -1;
	if (write(sock, "k", 1) != 1)
		return -1;
	return line[0] != 'q';
}

int main(int argc, char **argv)
{
	int alone = getpid() == 1 && argc < 3;
	int sock = -1, r = 1;

	if (!alone || (bring_up() == 0 && send_large_frames() == 0))
		sock = dial(argc < 3 ? HOST_ADDRESS : argv[1],
			    argc < 3 ? HOST_PORT : (int)number(argv[2]));
	while (sock >= 0 && r == 1)
		r = serve(sock);
	if (r < 0 || sock < 0)
		fprintf(stderr, "net_load: %s\n", strerror(errno));
	if (alone)
		reboot(RB_AUTOBOOT);
	return r != 0;
}

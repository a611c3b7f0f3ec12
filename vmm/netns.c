/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/netns.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/util.h"
#include "vmm/net.h"
#include "vmm/redirect.h"

/*
 * Nobody but the guest is to speak on its interfaces: the namespace's own IPv6 would, at once and with
 * the guest's MAC. A plugin that gives an IPv6 address turns it on again for its interface.
 */
static void silence(void)
{
	cleanup_fd int fd = open("/proc/sys/net/ipv6/conf/default/disable_ipv6",
				 O_WRONLY | O_CLOEXEC); /* not there without IPv6 */

	if (fd >= 0)
		(void)!write(fd, "1", 1);
}

/* In a child: the caller's namespace stays what it is. Returns an errno. */
static int make_and_hold(const char *path)
{
	if (unshare(CLONE_NEWNET) < 0)
		return errno;
	silence();
	if (mount("/proc/self/ns/net", path, NULL, MS_BIND, NULL) < 0)
		return errno;
	return 0;
}

int netns_new(const char *path, struct error *err)
{
	cleanup_fd int fd = -1;
	int status = 0, r;
	pid_t pid;

	if (mkdir(NETNS_DIR, 0755) < 0 && errno != EEXIST)
		return error_errno(err, NETNS_DIR);
	fd = open(path, O_RDONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0444);
	if (fd < 0)
		return error_errno(err, "%s", path);
	pid = fork();
	if (pid == 0)
		_exit(make_and_hold(path));
	while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (pid > 0 && status == 0)
		return 0;
	if (pid > 0)
		errno = WIFEXITED(status) ? WEXITSTATUS(status) : EIO;
	r = error_errno(err, "network namespace %s", path);
	unlink(path);
	return r;
}

int netns_remove(const char *path, struct error *err)
{
	if (umount2(path, MNT_DETACH) < 0 && errno != EINVAL && errno != ENOENT)
		return error_errno(err, "%s", path);
	if (unlink(path) < 0 && errno != ENOENT)
		return error_errno(err, "%s", path);
	return 0;
}

static int open_tap(const char *name, int *ret, struct error *err)
{
	cleanup_fd int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	struct ifreq ifr = {.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR};
	int header = NET_HEADER_SIZE;

	if (fd < 0)
		return error_errno(err, "/dev/net/tun");
	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", name);
	if (ioctl(fd, TUNSETIFF, &ifr) < 0 || ioctl(fd, TUNSETVNETHDRSZ, &header) < 0)
		return error_errno(err, "TAP device %s", name);
	*ret = take_fd(&fd);
	return 0;
}

/* Both interfaces up, with one MTU, and the MAC the guest's NIC is to have. */
static int match(int sock, const char *ifname, const char *tap, uint8_t mac[6],
		 struct netns_tap *ret, struct error *err)
{
	struct ifreq ifr = {.ifr_name = ""}, up = {.ifr_name = ""};

	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", ifname);
	if (ioctl(sock, SIOCGIFHWADDR, &ifr) < 0)
		return error_errno(err, "interface %s", ifname);
	memcpy(mac, ifr.ifr_hwaddr.sa_data, 6);
	if (ioctl(sock, SIOCGIFMTU, &ifr) < 0)
		return error_errno(err, "interface %s", ifname);
	ret->mtu = (uint16_t)MIN((unsigned)MAX(ifr.ifr_mtu, 0), (unsigned)NET_MTU_MAX);
	snprintf(up.ifr_name, sizeof(up.ifr_name), "%s", tap);
	up.ifr_mtu = ret->mtu;
	if (ioctl(sock, SIOCSIFMTU, &up) < 0)
		return error_errno(err, "MTU of %s", tap);
	if (ioctl(sock, SIOCGIFFLAGS, &up) < 0)
		return error_errno(err, "TAP device %s", tap);
	up.ifr_flags |= IFF_UP;
	if (ioctl(sock, SIOCSIFFLAGS, &up) < 0)
		return error_errno(err, "TAP device %s", tap);
	return 0;
}

static int guard_tap(const char *tap, const struct net_guard *guard, struct error *err)
{
	struct sock_filter program[NET_GUARD_PROGRAM_MAX];
	unsigned n = net_guard_program(guard, REDIRECT_PASS, REDIRECT_DROP, program);

	return redirect_guard(if_nametoindex(tap), program, n, err);
}

static int join(const char *ifname, unsigned index, struct net_guard *guard, struct netns_tap *ret,
		struct error *err)
{
	cleanup_fd int sock = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), fd = -1;
	char tap[IFNAMSIZ];
	int r;

	if (sock < 0)
		return error_errno(err, "socket");
	snprintf(tap, sizeof(tap), "tap%u", index);
	r = open_tap(tap, &fd, err);
	if (r == 0)
		r = match(sock, ifname, tap, guard->mac, ret, err);
	if (r == 0)
		r = redirect_both(if_nametoindex(ifname), if_nametoindex(tap), err);
	if (r == 0 && guard->addresses)
		r = guard_tap(tap, guard, err);
	if (r == 0)
		ret->fd = take_fd(&fd);
	return r;
}

int netns_join(const char *path, const char *ifname, unsigned index, struct net_guard *guard,
	       struct netns_tap *ret, struct error *err)
{
	cleanup_fd int ours = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	cleanup_fd int theirs = open(path, O_RDONLY | O_CLOEXEC);
	int r;

	if (ours < 0 || theirs < 0 || setns(theirs, CLONE_NEWNET) < 0)
		return error_errno(err, "network namespace %s", path);
	r = join(ifname, index, guard, ret, err);
	if (setns(ours, CLONE_NEWNET) < 0 && r == 0) {
		r = error_errno(err, "our network namespace");
		close_fd(&ret->fd);
	}
	return r;
}

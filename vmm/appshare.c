/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The keeper is a fork of who adds the app, with nothing of it but the life line. It starts the servers,
 * which die with it, sends their sockets, or why there are none, and waits. It reads nothing from
 * the life line: whoever has the other end can tell it nothing but that it is time to end.
 */
#include "vmm/appshare.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/file.h"
#include "common/str.h"
#include "common/util.h"
#include "vmm/podshare.h"
#include "vmm/vhost_user.h"
#include "vmm/virtiofsd.h"

#define CGROUPS	   "/sys/fs/cgroup"
#define CGROUP_MAX 8192 /* bytes of /proc/PID/cgroup */

/* A server, or why there is none. */
struct message {
	int32_t code; /* 0 or a negative errno, and then the text counts */
	char text[APPSHARE_TEXT_MAX];
};

/* The keeper */

struct keeper {
	int life;
	struct {
		const struct pod_volume *volume;
		struct virtiofsd server;
		bool told; /* that it has ended */
	} v[PODMUT_SHARES];
	unsigned n;
};

/*
 * What belongs to the pod lives where the pod does: a service manager may end all that whoever adds
 * the app leaves behind. Where that is not possible, or there is no unified hierarchy, it stays.
 */
static void join_cgroup(pid_t pid)
{
	cleanup_free char *file = xasprintf("/proc/%d/cgroup", (int)pid), *text = NULL;
	cleanup_free char *procs = NULL;
	struct error ignored = ERROR_INIT;
	cleanup_fd int fd = -1;
	const char *path;
	size_t len;

	if (file_read(AT_FDCWD, file, CGROUP_MAX, &text, &len, &ignored) < 0)
		return;
	path = strstr(text, "0::/");
	if (!path || (path != text && path[-1] != '\n'))
		return;
	path += strlen("0::");
	procs = xasprintf(CGROUPS "%.*s/cgroup.procs", (int)strcspn(path, "\n"), path);
	fd = open(procs, O_WRONLY | O_CLOEXEC);
	if (fd >= 0)
		(void)!write(fd, "0", 1);
}

/* Nothing of who has forked us is kept: it may be waited for, and so may its descriptors. */
static int detach(int life)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC), fd;

	for (fd = 0; fd <= 2; fd++)
		if (null < 0 || dup2(null, fd) < 0)
			return -errno;
	if (life != fd && dup2(life, fd) < 0)
		return -errno;
	if (fcntl(fd, F_SETFD, FD_CLOEXEC) < 0 || syscall(SYS_close_range, fd + 1, ~0U, 0) < 0 ||
	    setsid() < 0)
		return -errno;
	signal(SIGPIPE, SIG_IGN);
	return fd;
}

static bool say(int life, const struct error *err, int fd)
{
	struct message message = {.code = err->code};
	union {
		struct cmsghdr head;
		char bytes[CMSG_SPACE(sizeof(int))];
	} cmsg = {.bytes = {0}};
	struct iovec iov = {&message, sizeof(message)};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};

	snprintf(message.text, sizeof(message.text), "%.*s", APPSHARE_TEXT_MAX - 1, err->msg);
	if (fd >= 0) {
		cmsg.head.cmsg_level = SOL_SOCKET;
		cmsg.head.cmsg_type = SCM_RIGHTS;
		cmsg.head.cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(&cmsg.head), &fd, sizeof(int));
		msg.msg_control = cmsg.bytes;
		msg.msg_controllen = sizeof(cmsg.bytes);
	}
	return sendmsg(life, &msg, MSG_NOSIGNAL) == (ssize_t)sizeof(message);
}

static bool start_one(struct keeper *keeper, const struct pod_volume *volume)
{
	const struct virtiofsd_share share = {
		.path = volume->source,
		.read_only = volume->read_only,
		.recursive = volume->recursive,
		.is_file = volume->is_file,
	};
	struct virtiofsd *server = &keeper->v[keeper->n].server;
	struct error err = ERROR_INIT;
	cleanup_fd int fd = -1;

	keeper->v[keeper->n++].volume = volume;
	*server = (struct virtiofsd)VIRTIOFSD_NONE;
	if (virtiofsd_start(server, &share, &fd, &err) < 0)
		error_wrap(&err, "volume %s", volume->name);
	return say(keeper->life, &err, fd) && fd >= 0;
}

/* One has ended by itself. */
static void tell_end(struct keeper *keeper, unsigned i)
{
	struct error err = ERROR_INIT;

	keeper->v[i].told = true;
	virtiofsd_why(&keeper->v[i].server, &err);
	error_wrap(&err, "volume %s", keeper->v[i].volume->name);
	(void)!send(keeper->life, err.msg, MIN(strlen(err.msg), (size_t)APPSHARE_TEXT_MAX),
		    MSG_NOSIGNAL | MSG_DONTWAIT);
}

/* Until the life line is cut. */
static void watch(struct keeper *keeper)
{
	for (;;) {
		struct pollfd fds[1 + PODMUT_SHARES] = {{.fd = keeper->life, .events = POLLRDHUP}};

		for (unsigned i = 0; i < keeper->n; i++)
			fds[1 + i] = (struct pollfd){
				.fd = keeper->v[i].told ? -1 : keeper->v[i].server.pidfd,
				.events = POLLIN};
		if (poll(fds, 1 + keeper->n, -1) < 0 && errno != EINTR)
			return;
		if (fds[0].revents)
			return;
		for (unsigned i = 0; i < keeper->n; i++)
			if (fds[1 + i].revents)
				tell_end(keeper, i);
	}
}

static void __attribute__((noreturn)) keep(const struct pod_spec *pod, pid_t vmm, int life)
{
	cleanup_free struct keeper *keeper = xcalloc(1, sizeof(*keeper));
	bool good;

	keeper->life = detach(life);
	good = keeper->life >= 0;
	if (good)
		join_cgroup(vmm);
	for (unsigned i = 0; good && i < pod->nvolumes; i++)
		if (pod->volumes[i].kind == POD_VOLUME_HOST)
			good = start_one(keeper, &pod->volumes[i]);
	if (good && chdir("/") == 0)
		watch(keeper);
	for (unsigned i = 0; i < keeper->n; i++) {
		virtiofsd_end(&keeper->v[i].server);
		virtiofsd_free(&keeper->v[i].server);
	}
	_exit(0);
}

/* Who adds the app */

static int receive_one(int life, int *ret, struct error *err)
{
	struct message message;
	union {
		struct cmsghdr head;
		char bytes[CMSG_SPACE(sizeof(int))];
	} cmsg;
	struct iovec iov = {&message, sizeof(message)};
	struct msghdr msg = {.msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = cmsg.bytes,
			     .msg_controllen = sizeof(cmsg.bytes)};
	const struct cmsghdr *c;

	if (recvmsg(life, &msg, MSG_CMSG_CLOEXEC) != (ssize_t)sizeof(message))
		return error_set(err, -EPIPE, "who keeps the servers of its volumes has ended");
	message.text[sizeof(message.text) - 1] = '\0';
	if (message.code < 0)
		return error_set(err, message.code, "%s", message.text);
	c = CMSG_FIRSTHDR(&msg);
	if (!c || c->cmsg_type != SCM_RIGHTS || c->cmsg_len != CMSG_LEN(sizeof(int)))
		return error_set(err, -EPROTO, "a volume has no server");
	memcpy(ret, CMSG_DATA(c), sizeof(int));
	return 0;
}

/* The server does not do as it should: what we saw, unless it has ended and its keeper says more. */
static int explain(int life, const struct error *seen, struct error *err)
{
	struct pollfd pfd = {.fd = life, .events = POLLIN};
	char text[APPSHARE_TEXT_MAX + 1];
	ssize_t n = -1;

	if (seen->code == -EPIPE && poll(&pfd, 1, 2 * APPSHARE_END_TIMEOUT_MS) == 1)
		n = recv(life, text, sizeof(text) - 1, MSG_DONTWAIT);
	if (n <= 0)
		return error_set(err, seen->code, "%s", seen->msg);
	text[n] = '\0';
	return error_set(err, seen->code, "%s", text);
}

static int meet(struct appshare *shares, unsigned i, struct error *err)
{
	struct error seen = ERROR_INIT;
	struct vhost_user vu;

	if (vhost_user_open(&vu, shares->fd[i], &seen) < 0)
		return explain(shares->life, &seen, err);
	shares->features[i] = vu.features;
	return 0;
}

int appshare_start(const struct pod_spec *pod, pid_t vmm, struct appshare *ret, struct error *err)
{
	struct appshare shares = APPSHARE_NONE;
	unsigned n = podshares_count(pod);
	int life[2], r = 0;
	pid_t pid;

	if (n > PODMUT_SHARES)
		return error_set(err, -E2BIG, "more than %d volumes of the host", PODMUT_SHARES);
	if (n && socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, life) < 0)
		return error_errno(err, "socketpair");
	if (n) {
		pid = fork();
		if (pid == 0)
			keep(pod, vmm, life[1]);
		if (pid < 0)
			r = error_errno(err, "fork");
		close(life[1]);
		shares.life = life[0];
	}
	while (r == 0 && shares.n < n) {
		r = receive_one(shares.life, &shares.fd[shares.n], err);
		shares.n += r == 0;
	}
	for (unsigned i = 0; r == 0 && i < n; i++)
		r = meet(&shares, i, err);
	if (r < 0)
		appshare_close(&shares);
	else
		*ret = shares;
	return r;
}

void appshare_close(struct appshare *shares)
{
	for (unsigned i = 0; i < shares->n; i++)
		close_fd(&shares->fd[i]);
	shares->n = 0;
	close_fd(&shares->life);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A slot's life: the guest dials and has it; its frames become packets and the process's packets
 * frames, exchange after exchange; when the guest hangs up within one, we say BYE for it, and packets
 * that come until the process has said BYE are dropped. A guest whose frames make no sense, or come when
 * it is not its turn, is hung up on; a process that does likewise is given up.
 *
 * Nothing is allocated once the guest runs: what the guest did not take of a frame stays in the slot,
 * and no packet is read before it has. A frame of the guest is gathered in the slot, and stays there
 * until the process's socket takes it; what follows stays in the vsock's buffer.
 */
#include "vmm/metadata_link.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/spawn.h"
#include "common/util.h"
#include "vmm/metadata.h"

#define HEADER sizeof(struct agent_metadata_hdr)

struct slot {
	int fd;		/* owned, -1: the process is gone */
	int conn;	/* -1: no guest */
	bool open;	/* an exchange, which not both have ended */
	bool said_bye;	/* the guest has, or we for it */
	bool heard_bye; /* the process has said it */
	bool owe_bye;
	bool blocked; /* the process's socket takes no more now */
	unsigned got; /* bytes of the frame that comes from the guest */
	uint8_t frame[HEADER + METADATA_CHUNK];
	unsigned off, len; /* of what the guest has not taken */
	uint8_t held[HEADER + METADATA_CHUNK];
};

struct metadata_link {
	struct vsock *vs;
	struct loop *loop;
	pid_t pid;
	int pidfd;
	int change; /* owned */
	bool gone;
	int8_t slot_of[VSOCK_CONNS_MAX]; /* -1: not ours */
	struct slot slot[METADATA_SLOTS];
};

_Static_assert(METADATA_SLOTS <= INT8_MAX, "a slot's number fits");

/* The key of the pod's directory, or one of the pod's own. Read by the process from the start on. */
static int key_file(struct error *err)
{
	cleanup_fd int fd = open(METADATA_KEY_FILE, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	uint8_t key[METADATA_KEY_SIZE];

	if (fd >= 0 && pread(fd, key, sizeof(key), 0) == sizeof(key))
		return take_fd(&fd);
	close_fd(&fd);
	fd = memfd_create("metadata-key", MFD_CLOEXEC);
	if (fd < 0 || getrandom(key, sizeof(key), 0) != sizeof(key) ||
	    write(fd, key, sizeof(key)) != sizeof(key))
		return error_errno(err, "a key for the metadata service");
	return take_fd(&fd);
}

/* A manifest that is not there, from a stage0 that writes none, is an empty one. */
static int image_file(const struct pod_app *app, struct error *err)
{
	cleanup_free char *path = xasprintf("appsinfo/%s/manifest", app->name);
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0 && errno == ENOENT)
		fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	return fd < 0 ? error_errno(err, "%s", path) : fd;
}

struct files {
	struct spawn_fd fds[METADATA_FD_IMAGES + PLAN_APPS_MAX];
	size_t n;
};

static void close_files(struct files *files)
{
	while (files->n)
		close(files->fds[--files->n].parent);
}

static int give(struct files *files, int fd, int child)
{
	if (fd < 0)
		return fd;
	files->fds[files->n++] = (struct spawn_fd){.parent = fd, .child = child};
	return 0;
}

/* ours: a socket for each slot, of which the process has the other end. */
static int make_slots(int ours[METADATA_SLOTS], struct files *files, struct error *err)
{
	for (unsigned i = 0; i < METADATA_SLOTS; i++) {
		int pair[2];

		if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
			return error_errno(err, "the metadata service's sockets");
		ours[i] = pair[0];
		give(files, pair[1], METADATA_FD_SLOTS + (int)i);
	}
	return 0;
}

static int make_change(int *ours, struct files *files, struct error *err)
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return error_errno(err, "the metadata service's sockets");
	*ours = pair[0];
	return give(files, pair[1], METADATA_FD_CHANGE);
}

/* All the process is given. */
static int make_files(const struct pod_spec *pod, int ours[METADATA_SLOTS], int *change,
		      struct files *files, struct error *err)
{
	int r = give(files, key_file(err), METADATA_FD_KEY);

	if (r == 0) {
		int fd = open("pod", O_RDONLY | O_CLOEXEC);

		r = fd < 0 ? error_errno(err, "pod manifest") : give(files, fd, METADATA_FD_POD);
	}
	if (r == 0)
		r = make_change(change, files, err);
	if (r == 0)
		r = make_slots(ours, files, err);
	for (unsigned i = 0; r == 0 && i < pod->napps; i++)
		r = give(files, image_file(&pod->apps[i], err), METADATA_FD_IMAGES + (int)i);
	if (r == 0) {
		int fd = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);

		if (fd >= 0) /* where it says why it can not */
			give(files, fd, STDERR_FILENO);
	}
	return r;
}

static int start(const struct pod_spec *pod, const char *uuid, const char *token,
		 const struct files *files, struct metadata_link *link, struct error *err)
{
	char name[] = METADATA_NAME;
	cleanup_free char *id = xstrdup(uuid), *secret = xstrdup(token);
	cleanup_free char *napps = xasprintf("%u", pod->napps);
	char *const argv[] = {name, id, secret, napps, NULL};
	const struct spawn_args args = {
		.path = "/proc/self/exe",
		.argv = argv,
		.cwd = -1,
		.fds = files->fds,
		.nfds = files->n,
	};

	return spawn(&args, &link->pid, &link->pidfd, err);
}

void metadata_link_new(const int fds[METADATA_SLOTS], int change, struct metadata_link **ret)
{
	struct metadata_link *link = xcalloc(1, sizeof(*link));

	link->pidfd = -1;
	link->change = change;
	memset(link->slot_of, -1, sizeof(link->slot_of));
	for (unsigned i = 0; i < METADATA_SLOTS; i++) {
		link->slot[i].fd = fds[i];
		link->slot[i].conn = -1;
	}
	*ret = link;
}

int metadata_link_start(const struct pod_spec *pod, const char *uuid, const char *token,
			struct metadata_link **ret, struct error *err)
{
	cleanup_free struct files *files = xcalloc(1, sizeof(*files));
	struct metadata_link *link;
	int fds[METADATA_SLOTS], change = -1, r;

	memset(fds, -1, sizeof(fds));
	r = make_files(pod, fds, &change, files, err);
	metadata_link_new(fds, change, &link);
	if (r == 0)
		r = start(pod, uuid, token, files, link, err);
	close_files(files);
	if (r < 0) {
		metadata_link_free(link);
		return error_wrap(err, "metadata service");
	}
	*ret = link;
	return 0;
}

int metadata_link_join(struct metadata_link *link, struct vsock *vs, struct loop *loop,
		       struct error *err)
{
	int r = 0;

	link->vs = vs;
	link->loop = loop;
	for (unsigned i = 0; r == 0 && i < METADATA_SLOTS; i++)
		r = loop_add(loop, link->slot[i].fd, EPOLLIN, LOOP_METADATA, i, err);
	return r;
}

void metadata_link_free(struct metadata_link *link)
{
	if (!link)
		return;
	for (unsigned i = 0; i < METADATA_SLOTS; i++)
		close_fd(&link->slot[i].fd);
	close_fd(&link->change);
	if (link->pidfd >= 0)
		spawn_kill(link->pid, link->pidfd);
	close_fd(&link->pidfd);
	free(link);
}

void metadata_link_change(struct metadata_link *link, const char *name, int manifests)
{
	_Alignas(struct cmsghdr) char ancillary[CMSG_SPACE(sizeof(int))] = {0};
	char text[POD_NAME_MAX + 1];
	struct iovec iov = {text, strlen(name)};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};

	if (!link || link->gone)
		return;
	assert(iov.iov_len <= POD_NAME_MAX);
	memcpy(text, name, iov.iov_len);
	if (manifests >= 0) {
		struct cmsghdr *c;

		msg.msg_control = ancillary;
		msg.msg_controllen = sizeof(ancillary);
		c = CMSG_FIRSTHDR(&msg);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(c), &manifests, sizeof(int));
	}
	if (sendmsg(link->change, &msg, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
		shutdown(link->slot[0].fd, SHUT_RDWR); /* metadata_link_ready() hears of it */
}

static void watch(struct metadata_link *link, const struct slot *slot)
{
	loop_set(link->loop, slot->fd,
		 (slot->len ? 0 : (uint32_t)EPOLLIN) |
			 (slot->blocked || slot->owe_bye ? (uint32_t)EPOLLOUT : 0),
		 LOOP_METADATA, (uint32_t)(slot - link->slot));
}

static void note_byes(struct slot *slot)
{
	if (slot->said_bye && slot->heard_bye)
		slot->open = slot->said_bye = slot->heard_bye = false;
}

/* Say what is owed, if there is room. */
static void settle(struct metadata_link *link, struct slot *slot)
{
	static const uint8_t bye = METADATA_BYE;

	if (slot->owe_bye && send(slot->fd, &bye, 1, MSG_DONTWAIT | MSG_NOSIGNAL) == 1) {
		slot->owe_bye = false;
		slot->said_bye = true;
		note_byes(slot);
	}
	watch(link, slot);
}

static struct slot *slot_of(struct metadata_link *link, unsigned conn)
{
	assert(link->slot_of[conn] >= 0);
	return &link->slot[link->slot_of[conn]];
}

bool metadata_link_accept(struct metadata_link *link, unsigned conn)
{
	for (unsigned i = 0; link && !link->gone && i < METADATA_SLOTS; i++) {
		struct slot *slot = &link->slot[i];

		if (slot->conn >= 0 || slot->open)
			continue;
		slot->conn = (int)conn;
		link->slot_of[conn] = (int8_t)i;
		return true;
	}
	return false;
}

bool metadata_link_owns(const struct metadata_link *link, unsigned conn)
{
	return link && link->slot_of[conn] >= 0;
}

/* Bytes of the frame that comes, as far as that is known. */
static size_t frame_size(const struct slot *slot)
{
	struct agent_metadata_hdr hdr;

	if (slot->got < HEADER)
		return HEADER;
	memcpy(&hdr, slot->frame, HEADER);
	return HEADER + hdr.len;
}

/* Whether the guest may say what the header says. */
static bool header_good(const struct slot *slot)
{
	struct agent_metadata_hdr hdr;

	memcpy(&hdr, slot->frame, HEADER);
	if (hdr.zero || slot->said_bye)
		return false;
	if (hdr.kind == METADATA_DATA)
		return hdr.len <= METADATA_CHUNK;
	return hdr.len == 0 &&
	       (hdr.kind == METADATA_EOF || (hdr.kind == METADATA_BYE && slot->open));
}

/* A whole frame goes to the process. False: not now. */
static bool pass_frame(struct slot *slot)
{
	uint8_t kind = slot->frame[0];
	struct iovec iov[] = {{&kind, 1}, {slot->frame + HEADER, slot->got - HEADER}};
	struct msghdr msg = {.msg_iov = iov, .msg_iovlen = 2};

	if (slot->got < HEADER || slot->got < frame_size(slot))
		return true; /* it is none yet */
	slot->blocked = sendmsg(slot->fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL) < 0;
	if (slot->blocked) /* or gone: metadata_link_ready() finds out */
		return false;
	slot->got = 0;
	slot->open = true;
	slot->said_bye = kind == METADATA_BYE;
	note_byes(slot);
	return true;
}

/* The guest makes no sense. */
static void hang_up(struct metadata_link *link, struct slot *slot)
{
	unsigned conn = (unsigned)slot->conn;

	metadata_link_closed(link, conn);
	vsock_reset(link->vs, conn);
}

size_t metadata_link_data(struct metadata_link *link, unsigned conn, const struct iovec *iov,
			  unsigned n, size_t len)
{
	struct slot *slot = slot_of(link, conn);
	size_t done = 0;

	if (slot->blocked)
		return 0;
	for (unsigned i = 0; i < n; i++) {
		for (size_t off = 0; off < iov[i].iov_len;) {
			size_t part = MIN(iov[i].iov_len - off, frame_size(slot) - slot->got);

			memcpy(slot->frame + slot->got, (const uint8_t *)iov[i].iov_base + off,
			       part);
			slot->got += (unsigned)part;
			off += part;
			done += part;
			if (slot->got == HEADER && !header_good(slot)) {
				hang_up(link, slot);
				return len;
			}
			if (!pass_frame(slot)) {
				watch(link, slot);
				return done;
			}
		}
	}
	return len;
}

void metadata_link_closed(struct metadata_link *link, unsigned conn)
{
	struct slot *slot = slot_of(link, conn);

	link->slot_of[conn] = -1;
	slot->conn = -1;
	slot->got = slot->len = 0;
	slot->blocked = false;
	slot->owe_bye = slot->open && !slot->said_bye;
	settle(link, slot);
}

/* What is held goes to the guest. False: not all of it. */
static bool give_guest(struct metadata_link *link, struct slot *slot)
{
	size_t took = slot->len;

	if (slot->len && slot->conn >= 0)
		took = vsock_send(link->vs, (unsigned)slot->conn, slot->held + slot->off,
				  slot->len);
	slot->off += (unsigned)took;
	slot->len -= (unsigned)took;
	return slot->len == 0;
}

/* Take packets until there are none, or the guest takes no more. False: no sense. */
static bool take_packets(struct metadata_link *link, struct slot *slot)
{
	while (give_guest(link, slot)) {
		uint8_t *packet = slot->held + HEADER - 1;
		ssize_t n = recv(slot->fd, packet, 1 + METADATA_CHUNK, MSG_DONTWAIT | MSG_TRUNC);
		struct agent_metadata_hdr hdr;

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return true;
		if (n <= 0 || n > 1 + METADATA_CHUNK || !slot->open || slot->heard_bye)
			return false;
		hdr = (struct agent_metadata_hdr){.kind = *packet, .len = (uint16_t)(n - 1)};
		if (hdr.kind != METADATA_DATA && hdr.kind != METADATA_BYE)
			return false;
		memcpy(slot->held, &hdr, HEADER);
		slot->off = 0;
		slot->len = (unsigned)(HEADER + hdr.len);
		slot->heard_bye = hdr.kind == METADATA_BYE;
		note_byes(slot);
	}
	return true;
}

void metadata_link_writable(struct metadata_link *link, unsigned conn)
{
	struct slot *slot = slot_of(link, conn);

	/* what follows what is held makes an event of its own */
	give_guest(link, slot);
	watch(link, slot);
}

/* The process is of no more use. */
static void lose(struct metadata_link *link)
{
	link->gone = true;
	for (unsigned i = 0; i < METADATA_SLOTS; i++) {
		struct slot *slot = &link->slot[i];
		int conn = slot->conn;

		loop_del(link->loop, slot->fd);
		close_fd(&slot->fd);
		slot->conn = -1;
		if (conn < 0)
			continue;
		link->slot_of[conn] = -1;
		vsock_reset(link->vs, (unsigned)conn);
	}
}

bool metadata_link_ready(struct metadata_link *link, uint32_t index, uint32_t events)
{
	struct slot *slot = &link->slot[index];

	assert(index < METADATA_SLOTS);
	if (link->gone) /* an event of the same batch has found out */
		return true;
	if (events & EPOLLOUT && pass_frame(slot) && slot->conn >= 0)
		vsock_flush(link->vs, (unsigned)slot->conn);
	if (events & (EPOLLHUP | EPOLLERR) || !take_packets(link, slot)) {
		lose(link);
		return false;
	}
	settle(link, slot);
	return true;
}

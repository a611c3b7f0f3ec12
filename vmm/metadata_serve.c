/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hostile bytes are parsed here, of the image's manifests at the start and of requests later, so this
 * is a process apart: it gives up its user, its capabilities, files and nearly all system calls
 * (jail_helper()) before it reads any.
 *
 * A slot has one exchange at a time. It reads until the request is whole, wrong, or late; writes the
 * answer, the last of it with BYE. From then on it waits for the other side's BYE. A BYE that comes
 * before ends the exchange where it is.
 */
#include "vmm/metadata_serve.h"

#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/file.h"
#include "common/json.h"
#include "common/log.h"
#include "common/util.h"
#include "vmm/jail.h"
#include "vmm/metadata_link.h"

/* From the first byte to the end of the answer: whoever is slower has no place here for long. */
#define REQUEST_TIMEOUT_NS UINT64_C(10000000000)

enum state {
	IDLE,
	READING,
	ANSWERING,
	LEAVING, /* BYE is to be said */
	LEFT,	 /* ... was said, and is waited for */
};

struct slot {
	int fd;
	enum state state;
	bool parted;	/* the other side has said BYE */
	bool continued; /* "100 Continue" was sent */
	bool eof;
	uint64_t deadline;
	size_t len;  /* of the request */
	size_t sent; /* of the answer */
	struct str out;
	char request[MDHTTP_REQUEST_MAX];
};

struct server {
	struct metadata *md;
	int change;
};

/* Send what there is of the answer, and then BYE. */
static void go_on(struct slot *slot)
{
	static const uint8_t bye = METADATA_BYE;

	while (slot->sent < slot->out.len && slot->state <= ANSWERING) {
		size_t part = MIN(slot->out.len - slot->sent, (size_t)METADATA_CHUNK);
		uint8_t packet[1 + METADATA_CHUNK];
		bool last = slot->state == ANSWERING && slot->sent + part == slot->out.len;

		packet[0] = last ? METADATA_BYE : METADATA_DATA;
		memcpy(packet + 1, slot->out.s + slot->sent, part);
		if (send(slot->fd, packet, 1 + part, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
			return;
		slot->sent += part;
		if (last)
			slot->state = LEFT;
	}
	if (slot->state == ANSWERING)
		slot->state = LEAVING;
	if (slot->state == LEAVING && send(slot->fd, &bye, 1, MSG_DONTWAIT | MSG_NOSIGNAL) == 1)
		slot->state = LEFT;
	if (slot->state == LEFT && slot->parted) {
		str_free(&slot->out);
		slot->state = IDLE;
	}
}

/* What came with an app: *ret_pod is the caller's, and has the image's manifest behind it. */
static int read_manifests(int fd, char **ret_pod, size_t *ret_pod_len, struct metadata_image *image,
			  struct error *err)
{
	cleanup_free char *text = NULL;
	struct metadata_change change;
	int r = pread_all(fd, &change, sizeof(change), 0);

	if (r == 0 && (change.pod_len > JSON_SIZE_MAX || change.image_len > JSON_SIZE_MAX))
		r = -EFBIG;
	if (r == 0) {
		text = xcalloc(1, (size_t)change.pod_len + change.image_len + 1);
		r = pread_all(fd, text, (size_t)change.pod_len + change.image_len, sizeof(change));
	}
	if (r < 0)
		return error_set(err, r, "reading its manifests: %s", strerror(-r));
	*image = (struct metadata_image){text + change.pod_len, change.image_len};
	*ret_pod_len = change.pod_len;
	*ret_pod = take_ptr(text);
	return 0;
}

/* An app that can not be told of is left out. */
static void take_app(struct server *server, const char *name, int fd)
{
	struct metadata_image image = {.text = NULL};
	struct error err = ERROR_INIT;
	cleanup_free char *pod = NULL;
	size_t pod_len = 0;
	int r = read_manifests(fd, &pod, &pod_len, &image, &err);

	if (r == 0)
		r = metadata_add_app(server->md, name, pod, pod_len, &image, &err);
	if (r < 0)
		log_warn("app %s: %s", name, err.msg);
}

/* What is to be done by now. False: nobody will say any more. */
static bool take_changes(struct server *server)
{
	for (;;) {
		_Alignas(struct cmsghdr) char ancillary[CMSG_SPACE(sizeof(int))];
		char name[POD_NAME_MAX + 1];
		struct iovec iov = {name, sizeof(name) - 1};
		struct msghdr msg = {.msg_iov = &iov,
				     .msg_iovlen = 1,
				     .msg_control = ancillary,
				     .msg_controllen = sizeof(ancillary)};
		ssize_t n = recvmsg(server->change, &msg, MSG_DONTWAIT);
		const struct cmsghdr *c = n > 0 ? CMSG_FIRSTHDR(&msg) : NULL;
		int fd = -1;

		if (n <= 0)
			return n < 0 && (errno == EAGAIN || errno == EINTR);
		name[n] = '\0';
		if (c && c->cmsg_type == SCM_RIGHTS)
			memcpy(&fd, CMSG_DATA(c), sizeof(fd));
		if (fd >= 0)
			take_app(server, name, fd);
		else
			metadata_remove_app(server->md, name);
		close_fd(&fd);
	}
}

static void refuse(struct slot *slot, int status)
{
	mdhttp_respond(&slot->out, &(struct mdhttp_response){.status = status, .body = ""});
	slot->state = ANSWERING;
}

/* More of a request has come, or its end. */
static void look(struct server *server, struct slot *slot)
{
	struct mdhttp_request request;
	int status = 400;

	switch (mdhttp_parse(slot->request, slot->len, &request, &status)) {
	case MDHTTP_WHOLE:
		take_changes(server); /* of the apps, that came before it */
		metadata_answer(server->md, &request, &slot->out);
		slot->state = ANSWERING;
		break;
	case MDHTTP_WRONG:
		refuse(slot, status);
		break;
	case MDHTTP_CONTINUE:
		if (!slot->continued)
			str_add(&slot->out, MDHTTP_CONTINUE_TEXT);
		slot->continued = true;
		break;
	case MDHTTP_MORE:
		break;
	}
	if (slot->state == READING && slot->eof)
		refuse(slot, status);
}

static void begin(struct slot *slot)
{
	slot->state = READING;
	slot->parted = slot->continued = slot->eof = false;
	slot->len = slot->sent = 0;
	slot->deadline = clock_now_ns() + REQUEST_TIMEOUT_NS;
}

static void on_packet(struct server *server, struct slot *slot, const uint8_t *packet, size_t len)
{
	if (slot->state == IDLE)
		begin(slot);
	if (packet[0] == METADATA_BYE) {
		slot->parted = true;
		if (slot->state < LEAVING)
			slot->state = LEAVING;
		return;
	}
	if (slot->state != READING)
		return;
	if (packet[0] == METADATA_EOF)
		slot->eof = true;
	len = MIN(len - 1, sizeof(slot->request) - slot->len);
	memcpy(slot->request + slot->len, packet + 1, len);
	slot->len += len;
	look(server, slot);
}

/* False: the other side is gone. */
static bool receive(struct server *server, struct slot *slot)
{
	uint8_t packet[1 + METADATA_CHUNK];
	ssize_t n;

	while ((n = recv(slot->fd, packet, sizeof(packet), MSG_DONTWAIT)) > 0) {
		on_packet(server, slot, packet, (size_t)n);
		go_on(slot);
	}
	return n < 0 && (errno == EAGAIN || errno == EINTR);
}

static bool wants_to_send(const struct slot *slot)
{
	return slot->state == LEAVING ||
	       ((slot->state == READING || slot->state == ANSWERING) && slot->sent < slot->out.len);
}

/* How long poll() may sleep; ends the connections that are late. */
static int next_deadline(struct slot *slots, unsigned n)
{
	uint64_t now = clock_now_ns(), next = UINT64_MAX;

	for (unsigned i = 0; i < n; i++) {
		struct slot *slot = &slots[i];

		if (slot->state != READING && slot->state != ANSWERING)
			continue;
		if (now >= slot->deadline) {
			slot->state = LEAVING;
			go_on(slot);
		} else {
			next = MIN(next, slot->deadline);
		}
	}
	return next == UINT64_MAX ? -1 : (int)((next - now) / 1000000) + 1;
}

void metadata_serve(struct metadata *md, int change, const int *fds, unsigned n)
{
	struct server server = {.md = md, .change = change};
	struct slot *slots = xcalloc(n, sizeof(*slots));
	struct pollfd *polls = xcalloc(n + 1, sizeof(*polls));
	bool there = true;

	for (unsigned i = 0; i < n; i++)
		slots[i] = (struct slot){.fd = fds[i]};
	while (there) {
		int timeout = next_deadline(slots, n);

		for (unsigned i = 0; i < n; i++)
			polls[i] = (struct pollfd){
				.fd = slots[i].fd,
				.events =
					(short)(POLLIN | (wants_to_send(&slots[i]) ? POLLOUT : 0)),
			};
		polls[n] = (struct pollfd){.fd = change, .events = POLLIN};
		if (poll(polls, n + 1, timeout) < 0 && errno != EINTR)
			break;
		if (polls[n].revents)
			there = take_changes(&server);
		for (unsigned i = 0; there && i < n; i++) {
			if (polls[i].revents & POLLOUT)
				go_on(&slots[i]);
			if (polls[i].revents & ~POLLOUT)
				there = receive(&server, &slots[i]);
		}
	}
	for (unsigned i = 0; i < n; i++)
		str_free(&slots[i].out);
	free(slots);
	free(polls);
}

/* All of a descriptor that is open already. */
static int read_fd(int fd, char **ret, size_t *ret_len, struct error *err)
{
	cleanup_str struct str text = STR_INIT;
	char bytes[16384];
	ssize_t n;

	while ((n = pread(fd, bytes, sizeof(bytes), (off_t)text.len)) > 0) {
		str_addn(&text, bytes, (size_t)n);
		if (text.len > JSON_SIZE_MAX)
			return error_set(err, -EFBIG, "a manifest of more than %d bytes",
					 JSON_SIZE_MAX);
	}
	if (n < 0 && errno != ESPIPE) /* /dev/null */
		return error_errno(err, "reading a manifest");
	*ret_len = text.len;
	*ret = str_take(&text);
	return 0;
}

static int read_images(unsigned n, struct metadata_image *images, struct error *err)
{
	for (unsigned i = 0; i < n; i++) {
		char *text;
		int r = read_fd(METADATA_FD_IMAGES + (int)i, &text, &images[i].len, err);

		if (r < 0)
			return r;
		images[i].text = images[i].len ? text : NULL;
	}
	return 0;
}

int metadata_main(int argc, char **argv, struct error *err)
{
	uint8_t key[METADATA_KEY_SIZE];
	struct metadata_image images[PLAN_APPS_MAX] = {{.text = NULL}};
	struct metadata_config config = {.key = key, .images = images};
	int slots[METADATA_SLOTS];
	unsigned long long napps;
	struct metadata *md;
	char *pod;
	int r;

	if (argc != 4 || !str_to_u64(argv[3], PLAN_APPS_MAX, &napps))
		return error_set(err, -EINVAL, "usage: metadata UUID TOKEN APPS");
	r = jail_helper(err);
	if (r < 0)
		return r;
	if (pread(METADATA_FD_KEY, key, sizeof(key), 0) != sizeof(key))
		return error_set(err, -EIO, "the key can not be read");
	r = read_fd(METADATA_FD_POD, &pod, &config.pod_len, err);
	if (r == 0)
		r = read_images((unsigned)napps, images, err);
	if (r < 0)
		return r;
	config.uuid = argv[1];
	config.token = argv[2];
	config.pod = pod;
	config.nimages = napps;
	r = metadata_new(&config, &md, err);
	if (r < 0)
		return r;
	for (unsigned i = 0; i < METADATA_SLOTS; i++)
		slots[i] = METADATA_FD_SLOTS + (int)i;
	metadata_serve(md, METADATA_FD_CHANGE, slots, METADATA_SLOTS);
	return error_set(err, -EPIPE, "the pod has ended");
}

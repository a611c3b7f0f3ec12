/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/control.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/util.h"

#define LISTENER 0 /* LOOP_CONTROL index; clients are 1.. */

int control_open(struct control *control, struct loop *loop, struct error *err)
{
	/* relative: a pod directory's path may be longer than a socket address */
	struct sockaddr_un addr = {.sun_family = AF_UNIX, .sun_path = CONTROL_PATH};
	cleanup_fd int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	mode_t mask;
	int r;

	*control = (struct control){.loop = loop, .fd = -1, .takes_fds = control->takes_fds};
	for (unsigned i = 0; i < CONTROL_CLIENTS_MAX; i++)
		control->client[i].fd = -1;
	if (fd < 0)
		return error_errno(err, "socket");
	unlink(CONTROL_PATH);
	mask = umask(0177);
	r = bind(fd, (struct sockaddr *)&addr, sizeof(addr));
	umask(mask);
	if (r < 0 || listen(fd, CONTROL_CLIENTS_MAX) < 0)
		return error_errno(err, CONTROL_PATH);
	if (loop_add(loop, fd, EPOLLIN, LOOP_CONTROL, LISTENER, err) < 0)
		return err->code;
	control->fd = take_fd(&fd);
	return 0;
}

static void drop_fds(struct control_client *client)
{
	for (unsigned i = 0; i < client->nfds; i++)
		close(client->fds[i]);
	free(client->fds);
	client->fds = NULL;
	client->nfds = 0;
}

/* A client's place is free. */
static void leave(struct control *control, struct control_client *client)
{
	client->len = 0;
	drop_fds(client);
	if (control->fd >= 0) /* there is room for one that waits */
		loop_set(control->loop, control->fd, EPOLLIN, LOOP_CONTROL, LISTENER);
}

static void drop(struct control *control, struct control_client *client)
{
	if (client->fd < 0)
		return;
	loop_del(control->loop, client->fd);
	close_fd(&client->fd);
	leave(control, client);
}

void control_close(struct control *control)
{
	if (control->fd < 0)
		return;
	unlink(CONTROL_PATH);
	loop_del(control->loop, control->fd);
	close_fd(&control->fd);
	for (unsigned i = 0; i < CONTROL_CLIENTS_MAX; i++)
		drop(control, &control->client[i]);
}

static void accept_client(struct control *control)
{
	cleanup_fd int fd = -1;
	struct error ignored;
	unsigned i = 0;

	while (i < CONTROL_CLIENTS_MAX && control->client[i].fd >= 0)
		i++;
	if (i == CONTROL_CLIENTS_MAX) { /* until one leaves */
		loop_set(control->loop, control->fd, 0, LOOP_CONTROL, LISTENER);
		return;
	}
	fd = accept4(control->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (fd < 0)
		return;
	if (loop_add(control->loop, fd, EPOLLIN, LOOP_CONTROL, i + 1, &ignored) < 0)
		return;
	control->client[i].len = 0;
	control->client[i].waiting = false;
	control->client[i].serial = ++control->serial;
	control->client[i].fd = take_fd(&fd);
}

/* The verb of a line, and what follows it; only a verb that takes words may have any. */
static enum control_verb verb_of(const char *line, char args[CONTROL_LINE_MAX])
{
	static const struct {
		const char *word;
		enum control_verb verb;
		bool takes_words;
	} verbs[] = {
		{"status", CONTROL_STATUS, false},
		{"stats", CONTROL_STATS, false},
		{"stop", CONTROL_STOP, false},
		{"kill", CONTROL_KILL, false},
		{"pcrs", CONTROL_PCRS, false},
		{"quote", CONTROL_QUOTE, true},
		{"session", CONTROL_SESSION, false},
		{"stream", CONTROL_STREAM, true},
		{"attach", CONTROL_ATTACH, true},
		{"endpoints", CONTROL_ENDPOINTS, true},
		{"winsize", CONTROL_WINSIZE, true},
		{"memory", CONTROL_MEMORY, true},
		{"app-facts", CONTROL_APP_FACTS, false},
		{"app-add", CONTROL_APP_ADD, true},
		{"app-metadata", CONTROL_APP_METADATA, true},
		{"app-start", CONTROL_APP_START, true},
		{"app-stop", CONTROL_APP_STOP, true},
		{"app-rm", CONTROL_APP_RM, true},
	};
	size_t len = strcspn(line, " ");
	const char *rest = line + len + (line[len] == ' ');

	for (unsigned i = 0; i < ARRAY_SIZE(verbs); i++) {
		if (strlen(verbs[i].word) != len || memcmp(line, verbs[i].word, len) != 0 ||
		    (line[len] && !verbs[i].takes_words))
			continue;
		snprintf(args, CONTROL_LINE_MAX, "%s", rest);
		return verbs[i].verb;
	}
	return CONTROL_NONE;
}

/* A parked client has no event but its end, which would come again and again. */
static bool has_left(const struct control_client *client)
{
	struct pollfd pfd = {.fd = client->fd};

	return client->fd >= 0 && poll(&pfd, 1, 0) > 0;
}

/* Descriptors a message brought. Where nobody asked for any they were not even taken. */
static void take_fds(struct control_client *client, struct msghdr *msg)
{
	struct cmsghdr *c = CMSG_FIRSTHDR(msg);

	if (!c || c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
		return;
	drop_fds(client);
	client->nfds = (unsigned)((c->cmsg_len - CMSG_LEN(0)) / sizeof(int));
	client->fds = xcalloc(client->nfds ? client->nfds : 1, sizeof(int));
	memcpy(client->fds, CMSG_DATA(c), client->nfds * sizeof(int));
}

static ssize_t receive(const struct control *control, struct control_client *client)
{
	_Alignas(struct cmsghdr) char ancillary[CMSG_SPACE(CONTROL_FDS_MAX * sizeof(int))];
	struct iovec iov = {client->line + client->len, sizeof(client->line) - client->len};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
	ssize_t n;

	if (control->takes_fds) {
		msg.msg_control = ancillary;
		msg.msg_controllen = sizeof(ancillary);
	}
	n = recvmsg(client->fd, &msg, MSG_CMSG_CLOEXEC);
	if (n >= 0 && control->takes_fds)
		take_fds(client, &msg);
	return n;
}

enum control_verb control_event(struct control *control, uint32_t index)
{
	struct control_client *client;

	if (index == LISTENER) {
		accept_client(control);
		return CONTROL_NONE;
	}
	assert(index <= CONTROL_CLIENTS_MAX);
	client = &control->client[index - 1];
	if (client->waiting && has_left(client))
		drop(control, client);
	while (client->fd >= 0 && !client->waiting) {
		char *end = memchr(client->line, '\n', client->len);
		char line[CONTROL_LINE_MAX];
		enum control_verb verb;
		ssize_t n;

		if (end) {
			size_t len = (size_t)(end - client->line);

			memcpy(line, client->line, len);
			line[len && line[len - 1] == '\r' ? len - 1 : len] = '\0';
			client->len -= (unsigned)len + 1;
			memmove(client->line, end + 1, client->len);
			verb = verb_of(line, client->args);
			if (verb != CONTROL_NONE)
				return verb;
			control_reply(control, index, "{\"error\":\"unknown request\"}");
			continue;
		}
		if (client->len == sizeof(client->line)) {
			control_reply(control, index, "{\"error\":\"request too long\"}");
			drop(control, client);
			break;
		}
		n = receive(control, client);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			break;
		if (n <= 0)
			drop(control, client);
		else
			client->len += (unsigned)n;
	}
	return CONTROL_NONE;
}

int control_take(struct control *control, uint32_t index)
{
	struct control_client *client = &control->client[index - 1];
	int fd;

	assert(index >= 1 && index <= CONTROL_CLIENTS_MAX);
	if (client->fd < 0 || client->len)
		return -1;
	loop_del(control->loop, client->fd);
	fd = take_fd(&client->fd);
	leave(control, client);
	return fd;
}

void control_reply(struct control *control, uint32_t index, const char *json)
{
	struct control_client *client = &control->client[index - 1];
	struct iovec iov[2] = {
		{(void *)(uintptr_t)json, strlen(json)},
		{(void *)(uintptr_t) "\n", 1},
	};
	struct msghdr msg = {.msg_iov = iov, .msg_iovlen = 2};

	assert(index >= 1 && index <= CONTROL_CLIENTS_MAX);
	if (client->fd >= 0 &&
	    sendmsg(client->fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT) != (ssize_t)(iov[0].iov_len + 1))
		drop(control, client);
}

const char *control_args(const struct control *control, uint32_t index)
{
	assert(index >= 1 && index <= CONTROL_CLIENTS_MAX);
	return control->client[index - 1].args;
}

unsigned control_take_fds(struct control *control, uint32_t index, int **ret)
{
	struct control_client *client = &control->client[index - 1];
	unsigned n = client->nfds;

	assert(index >= 1 && index <= CONTROL_CLIENTS_MAX);
	*ret = client->fds;
	client->fds = NULL;
	client->nfds = 0;
	return n;
}

uint64_t control_wait(struct control *control, uint32_t index)
{
	struct control_client *client = &control->client[index - 1];

	assert(index >= 1 && index <= CONTROL_CLIENTS_MAX);
	client->waiting = true;
	loop_set(control->loop, client->fd, 0, LOOP_CONTROL, index);
	return client->serial;
}

bool control_answer(struct control *control, uint32_t index, uint64_t serial, const char *json)
{
	struct control_client *client = &control->client[index - 1];

	assert(index >= 1 && index <= CONTROL_CLIENTS_MAX);
	if (client->fd < 0 || client->serial != serial || !client->waiting)
		return false;
	client->waiting = false;
	loop_set(control->loop, client->fd, EPOLLIN, LOOP_CONTROL, index);
	control_reply(control, index, json);
	return client->fd >= 0 && memchr(client->line, '\n', client->len) != NULL;
}

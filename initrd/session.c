/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A session begins with a connection back to the host, over which its request comes; then the command
 * is started and its streams are relayed as an app's are. It ends in one of two ways. The command
 * ends: its streams are drained, then its status is sent. Or the control connection does: the
 * command's process group is killed and the session is free when the command was reaped.
 *
 * The host is trusted, but its clients come and go as they like: nothing here waits for one. What is
 * sent on a control connection fits into the credit it has from the start.
 */
#include "initrd/session.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <termios.h>
#include <unistd.h>

#include "initrd/control.h"

/* A request nobody can act on; there is no code of an app for that. */
#define CODE_REFUSED 254

enum session_state {
	SESSION_FREE,
	SESSION_ASKED,	 /* the request is awaited */
	SESSION_RUNNING, /* the command runs */
	SESSION_ENDING,	 /* it has ended; its output is on its way */
	SESSION_LOST,	 /* nobody is interested any more; the command is being killed */
};

static struct session {
	enum session_state state;
	bool tty;
	pid_t pid;
	int status;
	uint64_t cookie;
	struct init_control control;
	struct init_stream stream[INIT_APP_STREAMS];
} sessions[AGENT_SESSIONS_MAX];

/* Large ones apart: untouched pages of them cost nothing. */
static uint8_t requests[AGENT_SESSIONS_MAX][AGENT_EXEC_MAX];
static struct init_flow flows[AGENT_SESSIONS_MAX][INIT_APP_STREAMS];

static void close_streams(struct session *s)
{
	for (unsigned i = 0; i < INIT_APP_STREAMS; i++)
		if (s->stream[i].used)
			init_stream_close(&s->stream[i]);
}

static void free_session(struct session *s)
{
	close_streams(s);
	if (s->control.fd >= 0)
		close(s->control.fd);
	s->control.fd = -1;
	s->state = SESSION_FREE;
}

static void lose(struct session *s)
{
	if (s->state != SESSION_RUNNING) {
		free_session(s);
		return;
	}
	kill(-s->pid, SIGKILL);
	free_session(s);
	s->state = SESSION_LOST;
}

static int dial(unsigned n, uint64_t cookie)
{
	const struct agent_session_stream hello = {
		.magic = AGENT_STREAM_MAGIC,
		.session = (uint16_t)n,
		.kind = AGENT_CONTROL,
		.cookie = cookie,
	};
	int fd = init_dial(AGENT_PORT_SESSION);

	if (fd >= 0 && send(fd, &hello, sizeof(hello), MSG_NOSIGNAL) != sizeof(hello)) {
		close(fd);
		return -1;
	}
	return fd;
}

static void send_failure(struct session *s, int code, const struct init_text *why)
{
	uint8_t payload[AGENT_TEXT_MAX];
	const uint32_t code32 = (uint32_t)code;

	memcpy(payload, &code32, sizeof(code32));
	memcpy(payload + sizeof(code32), why->s, why->len);
	init_control_send(&s->control, AGENT_FAILED, 0, payload, sizeof(code32) + why->len);
	free_session(s);
}

void init_session_open(const struct init_session_host *host, unsigned n, uint64_t cookie)
{
	struct epoll_event ev = {.events = EPOLLIN,
				 .data.u64 = host->key | n << 8 | INIT_SESSION_CONTROL};
	struct session s = {
		.state = SESSION_ASKED,
		.cookie = cookie,
		.control = {.fd = dial(n, cookie), .max = AGENT_EXEC_MAX},
	};

	if (s.control.fd < 0)
		return;
	if (n >= AGENT_SESSIONS_MAX || sessions[n].state != SESSION_FREE) {
		/* one that was given up, and whose command is not reaped yet */
		struct init_text why;

		init_text_set(&why, 0, "the session's last command is still being killed");
		send_failure(&s, CODE_REFUSED, &why);
		return;
	}
	s.control.payload = requests[n];
	if (epoll_ctl(host->epfd, EPOLL_CTL_ADD, s.control.fd, &ev) < 0)
		close(s.control.fd);
	else
		sessions[n] = s;
}

static const struct init_app *find_app(const struct init_session_host *host, const char *name)
{
	for (unsigned i = 0; i < host->napps; i++)
		if (host->apps[i].plan && !strcmp(host->apps[i].plan->name, name))
			return &host->apps[i];
	return NULL;
}

static bool open_streams(const struct init_session_host *host, struct session *s,
			 const struct init_app_ends *ends)
{
	unsigned n = (unsigned)(s - sessions);
	bool good = true;

	for (unsigned i = 0; i < INIT_APP_STREAMS; i++) {
		struct init_stream *stream = &s->stream[i];

		if (ends->fd[i] < 0)
			continue;
		*stream = (struct init_stream){
			.session = true,
			.app = (uint16_t)n,
			.cookie = s->cookie,
			.kind = s->tty ? AGENT_TTY : (uint8_t)i,
			.in = i == 0 ? &flows[n][0] : NULL,
			.out = i != 0 || s->tty ? &flows[n][1 + i % 2] : NULL,
		};
		for (unsigned k = 0; k < 2; k++) {
			struct init_flow *flow = k ? stream->in : stream->out;

			if (flow) { /* another session's before */
				flow->ended = false;
				flow->off = flow->len = 0;
			}
		}
		good &= init_stream_open(stream, host->epfd, host->key | n << 8 | i, ends->fd[i]) ==
			0;
	}
	return good;
}

/* The request is there: start the command. */
static void start(const struct init_session_host *host, struct session *s)
{
	static char *pool[INIT_REQUEST_POOL_MAX],
		*environment[INIT_REQUEST_POOL_MAX + INIT_POOL_MAX];
	const struct init_app *app;
	struct init_plan_app request;
	struct init_app_ends ends;
	struct init_text why;
	int code;

	if (init_request_decode(s->control.payload, s->control.hdr.len, pool, &request, &why) < 0) {
		send_failure(s, CODE_REFUSED, &why);
		return;
	}
	app = find_app(host, request.name);
	if (!app || app->state != INIT_APP_RUNNING || app->ns < 0) {
		init_text_set(&why, 0, "app \"");
		init_text_add(&why, request.name);
		init_text_add(&why, "\" does not run");
		send_failure(s, CODE_REFUSED, &why);
		return;
	}
	code = init_app_enter(app, &request, environment, &ends, &s->pid, &why);
	if (code != 0) {
		send_failure(s, code, &why);
		return;
	}
	s->tty = request.flags & PLAN_TTY;
	s->state = SESSION_RUNNING;
	s->control.max = INIT_MESSAGE_MAX;
	if (!open_streams(host, s, &ends) ||
	    init_control_send(&s->control, AGENT_STARTED, 0, NULL, 0) < 0)
		lose(s);
}

/* A message to a command that runs; one of no sense is the client's affair. */
static void act(struct session *s)
{
	const uint8_t *p = s->control.payload;
	const struct agent_hdr *hdr = &s->control.hdr;
	struct winsize size;
	uint32_t sig;

	if (hdr->type == AGENT_SIGNAL && hdr->len == sizeof(sig)) {
		memcpy(&sig, p, sizeof(sig));
		if (s->state == SESSION_RUNNING && sig > 0 && sig < NSIG)
			kill(-s->pid, (int)sig);
	} else if (hdr->type == AGENT_WINSIZE && hdr->len == 4 && s->tty && s->stream[0].used) {
		size = (struct winsize){.ws_row = (uint16_t)(p[0] | p[1] << 8),
					.ws_col = (uint16_t)(p[2] | p[3] << 8)};
		ioctl(s->stream[0].local, TIOCSWINSZ, &size);
	}
}

static void receive(const struct init_session_host *host, struct session *s)
{
	int r = 0;

	while (s->state != SESSION_FREE && s->state != SESSION_LOST &&
	       (r = init_control_receive(&s->control, false)) > 0) {
		if (s->state != SESSION_ASKED)
			act(s);
		else if (s->control.hdr.type == AGENT_EXEC)
			start(host, s);
		else
			lose(s);
	}
	if (r < 0)
		lose(s);
}

/* Deliver what there is; the status comes last. True: there is more. */
static bool finish(struct session *s)
{
	const uint32_t status = (uint32_t)s->status;
	bool ended = true, more = false;

	for (unsigned i = 0; i < INIT_APP_STREAMS; i++) {
		enum init_pump pump = init_stream_drain(&s->stream[i]);

		ended &= pump == INIT_PUMP_ENDED;
		more |= pump == INIT_PUMP_MORE;
	}
	if (ended) {
		init_control_send(&s->control, AGENT_EXITED, 0, &status, sizeof(status));
		free_session(s);
	}
	return more;
}

static bool pump(struct session *s, struct init_stream *stream)
{
	enum init_pump pumped;

	if (s->state == SESSION_ENDING)
		return finish(s);
	pumped = init_stream_pump(stream);
	/* whoever had the terminal has gone: the kernel has told the command, who leads its session */
	return pumped == INIT_PUMP_MORE;
}

bool init_session_event(const struct init_session_host *host, unsigned n, unsigned stream)
{
	struct session *s = &sessions[n];

	if (stream == INIT_SESSION_CONTROL) {
		if (s->state != SESSION_FREE && s->control.fd >= 0)
			receive(host, s);
		return false;
	}
	return s->stream[stream].used && pump(s, &s->stream[stream]);
}

bool init_session_pump_all(void)
{
	bool more = false;

	for (unsigned n = 0; n < AGENT_SESSIONS_MAX; n++)
		for (unsigned i = 0; i < INIT_APP_STREAMS; i++)
			if (sessions[n].stream[i].used)
				more |= pump(&sessions[n], &sessions[n].stream[i]);
	return more;
}

bool init_session_reaped(pid_t pid, int status)
{
	for (unsigned n = 0; n < AGENT_SESSIONS_MAX; n++) {
		struct session *s = &sessions[n];

		if (s->pid != pid || (s->state != SESSION_RUNNING && s->state != SESSION_LOST))
			continue;
		if (s->state == SESSION_LOST) {
			s->state = SESSION_FREE;
			return true;
		}
		s->status = status;
		s->state = SESSION_ENDING;
		finish(s);
		return true;
	}
	return false;
}

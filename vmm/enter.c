/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A session's client. It has a connection to the VMM for the session's messages and one for each of
 * its streams, and moves bytes between those and its own descriptors, one small buffer each way. It
 * is done when the command's status has come and all output was written.
 *
 * A write follows a poll(2) that said that there is room, of at most PIPE_BUF bytes, so that a pipe
 * nobody reads does not keep signals and the other streams waiting.
 *
 * What comes from the guest is hostile: messages have a fixed maximum length, its texts are escaped.
 */
#include "vmm/enter.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/json.h"
#include "common/str.h"
#include "common/util.h"
#include "vmm/agent_proto.h"
#include "vmm/dial.h"
#include "vmm/plan.h"
#include "vmm/pump.h"
#include "vmm/stage1.h"
#include "vmm/tty.h"

#define STREAMS 3

enum progress {
	ASKED,
	STARTED,
	ENDED, /* code is known */
};

struct enter {
	const char *app;
	char *const *command;
	bool with_tty;
	struct tty tty;
	int control, sigfd;
	int sock[STREAMS]; /* by enum agent_stream_kind; a terminal is the first */
	struct pump pump[STREAMS];
	enum progress progress;
	int code;
	size_t have; /* of a message */
	uint8_t message[sizeof(struct agent_hdr) + AGENT_TEXT_MAX];
};

static int parse(int argc, char *const *argv, struct enter *ret, struct error *err)
{
	int i;

	for (i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
		if (str_starts_with(argv[i], "--appname="))
			ret->app = argv[i] + strlen("--appname=");
		else if (!str_starts_with(argv[i], "--pid=")) /* the socket says who it is */
			return error_set(err, -EINVAL, "unknown argument %s", argv[i]);
	}
	if (!ret->app || i + 1 >= argc)
		return error_set(err, -EINVAL,
				 "usage: %s [--pid=PID] --appname=APP -- CMD [ARGS...]", argv[0]);
	ret->command = argv + i + 1;
	return 0;
}

/* Connect and send a verb, whose answer has the session's number (if one is wanted). */
static int open_stream(const char *verb, int *ret_fd, int64_t *ret_session, struct error *err)
{
	cleanup_json struct json_object *json = NULL;
	cleanup_fd int fd = -1;
	int r = dial_ask(verb, &fd, &json, err);

	if (r == 0 && ret_session)
		r = json_get_int(json, "session", 0, AGENT_SESSIONS_MAX - 1, ret_session, err);
	if (r == 0)
		*ret_fd = take_fd(&fd);
	return r;
}

static int open_streams(struct enter *enter, struct error *err)
{
	int64_t session = -1;
	int r = open_stream("session", &enter->control, &session, err);

	if (r == 0 && session < 0)
		r = error_set(err, -EPROTO, "the pod opens no session");
	for (int kind = 0; r == 0 && kind < STREAMS; kind++) {
		cleanup_free char *verb =
			xasprintf("stream %d %d", (int)session, enter->with_tty ? AGENT_TTY : kind);

		r = open_stream(verb, &enter->sock[kind], NULL, err);
		if (enter->with_tty)
			break;
	}
	return r;
}

static int send_message(struct enter *enter, enum agent_type type, const void *data, size_t len,
			struct error *err)
{
	struct agent_hdr hdr = {.len = (uint32_t)len, .type = (uint16_t)type};
	struct iovec iov[2] = {{&hdr, sizeof(hdr)}, {(void *)(uintptr_t)data, len}};
	struct msghdr msg = {.msg_iov = iov, .msg_iovlen = 2};

	while (iov[0].iov_len + iov[1].iov_len) {
		ssize_t n = sendmsg(enter->control, &msg, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return error_errno(err, "talking to the pod");
		for (int i = 0; i < 2; i++) {
			size_t part = MIN((size_t)n, iov[i].iov_len);

			iov[i].iov_base = (char *)iov[i].iov_base + part;
			iov[i].iov_len -= part;
			n -= (ssize_t)part;
		}
	}
	return 0;
}

/* The window's size is asked for at the last moment: it may just have changed. */
static int send_size(struct enter *enter, struct error *err)
{
	uint16_t size[2];

	tty_size(STDIN_FILENO, &size[0], &size[1]);
	return send_message(enter, AGENT_WINSIZE, size, sizeof(size), err);
}

static int send_request(struct enter *enter, struct error *err)
{
	const uint32_t flags = enter->with_tty ? PLAN_TTY : 0;
	const char *term = getenv("TERM");
	cleanup_free char *term_env = xasprintf("TERM=%s", term && *term ? term : "vt100");
	cleanup_str struct str out = STR_INIT;
	uint16_t size[2];

	plan_put(&out, PLAN_APP, enter->app, strlen(enter->app));
	for (char *const *arg = enter->command; *arg; arg++)
		plan_put(&out, PLAN_ARG, *arg, strlen(*arg));
	plan_put(&out, PLAN_ENV, term_env, strlen(term_env));
	plan_put(&out, PLAN_FLAGS, &flags, sizeof(flags));
	if (enter->with_tty) {
		tty_size(STDIN_FILENO, &size[0], &size[1]);
		plan_put(&out, PLAN_WINSIZE, size, sizeof(size));
	}
	if (out.len > AGENT_EXEC_MAX)
		return error_set(err, -E2BIG, "the command is too long: %zu bytes, at most %u",
				 out.len, AGENT_EXEC_MAX);
	return send_message(enter, AGENT_EXEC, out.s, out.len, err);
}

static int catch_signals(struct enter *enter, struct error *err)
{
	static const int signals[] = {SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGWINCH};
	sigset_t set;

	sigemptyset(&set);
	for (unsigned i = 0; i < ARRAY_SIZE(signals); i++)
		sigaddset(&set, signals[i]);
	signal(SIGPIPE, SIG_IGN);
	sigprocmask(SIG_SETMASK, &set, NULL);
	enter->sigfd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return enter->sigfd < 0 ? error_errno(err, "signalfd") : 0;
}

static int on_signal(struct enter *enter, struct error *err)
{
	struct signalfd_siginfo info;
	int r = 0;

	while (r == 0 && read(enter->sigfd, &info, sizeof(info)) == sizeof(info)) {
		if (info.ssi_signo != SIGWINCH)
			r = send_message(enter, AGENT_SIGNAL, &info.ssi_signo, sizeof(uint32_t),
					 err);
		else if (enter->with_tty)
			r = send_size(enter, err);
	}
	return r;
}

/* Init's text, line by line and harmless. */
static void print_text(const uint8_t *text, size_t len)
{
	cleanup_str struct str out = STR_INIT;

	while (len) {
		const uint8_t *nl = memchr(text, '\n', len);
		size_t n = nl ? (size_t)(nl - text) : len;

		str_add_escaped(&out, (const char *)text, n);
		str_add(&out, "\n");
		n += nl != NULL;
		text += n;
		len -= n;
	}
	(void)!write(STDERR_FILENO, str_get(&out), out.len);
}

static int on_message(struct enter *enter, const struct agent_hdr *hdr, const uint8_t *p,
		      struct error *err)
{
	uint32_t code;

	if (hdr->type == AGENT_STARTED && enter->progress == ASKED) {
		enter->progress = STARTED;
		return enter->with_tty ? tty_raw(&enter->tty, STDIN_FILENO, err) : 0;
	}
	if (hdr->len >= sizeof(code) &&
	    ((hdr->type == AGENT_FAILED && enter->progress == ASKED) ||
	     (hdr->type == AGENT_EXITED && enter->progress == STARTED))) {
		memcpy(&code, p, sizeof(code));
		if (hdr->type == AGENT_FAILED)
			print_text(p + sizeof(code), hdr->len - sizeof(code));
		enter->code = hdr->type == AGENT_EXITED	 ? stage1_exit_code(code)
			      : code >= 1 && code <= 255 ? (int)code
							 : STAGE1_EXIT_FAILURE;
		enter->progress = ENDED;
		return 0;
	}
	return error_set(err, -EPROTO, "init sent message %u, which is not due", hdr->type);
}

static int on_control(struct enter *enter, struct error *err)
{
	struct agent_hdr hdr = {.len = 0};
	size_t want = sizeof(hdr);
	ssize_t n;

	if (enter->have >= sizeof(hdr)) {
		memcpy(&hdr, enter->message, sizeof(hdr));
		want += hdr.len;
	}
	n = recv(enter->control, enter->message + enter->have, want - enter->have, MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (n <= 0)
		return error_set(err, -EPIPE, "the pod has ended, or its app");
	enter->have += (size_t)n;
	if (enter->have < sizeof(hdr))
		return 0;
	memcpy(&hdr, enter->message, sizeof(hdr));
	if (hdr.len > AGENT_TEXT_MAX)
		return error_set(err, -EPROTO, "init sent a message of %u bytes", hdr.len);
	if (enter->have < sizeof(hdr) + hdr.len)
		return 0;
	enter->have = 0;
	return on_message(enter, &hdr, enter->message + sizeof(hdr), err);
}

static void set_pumps(struct enter *enter)
{
	const struct pump none = {.from = -1, .to = -1};

	for (int i = 0; i < STREAMS; i++)
		enter->pump[i] = none;
	enter->pump[0] = (struct pump){.from = STDIN_FILENO, .to = enter->sock[0], .to_pod = true};
	if (enter->with_tty) {
		enter->pump[1] = (struct pump){.from = enter->sock[0], .to = STDOUT_FILENO};
		return;
	}
	for (int i = 1; i < STREAMS; i++)
		enter->pump[i] = (struct pump){.from = enter->sock[i], .to = i};
}

/* Whether all output was written. */
static bool is_delivered(const struct enter *enter)
{
	for (int i = 0; i < STREAMS; i++)
		if (enter->pump[i].from >= 0 && !enter->pump[i].to_pod)
			return false;
	return true;
}

static int turn(struct enter *enter, int timeout_ms, struct error *err)
{
	struct pollfd fds[2 + STREAMS] = {
		{.fd = enter->sigfd, .events = POLLIN},
		{.fd = enter->progress == ENDED ? -1 : enter->control, .events = POLLIN},
	};
	int r = 0, n;

	for (int i = 0; i < STREAMS; i++) {
		const struct pump *p = &enter->pump[i];

		/* nothing is typed for a command that does not run */
		if (enter->progress == STARTED || !p->to_pod)
			fds[2 + i] = pump_poll(p);
		else
			fds[2 + i].fd = -1;
	}
	n = poll(fds, ARRAY_SIZE(fds), timeout_ms);
	if (n == 0)
		return error_set(err, -ETIMEDOUT, "the pod does not start the command");
	if (fds[0].revents)
		r = on_signal(enter, err);
	if (r == 0 && fds[1].revents)
		r = on_control(enter, err);
	for (int i = 0; r == 0 && i < STREAMS; i++)
		if (fds[2 + i].revents)
			pump_turn(&enter->pump[i]);
	return r;
}

static int relay(struct enter *enter, struct error *err)
{
	uint64_t until = clock_now_ns() + UINT64_C(1000000) * ENTER_START_TIMEOUT_MS;
	int r = 0;

	set_pumps(enter);
	while (r == 0 && (enter->progress != ENDED || !is_delivered(enter))) {
		uint64_t now = clock_now_ns();
		int left = until > now ? (int)((until - now) / 1000000) : 0;

		r = turn(enter, enter->progress == ASKED ? left : -1, err);
	}
	return r;
}

int enter_pod(int argc, char *const *argv, int *ret_status, struct error *err)
{
	struct enter enter = {
		.with_tty = isatty(STDIN_FILENO) && isatty(STDOUT_FILENO),
		.tty = TTY_INIT,
		.control = -1,
		.sigfd = -1,
		.sock = {-1, -1, -1},
	};
	int r = parse(argc, argv, &enter, err);

	if (r == 0)
		r = open_streams(&enter, err);
	if (r == 0)
		r = catch_signals(&enter, err);
	if (r == 0)
		r = send_request(&enter, err);
	if (r == 0)
		r = relay(&enter, err);
	tty_restore(&enter.tty);
	close_fd(&enter.sigfd);
	close_fd(&enter.control);
	for (int i = 0; i < STREAMS; i++)
		close_fd(&enter.sock[i]);
	if (r == 0)
		*ret_status = enter.code;
	return r;
}

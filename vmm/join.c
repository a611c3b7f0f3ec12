/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/join.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "common/json.h"
#include "common/str.h"
#include "common/util.h"
#include "vmm/agent_proto.h"
#include "vmm/dial.h"
#include "vmm/pump.h"
#include "vmm/tty.h"

#define KINDS  4 /* stdin, stdout, stderr, tty */
#define PUMPS  3 /* by our descriptor */
#define SIGNAL PUMPS
#define ESCAPE 0x1d /* ^] */

static const char *const kind_names[KINDS] = {"stdin", "stdout", "stderr", "tty"};

struct join {
	const char *action, *app;
	bool offered[KINDS]; /* by the app */
	bool wanted[PUMPS];  /* of our descriptors; a terminal's two directions are the first two */
	bool tty;
	struct tty saved;
	int sock[PUMPS], sigfd;
	struct pump pump[PUMPS];
};

static int parse(int argc, char *const *argv, struct join *ret, struct error *err)
{
	for (int i = 1; i < argc; i++) {
		if (str_starts_with(argv[i], "--action="))
			ret->action = argv[i] + strlen("--action=");
		else if (str_starts_with(argv[i], "--app="))
			ret->app = argv[i] + strlen("--app=");
		else if (strcmp(argv[i], "--debug") != 0)
			return error_set(err, -EINVAL, "unknown argument %s", argv[i]);
	}
	if (!ret->action || !ret->app ||
	    (strcmp(ret->action, "list") && strcmp(ret->action, "auto-attach") &&
	     strcmp(ret->action, "custom-attach")))
		return error_set(err, -EINVAL,
				 "usage: %s --action=list|auto-attach|custom-attach --app=NAME",
				 argv[0]);
	return 0;
}

static int ask_endpoints(struct join *join, struct error *err)
{
	cleanup_free char *verb = xasprintf("endpoints %s", join->app);
	cleanup_json struct json_object *json = NULL;
	struct json_object *list = NULL;
	cleanup_fd int fd = -1;
	int r = dial_ask(verb, &fd, &json, err);

	if (r == 0)
		r = json_get_array(json, "endpoints", &list, err);
	for (size_t i = 0; r == 0 && list && i < json_object_array_length(list); i++) {
		const char *name = json_object_get_string(json_object_array_get_idx(list, i));

		for (unsigned k = 0; name && k < KINDS; k++)
			if (!strcmp(name, kind_names[k]))
				join->offered[k] = true;
	}
	return r;
}

static void print_endpoints(const struct join *join)
{
	for (unsigned k = 0; k < KINDS; k++) {
		if (!join->offered[k])
			continue;
		if (k == AGENT_TTY)
			puts("tty\ntty-in\ntty-out");
		else
			puts(kind_names[k]);
	}
}

static bool is_asked_for(const char *variable)
{
	const char *value = getenv(variable);

	return value && !strcmp(value, "true");
}

/* Which directions there will be. */
static int choose(struct join *join, struct error *err)
{
	static const char *const streams[PUMPS] = {"STAGE2_ATTACH_STDIN", "STAGE2_ATTACH_STDOUT",
						   "STAGE2_ATTACH_STDERR"};
	bool in = is_asked_for("STAGE2_ATTACH_TTYIN"), out = is_asked_for("STAGE2_ATTACH_TTYOUT");
	bool all = !strcmp(join->action, "auto-attach"), any = false;

	join->tty = all ? join->offered[AGENT_TTY] : in || out;
	for (unsigned i = 0; i < PUMPS; i++) {
		bool terminal = join->tty && i < 2;

		if (all)
			join->wanted[i] = terminal || join->offered[i];
		else
			join->wanted[i] = terminal ? (i ? out : in) : is_asked_for(streams[i]);
		if (join->wanted[i] && !join->offered[terminal ? AGENT_TTY : i])
			return error_set(err, -ENOENT, "app %s has no %s to attach to", join->app,
					 kind_names[terminal ? AGENT_TTY : i]);
		any |= join->wanted[i];
	}
	if (!any)
		return error_set(err, -ENOENT, "app %s has no streams to attach to", join->app);
	return 0;
}

static int connect_stream(const struct join *join, unsigned kind, int *ret, struct error *err)
{
	cleanup_free char *verb = xasprintf("attach %u %s", kind, join->app);
	cleanup_json struct json_object *json = NULL;

	return dial_ask(verb, ret, &json, err);
}

static int connect_streams(struct join *join, struct error *err)
{
	int r = 0;

	for (unsigned i = 0; r == 0 && i < PUMPS; i++) {
		struct pump *pump = &join->pump[i];

		if (!join->wanted[i])
			continue;
		if (join->tty && i == 1 && join->sock[0] >= 0)
			join->sock[1] = join->sock[0]; /* one connection for both directions */
		else
			r = connect_stream(join, join->tty && i < 2 ? AGENT_TTY : i, &join->sock[i],
					   err);
		if (i == 0)
			*pump = (struct pump){.from = 0, .to = join->sock[0], .to_pod = true};
		else
			*pump = (struct pump){.from = join->sock[i], .to = (int)i};
	}
	return r;
}

/* The app's terminal becomes as large as ours. A pod that is ending is no failure. */
static void send_size(const struct join *join)
{
	cleanup_json struct json_object *json = NULL;
	cleanup_free char *verb = NULL;
	struct error ignored = ERROR_INIT;
	cleanup_fd int fd = -1;
	uint16_t rows, columns;

	if (!join->tty || !isatty(STDOUT_FILENO))
		return;
	tty_size(STDOUT_FILENO, &rows, &columns);
	verb = xasprintf("winsize %u %u %s", rows, columns, join->app);
	(void)!dial_ask(verb, &fd, &json, &ignored);
}

static int catch_signals(struct join *join, struct error *err)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGWINCH);
	signal(SIGPIPE, SIG_IGN);
	sigprocmask(SIG_SETMASK, &set, NULL);
	join->sigfd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return join->sigfd < 0 ? error_errno(err, "signalfd") : 0;
}

/* False: the user has interrupted. */
static bool on_signal(const struct join *join)
{
	struct signalfd_siginfo info;

	while (read(join->sigfd, &info, sizeof(info)) == sizeof(info)) {
		if (info.ssi_signo != SIGWINCH)
			return false;
		send_size(join);
	}
	return true;
}

/*
 * With our terminal raw ^C is the app's, so ^] says that we want out. False then; what was typed before
 * is not sent any more.
 */
static bool goes_on(const struct join *join)
{
	const struct pump *in = &join->pump[0];

	return join->saved.fd < 0 || !in->len || !memchr(in->buf + in->off, ESCAPE, in->len);
}

/* Until an output ends; with input alone, until that does. */
static void relay(struct join *join)
{
	bool outputs = join->wanted[1] || join->wanted[2], more = true;

	while (more) {
		struct pollfd fds[PUMPS + 1] = {[SIGNAL] = {.fd = join->sigfd, .events = POLLIN}};

		for (unsigned i = 0; i < PUMPS; i++)
			fds[i] = pump_poll(&join->pump[i]);
		if (poll(fds, ARRAY_SIZE(fds), -1) < 0)
			continue;
		if (fds[SIGNAL].revents)
			more = on_signal(join);
		for (unsigned i = 0; i < PUMPS; i++) {
			struct pump *pump = &join->pump[i];

			if (!fds[i].revents)
				continue;
			pump_turn(pump);
			if (pump->from < 0 && (i > 0 || !outputs))
				more = false;
		}
		more = more && goes_on(join);
	}
}

int join_app(int argc, char *const *argv, struct error *err)
{
	struct join join = {
		.saved = TTY_INIT,
		.sock = {-1, -1, -1},
		.sigfd = -1,
		.pump = {PUMP_NONE, PUMP_NONE, PUMP_NONE},
	};
	int r = parse(argc, argv, &join, err);

	if (r == 0)
		r = ask_endpoints(&join, err);
	if (r < 0)
		return r;
	if (!strcmp(join.action, "list")) {
		print_endpoints(&join);
		return fflush(stdout) != 0 ? error_errno(err, "stdout") : 0;
	}
	r = choose(&join, err);
	if (r == 0)
		r = catch_signals(&join, err);
	if (r == 0)
		r = connect_streams(&join, err);
	if (r == 0 && join.tty && join.wanted[0] && isatty(STDIN_FILENO))
		r = tty_raw(&join.saved, STDIN_FILENO, err);
	if (r == 0) {
		send_size(&join);
		relay(&join);
	}
	tty_restore(&join.saved);
	if (join.sock[1] == join.sock[0])
		join.sock[1] = -1;
	for (unsigned i = 0; i < PUMPS; i++)
		close_fd(&join.sock[i]);
	close_fd(&join.sigfd);
	return r;
}

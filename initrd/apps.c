/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The life of an app.
 *
 *   WAITING --> PREPARING --> RUNNING --> ENDING <--> CLEANING
 *        \___________________/     \         \
 *                                   `--------> ENDED
 *
 * PREPARING is there with a pre-start handler: it has the app's streams, and the program is started
 * in its place when it ends well. If it does not, or the program can not be started, the app has
 * failed. ENDING kills what is left of the app's processes, runs the post-stop handler if anything of
 * the app has run (CLEANING), and comes back to kill what that has left. Then the output is drained
 * and the host is told.
 *
 * A request to end hits the pre-start handler as it hits the program, which is not started then. The
 * post-stop handler it does not hit: it is the end.
 */
#include "initrd/apps.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "initrd/disk.h"
#include "initrd/fatal.h"
#include "initrd/left.h"
#include "initrd/limit.h"
#include "initrd/mask.h"
#include "initrd/mount.h"
#include "initrd/stream.h"

/* Notifications that may wait when an app ends; the kernel keeps 10 for a socket. */
#define NOTICES_MAX 16

/* Large, and apart: untouched pages of them cost nothing. */
static struct init_flow flows[PLAN_APPS_MAX][INIT_APP_STREAMS];

static void say(struct init_apps *apps, unsigned type, const struct init_app *app,
		const void *payload, size_t len)
{
	init_say(apps->control, type, app->index, payload, len);
}

static void reset_flow(struct init_flow *flow)
{
	flow->ended = false;
	flow->off = flow->len = 0;
}

/* Hand our ends of an app's streams to the relay. */
static void open_streams(struct init_apps *apps, struct init_app *app,
			 const struct init_app_ends *ends)
{
	bool tty = app->plan->flags & PLAN_TTY;

	for (unsigned i = 0; i < INIT_APP_STREAMS; i++) {
		struct init_stream *stream = &app->stream[i];
		int r;

		if (ends->fd[i] < 0)
			continue;
		/* those of an earlier run, or of another app of that number, before */
		*stream = (struct init_stream){.used = false};
		reset_flow(&flows[app->index][i]);
		if (tty)
			reset_flow(&flows[app->index][1 + i % 2]);
		stream->app = (uint16_t)app->index;
		stream->kind = tty ? AGENT_TTY : (uint8_t)i;
		stream->in = i == 0 ? &flows[app->index][0] : NULL;
		stream->out = i != 0 || tty ? &flows[app->index][1 + i % 2] : NULL;
		r = init_stream_open(stream, apps->epfd,
				     apps->stream_key | (uint64_t)app->index << 8 | i, ends->fd[i]);
		if (r < 0)
			init_fatal_errno(apps->control, "opening a stream", r);
	}
}

static void report_failure(struct init_apps *apps, const struct init_app *app)
{
	uint8_t payload[AGENT_TEXT_MAX];
	const uint32_t code = (uint32_t)app->code;

	memcpy(payload, &code, sizeof(code));
	memcpy(payload + sizeof(code), app->failure.s, app->failure.len);
	say(apps, AGENT_FAILED, app, payload, sizeof(code) + app->failure.len);
}

static void has_failed(struct init_app *app, int code)
{
	app->code = code;
	app->state = INIT_APP_ENDING;
}

/* One part of an app whose root is made. */
static void run(struct init_apps *apps, struct init_app *app, enum init_app_part part)
{
	struct init_app_ends ends;
	int code = init_app_run(app, part, &ends, &app->failure);

	if (code != 0) {
		has_failed(app, code);
		return;
	}
	app->ran = true;
	open_streams(apps, app, &ends);
	if (part == INIT_APP_PRE_START) {
		app->state = INIT_APP_PREPARING;
		return;
	}
	app->state = INIT_APP_RUNNING;
	say(apps, AGENT_STARTED, app, NULL, 0);
}

static int watch_notify(struct init_apps *apps, struct init_app *app)
{
	struct epoll_event ev = {.events = EPOLLIN,
				 .data.u64 = apps->notify_key | (uint64_t)app->index << 8};

	return app->notify < 0 ? 0 : epoll_ctl(apps->epfd, EPOLL_CTL_ADD, app->notify, &ev);
}

/* An app of more than one program, or one that keeps talking to us. */
static void start_in_root(struct init_apps *apps, struct init_app *app)
{
	int code = init_app_make(app, apps->pod, &app->failure);

	if (code != 0) {
		has_failed(app, code);
		return;
	}
	if (watch_notify(apps, app) < 0)
		init_fatal_errno(apps->control, "epoll", errno);
	run(apps, app, app->plan->npre ? INIT_APP_PRE_START : INIT_APP_PROGRAM);
}

/* The root and the program in one go, which is the cheapest. */
static void start_at_once(struct init_apps *apps, struct init_app *app)
{
	struct init_app_ends ends;
	int code = init_app_start(app, apps->pod, &ends, &app->failure);

	if (code != 0) {
		has_failed(app, code);
		return;
	}
	app->ran = true;
	app->state = INIT_APP_RUNNING;
	open_streams(apps, app, &ends);
	say(apps, AGENT_STARTED, app, NULL, 0);
	init_left_hold(app);
}

/* What is put over files of the kernel is the same for all apps. */
static void make_masks(struct init_apps *apps, const struct init_plan *pod)
{
	static bool made;
	struct init_text why;
	uint32_t flags = 0;

	for (unsigned i = 0; i < pod->napps; i++)
		flags |= pod->app[i].flags;
	if (!(flags & PLAN_MASK_PATHS) || made)
		return;
	made = true;
	if (init_mask_make(&why) < 0)
		init_fatal(apps->control, &why);
}

int init_apps_add(struct init_apps *apps, unsigned n, const struct init_plan *pod,
		  struct init_text *why)
{
	struct init_app *app = &apps->app[n];
	int code;

	make_masks(apps, pod);
	code = init_app_make(app, pod, why);
	if (code == 0 && watch_notify(apps, app) < 0)
		init_fatal_errno(apps->control, "epoll", errno);
	return code;
}

int init_apps_again(struct init_apps *apps, unsigned n)
{
	struct init_app *app = &apps->app[n];

	if (app->state != INIT_APP_WAITING && app->state != INIT_APP_ENDED)
		return -EPROTO;
	app->code = app->asked = app->status = 0;
	app->ran = app->cleaned = false;
	run(apps, app, app->plan->npre ? INIT_APP_PRE_START : INIT_APP_PROGRAM);
	init_apps_end(apps);
	return 0;
}

void init_apps_start(struct init_apps *apps)
{
	struct init_text why;

	make_masks(apps, apps->pod);
	if (init_limit_prepare(apps->pod, &why) < 0 ||
	    ((apps->pod->mutable || apps->pod->napps > 1) && init_mount_shm(&why) < 0))
		init_fatal(apps->control, &why);
	for (unsigned i = 0; i < apps->pod->napps; i++) {
		struct init_app *app = &apps->app[i];

		init_app_prepare(app, &apps->pod->app[i], i);
		apps->n = i + 1;
		if (app->plan->npre || app->plan->npost || app->plan->flags & PLAN_NOTIFY)
			start_in_root(apps, app);
		else
			start_at_once(apps, app);
	}
	init_apps_end(apps);
}

static bool has_process(const struct init_app *app)
{
	return app->state == INIT_APP_PREPARING || app->state == INIT_APP_RUNNING ||
	       app->state == INIT_APP_CLEANING;
}

static bool others_run(const struct init_apps *apps, const struct init_app *app)
{
	for (unsigned i = 0; i < apps->n; i++)
		if (&apps->app[i] != app && has_process(&apps->app[i]))
			return true;
	return false;
}

/* One notification, if there is one. What is said before the program runs is nobody's. */
static bool take_notice(struct init_apps *apps, struct init_app *app)
{
	uint8_t text[AGENT_TEXT_MAX];
	ssize_t n = app->notify < 0 ? -1 : recv(app->notify, text, sizeof(text), MSG_DONTWAIT);
	bool live = app->state == INIT_APP_RUNNING || (app->state == INIT_APP_ENDING && !app->code);

	if (n > 0 && live)
		say(apps, AGENT_NOTICE, app, text, (size_t)n);
	return n >= 0;
}

/* Run the post-stop handler. False when there is none, or it can not be run and has said so. */
static bool clean(struct init_app *app)
{
	struct init_app_ends none;
	struct init_text why;

	if (!app->plan->npost || !app->ran || app->cleaned)
		return false;
	app->cleaned = true;
	if (init_app_run(app, INIT_APP_POST_STOP, &none, &why) == 0) {
		app->state = INIT_APP_CLEANING;
		return true;
	}
	init_text_add(&why, "\n");
	/* the pipe may be full, and it is init that empties it */
	fcntl(app->kept[2], F_SETFL, O_NONBLOCK);
	(void)!write(app->kept[2], why.s, why.len);
	return false;
}

/* Go on ending an app: kill, clean, drain, report. */
static void end_app(struct init_apps *apps, struct init_app *app)
{
	const uint32_t status = (uint32_t)app->status;
	bool ended = true;

	if (!init_left_kill(app, !others_run(apps, app)) || clean(app))
		return;
	init_app_release(app);
	for (unsigned i = 0; i < INIT_APP_STREAMS; i++) {
		enum init_pump pump = init_stream_drain(&app->stream[i]);

		ended &= pump == INIT_PUMP_ENDED;
		apps->more |= pump == INIT_PUMP_MORE;
	}
	if (!ended)
		return;
	if (apps->pod->disk && !others_run(apps, app))
		init_disk_sync();
	for (unsigned i = 0; i < NOTICES_MAX && take_notice(apps, app);)
		i++;
	app->state = INIT_APP_ENDED;
	if (app->code)
		report_failure(apps, app);
	else
		say(apps, AGENT_EXITED, app, &status, sizeof(status));
}

/* The pre-start handler has ended: go on with the program, or fail as it did. */
static void prepared(struct init_apps *apps, struct init_app *app, int status)
{
	struct init_text *why = &app->failure;

	if (status == 0 && !app->asked) {
		run(apps, app, INIT_APP_PROGRAM);
		return;
	}
	init_text_set(why, 0, "Error: ");
	if (app->asked) {
		init_text_add(why, "stopped before its program was started");
		has_failed(app, 128 + app->asked);
		return;
	}
	init_text_add(why, WIFSIGNALED(status) ? "the pre-start handler was killed by signal "
					       : "the pre-start handler ended with status ");
	init_text_add_num(why,
			  (uint64_t)(WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status)));
	has_failed(app, WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status));
}

bool init_apps_reaped(struct init_apps *apps, pid_t pid, int status)
{
	for (unsigned i = 0; i < apps->n; i++) {
		struct init_app *app = &apps->app[i];

		if (!has_process(app) || app->pid != pid)
			continue;
		if (app->state == INIT_APP_PREPARING) {
			prepared(apps, app, status);
			return true;
		}
		if (app->state == INIT_APP_RUNNING)
			app->status = status;
		app->state = INIT_APP_ENDING;
		return true;
	}
	return false;
}

void init_apps_end(struct init_apps *apps)
{
	for (unsigned i = 0; i < apps->n; i++)
		if (apps->app[i].state == INIT_APP_ENDING)
			end_app(apps, &apps->app[i]);
}

static void pump(struct init_apps *apps, struct init_app *app, struct init_stream *stream)
{
	enum init_pump pumped;

	if (app->state == INIT_APP_ENDING) {
		end_app(apps, app);
		return;
	}
	pumped = init_stream_pump(stream);
	if (pumped == INIT_PUMP_MORE)
		apps->more = true;
	/* the terminal has gone; the kernel would tell its session's leader, which is init */
	if (pumped == INIT_PUMP_ENDED && app->plan->flags & PLAN_TTY && has_process(app))
		kill(app->pid, SIGHUP);
}

void init_apps_pump(struct init_apps *apps, unsigned app, unsigned stream)
{
	if (apps->app[app].stream[stream].used)
		pump(apps, &apps->app[app], &apps->app[app].stream[stream]);
}

/* Pumping one that has nothing is cheap and harmless. */
void init_apps_pump_all(struct init_apps *apps)
{
	apps->more = false;
	for (unsigned i = 0; i < apps->n; i++)
		for (unsigned j = 0; j < INIT_APP_STREAMS; j++)
			init_apps_pump(apps, i, j);
}

void init_apps_notified(struct init_apps *apps, unsigned app)
{
	take_notice(apps, &apps->app[app]);
}

void init_apps_signal(struct init_apps *apps, unsigned n, int sig)
{
	struct init_app *app = &apps->app[n];

	if (app->state == INIT_APP_PREPARING)
		app->asked = sig;
	if (app->state == INIT_APP_PREPARING || app->state == INIT_APP_RUNNING ||
	    (app->state == INIT_APP_CLEANING && sig == SIGKILL))
		kill(app->pid, sig);
}

void init_apps_resize(struct init_apps *apps, unsigned n, const uint8_t *payload)
{
	struct init_app *app = &apps->app[n];
	struct winsize size = {.ws_row = (uint16_t)(payload[0] | payload[1] << 8),
			       .ws_col = (uint16_t)(payload[2] | payload[3] << 8)};

	if (app->stream[0].used && app->plan->flags & PLAN_TTY)
		ioctl(app->stream[0].local, TIOCSWINSZ, &size);
}

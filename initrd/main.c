/* SPDX-License-Identifier: Apache-2.0 */
/*
 * PID 1 of the guest.
 *
 * Dial the host, say hello, get the plan, start the apps in its order, then one loop: relay
 * streams, forward signals, reap, report. Every system call before an app's execve(2) is start-up
 * time of the pod, so what can wait comes after it, and what not every pod needs is done when it is
 * needed.
 *
 * Init never ends by itself: the VMM ends the VM. If it can not go on it says why, to the VMM and
 * to the kernel's log, and exits, which is a kernel panic and ends the pod too.
 */
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/sysinfo.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "initrd/app.h"
#include "initrd/control.h"
#include "initrd/disk.h"
#include "initrd/left.h"
#include "initrd/mask.h"
#include "initrd/metadata.h"
#include "initrd/mount.h"
#include "initrd/net.h"
#include "initrd/plan.h"
#include "initrd/session.h"
#include "initrd/stream.h"
#include "initrd/text.h"
#include "initrd/tpm.h"
#include "initrd/volume.h"

/* Memory the kernel keeps for itself of what the VM boots with, at most; and less than one step. */
#define MEMORY_SLACK (UINT64_C(64) << 20)
/* Between looks at how much memory has come online. */
#define MEMORY_POLL_MS 10
/* Without any progress in this time no more memory will come. */
#define MEMORY_TIMEOUT_MS 20000

#define EVENTS 16

enum key_kind {
	KEY_CONTROL,
	KEY_SIGNAL,
	KEY_STREAM,
	KEY_SESSION,
	KEY_METADATA,
};

#define KEY(kind, app, stream) ((uint64_t)(kind) << 32 | (uint64_t)(app) << 8 | (stream))
#define KEY_KIND(key)	       ((key) >> 32)
#define KEY_APP(key)	       ((key) >> 8 & 0xff)
#define KEY_STREAM_OF(key)     ((key)&0xff)

static struct init {
	struct init_control control;
	int epfd, sigfd;
	struct init_plan plan;
	unsigned running; /* apps in INIT_APP_RUNNING */
	bool more;	  /* a stream gave way to others */
	uint8_t message[INIT_MESSAGE_MAX];
	struct init_app app[PLAN_APPS_MAX];
	struct init_session_host sessions;
} init;

/* Large ones apart: untouched pages of them cost nothing. */
static uint8_t plan_bytes[AGENT_PLAN_MAX];
static char *plan_pool[INIT_POOL_MAX];
static struct init_flow flows[PLAN_APPS_MAX][INIT_APP_STREAMS];

/* Tell the kernel's log and the host why the pod can not go on, and end. */
__attribute__((noreturn)) static void fatal(const struct init_text *why)
{
	int kmsg = open("/dev/kmsg", O_WRONLY | O_CLOEXEC);
	struct init_text line = {.len = 0};

	init_text_add(&line, "<2>init: ");
	init_text_addn(&line, why->s, why->len);
	if (kmsg >= 0 && write(kmsg, line.s, line.len) < 0)
		close(kmsg);
	if (init.control.fd >= 0 &&
	    init_control_send(&init.control, AGENT_FATAL, AGENT_ALL_APPS, why->s, why->len) == 0) {
		/* the host ends the VM; an end of the connection says that it does not */
		init.control.max = 0;
		while (init_control_receive(&init.control, true) >= 0)
			;
	}
	_exit(1);
}

__attribute__((noreturn)) static void fatal_errno(const char *what, int code)
{
	struct init_text why;

	init_text_set(&why, code, what);
	init_text_add_errno(&why, code);
	fatal(&why);
}

static void control_send(unsigned type, unsigned app, const void *payload, size_t len)
{
	int r = init_control_send(&init.control, type, app, payload, len);

	if (r < 0)
		fatal_errno("talking to the host", r);
}

/* Loopback needs no address: the kernel gives it 127.0.0.1 when it comes up. */
static void loopback_up(void)
{
	struct ifreq ifr = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_LOOPBACK | IFF_RUNNING};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &ifr) < 0)
		fatal_errno("loopback", errno);
	close(fd);
}

static void set_up_signals(void)
{
	sigset_t mask;

	/* SIGPIPE only where init is not PID 1 of the kernel's: nothing acts on it here */
	sigemptyset(&mask);
	sigaddset(&mask, SIGCHLD);
	sigaddset(&mask, SIGPIPE);
	sigaddset(&mask, SIGTTOU); /* for app.c: of no effect on PID 1 either */
	sigprocmask(SIG_BLOCK, &mask, NULL);
	init.sigfd = signalfd(-1, &mask, SFD_NONBLOCK | SFD_CLOEXEC);
	if (init.sigfd < 0)
		fatal_errno("signalfd", errno);
}

static void watch(int fd, enum key_kind kind)
{
	struct epoll_event ev = {.events = EPOLLIN, .data.u64 = KEY(kind, 0, 0)};

	if (epoll_ctl(init.epfd, EPOLL_CTL_ADD, fd, &ev) < 0)
		fatal_errno("epoll", errno);
}

static void get_plan(void)
{
	const uint32_t hello[2] = {AGENT_VERSION, 0};
	struct init_text why;
	int r;

	control_send(AGENT_HELLO, AGENT_ALL_APPS, hello, sizeof(hello));
	init.control.payload = plan_bytes;
	init.control.max = sizeof(plan_bytes);
	r = init_control_receive(&init.control, true);
	if (r < 0)
		fatal_errno("waiting for the plan", r);
	if (init.control.hdr.type != AGENT_PLAN)
		fatal_errno("waiting for the plan", EPROTO);
	if (init_plan_decode(plan_bytes, init.control.hdr.len, plan_pool, &init.plan, &why) < 0)
		fatal(&why);
	init.control.payload = init.message;
	init.control.max = sizeof(init.message);
}

/* Wait until the memory the plan tells of is online: the VM boots with little and grows. */
static void wait_for_memory(void)
{
	const struct timespec pause = {.tv_nsec = MEMORY_POLL_MS * 1000000L};
	uint64_t seen = 0;
	int waited = 0;

	for (;;) {
		struct sysinfo info;
		struct init_text why;
		uint64_t now;

		if (sysinfo(&info) < 0)
			fatal_errno("sysinfo", errno);
		now = (uint64_t)info.totalram * info.mem_unit;
		if (now + MEMORY_SLACK >= init.plan.memory) {
			if (init_mount_resize(now, &why) < 0)
				fatal(&why);
			return;
		}
		waited = now > seen ? 0 : waited + MEMORY_POLL_MS;
		seen = now;
		if (waited > MEMORY_TIMEOUT_MS) {
			init_text_set(&why, 0, "memory: only ");
			init_text_add_num(&why, now >> 20);
			init_text_add(&why, " of ");
			init_text_add_num(&why, init.plan.memory >> 20);
			init_text_add(&why, " MiB came online");
			fatal(&why);
		}
		nanosleep(&pause, NULL);
	}
}

/* Hand our ends of an app's streams to the relay. */
static void open_streams(struct init_app *app, const struct init_app_ends *ends)
{
	bool tty = app->plan->flags & PLAN_TTY;

	for (unsigned i = 0; i < INIT_APP_STREAMS; i++) {
		struct init_stream *stream = &app->stream[i];
		int r;

		if (ends->fd[i] < 0)
			continue;
		stream->app = (uint16_t)app->index;
		stream->kind = tty ? AGENT_TTY : (uint8_t)i;
		stream->in = i == 0 ? &flows[app->index][0] : NULL;
		stream->out = i != 0 || tty ? &flows[app->index][1 + i % 2] : NULL;
		r = init_stream_open(stream, init.epfd, KEY(KEY_STREAM, app->index, i),
				     ends->fd[i]);
		if (r < 0)
			fatal_errno("opening a stream", r);
	}
}

static void report_failure(struct init_app *app, int code, const struct init_text *why)
{
	uint8_t payload[AGENT_TEXT_MAX];
	const uint32_t code32 = (uint32_t)code;

	memcpy(payload, &code32, sizeof(code32));
	memcpy(payload + sizeof(code32), why->s, why->len);
	control_send(AGENT_FAILED, app->index, payload, sizeof(code32) + why->len);
	app->state = INIT_APP_ENDED;
}

/* What is put over files of the kernel is the same for all apps. */
static void make_masks(void)
{
	struct init_text why;
	uint32_t flags = 0;

	for (unsigned i = 0; i < init.plan.napps; i++)
		flags |= init.plan.app[i].flags;
	if (flags & PLAN_MASK_PATHS && init_mask_make(&why) < 0)
		fatal(&why);
}

static void start_apps(void)
{
	struct init_text why;

	make_masks();
	for (unsigned i = 0; i < init.plan.napps; i++) {
		struct init_app *app = &init.app[i];
		struct init_app_ends ends;
		int code;

		app->plan = &init.plan.app[i];
		app->index = i;
		app->ns = -1;
		code = init_app_start(app, &init.plan, &ends, &why);
		if (code != 0) {
			report_failure(app, code, &why);
			continue;
		}
		app->state = INIT_APP_RUNNING;
		init.running++;
		open_streams(app, &ends);
		control_send(AGENT_STARTED, i, NULL, 0);
		init_left_hold(app);
	}
}

/* Go on ending an app: kill, drain, report. */
static void end_app(struct init_app *app)
{
	const uint32_t status = (uint32_t)app->status;
	bool ended = true;

	if (!init_left_kill(app, init.running == 0))
		return;
	for (unsigned i = 0; i < INIT_APP_STREAMS; i++) {
		enum init_pump pump = init_stream_drain(&app->stream[i]);

		ended &= pump == INIT_PUMP_ENDED;
		init.more |= pump == INIT_PUMP_MORE;
	}
	if (!ended)
		return;
	if (init.plan.disk && init.running == 0)
		init_disk_sync();
	app->state = INIT_APP_ENDED;
	control_send(AGENT_EXITED, app->index, &status, sizeof(status));
}

static void reap(void)
{
	struct signalfd_siginfo info;
	int status;
	pid_t pid;

	while (read(init.sigfd, &info, sizeof(info)) > 0)
		;
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		if (init_session_reaped(pid, status)) {
			init.more = true; /* there may be output left to deliver */
			continue;
		}
		for (unsigned i = 0; i < init.plan.napps; i++) {
			struct init_app *app = &init.app[i];

			if (app->state != INIT_APP_RUNNING || app->pid != pid)
				continue;
			app->status = status;
			app->state = INIT_APP_ENDING;
			init.running--;
		}
	}
	for (unsigned i = 0; i < init.plan.napps; i++)
		if (init.app[i].state == INIT_APP_ENDING)
			end_app(&init.app[i]);
}

static void pump(struct init_app *app, struct init_stream *stream)
{
	enum init_pump pumped;

	if (app->state == INIT_APP_ENDING) {
		end_app(app);
		return;
	}
	pumped = init_stream_pump(stream);
	if (pumped == INIT_PUMP_MORE)
		init.more = true;
	/* the terminal has gone; the kernel would tell its session's leader, which is init */
	if (pumped == INIT_PUMP_ENDED && app->plan->flags & PLAN_TTY &&
	    app->state == INIT_APP_RUNNING)
		kill(app->pid, SIGHUP);
}

/* Go on with the streams that gave way. Pumping one that has nothing is cheap and harmless. */
static void pump_all(void)
{
	init.more = init.sessions.napps && init_session_pump_all();
	for (unsigned i = 0; i < init.plan.napps; i++)
		for (unsigned j = 0; j < INIT_APP_STREAMS; j++)
			if (init.app[i].stream[j].used)
				pump(&init.app[i], &init.app[i].stream[j]);
}

static void forward_signal(struct init_app *app, int sig)
{
	if (app->state == INIT_APP_RUNNING)
		kill(app->pid, sig);
}

static void resize(struct init_app *app, const uint8_t *payload)
{
	struct winsize size = {.ws_row = (uint16_t)(payload[0] | payload[1] << 8),
			       .ws_col = (uint16_t)(payload[2] | payload[3] << 8)};

	if (app->stream[0].used && app->plan->flags & PLAN_TTY)
		ioctl(app->stream[0].local, TIOCSWINSZ, &size);
}

/* The first session brings what all of them need. */
static void open_session(unsigned n, const uint8_t *payload)
{
	uint64_t cookie;

	memcpy(&cookie, payload, sizeof(cookie));
	init.sessions = (struct init_session_host){
		.epfd = init.epfd,
		.key = KEY(KEY_SESSION, 0, 0),
		.apps = init.app,
		.napps = init.plan.napps,
	};
	init_session_open(&init.sessions, n, cookie);
}

static void act(const struct agent_hdr *hdr, const uint8_t *payload)
{
	bool all = hdr->app == AGENT_ALL_APPS;
	unsigned first = all ? 0 : hdr->app;
	unsigned last = all ? init.plan.napps : hdr->app + 1U;
	uint32_t sig;

	if (hdr->type == AGENT_SESSION && hdr->len == sizeof(uint64_t)) {
		open_session(hdr->app, payload);
		return;
	}
	if (last > init.plan.napps)
		fatal_errno("message for an app that is not", EPROTO);
	for (unsigned i = first; i < last; i++) {
		if (hdr->type == AGENT_SIGNAL && hdr->len == sizeof(sig)) {
			memcpy(&sig, payload, sizeof(sig));
			forward_signal(&init.app[i], (int)sig);
		} else if (hdr->type == AGENT_WINSIZE && hdr->len == 4) {
			resize(&init.app[i], payload);
		} else {
			fatal_errno("message from the host", EPROTO);
		}
	}
}

static void receive(void)
{
	int r;

	while ((r = init_control_receive(&init.control, false)) > 0)
		act(&init.control.hdr, init.control.payload);
	if (r < 0)
		fatal_errno("control connection", r);
}

static void loop(void)
{
	struct epoll_event events[EVENTS];

	for (;;) {
		int n = epoll_wait(init.epfd, events, EVENTS, init.more ? 0 : -1);

		if (init.more)
			pump_all();
		for (int i = 0; i < n; i++) {
			uint64_t key = events[i].data.u64;
			struct init_app *app = &init.app[KEY_APP(key)];

			switch (KEY_KIND(key)) {
			case KEY_CONTROL:
				receive();
				break;
			case KEY_SIGNAL:
				reap();
				break;
			case KEY_STREAM:
				if (app->stream[KEY_STREAM_OF(key)].used)
					pump(app, &app->stream[KEY_STREAM_OF(key)]);
				break;
			case KEY_SESSION:
				init.more |= init_session_event(&init.sessions, KEY_APP(key),
								KEY_STREAM_OF(key));
				break;
			case KEY_METADATA:
				init_metadata_event(KEY_APP(key));
				break;
			}
		}
	}
}

int main(void)
{
	/* systemd's: programs that use select(2) see the old limit, others may raise it */
	const struct rlimit files = {.rlim_cur = 1024, .rlim_max = 524288};
	struct init_text why;
	int r;

	init.control.fd = -1;
	r = init_mount_boot(&why);
	if (r < 0)
		fatal(&why);
	init.control.fd = init_dial(AGENT_PORT_CONTROL);
	if (init.control.fd < 0)
		fatal_errno("dialling the host", init.control.fd);
	init.epfd = epoll_create1(EPOLL_CLOEXEC);
	if (init.epfd < 0)
		fatal_errno("epoll", errno);
	set_up_signals();
	loopback_up();
	setrlimit(RLIMIT_NOFILE, &files);
	get_plan();
	if (init.plan.memory > 0)
		wait_for_memory();
	if (init.plan.hostname && sethostname(init.plan.hostname, strlen(init.plan.hostname)) < 0)
		fatal_errno("hostname", errno);
	if (init.plan.nnics && init_net_up(&init.plan, &why) < 0)
		fatal(&why);
	if (init.plan.metadata &&
	    init_metadata_listen(init.epfd, KEY(KEY_METADATA, 0, 0), &why) < 0)
		fatal(&why);
	if (init.plan.tpm && init_tpm_bind(&why) < 0)
		fatal(&why);
	if (init.plan.disk && init_disk_mount(init.plan.disk, &why) < 0)
		fatal(&why);
	if (init.plan.nvolumes && init_volume_make(&init.plan, &why) < 0)
		fatal(&why);
	start_apps();
	watch(init.sigfd, KEY_SIGNAL);
	watch(init.control.fd, KEY_CONTROL);
	loop();
}

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

#include "initrd/apps.h"
#include "initrd/control.h"
#include "initrd/disk.h"
#include "initrd/fatal.h"
#include "initrd/late.h"
#include "initrd/metadata.h"
#include "initrd/mount.h"
#include "initrd/mutable.h"
#include "initrd/net.h"
#include "initrd/plan.h"
#include "initrd/session.h"
#include "initrd/sysctl.h"
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
	KEY_NOTIFY,
};

#define KEY(kind, app, stream) ((uint64_t)(kind) << 32 | (uint64_t)(app) << 8 | (stream))
#define KEY_KIND(key)	       ((key) >> 32)
#define KEY_APP(key)	       ((key) >> 8 & 0xff)
#define KEY_STREAM_OF(key)     ((key)&0xff)

static struct init {
	struct init_control control;
	int epfd, sigfd;
	struct init_plan plan;
	bool more; /* a session's stream gave way to others */
	uint8_t message[INIT_MESSAGE_MAX];
	struct init_apps apps;
	struct init_session_host sessions;
} init;

/* Large ones apart: untouched pages of them cost nothing. */
static uint8_t plan_bytes[AGENT_PLAN_MAX];
static uint8_t add_bytes[AGENT_ADD_MAX];
static char *plan_pool[INIT_POOL_MAX];

__attribute__((noreturn)) static void fatal(const struct init_text *why)
{
	init_fatal(&init.control, why);
}

__attribute__((noreturn)) static void fatal_errno(const char *what, int code)
{
	init_fatal_errno(&init.control, what, code);
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

	init_say(&init.control, AGENT_HELLO, AGENT_ALL_APPS, hello, sizeof(hello));
	init.control.payload = plan_bytes;
	init.control.max = sizeof(plan_bytes);
	r = init_control_receive(&init.control, true);
	if (r < 0)
		fatal_errno("waiting for the plan", r);
	if (init.control.hdr.type != AGENT_PLAN)
		fatal_errno("waiting for the plan", EPROTO);
	if (init_plan_decode(plan_bytes, init.control.hdr.len, plan_pool, &init.plan, &why) < 0)
		fatal(&why);
	init.control.payload = init.plan.mutable ? add_bytes : init.message;
	init.control.max = init.plan.mutable ? sizeof(add_bytes) : sizeof(init.message);
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
		init_apps_reaped(&init.apps, pid, status);
	}
	init_apps_end(&init.apps);
}

/* Go on with the streams that gave way. */
static void pump_all(void)
{
	init.more = init.sessions.napps && init_session_pump_all();
	init_apps_pump_all(&init.apps);
}

/* The first session brings what all of them need. */
static void open_session(unsigned n, const uint8_t *payload)
{
	uint64_t cookie;

	memcpy(&cookie, payload, sizeof(cookie));
	init.sessions = (struct init_session_host){
		.epfd = init.epfd,
		.key = KEY(KEY_SESSION, 0, 0),
		.apps = init.apps.app,
		.napps = init.apps.n,
	};
	init_session_open(&init.sessions, n, cookie);
}

/* A message about the apps of a mutable pod. False: it is another. */
static bool change(const struct agent_hdr *hdr, const uint8_t *payload)
{
	int r;

	if (!init.plan.mutable)
		return false;
	if (hdr->type == AGENT_ADD)
		r = init_mutable_add(&init.apps, hdr->app, payload, hdr->len);
	else if (hdr->type == AGENT_START)
		r = init_mutable_start(&init.apps, hdr->app);
	else if (hdr->type == AGENT_REMOVE)
		r = init_mutable_remove(&init.apps, hdr->app);
	else
		return false;
	if (r < 0)
		fatal_errno("message from the host", r);
	return true;
}

static void act(const struct agent_hdr *hdr, const uint8_t *payload)
{
	bool all = hdr->app == AGENT_ALL_APPS;
	unsigned first = all ? 0 : hdr->app;
	unsigned last = all ? init.apps.n : hdr->app + 1U;
	uint32_t sig;

	if (hdr->type == AGENT_SESSION && hdr->len == sizeof(uint64_t)) {
		open_session(hdr->app, payload);
		return;
	}
	if (change(hdr, payload))
		return;
	if (last > init.apps.n)
		fatal_errno("message for an app that is not", EPROTO);
	for (unsigned i = first; i < last; i++) {
		if (hdr->type == AGENT_SIGNAL && hdr->len == sizeof(sig)) {
			memcpy(&sig, payload, sizeof(sig));
			init_apps_signal(&init.apps, i, (int)sig);
		} else if (hdr->type == AGENT_WINSIZE && hdr->len == 4) {
			init_apps_resize(&init.apps, i, payload);
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
		bool more = init.more || init.apps.more;
		int late = init_late();
		int n = epoll_wait(init.epfd, events, EVENTS, more ? 0 : late);

		if (more)
			pump_all();
		for (int i = 0; i < n; i++) {
			uint64_t key = events[i].data.u64;

			switch (KEY_KIND(key)) {
			case KEY_CONTROL:
				receive();
				break;
			case KEY_SIGNAL:
				reap();
				break;
			case KEY_STREAM:
				init_apps_pump(&init.apps, KEY_APP(key), KEY_STREAM_OF(key));
				break;
			case KEY_NOTIFY:
				init_apps_notified(&init.apps, KEY_APP(key));
				break;
			case KEY_SESSION:
				init.more |= init_session_event(&init.sessions, KEY_APP(key),
								KEY_STREAM_OF(key));
				break;
			case KEY_METADATA:
				init_metadata_event(KEY_APP(key), KEY_STREAM_OF(key));
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
	init.apps.control = &init.control;
	init.apps.pod = &init.plan;
	init.apps.epfd = init.epfd;
	init.apps.stream_key = KEY(KEY_STREAM, 0, 0);
	init.apps.notify_key = KEY(KEY_NOTIFY, 0, 0);
	if (init.plan.nsysctls && init_sysctl_set(&init.plan, &why) < 0)
		fatal(&why);
	init_apps_start(&init.apps);
	init_late_begin();
	watch(init.sigfd, KEY_SIGNAL);
	watch(init.control.fd, KEY_CONTROL);
	loop();
}

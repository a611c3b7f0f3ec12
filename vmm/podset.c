/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/podrun_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "common/log.h"
#include "common/util.h"
#include "vmm/probe.h"

/*
 * Memory of a pod nobody set a limit for. Where guest kernel mode is emulated each MiB costs
 * milliseconds before the first app runs, so there it is what the guest boots with.
 */
#define MEMORY_DEFAULT		(UINT64_C(512) << 20)
#define MEMORY_DEFAULT_EMULATED GUEST_BOOT_MEMORY

/* The guest's connections (struct vsock_ops): init's own, or a stream. */

static bool on_accept(void *ctx, unsigned conn, uint32_t port)
{
	struct podrun *run = ctx;

	if (port == AGENT_PORT_CONTROL)
		return agent_accept(&run->agent, conn);
	if (port == AGENT_PORT_STREAM && run->agent.state == AGENT_TALKING)
		return streams_accept(run->streams, conn);
	return false;
}

static size_t on_data(void *ctx, unsigned conn, const struct iovec *iov, unsigned n, size_t len)
{
	struct podrun *run = ctx;

	if (agent_owns(&run->agent, conn))
		return agent_data(&run->agent, iov, n, len);
	return streams_data(run->streams, conn, iov, n, len);
}

static void on_eof(void *ctx, unsigned conn)
{
	struct podrun *run = ctx;

	if (agent_owns(&run->agent, conn))
		agent_gone(&run->agent);
	else
		streams_eof(run->streams, conn);
}

static void on_writable(void *ctx, unsigned conn)
{
	struct podrun *run = ctx;

	if (agent_owns(&run->agent, conn))
		agent_writable(&run->agent);
	else
		streams_writable(run->streams, conn);
}

static void on_closed(void *ctx, unsigned conn)
{
	struct podrun *run = ctx;

	if (!agent_owns(&run->agent, conn))
		streams_closed(run->streams, conn);
}

static const struct vsock_ops guest_ops = {
	.accept = on_accept,
	.data = on_data,
	.eof = on_eof,
	.writable = on_writable,
	.closed = on_closed,
};

static int open_boot_dir(struct error *err)
{
	char exe[PATH_MAX];
	ssize_t len = readlink("/proc/self/exe", exe, sizeof(exe) - 1);
	int fd;

	if (len < 0)
		return error_errno(err, "/proc/self/exe");
	exe[len] = '\0';
	*strrchr(exe, '/') = '\0';
	fd = open(*exe ? exe : "/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? error_errno(err, "%s", exe) : fd;
}

static int catch_signals(struct podrun *run, struct error *err)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGQUIT);
	sigaddset(&set, SIGWINCH);
	signal(SIGPIPE, SIG_IGN);
	/* whoever started us may have blocked or ignored some; they are ours now */
	sigprocmask(SIG_SETMASK, &set, NULL);
	run->sigfd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (run->sigfd < 0)
		return error_errno(err, "signalfd");
	return loop_add(&run->loop, run->sigfd, EPOLLIN, LOOP_SIGNAL, 0, err);
}

static unsigned host_cpus(void)
{
	cpu_set_t set;

	if (sched_getaffinity(0, sizeof(set), &set) < 0)
		return 1;
	return MIN((unsigned)CPU_COUNT(&set), (unsigned)FIRMWARE_MAX_CPUS);
}

static int make_plan(struct podrun *run, uint64_t memory, struct error *err)
{
	struct plan_args *args = &run->plan_args;

	*args = (struct plan_args){
		.hostname = run->args->hostname,
		.memory = memory > GUEST_BOOT_MEMORY ? memory : 0,
		.interactive = run->args->interactive,
		.tty = run->args->interactive && isatty(STDIN_FILENO),
	};
	if (args->interactive && run->pod.napps > 1)
		return error_set(err, -EINVAL, "--interactive is for pods with a single app");
	if (args->tty)
		tty_size(STDIN_FILENO, &args->rows, &args->columns);
	return plan_build(&run->pod, args, &run->plan, &run->plan_len, err);
}

static void make_streams(struct podrun *run)
{
	struct stream_app apps[PLAN_APPS_MAX];
	bool input = false;

	for (unsigned i = 0; i < run->pod.napps; i++) {
		const struct pod_app *app = &run->pod.apps[i];

		apps[i] = (struct stream_app){
			.name = app->name,
			.flags = plan_flags(app, &run->plan_args),
			.discard_out = app->out == POD_STDIO_NULL,
			.discard_err = app->errout == POD_STDIO_NULL,
		};
		input |= (apps[i].flags & (PLAN_STDIN | PLAN_TTY)) != 0;
	}
	streams_new(run->guest->vsock, &run->loop, apps, run->pod.napps, input ? STDIN_FILENO : -1,
		    STDOUT_FILENO, STDERR_FILENO, &run->streams);
}

static int make_guest(struct podrun *run, struct error *err)
{
	cleanup_fd int boot_dir = open_boot_dir(err);
	const char *words = getenv("RKT_HYPERVISOR_EXTRA_KERNEL_PARAMS");
	struct guest_params params = {
		.pod = &run->pod,
		.pod_dir = AT_FDCWD,
		.boot_dir = boot_dir,
		.words = words ? words : "",
		.memory = pod_memory(&run->pod, probe_kernel_is_emulated() ? MEMORY_DEFAULT_EMULATED
									   : MEMORY_DEFAULT),
		.ncpus = pod_cpus(&run->pod, host_cpus()),
		.debug = run->args->debug,
		.writable = STAGE1_STATE_DIR,
		.vsock_ops = &guest_ops,
		.vsock_ctx = run,
	};

	if (boot_dir < 0)
		return boot_dir;
	if (make_plan(run, guest_memory(params.memory), err) < 0)
		return err->code;
	if (run->plan_args.tty && tty_raw(&run->tty, STDIN_FILENO, err) < 0)
		return err->code;
	if (guest_new(&params, &run->loop, &run->guest, err) < 0)
		return err->code;
	agent_init(&run->agent, run->guest->vsock, run->plan, run->plan_len, run->pod.napps);
	make_streams(run);
	return 0;
}

int podrun_set_up(struct podrun *run, struct error *err)
{
	int r = stage1_keep_lock(err);

	if (r == 0)
		r = stage1_check(run->args, err);
	if (r == 0)
		r = pod_load(AT_FDCWD, &run->pod, err);
	if (r < 0)
		return r;
	for (size_t i = 0; i < run->pod.notes.n; i++)
		log_warn("%s", run->pod.notes.v[i]);
	for (unsigned i = 0; i < run->pod.napps && run->args->no_caps_restriction; i++)
		run->pod.apps[i].caps = UINT64_MAX;
	r = loop_init(&run->loop, err);
	if (r == 0)
		r = catch_signals(run, err);
	if (r == 0)
		r = make_guest(run, err);
	return r;
}

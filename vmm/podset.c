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

#include "common/file.h"
#include "common/log.h"
#include "common/util.h"
#include "vmm/probe.h"

/* The guest's connections (struct vsock_ops): init's own, a stream of an app, or one of a session. */

static bool on_accept(void *ctx, unsigned conn, uint32_t port)
{
	struct podrun *run = ctx;

	if (port == AGENT_PORT_CONTROL)
		return agent_accept(&run->agent, conn);
	if (port == AGENT_PORT_STREAM && run->agent.state == AGENT_TALKING)
		return streams_accept(run->streams, conn);
	if (port == AGENT_PORT_SESSION && run->agent.state == AGENT_TALKING)
		return relays_accept(run->relays, conn);
	if (port == AGENT_PORT_METADATA && run->agent.state == AGENT_TALKING)
		return metadata_link_accept(run->metadata, conn);
	return false;
}

static size_t on_data(void *ctx, unsigned conn, const struct iovec *iov, unsigned n, size_t len)
{
	struct podrun *run = ctx;

	if (agent_owns(&run->agent, conn))
		return agent_data(&run->agent, iov, n, len);
	if (relays_owns(run->relays, conn))
		return relays_data(run->relays, conn, iov, n, len);
	if (metadata_link_owns(run->metadata, conn))
		return metadata_link_data(run->metadata, conn, iov, n, len);
	return streams_data(run->streams, conn, iov, n, len);
}

static void on_eof(void *ctx, unsigned conn)
{
	struct podrun *run = ctx;

	if (agent_owns(&run->agent, conn))
		agent_gone(&run->agent);
	else if (relays_owns(run->relays, conn))
		relays_eof(run->relays, conn);
	else if (!metadata_link_owns(run->metadata, conn)) /* its frames say what has ended */
		streams_eof(run->streams, conn);
}

static void on_writable(void *ctx, unsigned conn)
{
	struct podrun *run = ctx;

	if (agent_owns(&run->agent, conn))
		agent_writable(&run->agent);
	else if (relays_owns(run->relays, conn))
		relays_writable(run->relays, conn);
	else if (metadata_link_owns(run->metadata, conn))
		metadata_link_writable(run->metadata, conn);
	else
		streams_writable(run->streams, conn);
}

static void on_closed(void *ctx, unsigned conn)
{
	struct podrun *run = ctx;

	if (relays_owns(run->relays, conn))
		relays_closed(run->relays, conn);
	else if (metadata_link_owns(run->metadata, conn))
		metadata_link_closed(run->metadata, conn);
	else if (!agent_owns(&run->agent, conn))
		streams_closed(run->streams, conn);
}

static const struct vsock_ops guest_ops = {
	.accept = on_accept,
	.data = on_data,
	.eof = on_eof,
	.writable = on_writable,
	.closed = on_closed,
};

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
	signal(SIGXFSZ, SIG_IGN); /* a disk that may not grow is an I/O error */
	/* whoever started us may have blocked or ignored some; they are ours now */
	sigprocmask(SIG_SETMASK, &set, NULL);
	run->sigfd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (run->sigfd < 0)
		return error_errno(err, "signalfd");
	return loop_add(&run->loop, run->sigfd, EPOLLIN, LOOP_SIGNAL, 0, err);
}

/* What a terminal at our standard input adds to the plan. */
static int make_plan(struct podrun *run, struct error *err)
{
	struct plan_args *args = &run->plan_args;

	*args = run->shape.plan;
	args->watchdog_usec = run->notify.period_ns * 2 / 1000;
	args->tty = args->interactive && isatty(STDIN_FILENO);
	if (args->interactive && run->pod.napps > 1)
		return error_set(err, -EINVAL, "--interactive is for pods with a single app");
	if (args->tty)
		tty_size(STDIN_FILENO, &args->rows, &args->columns);
	return plan_build(&run->pod, args, &run->plan, &run->plan_len, err);
}

/* A pod whose logs can not be kept runs all the same. */
static void open_logs(struct podrun *run, unsigned first, unsigned end)
{
	const char *path = STAGE1_STATE_DIR "/" APPLOG_DIR;
	struct error err = ERROR_INIT;
	cleanup_fd int dir = -1;
	int r = mkdir_path(AT_FDCWD, path, 0755, &err);

	if (r == 0) {
		dir = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		r = dir < 0 ? error_errno(&err, "%s", path) : 0;
	}
	/* what is typed and shown on a terminal is nobody else's */
	for (unsigned i = first; r == 0 && i < end && !run->plan_args.tty; i++)
		r = applog_open(dir, run->pod.apps[i].name, &run->log[i], &err);
	if (r < 0)
		log_warn("%s", err.msg);
}

void podrun_open_log(struct podrun *run, unsigned app)
{
	open_logs(run, app, app + 1);
}

unsigned podrun_offered_streams(const struct podrun *run, const struct pod_app *app)
{
	unsigned bits = 0;

	if (run->plan_args.interactive)
		return 0;
	if (pod_app_has_tty(app))
		return ATTACH_BIT(AGENT_TTY);
	if (app->in == POD_STDIO_STREAM)
		bits |= ATTACH_BIT(AGENT_STDIN);
	if (app->out == POD_STDIO_STREAM)
		bits |= ATTACH_BIT(AGENT_STDOUT);
	if (app->errout == POD_STDIO_STREAM)
		bits |= ATTACH_BIT(AGENT_STDERR);
	return bits;
}

static void make_streams(struct podrun *run)
{
	struct stream_app apps[PLAN_APPS_MAX];
	bool input = false;

	if (!run->mut)
		open_logs(run, 0, run->pod.napps);
	attach_new(run->guest->vsock, &run->loop, &run->attach);

	for (unsigned i = 0; i < run->pod.napps; i++) {
		const struct pod_app *app = &run->pod.apps[i];

		apps[i] = (struct stream_app){
			.name = app->name,
			.flags = plan_flags(app, &run->plan_args),
			.discard_out = app->out == POD_STDIO_NULL,
			.discard_err = app->errout == POD_STDIO_NULL,
			.log = run->log[i],
			.attach = run->attach,
		};
		attach_offer(run->attach, i, podrun_offered_streams(run, app));
		input |= (apps[i].flags & (PLAN_STDIN | PLAN_TTY)) != 0;
	}
	streams_new(run->guest->vsock, &run->loop, apps, run->pod.napps, input ? STDIN_FILENO : -1,
		    STDOUT_FILENO, STDERR_FILENO, &run->streams);
}

static int make_guest(struct podrun *run, struct error *err)
{
	cleanup_fd int boot_dir = guest_boot_dir(err);
	struct guest_params params = {
		.shape = &run->shape,
		.args = run->args,
		.net = &run->shape.net,
		.shares = &run->shares,
		.pod_dir = AT_FDCWD,
		.boot_dir = boot_dir,
		.writable = STAGE1_STATE_DIR,
		.tpm = run->tpm,
		.vsock_ops = &guest_ops,
		.vsock_ctx = run,
	};

	if (boot_dir < 0)
		return boot_dir;
	if (make_plan(run, err) < 0)
		return err->code;
	if (run->plan_args.tty && tty_raw(&run->tty, STDIN_FILENO, err) < 0)
		return err->code;
	if (guest_new(&params, &run->loop, &run->guest, err) < 0)
		return err->code;
	if (run->args->mutable_pod && podmut_open(run, err) < 0)
		return err->code;
	agent_init(&run->agent, run->guest->vsock, run->plan, run->plan_len, run->pod.napps);
	if (run->mut)
		agent_all_absent(&run->agent);
	podtpm_hold(run);
	make_streams(run);
	relays_new(run->guest->vsock, &run->loop, &run->relays);
	return run->metadata ? metadata_link_join(run->metadata, run->guest->vsock, &run->loop, err)
			     : 0;
}

int podrun_set_up(struct podrun *run, struct error *err)
{
	struct shape_host host;
	int r = stage1_keep_lock(err);

	shape_probe(&host);
	if (r == 0)
		r = stage1_check(run->args, err);
	if (r == 0)
		r = shape_make(run->args, &host, &run->shape, err);
	if (r < 0)
		return r;
	r = pod_volumes_look(&run->shape.pod, err);
	if (r < 0)
		return r;
	run->pod = run->shape.pod;
	for (size_t i = 0; i < run->pod.notes.n; i++)
		log_warn("%s", run->pod.notes.v[i]);
	r = loop_init(&run->loop, err);
	if (r == 0)
		r = catch_signals(run, err);
	if (r == 0)
		r = notify_open(&run->notify, err);
	if (r == 0)
		r = podshares_start(&run->shares, &run->pod, err);
	if (r == 0)
		r = podtpm_start(run, err);
	if (r == 0 && run->args->mds_token)
		r = metadata_link_start(&run->pod, run->args->uuid, run->args->mds_token,
					&run->metadata, err);
	if (r == 0)
		r = podnet_start(&run->shape.net, run->args, &run->pod, err);
	if (r == 0)
		r = make_guest(run, err);
	return r;
}

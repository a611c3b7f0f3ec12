/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The pod's loop. One thread, one switch (on_event()); after each batch of events progress() looks
 * at what init has said about the apps and draws the conclusions: status files, readiness, the end.
 *
 * The end comes in two steps. The first app that fails, a signal to us or a request over the control
 * socket sends SIGTERM (or the signal) to the apps and sets a deadline; a second signal, a kill
 * request or the deadline end the VM. What the apps have written is delivered first: the pod is over
 * when all apps have ended and all their streams are with whoever reads them. A reader that takes
 * its time is waited for without limit.
 *
 * Nothing is freed on the way out of a pod that ran: the process ends, and with it the VM, its
 * memory and the threads.
 */
#include "vmm/podrun.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/file.h"
#include "common/log.h"
#include "common/str.h"
#include "common/util.h"
#include "vmm/podrun_priv.h"
#include "vmm/run.h"

#define EVENTS_MAX 32

static uint64_t deadline(uint64_t ms)
{
	return clock_now_ns() + ms * 1000000;
}

/*
 * With --debug: how long a phase took, and what it cost the guest kernel. Returns that, 0 where it is
 * not counted.
 */
static uint64_t show_phase(struct podrun *run, const char *what, uint64_t from_ns)
{
	uint64_t now = clock_now_ns(), count = 0;

	run->mark_ns = now;
	if (run->guest && machine_instructions(run->guest->machine, &count) == 0)
		log_debug("phase: %s %.1f ms, %llu guest kernel instructions so far", what,
			  (double)(now - from_ns) / 1e6, (unsigned long long)count);
	else
		log_debug("phase: %s %.1f ms", what, (double)(now - from_ns) / 1e6);
	return count;
}

/* Ending */

void podrun_kill(struct podrun *run, int status)
{
	run->killed = true;
	if (!run->status)
		run->status = status;
}

/*
 * SIGTERM asks to end; an image may name another signal for that. A mutable pod has room for more apps
 * than there are.
 */
static bool send_stop(struct podrun *run)
{
	bool same = true, sent = true;

	for (unsigned i = 0; i < run->pod.napps; i++)
		same &= run->pod.apps[i].stop_signal == SIGTERM;
	if (same)
		return agent_signal(&run->agent, AGENT_ALL_APPS, SIGTERM);
	for (unsigned i = 0; sent && i < run->pod.napps; i++)
		if (run->agent.apps[i].state <= AGENT_APP_RUNNING)
			sent = agent_signal(&run->agent, (uint16_t)i,
					    (uint32_t)run->pod.apps[i].stop_signal);
	return sent;
}

/* Before init can be asked there is nothing to lose. */
void podrun_stop(struct podrun *run, int sig)
{
	if (run->stopping)
		return;
	run->stopping = true;
	run->stop_deadline_ns = deadline(POD_STOP_DEADLINE_MS);
	notify_state(&run->notify, "STOPPING=1");
	if (sig == SIGTERM ? !send_stop(run)
			   : !agent_signal(&run->agent, AGENT_ALL_APPS, (uint32_t)sig))
		podrun_kill(run, 128 + sig);
}

static void write_status(struct podrun *run, unsigned app, int code)
{
	struct error err;

	if (stage1_write_status(AT_FDCWD, run->pod.apps[app].name, code, &err) < 0)
		log_warn("%s", err.msg);
}

/* An app that could not be started: init's diagnosis, line by line as an app's own would look. */
static void print_failure(struct podrun *run, unsigned app)
{
	cleanup_str struct str out = STR_INIT;
	const char *p = run->agent.apps[app].text;

	while (*p) {
		size_t len = strcspn(p, "\n");

		if (run->pod.napps > 1)
			str_addf(&out, "%s: ", run->pod.apps[app].name);
		str_add_escaped(&out, p, len);
		str_add(&out, "\n");
		p += len + (p[len] == '\n');
	}
	if (out.len)
		(void)!write(STDERR_FILENO, out.s, out.len);
}

int podrun_write_end(struct podrun *run, unsigned i)
{
	const struct agent_app *app = &run->agent.apps[i];
	int code;

	if (app->state == AGENT_APP_FAILED) {
		print_failure(run, i);
		code = (int)app->code;
	} else {
		code = stage1_exit_code(app->wait_status);
	}
	write_status(run, i, code);
	return code;
}

/* What init has said about an app since the last look. The first failure ends the pod. */
static void report_app(struct podrun *run, unsigned i)
{
	int code;

	if (run->reported[i] || run->agent.apps[i].state < AGENT_APP_FAILED)
		return;
	run->reported[i] = true;
	code = podrun_write_end(run, i);
	if (code && !run->status)
		run->status = code;
	if (code && !agent_all_ended(&run->agent))
		podrun_stop(run, SIGTERM);
}

static int say_ready(struct podrun *run, struct error *err)
{
	int r = stage1_write_ready(AT_FDCWD, err);

	if (r == 0)
		notify_state(&run->notify, "READY=1");
	return r;
}

static int progress(struct podrun *run, struct error *err)
{
	podready_look(run, clock_now_ns());
	if (run->mut)
		podmut_look(run, clock_now_ns());
	for (unsigned i = 0; i < run->pod.napps && !run->mut; i++)
		report_app(run, i);
	if (run->agent.state == AGENT_DEAD && run->phase < PHASE_STREAMS)
		return error_set(err, -EPROTO, "%s", run->agent.failure);
	if (run->phase == PHASE_BOOT && run->agent.state == AGENT_TALKING) {
		run->hello_insns = show_phase(run, "boot", run->guest->machine->vcpus.first_run_ns);
		run->phase = PHASE_START;
		run->deadline_ns = podready_waits(run) ? 0 : deadline(POD_START_DEADLINE_MS);
	}
	if (run->phase == PHASE_START && podready_started(run)) {
		run->started_insns = show_phase(run, "start", run->mark_ns);
		run->phase = PHASE_RUN;
		run->deadline_ns = 0;
		if (podready_is(run) && say_ready(run, err) < 0)
			return err->code;
	}
	if (run->phase == PHASE_RUN && (!run->mut || run->stopping) &&
	    agent_all_ended(&run->agent)) {
		show_phase(run, "run", run->mark_ns);
		run->phase = PHASE_STREAMS;
		run->deadline_ns = deadline(POD_STREAMS_DEADLINE_MS);
	}
	if (run->phase == PHASE_STREAMS) {
		if (streams_ended(run->streams))
			run->deadline_ns = 0; /* what is left waits for its reader */
		if (streams_idle(run->streams))
			run->phase = PHASE_DONE;
	}
	return 0;
}

/*
 * A guest that is short of the host's processors is slow, not dead: it takes what it gets, and has not
 * had much. Such a one is given as much time again.
 */
static bool is_starved(struct podrun *run, uint64_t ms)
{
	uint64_t used = vcpus_cpu_ns(&run->guest->machine->vcpus);
	bool starved = used - run->cpu_ns >= POD_STARVED_MIN_MS * UINT64_C(1000000) &&
		       used < POD_STARVED_MAX_MS * UINT64_C(1000000);

	run->cpu_ns = used;
	if (starved)
		run->deadline_ns = deadline(ms);
	return starved;
}

/* The nearest deadline has passed. */
static int on_deadline(struct podrun *run, struct error *err)
{
	uint64_t now = clock_now_ns();

	podready_watchdog(run, now);
	if (run->stop_deadline_ns && now >= run->stop_deadline_ns && run->phase < PHASE_STREAMS) {
		log_warn("the apps did not end within %d s; killing them",
			 POD_STOP_DEADLINE_MS / 1000);
		run->stop_deadline_ns = 0;
		podrun_kill(run, 128 + SIGKILL);
	}
	if (!run->deadline_ns || now < run->deadline_ns)
		return 0;
	run->deadline_ns = 0;
	switch (run->phase) {
	case PHASE_BOOT:
		if (is_starved(run, POD_BOOT_DEADLINE_MS))
			break;
		return error_set(err, -ETIMEDOUT, "the guest did not boot within %d s",
				 POD_BOOT_DEADLINE_MS / 1000);
	case PHASE_START:
		if (is_starved(run, POD_START_DEADLINE_MS))
			break;
		return error_set(err, -ETIMEDOUT, "the guest did not start the apps within %d s",
				 POD_START_DEADLINE_MS / 1000);
	case PHASE_STREAMS:
		log_warn("the guest did not close its apps' output; what is missing is lost");
		run->phase = PHASE_DONE;
		break;
	case PHASE_RUN:
	case PHASE_DONE:
		break;
	}
	return 0;
}

static int timeout_ms(const struct podrun *run)
{
	uint64_t at = UINT64_MAX, now;

	if (run->deadline_ns)
		at = run->deadline_ns;
	if (run->stop_deadline_ns && run->phase < PHASE_STREAMS)
		at = MIN(at, run->stop_deadline_ns);
	if (run->notify.period_ns)
		at = MIN(at, run->notify.next_ns);
	at = MIN(at, podmut_deadline(run));
	if (run->ready.tell_ns)
		at = MIN(at, run->ready.tell_ns);
	if (at == UINT64_MAX)
		return -1;
	now = clock_now_ns();
	return at > now ? (int)MIN((at - now) / 1000000 + 1, (uint64_t)INT_MAX) : 0;
}

/* Events */

static void on_signal(struct podrun *run)
{
	struct signalfd_siginfo info;
	uint16_t rows, columns;

	while (read(run->sigfd, &info, sizeof(info)) == sizeof(info)) {
		int sig = (int)info.ssi_signo;

		if (sig == SIGWINCH) {
			if (!run->plan_args.tty)
				continue;
			tty_size(STDIN_FILENO, &rows, &columns);
			agent_winsize(&run->agent, 0, rows, columns);
		} else if (run->stopping || run->phase >= PHASE_STREAMS) {
			podrun_kill(run, 128 + sig);
		} else {
			podrun_stop(run, sig);
		}
	}
}

static int on_vcpu(struct podrun *run, struct error *err)
{
	struct vcpu_end end;

	if (!machine_ended(run->guest->machine, &end))
		return 0;
	machine_stop(run->guest->machine);
	if (run_explain(run->guest->machine, run->guest->kernel, run->args->debug, &end, err) < 0)
		return err->code;
	return error_set(err, -EIO, "the guest ended before its apps did");
}

static void show_fault(struct podrun *run, uint32_t index)
{
	struct virtio_device *dev = run->guest->machine->virtio[LOOP_DEVICE(index)];
	const char *fault = virtio_take_fault(dev);

	if (fault)
		log_warn("the guest's driver of %s broke a rule: %s", dev->name, fault);
}

/* What the host could not do for a disk, once each. */
static void show_disk_error(struct podrun *run, uint32_t index)
{
	struct virtio_device *dev = run->guest->machine->virtio[LOOP_DEVICE(index)];
	struct blk *blk = dev->id == VIRTIO_ID_BLOCK ? container_of(dev, struct blk, dev) : NULL;
	int error = blk ? blk_take_error(blk) : 0;

	if (error)
		log_warn("%s: %s; the apps see I/O errors",
			 blk == run->guest->writable ? "the pod's disk" : dev->name,
			 strerror(error));
}

static void on_net(struct podrun *run, const struct loop_event *event)
{
	uint32_t nic = NET_EVENT_NIC(event->index);

	if (!net_event(run->guest->nic[nic], event->index, event->events))
		log_warn("network %s is gone: its process ended, or made no sense",
			 run->shape.net.nic[nic].name);
}

/* Apps that wait for a file would do so for ever, and can not even be killed. */
static int on_share(struct podrun *run, uint32_t index, struct error *err)
{
	struct error why = ERROR_INIT;

	if (run->mut && podmut_share_event(run, index, &why) == 0)
		return 0;
	if (!run->mut)
		podshares_event(&run->shares, &run->loop, index, &why);
	if (run->phase < PHASE_STREAMS)
		return error_set(err, why.code, "%s", why.msg);
	log_warn("%s", why.msg);
	return 0;
}

static void on_metadata(struct podrun *run, const struct loop_event *event)
{
	if (!metadata_link_ready(run->metadata, event->index, event->events))
		log_warn("the metadata service is gone: its process ended, or made no sense");
}

static int on_event(struct podrun *run, const struct loop_event *event, struct error *err)
{
	struct vsock *vs = run->guest->vsock;
	int r = 0;

	switch (event->kind) {
	case LOOP_NOTIFY:
		machine_notified(run->guest->machine, event->index);
		show_fault(run, event->index);
		show_disk_error(run, event->index);
		return 0;
	case LOOP_VSOCK:
		vsock_wake(vs);
		return 0;
	case LOOP_NET:
		on_net(run, event);
		return 0;
	case LOOP_DISK:
		blk_timer(guest_disk(run->guest, event->index));
		return 0;
	case LOOP_SHARE:
		return on_share(run, event->index, err);
	case LOOP_SIGNAL:
	case LOOP_TPM:
	case LOOP_VCPU:
	case LOOP_STREAM_OUT:
	case LOOP_STREAM_IN:
	case LOOP_CONTROL:
	case LOOP_RELAY:
	case LOOP_ATTACH:
	case LOOP_METADATA:
		break;
	}
	vsock_lock(vs);
	if (event->kind == LOOP_SIGNAL)
		on_signal(run);
	else if (event->kind == LOOP_STREAM_OUT)
		streams_out_ready(run->streams, event->index, event->events);
	else if (event->kind == LOOP_STREAM_IN)
		streams_in_ready(run->streams);
	else if (event->kind == LOOP_CONTROL)
		podrun_control(run, event->index);
	else if (event->kind == LOOP_TPM)
		r = podtpm_event(run, err);
	else if (event->kind == LOOP_RELAY)
		relays_ready(run->relays, event->index, event->events);
	else if (event->kind == LOOP_ATTACH)
		attach_ready(run->attach, event->index, event->events);
	else if (event->kind == LOOP_METADATA)
		on_metadata(run, event);
	vsock_unlock(vs);
	if (event->kind == LOOP_VCPU)
		r = on_vcpu(run, err);
	return r;
}

static int loop_until_done(struct podrun *run, struct error *err)
{
	struct loop_event events[EVENTS_MAX];
	int r = 0;

	while (r == 0 && run->phase != PHASE_DONE && !run->killed) {
		int n = loop_wait(&run->loop, events, EVENTS_MAX, timeout_ms(run));

		for (int i = 0; r == 0 && i < n; i++)
			r = on_event(run, &events[i], err);
		vsock_lock(run->guest->vsock);
		if (r == 0)
			r = progress(run, err);
		vsock_unlock(run->guest->vsock);
		if (r == 0)
			r = on_deadline(run, err);
	}
	return r;
}

static int write_net_info(const struct podrun *run, struct error *err)
{
	cleanup_free char *json = podnet_info(&run->shape.net);

	return stage1_write_net_info(AT_FDCWD, json, err);
}

/*
 * The files that say that the pod runs. Before the machine starts: afterwards nothing can be written
 * but below STAGE1_STATE_DIR.
 */
static int announce(struct podrun *run, struct error *err)
{
	int r = mkdir_path(AT_FDCWD, STAGE1_STATE_DIR, 0755, err);

	if (r == 0)
		r = stage1_write_pid(AT_FDCWD, err);
	if (r == 0)
		r = write_net_info(run, err);
	if (r == 0)
		r = control_open(&run->control, &run->loop, err);
	return r;
}

/* Deliver what there is, and leave every app with a status. */
static void finish(struct podrun *run)
{
	machine_stop(run->guest->machine);
	vsock_lock(run->guest->vsock);
	streams_finish(run->streams);
	vsock_unlock(run->guest->vsock);
	/* one that is not started yet may be in its pre-start handler */
	for (unsigned i = 0; i < run->pod.napps && run->phase > PHASE_BOOT; i++)
		if (!run->reported[i] && run->agent.apps[i].state <= AGENT_APP_RUNNING)
			write_status(run, i, 128 + SIGKILL);
}

int pod_run(const struct stage1_args *args, uint64_t start_ns, int *ret_status, struct error *err)
{
	struct podrun *run = xcalloc(1, sizeof(*run));
	int r, error;

	run->args = args;
	run->start_ns = run->mark_ns = start_ns;
	run->loop.epfd = run->sigfd = run->control.fd = -1;
	run->tty = (struct tty)TTY_INIT;
	run->notify = (struct notify)NOTIFY_INIT;
	run->shape.net = (struct podnet)PODNET_INIT;
	r = podrun_set_up(run, err);
	if (r == 0)
		r = announce(run, err);
	if (r == 0)
		r = podnet_wait(&run->shape.net, err);
	if (r == 0)
		r = podshares_wait(&run->shares, &run->loop, err);
	if (r == 0)
		r = machine_start(run->guest->machine, err);
	if (r < 0) {
		podshares_free(&run->shares);
		control_close(&run->control);
		tty_restore(&run->tty);
		podnet_free(&run->shape.net);
		return r;
	}
	podtpm_launch(run);
	run->deadline_ns = deadline(POD_BOOT_DEADLINE_MS);
	r = loop_until_done(run, err);
	if (args->debug)
		log_debug("phase: set-up %.1f ms (to the first guest instruction)",
			  (double)(run->guest->machine->vcpus.first_run_ns - start_ns) / 1e6);
	tpm_leave(run->tpm);
	if (r < 0 || run->phase != PHASE_DONE)
		finish(run);
	podshares_end(&run->shares);
	if (run->mut)
		podmut_share_end(run);
	podnet_end(&run->shape.net);
	control_close(&run->control);
	tty_restore(&run->tty);
	error = streams_error(run->streams);
	if (error)
		log_warn("the apps' output could not be written: %s", strerror(-error));
	for (unsigned i = 0; i < run->pod.napps; i++)
		if (run->log[i] && applog_error(run->log[i]))
			log_warn("the log of app %s is not whole: %s", run->pod.apps[i].name,
				 strerror(-applog_error(run->log[i])));
	show_phase(run, "end", run->mark_ns);
	if (run->die)
		raise(SIGKILL);
	if (r == 0)
		*ret_status = run->status;
	return r;
}

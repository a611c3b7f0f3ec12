/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMM_PODRUN_PRIV_H
#define VMM_PODRUN_PRIV_H

#include <stdbool.h>
#include <stdint.h>

#include "common/error.h"
#include "vmm/agent.h"
#include "vmm/control.h"
#include "vmm/guest.h"
#include "vmm/loop.h"
#include "vmm/metadata_link.h"
#include "vmm/notify.h"
#include "vmm/plan.h"
#include "vmm/pod.h"
#include "vmm/podshare.h"
#include "vmm/podmut.h"
#include "vmm/podrun.h"
#include "vmm/relay.h"
#include "vmm/shape.h"
#include "vmm/stream.h"
#include "vmm/tpm.h"
#include "vmm/tty.h"

/* A running pod, between its set-up (podset.c) and its loop (podrun.c). */

enum phase {
	PHASE_BOOT,    /* until HELLO */
	PHASE_START,   /* until every app was started */
	PHASE_RUN,     /* until the last has ended */
	PHASE_STREAMS, /* until their output is delivered */
	PHASE_DONE,
};

/* What the apps have said that the service manager is to hear (podready.c). */
struct podready {
	struct {
		bool ready, watched, hung;
		uint64_t alive_ns; /* its watchdog was fed */
	} app[PLAN_APPS_MAX];
	bool stopping, has_status;
	uint64_t extend;
	unsigned teller; /* the app whose status it is */
	char status[NOTICE_STATUS_MAX + 1];
	uint64_t told_ns, tell_ns; /* when it was told last, is to be told; 0: nothing to tell */
};

struct podrun {
	const struct stage1_args *args;
	struct shape shape;
	struct pod_spec pod; /* shape's */
	struct plan_args plan_args;
	uint8_t *plan;
	size_t plan_len;
	struct loop loop;
	struct guest *guest;
	struct agent agent;
	struct streams *streams;
	struct relays *relays;
	struct attach *attach;
	struct metadata_link *metadata;	   /* NULL: the pod is not registered */
	struct applog *log[PLAN_APPS_MAX]; /* NULL: none is kept */
	struct control control;
	struct tty tty;
	struct notify notify;
	struct podshares shares;
	struct podready ready;
	struct podmut *mut; /* NULL: its apps are those it began with */
	struct tpm *tpm;    /* NULL: none is wanted */
	int sigfd;

	enum phase phase;
	bool reported[PLAN_APPS_MAX];
	bool stopping; /* the apps were asked to end */
	bool killed;   /* the VM is to end now */
	bool die;      /* and so are we, by SIGKILL: as a kill that hit us would look */
	int status;
	uint64_t deadline_ns; /* of the phase, 0: none */
	uint64_t cpu_ns;      /* what the vCPUs had used at the last one */
	uint64_t stop_deadline_ns;
	uint64_t start_ns, mark_ns;
	/* guest kernel instructions when init was up and when the apps had started; 0: not counted */
	uint64_t hello_insns, started_insns;
};

/*
 * From the manifest to a machine that could start, with everything the loop needs. What it made
 * before a failure is run's all the same.
 */
int podrun_set_up(struct podrun *run, struct error *err) __attribute__((nonnull));

/* The log of an app, and its streams that are for clients (ATTACH_BIT). */
void podrun_open_log(struct podrun *run, unsigned app) __attribute__((nonnull));
unsigned podrun_offered_streams(const struct podrun *run, const struct pod_app *app)
	__attribute__((nonnull));

/* An app has ended, or could not be started: say why, leave its status. Returns that. */
int podrun_write_end(struct podrun *run, unsigned i) __attribute__((nonnull));

/* End the VM now; status is the pod's unless there is one. */
void podrun_kill(struct podrun *run, int status) __attribute__((nonnull));
/* Ask every app that runs to end, once; SIGTERM stands for the signal that each wants for that. */
void podrun_stop(struct podrun *run, int sig) __attribute__((nonnull));

/* podcontrol.c: do what a control client asks for. */
void podrun_control(struct podrun *run, uint32_t client) __attribute__((nonnull));

/*
 * podready.c. waits: starting the apps takes as long as they want. started: nobody has to be waited
 * for; is: and all are ready. look: take what the apps have said, and tell the manager, now or when
 * ready.tell_ns says. watchdog: feed it if it is time.
 */
bool podready_waits(const struct podrun *run) __attribute__((nonnull));
bool podready_started(const struct podrun *run) __attribute__((nonnull));
bool podready_is(const struct podrun *run) __attribute__((nonnull));
void podready_look(struct podrun *run, uint64_t now) __attribute__((nonnull));
void podready_watchdog(struct podrun *run, uint64_t now) __attribute__((nonnull));

/*
 * podtpm.c. start: beside the machine's set-up. hold: keep the plan back until the launch is
 * measured. launch: the guest runs and the log is made; measure it. event: for LOOP_TPM. ask: a quote
 * or the PCRs for a control client.
 */
int podtpm_start(struct podrun *run, struct error *err) __attribute__((nonnull));
void podtpm_hold(struct podrun *run) __attribute__((nonnull));
void podtpm_launch(struct podrun *run) __attribute__((nonnull));
int podtpm_event(struct podrun *run, struct error *err) __attribute__((nonnull));
void podtpm_ask(struct podrun *run, uint32_t client, enum control_verb verb)
	__attribute__((nonnull));

/* CONTROL_MEMORY. */
void podmemory_ask(struct podrun *run, uint32_t client) __attribute__((nonnull));

/*
 * CONTROL_SESSION, CONTROL_STREAM and CONTROL_ATTACH of a client, whose connection is not the control
 * socket's afterwards unless it is refused; CONTROL_ENDPOINTS and CONTROL_WINSIZE.
 */
void podrun_session(struct podrun *run, uint32_t client) __attribute__((nonnull));
void podrun_stream(struct podrun *run, uint32_t client) __attribute__((nonnull));
void podrun_attach(struct podrun *run, uint32_t client) __attribute__((nonnull));
void podrun_endpoints(struct podrun *run, uint32_t client) __attribute__((nonnull));
void podrun_winsize(struct podrun *run, uint32_t client) __attribute__((nonnull));

#endif

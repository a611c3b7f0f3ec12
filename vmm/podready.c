/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the apps say of themselves, and what the service manager hears of it.
 *
 * The pod is ready when every app has been started and those that speak for themselves
 * (POD_ANNOTATION_NOTIFY) have said so. One that ended without is not waited for, and the pod is not
 * said to be ready either.
 *
 * The manager's watchdog is fed by the loop. An app that once has fed its own is expected to go on:
 * when it does not within the manager's time, neither do we. What the guest says is passed on at a
 * rate the manager can bear, the latest status in place of those before.
 */
#include <string.h>

#include "common/clock.h"
#include "common/str.h"
#include "common/util.h"
#include "vmm/podrun_priv.h"

/* Between two things an app has the manager told. */
#define TELL_NS UINT64_C(100000000)

bool podready_waits(const struct podrun *run)
{
	for (unsigned i = 0; i < run->pod.napps; i++)
		if (run->pod.apps[i].notify || run->pod.apps[i].pre_start.n)
			return true;
	return false;
}

/* Whether an app still has to say that it is ready. */
static bool is_unready(const struct podrun *run, unsigned i)
{
	return run->pod.apps[i].notify && !run->ready.app[i].ready;
}

bool podready_started(const struct podrun *run)
{
	for (unsigned i = 0; i < run->pod.napps; i++)
		if (run->agent.apps[i].state == AGENT_APP_RUNNING && is_unready(run, i))
			return false;
	return agent_all_started(&run->agent);
}

bool podready_is(const struct podrun *run)
{
	for (unsigned i = 0; i < run->pod.napps; i++)
		if (is_unready(run, i))
			return false;
	return true;
}

static void look(struct podrun *run, unsigned i, uint64_t now)
{
	struct podready *ready = &run->ready;
	struct notice *said = &run->agent.apps[i].notice;

	if (said->ready)
		ready->app[i].ready = true;
	if (said->alive) {
		ready->app[i].watched = true;
		ready->app[i].alive_ns = now;
	}
	if (said->hung) {
		ready->app[i].watched = true;
		ready->app[i].hung = true;
	}
	if (said->has_status) {
		ready->teller = i;
		memcpy(ready->status, said->status, sizeof(ready->status));
		ready->has_status = true;
	}
	ready->stopping |= said->stopping && run->pod.napps == 1;
	ready->extend = MAX(ready->extend, said->extend);
	*said = (struct notice){.ready = false};
}

static void tell(struct podrun *run)
{
	struct podready *ready = &run->ready;
	cleanup_str struct str text = STR_INIT;

	if (ready->stopping && !run->stopping)
		str_add(&text, "STOPPING=1\n");
	if (ready->extend)
		str_addf(&text, "EXTEND_TIMEOUT_USEC=%llu\n", (unsigned long long)ready->extend);
	if (ready->has_status && run->pod.napps > 1)
		str_addf(&text, "STATUS=%s: %s\n", run->pod.apps[ready->teller].name,
			 ready->status);
	else if (ready->has_status)
		str_addf(&text, "STATUS=%s\n", ready->status);
	notify_send(&run->notify, str_get(&text));
	ready->stopping = ready->has_status = false;
	ready->extend = 0;
}

void podready_look(struct podrun *run, uint64_t now)
{
	struct podready *ready = &run->ready;

	for (unsigned i = 0; i < run->pod.napps; i++)
		if (run->pod.apps[i].notify)
			look(run, i, now);
	if (!ready->stopping && !ready->has_status && !ready->extend)
		return;
	if (!ready->tell_ns)
		ready->tell_ns = MAX(now, ready->told_ns + TELL_NS);
	if (now < ready->tell_ns)
		return;
	tell(run);
	ready->told_ns = now;
	ready->tell_ns = 0;
}

void podready_watchdog(struct podrun *run, uint64_t now)
{
	uint64_t limit = 2 * run->notify.period_ns;

	for (unsigned i = 0; i < run->pod.napps; i++)
		if (run->ready.app[i].watched && run->agent.apps[i].state == AGENT_APP_RUNNING &&
		    (run->ready.app[i].hung || now - run->ready.app[i].alive_ns > limit)) {
			run->notify.next_ns = now + run->notify.period_ns;
			return;
		}
	notify_watchdog(&run->notify, now);
}

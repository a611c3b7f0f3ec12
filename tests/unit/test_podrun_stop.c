/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include <signal.h>
#include <string.h>

#include "vmm/podrun_priv.h"

#define APPS 4

/* A pod whose init listens, with what it is told held back to be looked at. */
static struct podrun *make_pod(struct pod_app apps[APPS])
{
	static const uint8_t plan[1];
	static struct vsock nobody;
	struct podrun *run = xcalloc(1, sizeof(*run));

	run->notify = (struct notify)NOTIFY_INIT;
	run->pod.apps = apps;
	run->pod.napps = APPS;
	for (unsigned i = 0; i < APPS; i++)
		apps[i].stop_signal = SIGTERM;
	agent_init(&run->agent, &nobody, plan, sizeof(plan), APPS);
	agent_all_absent(&run->agent);
	agent_hold(&run->agent);
	run->agent.state = AGENT_TALKING;
	return run;
}

static void free_pod(struct podrun *run)
{
	agent_free(&run->agent);
	free(run);
}

/* Message number n to init is this signal. */
static void assert_told(const struct podrun *run, unsigned n, uint16_t app, uint32_t sig)
{
	const size_t size = sizeof(struct agent_hdr) + sizeof(sig);
	struct agent_hdr hdr;
	uint32_t payload;

	assert_true(run->agent.out_len >= (n + 1) * size);
	memcpy(&hdr, run->agent.out + n * size, sizeof(hdr));
	memcpy(&payload, run->agent.out + n * size + sizeof(hdr), sizeof(payload));
	assert_int_equal(hdr.type, AGENT_SIGNAL);
	assert_int_equal(hdr.len, sizeof(payload));
	assert_int_equal(hdr.app, app);
	assert_int_equal(payload, sig);
}

static void assert_messages(const struct podrun *run, unsigned n)
{
	assert_int_equal(run->agent.out_len, n * (sizeof(struct agent_hdr) + sizeof(uint32_t)));
}

static void all_apps_are_asked_at_once_by_the_usual_signal(void **state)
{
	struct pod_app apps[APPS] = {{.name = NULL}};
	struct podrun *run = make_pod(apps);

	(void)state;
	run->agent.apps[1].state = AGENT_APP_RUNNING;
	podrun_stop(run, SIGTERM);
	podrun_stop(run, SIGTERM);
	assert_messages(run, 1);
	assert_told(run, 0, AGENT_ALL_APPS, SIGTERM);
	assert_true(run->stopping);
	assert_false(run->killed);
	free_pod(run);
}

static void each_app_that_is_there_is_asked_by_its_own_signal(void **state)
{
	struct pod_app apps[APPS] = {{.name = NULL}};
	struct podrun *run = make_pod(apps);

	(void)state;
	apps[1].stop_signal = SIGQUIT;
	run->agent.apps[0].state = AGENT_APP_RUNNING;
	run->agent.apps[1].state = AGENT_APP_PENDING;
	run->agent.apps[2].state = AGENT_APP_ADDED;
	podrun_stop(run, SIGTERM);
	assert_messages(run, 2);
	assert_told(run, 0, 0, SIGTERM);
	assert_told(run, 1, 1, SIGQUIT);
	assert_false(run->killed);
	free_pod(run);
}

static void a_signal_to_us_is_passed_on_as_it_is(void **state)
{
	struct pod_app apps[APPS] = {{.name = NULL}};
	struct podrun *run = make_pod(apps);

	(void)state;
	apps[0].stop_signal = SIGQUIT;
	run->agent.apps[0].state = AGENT_APP_RUNNING;
	podrun_stop(run, SIGINT);
	assert_messages(run, 1);
	assert_told(run, 0, AGENT_ALL_APPS, SIGINT);
	free_pod(run);
}

static void a_pod_whose_init_is_not_there_is_killed(void **state)
{
	struct pod_app apps[APPS] = {{.name = NULL}};
	struct podrun *run = make_pod(apps);

	(void)state;
	run->agent.state = AGENT_CONNECTED;
	podrun_stop(run, SIGTERM);
	assert_true(run->killed);
	assert_int_equal(run->status, 128 + SIGTERM);
	free_pod(run);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_apps_are_asked_at_once_by_the_usual_signal),
		cmocka_unit_test(each_app_that_is_there_is_asked_by_its_own_signal),
		cmocka_unit_test(a_signal_to_us_is_passed_on_as_it_is),
		cmocka_unit_test(a_pod_whose_init_is_not_there_is_killed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

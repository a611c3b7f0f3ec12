/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What clients of the control socket ask of a running pod: its state, what it has counted, its end.
 * Sessions, the TPM, memory and the apps of a mutable pod have files of their own, to which the one
 * switch (podrun_control()) passes their requests.
 *
 * We are on the loop's thread: what is read of the pod here does not change meanwhile.
 */
#include <signal.h>

#include "common/json.h"
#include "vmm/podrun_priv.h"

static const char *app_state(const struct podrun *run, unsigned i)
{
	switch (run->agent.apps[i].state) {
	case AGENT_APP_PENDING:
		return "starting";
	case AGENT_APP_RUNNING:
		return "running";
	case AGENT_APP_FAILED:
	case AGENT_APP_EXITED:
	case AGENT_APP_STUCK:
	case AGENT_APP_ABSENT:
		break;
	case AGENT_APP_ADDING:
	case AGENT_APP_ADDED:
	case AGENT_APP_REMOVING:
		return "created";
	}
	return "exited";
}

static void reply_status(struct podrun *run, uint32_t client)
{
	static const char *const states[] = {"booting", "starting", "running", "exited", "exited"};
	cleanup_json struct json_object *root = json_object_new_object();
	struct json_object *list = json_object_new_array();

	json_add_string(root, "state", run->stopping ? "stopping" : states[run->phase]);
	json_add(root, "apps", list);
	for (unsigned i = 0; i < run->pod.napps; i++) {
		const struct agent_app *app = &run->agent.apps[i];
		struct json_object *entry;

		if (!run->pod.apps[i].name[0])
			continue;
		entry = json_object_new_object();
		json_add_string(entry, "name", run->pod.apps[i].name);
		json_add_string(entry, "state", app_state(run, i));
		if (app->state == AGENT_APP_FAILED)
			json_add_int(entry, "exit", app->code);
		if (app->state == AGENT_APP_EXITED)
			json_add_int(entry, "exit", stage1_exit_code(app->wait_status));
		json_object_array_add(list, entry);
	}
	control_reply(&run->control, client, json_text(root));
}

/* What went through a NIC. Its counters are the loop's thread's, as we are. */
static struct json_object *nic_stats(const struct net *net)
{
	const struct net_stats *stats = &net->stats;
	struct json_object *entry = json_object_new_object();

	json_add_int(entry, "rx-frames", (int64_t)stats->rx_frames);
	json_add_int(entry, "rx-bytes", (int64_t)stats->rx_bytes);
	json_add_int(entry, "rx-dropped", (int64_t)stats->rx_dropped);
	json_add_int(entry, "rx-segmented", (int64_t)stats->rx_segmented);
	json_add_int(entry, "tx-frames", (int64_t)stats->tx_frames);
	json_add_int(entry, "tx-bytes", (int64_t)stats->tx_bytes);
	json_add_int(entry, "tx-dropped", (int64_t)stats->tx_dropped);
	json_add_int(entry, "tx-refused", (int64_t)stats->tx_refused);
	json_add_int(entry, "tx-segmented", (int64_t)stats->tx_segmented);
	json_add_int(entry, "tx-unsummed", (int64_t)stats->tx_unsummed);
	return entry;
}

static void reply_stats(struct podrun *run, uint32_t client)
{
	cleanup_json struct json_object *root = json_object_new_object();
	cleanup_json struct json_object *nics = json_object_new_array();
	const struct guest *guest = run->guest;
	uint64_t count;

	if (machine_instructions(guest->machine, &count) == 0)
		json_add_int(root, "instructions", (int64_t)count);
	if (run->hello_insns)
		json_add_int(root, "instructions-to-init", (int64_t)run->hello_insns);
	if (run->started_insns)
		json_add_int(root, "instructions-to-apps", (int64_t)run->started_insns);
	json_add_int(root, "memory", (int64_t)guest->memory);
	if (guest->mem)
		json_add_int(root, "memory-plugged",
			     (int64_t)(GUEST_BOOT_MEMORY + guest->mem->plugged_size));
	json_add_int(root, "vcpus", guest->ncpus);
	for (unsigned i = 0; i < guest->nnics; i++)
		json_object_array_add(nics, nic_stats(guest->nic[i]));
	json_add(root, "nics", json_object_get(nics));
	control_reply(&run->control, client, json_text(root));
}

void podrun_control(struct podrun *run, uint32_t client)
{
	enum control_verb verb;

	while ((verb = control_event(&run->control, client)) != CONTROL_NONE) {
		switch (verb) {
		case CONTROL_STATUS:
			reply_status(run, client);
			break;
		case CONTROL_STATS:
			reply_stats(run, client);
			break;
		case CONTROL_STOP:
			podrun_stop(run, SIGTERM);
			control_reply(&run->control, client, "{\"ok\":true}");
			break;
		case CONTROL_KILL:
			run->die = true;
			podrun_kill(run, 128 + SIGKILL);
			control_reply(&run->control, client, "{\"ok\":true}");
			break;
		case CONTROL_PCRS:
		case CONTROL_QUOTE:
			podtpm_ask(run, client, verb);
			break;
		case CONTROL_SESSION:
			podrun_session(run, client);
			return; /* the index may be another's by now */
		case CONTROL_STREAM:
			podrun_stream(run, client);
			return;
		case CONTROL_ATTACH:
			podrun_attach(run, client);
			return;
		case CONTROL_ENDPOINTS:
			podrun_endpoints(run, client);
			break;
		case CONTROL_WINSIZE:
			podrun_winsize(run, client);
			break;
		case CONTROL_MEMORY:
			podmemory_ask(run, client);
			break;
		case CONTROL_APP_FACTS:
		case CONTROL_APP_ADD:
		case CONTROL_APP_METADATA:
		case CONTROL_APP_START:
		case CONTROL_APP_STOP:
		case CONTROL_APP_RM:
			podmut_ask(run, client, verb);
			break;
		case CONTROL_NONE:
			break;
		}
	}
}

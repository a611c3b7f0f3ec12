/* SPDX-License-Identifier: Apache-2.0 */
/* The pod manifest, and the plan of every one that is accepted. */
#include "tests/fuzz/fuzz.h"

#include <assert.h>

#include "vmm/agent_proto.h"
#include "vmm/plan.h"
#include "vmm/pod.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct podnet net = PODNET_INIT;
	const struct plan_args args = {.hostname = "pod", .net = &net, .memory = 1};
	struct error err = ERROR_INIT;
	struct pod_spec pod;
	uint8_t *plan;
	size_t len;

	if (pod_parse((const char *)data, size, &pod, &err) < 0)
		return 0;
	assert(pod.napps >= 1 && pod.napps <= PLAN_APPS_MAX);
	assert(pod_memory(&pod, 1) >= POD_MEMORY_MIN && pod_cpus(&pod, 4) <= 4);
	for (unsigned i = 0; i < pod.napps; i++)
		assert(!strchr(pod.apps[i].name, '/') && pod.apps[i].exec.n);
	if (plan_build(&pod, &args, &plan, &len, &err) == 0) {
		assert(len <= AGENT_PLAN_MAX);
		free(plan);
	}
	pod_free(&pod);
	return 0;
}

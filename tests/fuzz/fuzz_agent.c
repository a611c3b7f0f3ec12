/* SPDX-License-Identifier: Apache-2.0 */
/* What init says, cut anywhere. The first byte is the length of the pieces. */
#include "tests/fuzz/fuzz.h"

#include <assert.h>

#include "tests/unit/vsock_guest.h"
#include "vmm/agent.h"

#define APPS 3

static bool on_accept(void *ctx, unsigned conn, uint32_t port)
{
	(void)ctx;
	(void)conn;
	(void)port;
	return false;
}

/* Nobody can dial, so there is nobody to call these for. */
static const struct vsock_ops ops = {.accept = on_accept};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct vsg v;
	static const uint8_t plan[1] = {0};
	struct agent agent;
	size_t piece;

	if (!size)
		return 0;
	if (!v.vs)
		vsg_init(&v, &ops, NULL);
	piece = 1 + *data++ % 64;
	size--;
	agent_init(&agent, v.vs, plan, 0, APPS);
	v.vs->conn[0].state = VSOCK_GONE; /* what is said to init goes nowhere */
	agent_accept(&agent, 0);
	while (size) {
		size_t n = MIN(piece, size);
		struct iovec iov = {(void *)(uintptr_t)data, n};
		size_t took = agent_data(&agent, &iov, 1, n);

		assert(took == n);
		data += n;
		size -= n;
	}
	for (unsigned i = 0; i < APPS; i++) {
		assert(strlen(agent.apps[i].text) <= AGENT_TEXT_MAX);
		if (agent.apps[i].state == AGENT_APP_FAILED)
			assert(agent.apps[i].code >= 1 && agent.apps[i].code <= 255);
	}
	assert((agent.state == AGENT_DEAD) == (agent.failure[0] != '\0'));
	agent_free(&agent);
	return 0;
}

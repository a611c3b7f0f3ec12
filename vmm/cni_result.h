/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMM_CNI_RESULT_H
#define VMM_CNI_RESULT_H

#include <json-c/json.h>

#include "common/error.h"
#include "vmm/agent_proto.h"

/*
 * A CNI result (any version: 0.1.0's ip4 and ip6, and ips and routes since 0.3.0) as what a NIC in the
 * guest is told.
 */

struct cni_result {
	unsigned naddresses, nroutes;
	struct plan_address address[PLAN_ADDRESSES_MAX];
	struct plan_route route[PLAN_ROUTES_MAX];
	char *resolv; /* lines of a resolv.conf, NULL when the result has no DNS; owned */
};

/* What does not fit, or is no address, is -EINVAL: half a network is none. */
int cni_result_parse(struct json_object *doc, struct cni_result *ret, struct error *err)
	__attribute__((nonnull));

#endif

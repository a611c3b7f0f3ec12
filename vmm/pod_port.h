/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMM_POD_PORT_H
#define VMM_POD_PORT_H

#include <json-c/json.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/error.h"

/* A port of the pod that is published on the host (the manifest's "ports"; images.md section 5). */

#define POD_PORTS_MAX 256

struct pod_port {
	bool udp;
	char host_ip[INET6_ADDRSTRLEN]; /* "": every address */
	uint16_t host, pod;
};

/*
 * The published ports of a pod manifest; which port of an app each name means is looked up in the
 * apps' sections. At most max; two for one host port are an error, and so is a name no app has, or
 * that two have.
 */
int pod_ports_parse(struct json_object *manifest, struct pod_port *ret, unsigned max,
		    unsigned *ret_n, struct error *err) __attribute__((nonnull));

#endif

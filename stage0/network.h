/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE0_NETWORK_H
#define STAGE0_NETWORK_H

#include <stdbool.h>

#include "common/error.h"
#include "common/json.h"
#include "common/str.h"

/* What the command line says about networks (rkt-behaviour 8.1, 8.6). */

/* Whether text is an IPv4 or IPv6 address. */
bool address_is_valid(const char *text) __attribute__((nonnull));

/*
 * Check the value of --net: names with arguments, "none", "host", "default", "user". "" is default.
 * Whether there is such a network is stage1's to find out.
 */
int network_check(const char *text, struct error *err) __attribute__((nonnull));

/* Whether the networks are none but loop-back, or the host's: no port can be published on them. */
bool network_publishes(const char *text) __attribute__((nonnull));

/*
 * Add "NAME:[HOSTIP:]HOSTPORT" to a pod manifest's list of ports. NAME is an app's port, or the number
 * of one: "80", "53/udp".
 */
int port_add(struct json_object *list, const char *text, struct error *err)
	__attribute__((nonnull));
/* Whether each port of the list that is said by name is one of exactly one app of the pod's. */
int ports_check(struct json_object *list, struct json_object *apps, struct error *err)
	__attribute__((nonnull));

/* Likewise "NAME:PROTO:PODPORT:HOSTIP:HOSTPORT", a port of no app; HOSTIP may be empty. */
int port_add_whole(struct json_object *list, const char *text, struct error *err)
	__attribute__((nonnull));

#endif

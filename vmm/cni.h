/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMM_CNI_H
#define VMM_CNI_H

#include <json-c/json.h>
#include <stddef.h>

#include "common/error.h"
#include "vmm/pod_port.h"
#include "vmm/stage1.h"

/*
 * CNI networks (the CNI specification 1.1, rkt-behaviour.md sections 8.2 to 8.4): configurations
 * from LOCAL/net.d and the built-in ones, and the plugins that make them, run unmodified.
 */

#define CNI_NETWORKS_MAX 8 /* of a pod: one NIC each */
#define CNI_PLUGINS_MAX	 16
#define CNI_NAME_MAX	 64

struct cni_network {
	char *name;
	char *file;		  /* where it is written, or "built-in" */
	char *args;		  /* for the plugins: K=V;K=V, "" for none */
	struct json_object *conf; /* a network configuration list: cniVersion, name, plugins */
};

struct cni_networks {
	struct cni_network v[CNI_NETWORKS_MAX];
	unsigned n;
};

/*
 * The networks that list (the value of --net) names, in the order they are joined. -ENOENT: there is
 * no such network. local_config is the administrator's directory. cni_networks_free() *ret.
 */
int cni_find(const char *local_config, const char *list, struct cni_networks *ret,
	     struct error *err) __attribute__((nonnull));
void cni_networks_free(struct cni_networks *networks) __attribute__((nonnull));

/* What every plugin is told of the pod. */
struct cni_pod {
	const char *uuid;
	const char *netns; /* path */
	const char *local_config;
	const char *ifname;
	const char *args;
	const struct pod_port *ports; /* to be published by this network */
	unsigned nports;
};

/* Whether the plugins of the list are there. -ENOENT when one is not: nothing needs a DEL then. */
int cni_check(struct json_object *conf, const struct cni_pod *pod, struct error *err)
	__attribute__((nonnull));

/*
 * ADD: run the list's plugins in their order. *ret is the last one's result; the caller puts it. A
 * failure leaves what the plugins before have made: DEL it.
 */
int cni_add(struct json_object *conf, const struct cni_pod *pod, struct json_object **ret,
	    struct error *err) __attribute__((nonnull));
/* DEL: all plugins, last first, whatever one of them says; the first failure is returned. */
int cni_del(struct json_object *conf, struct json_object *result, const struct cni_pod *pod,
	    struct error *err) __attribute__((nonnull(1, 3, 4)));

#endif

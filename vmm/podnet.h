/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMM_PODNET_H
#define VMM_PODNET_H

#include "common/error.h"
#include "vmm/agent_proto.h"
#include "vmm/cni.h"
#include "vmm/net.h"
#include "vmm/passt.h"
#include "vmm/pod.h"
#include "vmm/stage1.h"

/*
 * The pod's networks (rkt-behaviour.md section 8): from what stage0 asks for to the NICs of the
 * machine and what init is told of them. --net=user is passt, none is the loop-back interface alone,
 * others are CNI's.
 */

struct podnet_nic {
	const char *name; /* of the network */
	bool leased; /* MTU and addresses are known when it is started: no two pods have the same */
	const struct net_backend *backend;
	int fd; /* owned until the machine has it */
	uint16_t mtu;
	struct net_guard guard;
	unsigned naddresses, nroutes;
	struct plan_address address[PLAN_ADDRESSES_MAX];
	struct plan_route route[PLAN_ROUTES_MAX];
};

/* The numbers of POD_RATE_NET. */
enum { PODNET_IN_BYTES, PODNET_IN_PACKETS, PODNET_OUT_BYTES, PODNET_OUT_PACKETS, PODNET_RATES };

struct podnet {
	struct podnet_nic nic[PLAN_NICS_MAX];
	unsigned nnics;
	char *resolv;	  /* of /etc/resolv.conf; NULL: the image's */
	char *hosts;	  /* of /etc/hosts; NULL: the image's, or one of init's */
	bool resolv_said; /* by stage0: what a network says does not count */
	struct passt passt;
	int stream;		     /* to it; the NIC's */
	uint64_t rate[PODNET_RATES]; /* of each NIC, a second; 0: no limit */
	struct cni_networks cni;
	pid_t watcher; /* the process that takes them away, from when watched is closed */
	int watcher_pidfd, watched;
};

#define PODNET_INIT                                                                                \
	{                                                                                          \
		.passt = PASST_NONE, .watcher_pidfd = -1, .watched = -1                            \
	}

/* What is asked for, with nothing started. *ret is podnet_free()d. */
int podnet_plan(const struct stage1_args *args, const struct pod_spec *pod, struct podnet *ret,
		struct error *err) __attribute__((nonnull));
/* Start it; podnet_wait() before the guest counts on it. */
int podnet_start(struct podnet *net, const struct stage1_args *args, const struct pod_spec *pod,
		 struct error *err) __attribute__((nonnull));
/* A network as it would be in any pod of this kind: without what was leased. Shares net's strings. */
struct podnet podnet_unleased(const struct podnet *net) __attribute__((nonnull));
int podnet_wait(struct podnet *net, struct error *err) __attribute__((nonnull));
/* Let a network's process end, and see it end, from where no process can be killed (the jail). */
void podnet_end(struct podnet *net) __attribute__((nonnull));
void podnet_free(struct podnet *net) __attribute__((nonnull));

/* The text of net-info.json. The caller frees it. */
char *podnet_info(const struct podnet *net) __attribute__((nonnull));

#endif

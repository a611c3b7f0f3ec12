/* SPDX-License-Identifier: Apache-2.0 */
#ifndef INITRD_PLAN_H
#define INITRD_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "initrd/text.h"
#include "vmm/agent_proto.h"

/* The plan as init acts on it. Strings and vectors lie in the message and in the caller's pool. */

#define INIT_GROUPS_MAX                                                                            \
	1024 /* supplementary groups: 64 are many; a user of a directory has hundreds */

struct init_plan_app {
	const char *name;
	const char *root; /* block device of its image */
	char **argv;	  /* NULL-terminated, argv[0] is the program */
	char **envp;	  /* NULL-terminated */
	char **pre_start; /* likewise; empty: there is none */
	char **post_stop;
	const char *user; /* never NULL: "0" when the plan names none, like group */
	const char *group;
	const char *workdir;   /* absolute */
	const uint8_t *groups; /* ngroups little-endian u32, unaligned */
	unsigned ngroups;
	uint32_t flags; /* enum plan_flags */
	uint16_t rows, columns;
	uint64_t caps;
	bool has_oom;
	int32_t oom; /* oom_score_adj */
	struct plan_limits limits;
	const uint8_t *ulimits; /* nulimits struct plan_ulimit, unaligned */
	unsigned nulimits;
	const uint8_t *filter; /* nfilter struct sock_filter, unaligned */
	unsigned nfilter;
	char **mounts; /* paths; the records they are in are init_plan_mount()'s to read */
	unsigned nargs, nenv, npre, npost, nmounts;
};

struct init_plan_nic {
	uint16_t mtu;
	unsigned naddresses, nroutes;
	struct plan_address address[PLAN_ADDRESSES_MAX];
	struct plan_route route[PLAN_ROUTES_MAX];
};

struct init_plan {
	const char *hostname;	/* NULL: leave it */
	const char *hosts;	/* of /etc/hosts where there is none; NULL: leave it */
	const char *hosts_set;	/* ... whether there is one or not */
	const char *resolv;	/* of /etc/resolv.conf; NULL: the image's */
	uint64_t memory;	/* 0: whatever is there */
	bool tpm;		/* bind its driver */
	bool mutable;		/* apps come and go */
	unsigned first_volume;	/* number of the first of its volumes among all of the pod's */
	bool metadata;		/* listen for requests to the metadata service */
	const char *machine_id; /* of /etc/machine-id where there is none; NULL: leave it */
	unsigned nsysctls;
	const char *sysctl[PLAN_SYSCTLS_MAX]; /* "NAME=VALUE" */
	const char *disk;	/* block device what the apps write is kept on; NULL: memory */
	const uint8_t *volumes; /* nvolumes struct plan_volume, unaligned */
	unsigned nvolumes;
	unsigned nnics;
	struct init_plan_nic nic[PLAN_NICS_MAX];
	unsigned napps;
	struct init_plan_app app[PLAN_APPS_MAX];
};

/* One of the pod's volumes, and where an app has one. */
struct plan_volume init_plan_volume(const struct init_plan *plan, unsigned volume)
	__attribute__((nonnull));
struct plan_mount init_plan_mount(const struct init_plan_app *app, unsigned mount)
	__attribute__((nonnull));

/* Entries a pool for the vectors of any plan of AGENT_PLAN_MAX bytes needs. */
#define INIT_POOL_MAX (AGENT_PLAN_MAX / 8 + 4 * PLAN_APPS_MAX)

/*
 * Decode the len bytes of a plan in place: its strings are moved over their headers to make room
 * for terminators. pool holds INIT_POOL_MAX pointers. 0, or -EINVAL with what is wrong in why.
 */
int init_plan_decode(uint8_t *bytes, size_t len, char **pool, struct init_plan *ret,
		     struct init_text *why) __attribute__((nonnull));

/* Entries a pool for the vectors of any request of AGENT_EXEC_MAX bytes needs. */
#define INIT_REQUEST_POOL_MAX (AGENT_EXEC_MAX / 8 + 4)

/* Decode the records of EXEC in the same way; ret holds the app's name and what is asked for. */
int init_request_decode(uint8_t *bytes, size_t len, char **pool, struct init_plan_app *ret,
			struct init_text *why) __attribute__((nonnull));

#endif

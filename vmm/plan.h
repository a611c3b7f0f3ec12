/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMM_PLAN_H
#define VMM_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"
#include "common/str.h"
#include "vmm/agent_proto.h"
#include "vmm/pod.h"
#include "vmm/podnet.h"

/* From the pod to the bytes of AGENT_PLAN (vmm/agent_proto.h). */

struct plan_args {
	const char *hostname;
	bool mutable_pod;      /* there are no apps yet */
	const char *uuid;      /* the pod's; NULL: apps get no machine id of it */
	bool tpm;	       /* the guest has one: init binds its driver */
	const char *mds_token; /* NULL: there is no metadata service */
	const struct podnet *net;
	uint64_t disk;		/* bytes of the disk behind the apps' own; 0: there is none */
	uint64_t memory;	/* bytes init waits for; 0: what the guest booted with is all */
	bool open_paths;	/* files of the kernel are as they are */
	bool interactive;	/* the single app gets our stdin */
	bool tty;		/* ... and it is a terminal */
	uint16_t rows, columns; /* of the terminal */
	uint64_t watchdog_usec; /* what our own service manager allows; 0: it has no watchdog */
};

/* The name virtio-blk gives to its nth disk. */
void plan_disk_path(unsigned n, char *ret, size_t size) __attribute__((nonnull));

/*
 * Of one app of the pod: its records but PLAN_APP and PLAN_ROOT; the pod's volumes.
 */
void plan_app_records(struct str *out, const struct pod_app *app, const struct plan_args *args)
	__attribute__((nonnull));
void plan_volumes(struct str *out, const struct pod_spec *pod) __attribute__((nonnull));

/* PLAN_FLAGS of an app. */
uint32_t plan_flags(const struct pod_app *app, const struct plan_args *args)
	__attribute__((nonnull));

/* *ret is malloc()ed, *ret_len bytes, the caller's. -E2BIG beyond AGENT_PLAN_MAX. */
int plan_build(const struct pod_spec *pod, const struct plan_args *args, uint8_t **ret,
	       size_t *ret_len, struct error *err) __attribute__((nonnull));

/* Append one record. */
void plan_put(struct str *out, enum plan_tag tag, const void *data, size_t len)
	__attribute__((nonnull(1)));

#endif

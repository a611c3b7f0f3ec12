/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMM_PODMUT_H
#define VMM_PODMUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"
#include "common/eventlog.h"
#include "vmm/agent_proto.h"
#include "vmm/control.h"
#include "vmm/tpm.h"

/*
 * Mutable pods: apps come, are started and stopped, and go while the machine runs. Clients of
 * control.sock ask for it (stage1's app/ entry points, vmm/appchange.h).
 *
 * The VMM can open nothing by then. An app-add request brings what it needs as descriptors: first a
 * file that begins with a struct podmut_app, then the files of the app's disk, in order.
 */

#define PODMUT_SLOTS  16 /* apps at once: each is a disk that every mutable pod boots with */
#define PODMUT_SHARES 8	 /* volumes of the host at once, of all apps */
#define PODMUT_MAGIC  0x7070616d /* "mapp" */

/*
 * What follows it: for each share a word, the vhost-user features of its server; volumes, a PLAN_VOLUME
 * record or nothing, the host's numbered from 0 on in the place of the slots they get; the app's records
 * but PLAN_APP and PLAN_ROOT; an event log of what is to be measured.
 *
 * With shares the descriptors between this and the disk's are the life line of the process that has
 * started the servers (vmm/appshare.h), and their sockets, in order.
 */
struct podmut_app {
	uint32_t magic;
	uint32_t volumes_len, records_len, log_len;
	uint32_t flags;		 /* PLAN_FLAGS of it */
	uint8_t in, out, errout; /* enum pod_stdio */
	uint8_t notify;
	uint32_t stop_signal;
	uint32_t nshares;
};

/* Status files beside stage1_write_status()'s (rkt-behaviour 4.3). */
#define PODMUT_CREATED "created"
#define PODMUT_STARTED "started"

struct podrun;
struct podmut;

/* The pod's, once the guest is made: run->pod is what it can have, apps without a name. */
int podmut_open(struct podrun *run, struct error *err) __attribute__((nonnull));

/* A request of a client, which is answered now or later. */
void podmut_ask(struct podrun *run, uint32_t client, enum control_verb verb)
	__attribute__((nonnull));

/* Act on what init has said of the apps, and on time. */
void podmut_look(struct podrun *run, uint64_t now_ns) __attribute__((nonnull));
/* When podmut_look() wants to be called next; UINT64_MAX: when something happens. */
uint64_t podmut_deadline(const struct podrun *run) __attribute__((nonnull));

/* A LOOP_SHARE event: the server has hung up. The error that says why, 0 when nobody minds. */
int podmut_share_event(struct podrun *run, uint32_t index, struct error *err)
	__attribute__((nonnull));
/* The pod has ended: wait for the servers' end. */
void podmut_share_end(struct podrun *run) __attribute__((nonnull));

/* An extension of the TPM has been done, or not; NULL: there is none. */
void podmut_measured(struct podrun *run, const struct tpm_answer *answer)
	__attribute__((nonnull(1)));

#endif

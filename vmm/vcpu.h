/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMM_VCPU_H
#define VMM_VCPU_H

#include <linux/kvm.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/error.h"
#include "firmware/firmware.h"
#include "vmm/bus.h"
#include "vmm/ioapic.h"
#include "vmm/kvm.h"

/*
 * The virtual CPUs: one thread each, which only runs KVM_RUN and dispatches its exits.
 *
 * The first thread is started early and sets all of them up while the caller loads the kernel: most
 * of it is waiting for KVM_GET_SUPPORTED_CPUID. The others start with vcpus_arm(); all wait for
 * vcpus_go(), and all but the boot CPU then in KVM, for the guest's INIT and SIPI.
 *
 * The first thread that can not go on (reset, triple fault, anything KVM can not handle) records
 * why, writes end_fd and ends; nothing of that is an error of ours, and none is a hang.
 */

enum vcpu_end_kind {
	VCPU_END_NONE = 0,
	VCPU_END_RESET,	       /* the guest asked for it: panic, reboot or power off */
	VCPU_END_TRIPLE_FAULT, /* or a reboot by way of one */
	VCPU_END_CRASH,	       /* KVM could not go on */
};

#define VCPU_END_TEXT_MAX 256

struct vcpu_end {
	enum vcpu_end_kind kind;
	unsigned vcpu;
	uint64_t rip;
	char text[VCPU_END_TEXT_MAX]; /* one line: what happened and where */
};

struct vcpus;

struct vcpu {
	struct vcpus *all;
	unsigned id;
	int fd;		     /* owned */
	int stats_fd;	     /* owned; -1: KVM keeps no statistics */
	struct kvm_run *run; /* owned mapping */
	pthread_t thread;
	bool started;
};

struct vcpus {
	/* the owner's, set before vcpus_prepare() */
	const struct kvm *kvm;
	const struct bus *mmio, *pio;
	struct ioapic *ioapic;
	int end_fd;
	bool jailed;

	pthread_mutex_t lock;
	pthread_cond_t changed;
	enum {
		VCPUS_NEW,
		VCPUS_PREPARED, /* or failed: setup_error */
		VCPUS_RUNNING,
		VCPUS_STOPPED,
	} phase;
	bool stopping; /* atomic: read by the threads before each KVM_RUN */
	struct error setup_error;
	struct vcpu_end end;
	uint64_t first_run_ns; /* CLOCK_MONOTONIC just before the first KVM_RUN */
	unsigned n;
	struct vcpu vcpu[FIRMWARE_MAX_CPUS];
};

/* Start setting up n vCPUs, in a thread. */
int vcpus_prepare(struct vcpus *vcpus, unsigned n, struct error *err) __attribute__((nonnull));
/* Wait for that, give the boot CPU its start, and start every thread; they wait. */
int vcpus_arm(struct vcpus *vcpus, const struct firmware_entry *entry, struct error *err)
	__attribute__((nonnull));
/* Let them run. With jailed set each thread confines itself first. */
void vcpus_go(struct vcpus *vcpus) __attribute__((nonnull));
/* Get every thread out of the guest and end it. Fine in every phase. */
void vcpus_stop(struct vcpus *vcpus) __attribute__((nonnull));
void vcpus_free(struct vcpus *vcpus) __attribute__((nonnull)); /* stopped ones */

/* Whether one has ended by itself, and why. */
bool vcpus_ended(struct vcpus *vcpus, struct vcpu_end *ret) __attribute__((nonnull));

/* What vCPU id of ncpus sees of what KVM supports: its APIC id, no host topology. */
void vcpu_edit_cpuid(struct kvm_cpuid2 *cpuid, unsigned id, bool tsc_deadline)
	__attribute__((nonnull));

/* The 64-bit boot protocol's state of the boot CPU (spec section 2), edited into *sregs. */
void vcpu_boot_sregs(struct kvm_sregs *sregs, const struct firmware_entry *entry)
	__attribute__((nonnull));

/* Act on an exit. False when the vCPU can not go on: *ret then says why (vcpu is the caller's). */
bool vcpu_handle_exit(struct vcpu *vcpu, struct vcpu_end *ret) __attribute__((nonnull));

/*
 * Guest kernel instructions that KVM emulated so far, over all vCPUs: on hosts that emulate guest
 * kernel mode that is every one. -ENOTSUP where KVM does not count.
 */
int vcpus_instructions(struct vcpus *vcpus, uint64_t *ret) __attribute__((nonnull));

/* Processor time the vCPUs' threads have had so far. */
uint64_t vcpus_cpu_ns(const struct vcpus *vcpus) __attribute__((nonnull));

#endif

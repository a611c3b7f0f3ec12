/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Set-up, threads and end of the virtual CPUs.
 *
 * Phases go NEW, PREPARED, RUNNING, STOPPED, under lock. Kicking a thread out of KVM_RUN: stopping
 * is set, then a real-time signal whose handler sets immediate_exit in that thread's kvm_run. A
 * signal that comes between the thread's look at stopping and KVM_RUN makes KVM_RUN return at once,
 * so none is lost.
 */
#include "vmm/vcpu.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include "common/clock.h"
#include "common/file.h"
#include "common/util.h"
#include "vmm/jail.h"

#define KICK_SIGNAL (SIGRTMIN + 1)

#define THREAD_STACK                                                                               \
	((size_t)256 * 1024) /* of address space; device code called from exits is shallow */

#define CR0_PE	 (1U << 0)
#define CR0_ET	 (1U << 4)
#define CR0_NE	 (1U << 5)
#define CR0_PG	 (1U << 31)
#define CR4_PAE	 (1U << 5)
#define EFER_LME (1U << 8)
#define EFER_LMA (1U << 10)

#define SELECTOR_CODE 0x10
#define SELECTOR_DATA 0x18

#define MSR_IA32_MISC_ENABLE  0x1a0
#define MISC_ENABLE_FAST_STRS 1

static __thread struct kvm_run *kicked_run; /* for the handler of KICK_SIGNAL */

static void on_kick(int signal)
{
	(void)signal;
	if (kicked_run)
		kicked_run->immediate_exit = 1;
}

void vcpu_edit_cpuid(struct kvm_cpuid2 *cpuid, unsigned id, bool tsc_deadline)
{
	for (uint32_t i = 0; i < cpuid->nent; i++) {
		struct kvm_cpuid_entry2 *e = &cpuid->entries[i];

		switch (e->function) {
		case 0x1:
			/* EBX: APIC id, one logical CPU a package; EDX.28: no siblings */
			e->ebx = (e->ebx & 0xffff) | 1U << 16 | id << 24;
			e->edx &= ~(1U << 28);
			e->ecx |= 1U << 31; /* hypervisor */
			if (tsc_deadline)
				e->ecx |= 1U << 24;
			break;
		case 0x4: /* caches: nobody to share them with */
			e->eax &= 0x3fff;
			break;
		case 0xb:
		case 0x1f: /* topology: none, but the APIC id */
			e->eax = e->ebx = 0;
			e->ecx &= 0xff;
			e->edx = id;
			break;
		case 0x80000008: /* AMD's number of cores */
			e->ecx = 0;
			break;
		case 0x8000001e: /* AMD's APIC id */
			e->eax = id;
			e->ebx &= 0xff;
			break;
		}
	}
}

void vcpu_boot_sregs(struct kvm_sregs *sregs, const struct firmware_entry *entry)
{
	struct kvm_segment code = {
		.limit = 0xffffffff,
		.selector = SELECTOR_CODE,
		.type = 11, /* execute, read, accessed */
		.present = 1,
		.s = 1,
		.l = 1,
		.g = 1,
	};
	struct kvm_segment data = {
		.limit = 0xffffffff,
		.selector = SELECTOR_DATA,
		.type = 3, /* read, write, accessed */
		.present = 1,
		.db = 1,
		.s = 1,
		.g = 1,
	};
	struct kvm_segment task = {.limit = 0xffff, .type = 11, .present = 1};

	sregs->cs = code;
	sregs->ds = sregs->es = sregs->fs = sregs->gs = sregs->ss = data;
	sregs->tr = task;
	sregs->gdt = (struct kvm_dtable){.base = entry->gdt_base, .limit = entry->gdt_limit};
	sregs->idt = (struct kvm_dtable){.limit = 0};
	sregs->cr0 = CR0_PE | CR0_ET | CR0_NE | CR0_PG;
	sregs->cr3 = entry->cr3;
	sregs->cr4 = CR4_PAE;
	sregs->efer = EFER_LME | EFER_LMA;
}

static int set_up_msrs(const struct vcpu *vcpu, struct error *err)
{
	union {
		struct kvm_msrs set;
		uint8_t space[sizeof(struct kvm_msrs) + sizeof(struct kvm_msr_entry)];
	} msrs = {.space = {0}};

	msrs.set.nmsrs = 1;
	msrs.set.entries[0] = (struct kvm_msr_entry){.index = MSR_IA32_MISC_ENABLE,
						     .data = MISC_ENABLE_FAST_STRS};
	if (ioctl(vcpu->fd, KVM_SET_MSRS, &msrs) < 0)
		return error_errno(err, "KVM_SET_MSRS");
	return 0;
}

static int set_up_vcpu(struct vcpu *vcpu, struct kvm_cpuid2 *cpuid, bool tsc_deadline,
		       struct error *err)
{
	const struct kvm *kvm = vcpu->all->kvm;
	void *run;

	vcpu->fd = ioctl(kvm->vm, KVM_CREATE_VCPU, (unsigned long)vcpu->id);
	if (vcpu->fd < 0)
		return error_errno(err, "KVM_CREATE_VCPU %u", vcpu->id);
	run = mmap(NULL, kvm->run_size, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu->fd, 0);
	if (run == MAP_FAILED)
		return error_errno(err, "mapping vCPU %u", vcpu->id);
	vcpu->run = run;
	/* now: later calls on a vCPU wait until it leaves the guest */
	vcpu->stats_fd = ioctl(vcpu->fd, KVM_GET_STATS_FD, NULL);
	vcpu_edit_cpuid(cpuid, vcpu->id, tsc_deadline);
	if (ioctl(vcpu->fd, KVM_SET_CPUID2, cpuid) < 0)
		return error_errno(err, "KVM_SET_CPUID2");
	return set_up_msrs(vcpu, err);
}

static int set_up_all(struct vcpus *vcpus, struct error *err)
{
	cleanup_free struct kvm_cpuid2 *cpuid = NULL;
	bool tsc_deadline = kvm_check(vcpus->kvm, KVM_CAP_TSC_DEADLINE_TIMER);
	int r = kvm_supported_cpuid(vcpus->kvm, &cpuid, err);

	for (unsigned i = 0; r == 0 && i < vcpus->n; i++)
		r = set_up_vcpu(&vcpus->vcpu[i], cpuid, tsc_deadline, err);
	return r;
}

static void set_phase(struct vcpus *vcpus, int phase)
{
	pthread_mutex_lock(&vcpus->lock);
	vcpus->phase = phase;
	pthread_cond_broadcast(&vcpus->changed);
	pthread_mutex_unlock(&vcpus->lock);
}

/* Wait while the phase is the given one; what it is then. */
static int wait_phase(struct vcpus *vcpus, int phase)
{
	int now;

	pthread_mutex_lock(&vcpus->lock);
	while ((int)vcpus->phase == phase)
		pthread_cond_wait(&vcpus->changed, &vcpus->lock);
	now = vcpus->phase;
	pthread_mutex_unlock(&vcpus->lock);
	return now;
}

/* The first end counts; the owner hears of it once. */
static void record_end(struct vcpu *vcpu, struct vcpu_end *end)
{
	struct vcpus *vcpus = vcpu->all;
	uint64_t one = 1;
	bool first;

	end->vcpu = vcpu->id;
	pthread_mutex_lock(&vcpus->lock);
	first = vcpus->end.kind == VCPU_END_NONE;
	if (first)
		vcpus->end = *end;
	pthread_mutex_unlock(&vcpus->lock);
	if (first)
		(void)write_all(vcpus->end_fd, &one, sizeof(one));
}

static void run_guest(struct vcpu *vcpu)
{
	struct vcpu_end end = {.kind = VCPU_END_NONE};

	kicked_run = vcpu->run;
	while (!__atomic_load_n(&vcpu->all->stopping, __ATOMIC_SEQ_CST)) {
		if (ioctl(vcpu->fd, KVM_RUN, 0) == 0) {
			if (vcpu_handle_exit(vcpu, &end))
				continue;
			break;
		}
		if (errno == EINTR || errno == EAGAIN)
			continue;
		snprintf(end.text, sizeof(end.text), "KVM_RUN on vCPU %u: %s", vcpu->id,
			 strerror(errno));
		end.kind = VCPU_END_CRASH;
		break;
	}
	kicked_run = NULL;
	if (end.kind != VCPU_END_NONE)
		record_end(vcpu, &end);
}

static void run_when_let(struct vcpu *vcpu)
{
	struct vcpu_end end = {.kind = VCPU_END_CRASH};
	struct vcpus *vcpus = vcpu->all;
	struct error err = ERROR_INIT;

	if (wait_phase(vcpus, VCPUS_PREPARED) != VCPUS_RUNNING)
		return;
	if (vcpus->jailed && jail_vcpu(&err) < 0) {
		snprintf(end.text, sizeof(end.text), "vCPU %u: %.200s", vcpu->id, err.msg);
		record_end(vcpu, &end);
		return;
	}
	if (vcpu->id == 0)
		vcpus->first_run_ns = clock_now_ns();
	run_guest(vcpu);
}

static void *boot_thread(void *arg)
{
	struct vcpu *vcpu = arg;

	set_up_all(vcpu->all, &vcpu->all->setup_error);
	set_phase(vcpu->all, VCPUS_PREPARED);
	run_when_let(vcpu);
	return NULL;
}

static void *other_thread(void *arg)
{
	run_when_let(arg);
	return NULL;
}

/*
 * Only KICK_SIGNAL reaches the thread, and SIGSYS for the jail: everything else is the main thread's
 * signalfd's.
 */
static int start_thread(struct vcpu *vcpu, void *(*body)(void *arg), struct error *err)
{
	sigset_t blocked, old;
	pthread_attr_t attr;
	int r;

	sigfillset(&blocked);
	sigdelset(&blocked, KICK_SIGNAL);
	sigdelset(&blocked, SIGSYS);
	pthread_sigmask(SIG_SETMASK, &blocked, &old);
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, THREAD_STACK);
	r = pthread_create(&vcpu->thread, &attr, body, vcpu);
	pthread_attr_destroy(&attr);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (r != 0)
		return error_set(err, -r, "thread for vCPU %u: %s", vcpu->id, strerror(r));
	vcpu->started = true;
	return 0;
}

int vcpus_prepare(struct vcpus *vcpus, unsigned n, struct error *err)
{
	struct sigaction action = {.sa_handler = on_kick};

	pthread_mutex_init(&vcpus->lock, NULL);
	pthread_cond_init(&vcpus->changed, NULL);
	vcpus->n = n;
	for (unsigned i = 0; i < n; i++)
		vcpus->vcpu[i] = (struct vcpu){.all = vcpus, .id = i, .fd = -1, .stats_fd = -1};
	sigaction(KICK_SIGNAL, &action, NULL);
	return start_thread(&vcpus->vcpu[0], boot_thread, err);
}

static int set_boot_state(const struct vcpu *vcpu, const struct firmware_entry *entry,
			  struct error *err)
{
	struct kvm_regs regs = {.rip = entry->rip, .rsi = entry->rsi, .rflags = 2};
	struct kvm_sregs sregs;

	if (ioctl(vcpu->fd, KVM_GET_SREGS, &sregs) < 0)
		return error_errno(err, "KVM_GET_SREGS");
	vcpu_boot_sregs(&sregs, entry);
	if (ioctl(vcpu->fd, KVM_SET_SREGS, &sregs) < 0)
		return error_errno(err, "KVM_SET_SREGS");
	if (ioctl(vcpu->fd, KVM_SET_REGS, &regs) < 0)
		return error_errno(err, "KVM_SET_REGS");
	return 0;
}

int vcpus_arm(struct vcpus *vcpus, const struct firmware_entry *entry, struct error *err)
{
	int r;

	wait_phase(vcpus, VCPUS_NEW);
	if (vcpus->setup_error.code < 0) {
		*err = vcpus->setup_error;
		return err->code;
	}
	r = set_boot_state(&vcpus->vcpu[0], entry, err);
	for (unsigned i = 1; r == 0 && i < vcpus->n; i++)
		r = start_thread(&vcpus->vcpu[i], other_thread, err);
	return r;
}

void vcpus_go(struct vcpus *vcpus)
{
	set_phase(vcpus, VCPUS_RUNNING);
}

void vcpus_stop(struct vcpus *vcpus)
{
	__atomic_store_n(&vcpus->stopping, true, __ATOMIC_SEQ_CST);
	if (vcpus->n > 0 && vcpus->vcpu[0].started) {
		wait_phase(vcpus, VCPUS_NEW);
		set_phase(vcpus, VCPUS_STOPPED);
	}
	for (unsigned i = 0; i < vcpus->n; i++)
		if (vcpus->vcpu[i].started)
			pthread_kill(vcpus->vcpu[i].thread, KICK_SIGNAL);
	for (unsigned i = 0; i < vcpus->n; i++) {
		if (vcpus->vcpu[i].started)
			pthread_join(vcpus->vcpu[i].thread, NULL);
		vcpus->vcpu[i].started = false;
	}
}

void vcpus_free(struct vcpus *vcpus)
{
	for (unsigned i = 0; i < vcpus->n; i++) {
		struct vcpu *vcpu = &vcpus->vcpu[i];

		if (vcpu->run)
			munmap(vcpu->run, vcpus->kvm->run_size);
		close_fd(&vcpu->stats_fd);
		close_fd(&vcpu->fd);
	}
	if (vcpus->n > 0) {
		pthread_cond_destroy(&vcpus->changed);
		pthread_mutex_destroy(&vcpus->lock);
	}
	vcpus->n = 0;
}

bool vcpus_ended(struct vcpus *vcpus, struct vcpu_end *ret)
{
	bool ended;

	pthread_mutex_lock(&vcpus->lock);
	ended = vcpus->end.kind != VCPU_END_NONE;
	if (ended)
		*ret = vcpus->end;
	pthread_mutex_unlock(&vcpus->lock);
	return ended;
}

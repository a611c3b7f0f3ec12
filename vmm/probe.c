/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Instructions are tried one by one in a throw-away VM without interrupt controllers: each is put
 * before a HLT in 64-bit kernel mode, with no way to take an exception. What KVM_RUN returns with is
 * the verdict: HLT, it works; an internal error, KVM gives up; shutdown (a triple fault), the CPU
 * raised an exception.
 */
#include "vmm/probe.h"

#include <cpuid.h>
#include <errno.h>
#include <linux/kvm.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include "common/util.h"
#include "vmm/kvm.h"
#include "vmm/vcpu.h"

#define CPUID1_ECX_VMX	       (1U << 5)
#define CPUID_80000001_ECX_SVM (1U << 2)

/* The VM's memory: page tables, code, and an operand of 64-byte alignment. */
#define PML4_GPA    0x1000
#define PDPT_GPA    0x2000
#define PD_GPA	    0x3000
#define CODE_GPA    0x4000
#define OPERAND_GPA 0x5000
#define STACK_GPA   0x8000
#define MEMORY_SIZE 0x8000

#define PTE_TABLE    3	  /* present, writable */
#define PTE_PAGE2M   0x83 /* present, writable, large */
#define HLT	     0xf4
#define CR0_MP	     (1U << 1)
#define CR4_OSFXSR   (1U << 9)
#define CR4_FSGSBASE (1U << 16)
#define CR4_OSXSAVE  (1U << 18)
#define INSN_MAX     8

static const struct insn {
	const char *name;
	uint32_t cr4; /* what it needs beyond the boot state */
	uint8_t len;
	uint8_t code[INSN_MAX]; /* RDI: the operand; RAX: 1; RCX, RDX: 0 */
	bool traps;		/* an exception is what it is for */
} insns[PROBE_INSNS] = {
	[PROBE_XSAVE] = {"xsave", CR4_OSXSAVE | CR4_OSFXSR, 3, {0x0f, 0xae, 0x27}, false},
	[PROBE_STAC] = {"stac", 0, 3, {0x0f, 0x01, 0xcb}, false},
	[PROBE_POPCNT] = {"popcnt", 0, 5, {0xf3, 0x48, 0x0f, 0xb8, 0xc0}, false},
	[PROBE_CMPXCHG16B] = {"cmpxchg16b", 0, 4, {0x48, 0x0f, 0xc7, 0x0f}, false},
	[PROBE_RDRAND] = {"rdrand", 0, 4, {0x48, 0x0f, 0xc7, 0xf0}, false},
	[PROBE_RDSEED] = {"rdseed", 0, 4, {0x48, 0x0f, 0xc7, 0xf8}, false},
	[PROBE_RDFSBASE] = {"rdfsbase", CR4_FSGSBASE, 5, {0xf3, 0x48, 0x0f, 0xae, 0xc0}, false},
	[PROBE_INVPCID] = {"invpcid", 0, 5, {0x66, 0x0f, 0x38, 0x82, 0x07}, false},
	[PROBE_INT3] = {"int3", 0, 1, {0xcc}, true},
	[PROBE_X87] = {"x87", CR4_OSFXSR, 3, {0xd9, 0xe8, 0x9b}, false}, /* fld1, fwait */
};

bool probe_kernel_is_emulated(void)
{
	unsigned a, b, c, d;

	if (__get_cpuid(1, &a, &b, &c, &d) && (c & CPUID1_ECX_VMX))
		return false;
	if (__get_cpuid(0x80000001, &a, &b, &c, &d) && (c & CPUID_80000001_ECX_SVM))
		return false;
	return true;
}

/* A VM with one vCPU. */
struct trial {
	struct kvm kvm;
	uint8_t *memory;
	int vcpu;
	struct kvm_run *run;
};

static int make_trial(struct trial *trial, struct error *err)
{
	cleanup_free struct kvm_cpuid2 *cpuid = NULL;
	int r;

	trial->memory =
		mmap(NULL, MEMORY_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (trial->memory == MAP_FAILED)
		return error_errno(err, "mmap");
	*(uint64_t *)(trial->memory + PML4_GPA) = PDPT_GPA | PTE_TABLE;
	*(uint64_t *)(trial->memory + PDPT_GPA) = PD_GPA | PTE_TABLE;
	*(uint64_t *)(trial->memory + PD_GPA) = PTE_PAGE2M;

	trial->kvm.vm = ioctl(trial->kvm.fd, KVM_CREATE_VM, 0);
	if (trial->kvm.vm < 0)
		return error_errno(err, "KVM_CREATE_VM");
	r = kvm_set_slot(&trial->kvm, 0, 0, MEMORY_SIZE, trial->memory, err);
	if (r == 0)
		r = kvm_supported_cpuid(&trial->kvm, &cpuid, err);
	if (r < 0)
		return r;
	trial->vcpu = ioctl(trial->kvm.vm, KVM_CREATE_VCPU, 0);
	if (trial->vcpu < 0)
		return error_errno(err, "KVM_CREATE_VCPU");
	trial->run =
		mmap(NULL, trial->kvm.run_size, PROT_READ | PROT_WRITE, MAP_SHARED, trial->vcpu, 0);
	if (trial->run == MAP_FAILED)
		return error_errno(err, "mapping the vCPU");
	if (ioctl(trial->vcpu, KVM_SET_CPUID2, cpuid) < 0)
		return error_errno(err, "KVM_SET_CPUID2");
	return 0;
}

static void free_trial(struct trial *trial)
{
	if (trial->run != MAP_FAILED)
		munmap(trial->run, trial->kvm.run_size);
	if (trial->memory != MAP_FAILED)
		munmap(trial->memory, MEMORY_SIZE);
	close_fd(&trial->vcpu);
	kvm_close(&trial->kvm);
}

/* Put the vCPU before an instruction. False when the CPU has not what it needs. */
static bool set_state(const struct trial *trial, const struct insn *insn)
{
	struct firmware_entry entry = {.rip = CODE_GPA, .cr3 = PML4_GPA};
	struct kvm_regs regs = {
		.rip = CODE_GPA,
		.rax = 1,
		.rdi = OPERAND_GPA,
		.rsp = STACK_GPA,
		.rflags = 2,
	};
	struct kvm_sregs sregs;

	if (ioctl(trial->vcpu, KVM_GET_SREGS, &sregs) < 0)
		return false;
	vcpu_boot_sregs(&sregs, &entry);
	sregs.cr0 |= CR0_MP;
	sregs.cr4 |= insn->cr4;
	return ioctl(trial->vcpu, KVM_SET_SREGS, &sregs) == 0 &&
	       ioctl(trial->vcpu, KVM_SET_REGS, &regs) == 0;
}

static enum probe_verdict try_insn(const struct trial *trial, const struct insn *insn)
{
	if (!set_state(trial, insn))
		return PROBE_ABSENT;
	memcpy(trial->memory + CODE_GPA, insn->code, insn->len);
	trial->memory[CODE_GPA + insn->len] = HLT;
	if (ioctl(trial->vcpu, KVM_RUN, 0) < 0)
		return PROBE_FAILS;
	if (trial->run->exit_reason == KVM_EXIT_HLT)
		return PROBE_WORKS;
	if (trial->run->exit_reason == KVM_EXIT_SHUTDOWN)
		return insn->traps ? PROBE_WORKS : PROBE_ABSENT;
	return PROBE_FAILS;
}

int probe_host(struct probe *ret, struct error *err)
{
	struct trial trial = {
		.kvm = KVM_NONE,
		.memory = MAP_FAILED,
		.run = MAP_FAILED,
		.vcpu = -1,
	};
	const struct kvm *kvm = &trial.kvm;
	int r = kvm_open(&trial.kvm, err);

	if (r < 0)
		return r;
	*ret = (struct probe){
		.api = KVM_API_VERSION, /* kvm_open() takes no other */
		.emulated = probe_kernel_is_emulated(),
		.split_irqchip = kvm_check(kvm, KVM_CAP_SPLIT_IRQCHIP),
		.irqfd = kvm_check(kvm, KVM_CAP_IRQFD),
		.ioeventfd = kvm_check(kvm, KVM_CAP_IOEVENTFD),
		.signal_msi = kvm_check(kvm, KVM_CAP_SIGNAL_MSI),
		.immediate_exit = kvm_check(kvm, KVM_CAP_IMMEDIATE_EXIT),
		.tsc_deadline = kvm_check(kvm, KVM_CAP_TSC_DEADLINE_TIMER),
		.max_vcpus = kvm_check(kvm, KVM_CAP_MAX_VCPUS),
		.max_slots = kvm_check(kvm, KVM_CAP_NR_MEMSLOTS),
	};
	if (ret->emulated)
		r = make_trial(&trial, err);
	for (unsigned i = 0; r == 0 && ret->emulated && i < PROBE_INSNS; i++)
		ret->insn[i] = try_insn(&trial, &insns[i]);
	free_trial(&trial);
	return r;
}

static void add_flag(struct str *ret, const char *key, bool value)
{
	str_addf(ret, "%s=%s\n", key, value ? "yes" : "no");
}

void probe_text(const struct probe *probe, struct str *ret)
{
	static const char *const verdicts[] = {
		[PROBE_WORKS] = "works",
		[PROBE_FAILS] = "fails",
		[PROBE_ABSENT] = "absent",
	};

	str_addf(ret, "api=%d\n", probe->api);
	str_addf(ret, "kernel-mode=%s\n", probe->emulated ? "emulated" : "hardware");
	add_flag(ret, "split-irqchip", probe->split_irqchip);
	add_flag(ret, "irqfd", probe->irqfd);
	add_flag(ret, "ioeventfd", probe->ioeventfd);
	add_flag(ret, "signal-msi", probe->signal_msi);
	add_flag(ret, "immediate-exit", probe->immediate_exit);
	add_flag(ret, "tsc-deadline", probe->tsc_deadline);
	str_addf(ret, "max-vcpus=%d\nmax-slots=%d\n", probe->max_vcpus, probe->max_slots);
	for (unsigned i = 0; probe->emulated && i < PROBE_INSNS; i++)
		str_addf(ret, "instruction-%s=%s\n", insns[i].name, verdicts[probe->insn[i]]);
}

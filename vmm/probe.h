/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMM_PROBE_H
#define VMM_PROBE_H

#include <stdbool.h>

#include "common/error.h"
#include "common/str.h"

/*
 * What kind of KVM host this is. Some run guest user mode natively but guest kernel mode in KVM's
 * instruction emulator, which does not know every instruction: kernels need other options there,
 * and everything is slower.
 */

/*
 * Whether guest kernel mode is emulated here: KVM works although the CPU shows neither VMX nor SVM.
 * Costs a few CPUID instructions; needs no KVM.
 */
bool probe_kernel_is_emulated(void);

enum probe_verdict {
	PROBE_WORKS,
	PROBE_FAILS,  /* KVM gives up: the guest would die at it */
	PROBE_ABSENT, /* the guest's CPU has no such instruction */
};

/* Instructions Linux uses in kernel mode that an emulator may not know. */
enum probe_insn {
	PROBE_XSAVE,
	PROBE_STAC,
	PROBE_POPCNT,
	PROBE_CMPXCHG16B,
	PROBE_RDRAND,
	PROBE_RDSEED,
	PROBE_RDFSBASE,
	PROBE_INVPCID,
	PROBE_INT3,
	PROBE_X87,
	PROBE_INSNS,
};

struct probe {
	int api;
	bool emulated;
	bool split_irqchip, irqfd, ioeventfd, signal_msi, immediate_exit, tsc_deadline;
	int max_vcpus, max_slots;
	enum probe_verdict insn[PROBE_INSNS]; /* tried only where kernel mode is emulated */
};

/*
 * Look at the host's KVM, with a VM of its own where instructions must be tried (about 2 ms, half of
 * it closing the VM). Not for the boot path.
 */
int probe_host(struct probe *ret, struct error *err) __attribute__((nonnull));

/* As lines "key=value", for other programs: see `tripod-vmm --probe`. */
void probe_text(const struct probe *probe, struct str *ret) __attribute__((nonnull));

#endif

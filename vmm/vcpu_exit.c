/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a vCPU thread does with an exit: give MMIO and port accesses to their bus, EOIs to the
 * IOAPIC, and say in one line why the guest can not go on when it can not. Everything in struct
 * kvm_run that depends on the guest (addresses, lengths, ports) is checked before it is used.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>

#include "common/util.h"
#include "vmm/vcpu.h"

/* The one thing of the keyboard controller that is left: its reset line (reboot=k). */
#define I8042_COMMAND	   0x64
#define I8042_PULSE_RESET  0xfe
#define I8042_STATUS_EMPTY 0 /* nothing to read, ready for a command */

#define MMIO_LEN_MAX 8
#define INSN_MAX     15

static bool end(struct vcpu_end *ret, enum vcpu_end_kind kind)
{
	ret->kind = kind;
	return false;
}

static uint64_t current_rip(const struct vcpu *vcpu)
{
	struct kvm_regs regs;

	return ioctl(vcpu->fd, KVM_GET_REGS, &regs) < 0 ? 0 : regs.rip;
}

static bool crash(const struct vcpu *vcpu, struct vcpu_end *ret, const char *what, uint64_t detail)
{
	ret->rip = current_rip(vcpu);
	snprintf(ret->text, sizeof(ret->text), "%s %" PRIu64 " on vCPU %u at rip %#" PRIx64, what,
		 detail, vcpu->id, ret->rip);
	return end(ret, VCPU_END_CRASH);
}

static bool handle_internal_error(const struct vcpu *vcpu, struct vcpu_end *ret)
{
	const struct kvm_run *run = vcpu->run;
	char hex[3 * INSN_MAX + 1] = "";
	unsigned n = 0;

	if (run->internal.suberror != KVM_INTERNAL_ERROR_EMULATION)
		return crash(vcpu, ret, "KVM internal error, suberror", run->internal.suberror);
	if (run->emulation_failure.ndata >= 3 &&
	    (run->emulation_failure.flags & KVM_INTERNAL_ERROR_EMULATION_FLAG_INSTRUCTION_BYTES))
		n = MIN(run->emulation_failure.insn_size, INSN_MAX);
	for (unsigned i = 0; i < n; i++)
		snprintf(hex + 3 * (size_t)i, 4, " %02x", run->emulation_failure.insn_bytes[i]);
	ret->rip = current_rip(vcpu);
	snprintf(ret->text, sizeof(ret->text),
		 "KVM can not emulate an instruction on vCPU %u at rip %#" PRIx64 "%s%s", vcpu->id,
		 ret->rip, n ? ":" : "", hex);
	return end(ret, VCPU_END_CRASH);
}

static bool handle_io(const struct vcpu *vcpu, struct vcpu_end *ret)
{
	struct kvm_run *run = vcpu->run;
	uint8_t *data = (uint8_t *)run + run->io.data_offset;
	uint32_t size = run->io.size;
	uint64_t total = (uint64_t)size * run->io.count;

	if (run->io.data_offset > vcpu->all->kvm->run_size ||
	    total > vcpu->all->kvm->run_size - run->io.data_offset)
		return crash(vcpu, ret, "KVM gives port data of", total);
	if (run->io.port == I8042_COMMAND && run->io.direction == KVM_EXIT_IO_OUT && total > 0 &&
	    data[0] == I8042_PULSE_RESET) {
		snprintf(ret->text, sizeof(ret->text), "the guest reset itself");
		return end(ret, VCPU_END_RESET);
	}
	if (run->io.port == I8042_COMMAND && run->io.direction == KVM_EXIT_IO_IN) {
		memset(data, I8042_STATUS_EMPTY, total);
		return true;
	}
	for (uint32_t i = 0; i < run->io.count; i++, data += size) {
		if (run->io.direction == KVM_EXIT_IO_IN)
			bus_read(vcpu->all->pio, run->io.port, data, size);
		else
			bus_write(vcpu->all->pio, run->io.port, data, size);
	}
	return true;
}

static bool handle_mmio(const struct vcpu *vcpu, struct vcpu_end *ret)
{
	struct kvm_run *run = vcpu->run;

	if (run->mmio.len > MMIO_LEN_MAX)
		return crash(vcpu, ret, "KVM gives MMIO data of", run->mmio.len);
	if (run->mmio.is_write)
		bus_write(vcpu->all->mmio, run->mmio.phys_addr, run->mmio.data, run->mmio.len);
	else
		bus_read(vcpu->all->mmio, run->mmio.phys_addr, run->mmio.data, run->mmio.len);
	return true;
}

bool vcpu_handle_exit(struct vcpu *vcpu, struct vcpu_end *ret)
{
	const struct kvm_run *run = vcpu->run;

	switch (run->exit_reason) {
	case KVM_EXIT_MMIO:
		return handle_mmio(vcpu, ret);
	case KVM_EXIT_IO:
		return handle_io(vcpu, ret);
	case KVM_EXIT_IOAPIC_EOI:
		ioapic_eoi(vcpu->all->ioapic, run->eoi.vector);
		return true;
	case KVM_EXIT_INTR:
		return true;
	case KVM_EXIT_SHUTDOWN:
		ret->rip = current_rip(vcpu);
		snprintf(ret->text, sizeof(ret->text), "triple fault on vCPU %u at rip %#" PRIx64,
			 vcpu->id, ret->rip);
		return end(ret, VCPU_END_TRIPLE_FAULT);
	case KVM_EXIT_SYSTEM_EVENT:
		snprintf(ret->text, sizeof(ret->text), "the guest reset itself");
		return end(ret, VCPU_END_RESET);
	case KVM_EXIT_INTERNAL_ERROR:
		return handle_internal_error(vcpu, ret);
	case KVM_EXIT_FAIL_ENTRY:
		return crash(vcpu, ret, "the CPU refuses the guest's state, reason",
			     run->fail_entry.hardware_entry_failure_reason);
	default:
		return crash(vcpu, ret, "unexpected KVM exit", run->exit_reason);
	}
}

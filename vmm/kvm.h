/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMM_KVM_H
#define VMM_KVM_H

#include <linux/kvm.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"

/*
 * KVM's system and VM calls, each behind a small function with a message that says what failed
 * (spec section 10). Costs that shaped the order of the set-up stand there.
 */

struct kvm {
	int fd;		 /* /dev/kvm; -1 once the machine runs */
	int vm;		 /* -1 until kvm_create_vm() */
	size_t run_size; /* bytes of a vCPU's mmap()ed state */
};

#define KVM_NONE                                                                                   \
	{                                                                                          \
		.fd = -1, .vm = -1                                                                 \
	}

/* Open /dev/kvm and check its API. The message of a failure says how to mend it. */
int kvm_open(struct kvm *kvm, struct error *err) __attribute__((nonnull));
/* A VM with local APICs in the kernel and an IOAPIC of ours with npins pins; no PIC, no PIT. */
int kvm_create_vm(struct kvm *kvm, unsigned npins, struct error *err) __attribute__((nonnull));
void kvm_close(struct kvm *kvm);

/* KVM_CHECK_EXTENSION: 0 when missing. */
int kvm_check(const struct kvm *kvm, int cap) __attribute__((nonnull));

/* Everything the host's KVM can show a guest, for KVM_SET_CPUID2. malloc()ed, the caller's. */
int kvm_supported_cpuid(const struct kvm *kvm, struct kvm_cpuid2 **ret, struct error *err)
	__attribute__((nonnull));

/* Map size bytes at hva (page-aligned, same offset in 2 MiB as gpa) as a slot; size 0 deletes it.
 */
int kvm_set_slot(const struct kvm *kvm, uint32_t slot, uint64_t gpa, uint64_t size, void *hva,
		 struct error *err) __attribute__((nonnull(1, 6)));

/* Writes of value, 4 bytes, to gpa go to an eventfd and do not leave the kernel. */
int kvm_add_ioeventfd(const struct kvm *kvm, uint64_t gpa, uint32_t value, int fd,
		      struct error *err) __attribute__((nonnull));
/* Writes to an eventfd raise an interrupt line, whose meaning kvm_set_routes() gives. */
int kvm_add_irqfd(const struct kvm *kvm, uint32_t gsi, int fd, struct error *err)
	__attribute__((nonnull));
/* Replace the whole routing table. 0 or a negative errno. */
int kvm_set_routes(const struct kvm *kvm, const struct kvm_irq_routing *table)
	__attribute__((nonnull));
/* Inject one message-signalled interrupt. */
void kvm_inject_msi(const struct kvm *kvm, uint64_t address, uint32_t data)
	__attribute__((nonnull));

#endif

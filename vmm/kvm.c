/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/kvm.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>

#include "common/util.h"
#include "firmware/firmware.h"

#define CPUID_ENTRIES_MAX 256 /* KVM's own limit, KVM_MAX_CPUID_ENTRIES */

int kvm_open(struct kvm *kvm, struct error *err)
{
	cleanup_fd int fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	int version, size;

	if (fd < 0 && (errno == ENOENT || errno == ENODEV || errno == ENXIO))
		return error_set(err, -errno,
				 "no /dev/kvm: this host has no KVM, or its module is not loaded "
				 "(modprobe kvm_intel or kvm_amd)");
	if (fd < 0 && (errno == EACCES || errno == EPERM))
		return error_set(err, -errno,
				 "no permission to open /dev/kvm: run as root or join its group "
				 "(usually kvm)");
	if (fd < 0)
		return error_errno(err, "/dev/kvm");
	version = ioctl(fd, KVM_GET_API_VERSION, 0);
	if (version < 0)
		return error_errno(err, "/dev/kvm: KVM_GET_API_VERSION");
	if (version != KVM_API_VERSION)
		return error_set(err, -ENOTSUP, "/dev/kvm has API version %d, not %d", version,
				 KVM_API_VERSION);
	size = ioctl(fd, KVM_GET_VCPU_MMAP_SIZE, 0);
	if (size < (int)sizeof(struct kvm_run))
		return error_set(err, -ENOTSUP, "/dev/kvm: KVM_GET_VCPU_MMAP_SIZE gives %d", size);

	*kvm = (struct kvm){.fd = take_fd(&fd), .vm = -1, .run_size = (size_t)size};
	return 0;
}

int kvm_create_vm(struct kvm *kvm, unsigned npins, struct error *err)
{
	struct kvm_enable_cap split = {.cap = KVM_CAP_SPLIT_IRQCHIP, .args = {npins}};
	uint64_t identity_map = LAYOUT_IDENTITY_MAP;

	do {
		kvm->vm = ioctl(kvm->fd, KVM_CREATE_VM, 0);
	} while (kvm->vm < 0 && errno == EINTR);
	if (kvm->vm < 0)
		return error_errno(err, "KVM_CREATE_VM");
	if (ioctl(kvm->vm, KVM_SET_TSS_ADDR, LAYOUT_TSS) < 0)
		return error_errno(err, "KVM_SET_TSS_ADDR");
	if (ioctl(kvm->vm, KVM_SET_IDENTITY_MAP_ADDR, &identity_map) < 0)
		return error_errno(err, "KVM_SET_IDENTITY_MAP_ADDR");
	if (ioctl(kvm->vm, KVM_ENABLE_CAP, &split) < 0)
		return error_errno(err, "KVM_CAP_SPLIT_IRQCHIP with %u pins", npins);
	return 0;
}

void kvm_close(struct kvm *kvm)
{
	if (!kvm)
		return;
	close_fd(&kvm->vm);
	close_fd(&kvm->fd);
}

int kvm_check(const struct kvm *kvm, int cap)
{
	int r = ioctl(kvm->vm >= 0 ? kvm->vm : kvm->fd, KVM_CHECK_EXTENSION, cap);

	return MAX(r, 0);
}

int kvm_supported_cpuid(const struct kvm *kvm, struct kvm_cpuid2 **ret, struct error *err)
{
	cleanup_free struct kvm_cpuid2 *cpuid =
		xcalloc(1, sizeof(*cpuid) + CPUID_ENTRIES_MAX * sizeof(cpuid->entries[0]));

	cpuid->nent = CPUID_ENTRIES_MAX;
	if (ioctl(kvm->fd, KVM_GET_SUPPORTED_CPUID, cpuid) < 0)
		return error_errno(err, "KVM_GET_SUPPORTED_CPUID");
	*ret = take_ptr(cpuid);
	return 0;
}

int kvm_set_slot(const struct kvm *kvm, uint32_t slot, uint64_t gpa, uint64_t size, void *hva,
		 struct error *err)
{
	struct kvm_userspace_memory_region region = {
		.slot = slot,
		.guest_phys_addr = gpa,
		.memory_size = size,
		.userspace_addr = (uintptr_t)hva,
	};

	if (ioctl(kvm->vm, KVM_SET_USER_MEMORY_REGION, &region) < 0)
		return error_errno(err, "KVM_SET_USER_MEMORY_REGION: %llu bytes at %#llx",
				   (unsigned long long)size, (unsigned long long)gpa);
	return 0;
}

int kvm_add_ioeventfd(const struct kvm *kvm, uint64_t gpa, uint32_t value, int fd,
		      struct error *err)
{
	struct kvm_ioeventfd ioeventfd = {
		.datamatch = value,
		.addr = gpa,
		.len = sizeof(value),
		.fd = fd,
		.flags = KVM_IOEVENTFD_FLAG_DATAMATCH,
	};

	if (ioctl(kvm->vm, KVM_IOEVENTFD, &ioeventfd) < 0)
		return error_errno(err, "KVM_IOEVENTFD");
	return 0;
}

int kvm_add_irqfd(const struct kvm *kvm, uint32_t gsi, int fd, struct error *err)
{
	struct kvm_irqfd irqfd = {.fd = (uint32_t)fd, .gsi = gsi};

	if (ioctl(kvm->vm, KVM_IRQFD, &irqfd) < 0)
		return error_errno(err, "KVM_IRQFD");
	return 0;
}

int kvm_set_routes(const struct kvm *kvm, const struct kvm_irq_routing *table)
{
	return ioctl(kvm->vm, KVM_SET_GSI_ROUTING, table) < 0 ? -errno : 0;
}

void kvm_inject_msi(const struct kvm *kvm, uint64_t address, uint32_t data)
{
	struct kvm_msi msi = {
		.address_lo = (uint32_t)address,
		.address_hi = (uint32_t)(address >> 32),
		.data = data,
	};

	/* Fails when no CPU takes it: the guest's own routing. */
	(void)ioctl(kvm->vm, KVM_SIGNAL_MSI, &msi);
}

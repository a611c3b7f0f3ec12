/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMM_MEMORY_H
#define VMM_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"
#include "common/gmem.h"
#include "vmm/kvm.h"

/*
 * Guest memory: one sealed memfd, mapped shared, so that it can be given to a vhost-user back end.
 *
 * It holds RAM the guest boots with (below LAYOUT_LOW_RAM_END, the rest from 4 GiB up) and above it
 * a region for virtio-mem, which starts empty. Host and guest addresses are congruent modulo 2 MiB,
 * so that the host may use large pages.
 *
 * The hot-pluggable region is populated in slots of MEMORY_SLOT, the guest's memory sections and
 * virtio-mem's blocks, so that what is not plugged can not be touched.
 */

#define MEMORY_ALIGN	  (UINT64_C(2) << 20) /* sizes are multiples of it */
#define MEMORY_SLOT_SHIFT 27		      /* 128 MiB */
#define MEMORY_SLOT	  (UINT64_C(1) << MEMORY_SLOT_SHIFT)
#define MEMORY_BOOT_MIN	  (UINT64_C(32) << 20) /* a kernel, an initrd and what they allocate */

struct memory {
	struct gmem gmem; /* what devices use; frozen but for blocks plugged and unplugged */
	int fd;		  /* owned */
	void *reserved;	  /* address space, guard pages around the mapping included */
	size_t reserved_size;
	uint64_t hotplug_gpa, hotplug_size;
	uint32_t hotplug_slot; /* KVM slot number of the region's first slot */
	uint8_t plugged[];     /* a byte a slot */
};

/* boot and hotplug are bytes; boot a multiple of MEMORY_ALIGN, hotplug of MEMORY_SLOT or 0. */
int memory_new(uint64_t boot, uint64_t hotplug, struct memory **ret, struct error *err)
	__attribute__((nonnull));
void memory_free(struct memory *memory);

/* Show the RAM the guest boots with to the VM. */
int memory_map(const struct memory *memory, const struct kvm *kvm, struct error *err)
	__attribute__((nonnull));

/*
 * Plug or unplug one slot, which is in the other state before. 0 or a negative errno, and then
 * nothing has changed. Allocates nothing of the VMM's. What was in an unplugged slot is released
 * by the caller.
 */
int memory_plug(struct memory *memory, const struct kvm *kvm, uint64_t gpa, bool on)
	__attribute__((nonnull));

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>

#include "common/util.h"
#include "firmware/firmware.h"

/* Add a region at offset of the memfd, mapped at base. */
static struct gmem_region *add_region(struct memory *memory, uint8_t *base, uint64_t offset,
				      uint64_t gpa, uint64_t size)
{
	struct gmem_region *region = &memory->gmem.region[memory->gmem.nregions++];

	*region = (struct gmem_region){.gpa = gpa, .size = size, .hva = base + offset};
	return region;
}

static void lay_out(struct memory *memory, uint8_t *base, uint64_t boot, uint64_t hotplug)
{
	uint64_t low = MIN(boot, LAYOUT_LOW_RAM_END);

	add_region(memory, base, 0, 0, low);
	if (boot > low)
		add_region(memory, base, low, LAYOUT_HIGH_RAM, boot - low);
	memory->hotplug_slot = memory->gmem.nregions;
	if (hotplug > 0) {
		uint64_t gpa = ALIGN_UP(LAYOUT_HOTPLUG_MIN + (boot - low), MEMORY_SLOT);
		struct gmem_region *region = add_region(memory, base, boot, gpa, hotplug);

		region->plugged = memory->plugged;
		region->block_shift = MEMORY_SLOT_SHIFT;
		memory->hotplug_gpa = gpa;
		memory->hotplug_size = hotplug;
	}
}

static int make_memfd(uint64_t size, struct error *err)
{
	cleanup_fd int fd = memfd_create("guest-memory", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd < 0 || ftruncate(fd, (off_t)size) < 0 ||
	    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
		return error_errno(err, "guest memory of %llu MiB",
				   (unsigned long long)(size / MIB));
	return take_fd(&fd);
}

int memory_new(uint64_t boot, uint64_t hotplug, struct memory **ret, struct error *err)
{
	uint64_t slots = hotplug / MEMORY_SLOT, size;
	struct memory *memory;
	void *base, *map;

	if (boot < MEMORY_BOOT_MIN || boot % MEMORY_ALIGN || hotplug % MEMORY_SLOT ||
	    __builtin_add_overflow(boot, hotplug, &size) || size > SIZE_MAX / 2)
		return error_set(err, -EINVAL,
				 "guest memory of %llu bytes and %llu pluggable is not possible",
				 (unsigned long long)boot, (unsigned long long)hotplug);
	memory = xcalloc(1, sizeof(*memory) + slots);
	memory->reserved = MAP_FAILED;
	memory->fd = make_memfd(size, err);
	if (memory->fd < 0)
		goto fail;

	memory->reserved_size = size + 2 * MEMORY_ALIGN;
	memory->reserved = mmap(NULL, memory->reserved_size, PROT_NONE,
				MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (memory->reserved == MAP_FAILED) {
		error_errno(err, "address space for guest memory");
		goto fail;
	}
	base = (void *)ALIGN_UP((uintptr_t)memory->reserved + 1, MEMORY_ALIGN);
	map = mmap(base, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED | MAP_NORESERVE,
		   memory->fd, 0);
	if (map == MAP_FAILED) {
		error_errno(err, "mapping guest memory");
		goto fail;
	}
	(void)madvise(map, size, MADV_DONTDUMP); /* a core dump is about us, not about the guest */
	lay_out(memory, map, boot, hotplug);
	*ret = memory;
	return 0;

fail:
	memory_free(memory);
	return err->code;
}

void memory_free(struct memory *memory)
{
	if (!memory)
		return;
	if (memory->reserved != MAP_FAILED)
		munmap(memory->reserved, memory->reserved_size);
	close_fd(&memory->fd);
	free(memory);
}

int memory_map(const struct memory *memory, const struct kvm *kvm, struct error *err)
{
	for (unsigned i = 0; i < memory->hotplug_slot; i++) {
		const struct gmem_region *region = &memory->gmem.region[i];
		int r = kvm_set_slot(kvm, i, region->gpa, region->size, region->hva, err);

		if (r < 0)
			return r;
	}
	return 0;
}

int memory_plug(struct memory *memory, const struct kvm *kvm, uint64_t gpa, bool on)
{
	const struct gmem_region *region = &memory->gmem.region[memory->gmem.nregions - 1];
	uint64_t offset = gpa - memory->hotplug_gpa, slot = offset >> MEMORY_SLOT_SHIFT;
	struct error err = ERROR_INIT;
	int r;

	if (gpa < memory->hotplug_gpa || offset >= memory->hotplug_size || offset % MEMORY_SLOT)
		return -EINVAL;
	if ((memory->plugged[slot] != 0) == on)
		return -EBUSY;
	r = kvm_set_slot(kvm, memory->hotplug_slot + (uint32_t)slot, gpa, on ? MEMORY_SLOT : 0,
			 region->hva + offset, &err);
	if (r == 0)
		__atomic_store_n(&memory->plugged[slot], on, __ATOMIC_RELAXED);
	return r;
}

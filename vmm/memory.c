/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>

#include "common/util.h"
#include "firmware/firmware.h"

#define SLOT_BLOCKS (MEMORY_SLOT / MEMORY_BLOCK)

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
		region->block_shift = MEMORY_BLOCK_SHIFT;
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
	uint8_t *base;

	if (boot < MEMORY_BOOT_MIN || boot % MEMORY_ALIGN || hotplug % MEMORY_SLOT ||
	    __builtin_add_overflow(boot, hotplug, &size) || size > SIZE_MAX / 2)
		return error_set(err, -EINVAL,
				 "guest memory of %llu bytes and %llu pluggable is not possible",
				 (unsigned long long)boot, (unsigned long long)hotplug);
	memory = xcalloc(1, sizeof(*memory) + slots * sizeof(memory->slot_blocks[0]));
	memory->reserved = MAP_FAILED;
	memory->fd = make_memfd(size, err);
	if (memory->fd < 0)
		goto fail;
	memory->plugged = xcalloc(slots * SLOT_BLOCKS, 1);

	memory->reserved_size = size + 2 * MEMORY_ALIGN;
	memory->reserved = mmap(NULL, memory->reserved_size, PROT_NONE,
				MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (memory->reserved == MAP_FAILED) {
		error_errno(err, "address space for guest memory");
		goto fail;
	}
	base = (uint8_t *)ALIGN_UP((uintptr_t)memory->reserved + 1, MEMORY_ALIGN);
	if (mmap(base, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED | MAP_NORESERVE,
		 memory->fd, 0) == MAP_FAILED) {
		error_errno(err, "mapping guest memory");
		goto fail;
	}
	(void)madvise(base, size, MADV_DONTDUMP); /* a core dump is about us, not about the guest */
	lay_out(memory, base, boot, hotplug);
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
	free(memory->plugged);
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

static struct gmem_region *hotplug_region(struct memory *memory)
{
	return &memory->gmem.region[memory->gmem.nregions - 1];
}

/* Make slot n appear in or vanish from the VM. */
static int toggle_slot(struct memory *memory, const struct kvm *kvm, uint64_t n, bool on)
{
	struct error err = ERROR_INIT;

	return kvm_set_slot(kvm, memory->hotplug_slot + (uint32_t)n,
			    memory->hotplug_gpa + n * MEMORY_SLOT, on ? MEMORY_SLOT : 0,
			    hotplug_region(memory)->hva + n * MEMORY_SLOT, &err);
}

/* Make every slot of [first, last] appear that has no block yet. On failure, take them back. */
static int show_slots(struct memory *memory, const struct kvm *kvm, uint64_t first, uint64_t last)
{
	for (uint64_t n = first; n <= last; n++) {
		int r = memory->slot_blocks[n] == 0 ? toggle_slot(memory, kvm, n, true) : 0;

		if (r < 0) {
			while (n-- > first)
				if (memory->slot_blocks[n] == 0)
					toggle_slot(memory, kvm, n, false);
			return r;
		}
	}
	return 0;
}

static void set_blocks(struct memory *memory, uint64_t first, uint64_t n, bool on)
{
	for (uint64_t block = first; block < first + n; block++) {
		__atomic_store_n(&memory->plugged[block], on, __ATOMIC_RELAXED);
		memory->slot_blocks[block / SLOT_BLOCKS] += on ? 1 : -1;
	}
}

static bool blocks_are(const struct memory *memory, uint64_t first, uint64_t n, bool on)
{
	for (uint64_t block = first; block < first + n; block++)
		if ((memory->plugged[block] != 0) != on)
			return false;
	return true;
}

int memory_plug(struct memory *memory, const struct kvm *kvm, uint64_t gpa, uint64_t len, bool on)
{
	uint64_t offset = gpa - memory->hotplug_gpa;
	uint64_t first = offset / MEMORY_BLOCK, n = len / MEMORY_BLOCK;
	uint64_t slot, last;
	uint8_t *hva;
	int r;

	if (gpa < memory->hotplug_gpa || offset > memory->hotplug_size || len == 0 ||
	    len > memory->hotplug_size - offset || (offset | len) % MEMORY_BLOCK)
		return -EINVAL;
	if (!blocks_are(memory, first, n, !on))
		return -EBUSY;
	slot = offset / MEMORY_SLOT;
	last = (offset + len - 1) / MEMORY_SLOT;
	if (on) {
		r = show_slots(memory, kvm, slot, last);
		if (r == 0)
			set_blocks(memory, first, n, true);
		return r;
	}

	hva = hotplug_region(memory)->hva + offset;
	if (madvise(hva, len, MADV_REMOVE) < 0)
		return -errno;
	set_blocks(memory, first, n, false);
	for (; slot <= last; slot++)
		if (memory->slot_blocks[slot] == 0)
			(void)toggle_slot(memory, kvm, slot, false);
	return 0;
}

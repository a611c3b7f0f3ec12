/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/util.h"
#include "firmware/firmware.h"
#include "vmm/memory.h"

static void check_region(const struct memory *memory, unsigned i, uint64_t gpa, uint64_t size)
{
	const struct gmem_region *region = &memory->gmem.region[i];

	assert_int_equal(region->gpa, gpa);
	assert_int_equal(region->size, size);
	assert_int_equal((uintptr_t)region->hva % (2 * MIB), gpa % (2 * MIB));
}

static void small_memory_is_one_region(void **state)
{
	struct error err = ERROR_INIT;
	struct memory *memory;

	(void)state;
	assert_int_equal(memory_new(128 * MIB, 0, &memory, &err), 0);
	assert_int_equal(memory->gmem.nregions, 1);
	check_region(memory, 0, 0, 128 * MIB);
	memory_free(memory);
}

static void large_memory_leaves_the_hole_below_4_gib(void **state)
{
	struct error err = ERROR_INIT;
	struct memory *memory;

	(void)state;
	assert_int_equal(memory_new(5 * GIB, 256 * MIB, &memory, &err), 0);
	assert_int_equal(memory->gmem.nregions, 3);
	check_region(memory, 0, 0, 3 * GIB);
	check_region(memory, 1, 4 * GIB, 2 * GIB);
	check_region(memory, 2, 6 * GIB, 256 * MIB);
	assert_null(gmem_ptr(&memory->gmem, 3 * GIB, 1));
	memory_free(memory);
}

static void what_is_pluggable_is_aligned_and_starts_empty(void **state)
{
	struct error err = ERROR_INIT;
	struct memory *memory;

	(void)state;
	assert_int_equal(memory_new(3 * GIB + 2 * MIB, 256 * MIB, &memory, &err), 0);
	assert_int_equal(memory->hotplug_gpa, 4 * GIB + 128 * MIB);
	assert_null(gmem_ptr(&memory->gmem, memory->hotplug_gpa, 1));
	assert_non_null(gmem_ptr(&memory->gmem, 4 * GIB + 2 * MIB - 1, 1));
	memory_free(memory);
}

static void impossible_sizes_are_refused(void **state)
{
	static const uint64_t sizes[][2] = {
		{0, 0},
		{16 * MIB, 0},
		{128 * MIB + 4096, 0},
		{128 * MIB, 64 * MIB},
		{UINT64_MAX - 2 * MIB + 1, 128 * MIB},
		{UINT64_MAX / 2 + 1, 0},
	};
	struct memory *memory = NULL;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		struct error err = ERROR_INIT;

		assert_int_equal(memory_new(sizes[i][0], sizes[i][1], &memory, &err), -EINVAL);
		assert_null(memory);
	}
}

static void the_file_can_not_change_size_and_costs_nothing_untouched(void **state)
{
	struct error err = ERROR_INIT;
	struct memory *memory;
	struct stat st;

	(void)state;
	assert_int_equal(memory_new(1 * GIB, 0, &memory, &err), 0);
	assert_int_equal(fstat(memory->fd, &st), 0);
	assert_int_equal(st.st_size, 1 * GIB);
	assert_int_equal(st.st_blocks, 0);
	assert_int_equal(ftruncate(memory->fd, 0), -1);
	assert_int_equal(ftruncate(memory->fd, 2 * GIB), -1);
	assert_int_equal(fcntl(memory->fd, F_GETFD), FD_CLOEXEC);
	memory_free(memory);
}

/* A VM where there is KVM. */
static bool have_vm(struct kvm *kvm)
{
	struct error err = ERROR_INIT;

	*kvm = (struct kvm)KVM_NONE;
	return kvm_open(kvm, &err) == 0 && kvm_create_vm(kvm, 24, &err) == 0;
}

static void a_slot_is_memory_only_while_plugged(void **state)
{
	struct error err = ERROR_INIT;
	struct memory *memory;
	struct kvm kvm;
	uint64_t gpa;

	(void)state;
	if (!have_vm(&kvm)) {
		kvm_close(&kvm);
		skip();
	}
	assert_int_equal(memory_new(128 * MIB, 256 * MIB, &memory, &err), 0);
	assert_int_equal(memory_map(memory, &kvm, &err), 0);
	gpa = memory->hotplug_gpa;
	assert_int_equal(memory_plug(memory, &kvm, gpa + MEMORY_SLOT, true), 0);
	assert_null(gmem_ptr(&memory->gmem, gpa, 1));
	assert_non_null(gmem_ptr(&memory->gmem, gpa + MEMORY_SLOT, MEMORY_SLOT));
	assert_null(gmem_ptr(&memory->gmem, gpa + MEMORY_SLOT - 1, 2));
	assert_int_equal(memory_plug(memory, &kvm, gpa + MEMORY_SLOT, true), -EBUSY);
	assert_int_equal(memory_plug(memory, &kvm, gpa, false), -EBUSY);
	assert_int_equal(memory_plug(memory, &kvm, gpa + MEMORY_SLOT, false), 0);
	assert_null(gmem_ptr(&memory->gmem, gpa + MEMORY_SLOT, 1));
	memory_free(memory);
	kvm_close(&kvm);
}

static void slots_outside_the_region_are_refused(void **state)
{
	struct kvm none = KVM_NONE;
	struct error err = ERROR_INIT;
	struct memory *memory;
	uint64_t gpa;

	(void)state;
	assert_int_equal(memory_new(128 * MIB, 256 * MIB, &memory, &err), 0);
	gpa = memory->hotplug_gpa;
	assert_int_equal(memory_plug(memory, &none, 0, true), -EINVAL);
	assert_int_equal(memory_plug(memory, &none, gpa - MEMORY_SLOT, true), -EINVAL);
	assert_int_equal(memory_plug(memory, &none, gpa + 4096, true), -EINVAL);
	assert_int_equal(memory_plug(memory, &none, gpa + 2 * MEMORY_SLOT, true), -EINVAL);
	assert_int_equal(memory_plug(memory, &none, UINT64_MAX - MEMORY_SLOT + 1, true), -EINVAL);
	/* KVM fails: nothing changes */
	assert_int_equal(memory_plug(memory, &none, gpa, true), -EBADF);
	assert_null(gmem_ptr(&memory->gmem, gpa, 1));
	memory_free(memory);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(small_memory_is_one_region),
		cmocka_unit_test(large_memory_leaves_the_hole_below_4_gib),
		cmocka_unit_test(what_is_pluggable_is_aligned_and_starts_empty),
		cmocka_unit_test(impossible_sizes_are_refused),
		cmocka_unit_test(the_file_can_not_change_size_and_costs_nothing_untouched),
		cmocka_unit_test(a_slot_is_memory_only_while_plugged),
		cmocka_unit_test(slots_outside_the_region_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

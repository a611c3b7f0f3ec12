/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include <string.h>

#include "common/util.h"
#include "vmm/vcpu.h"

/* A vCPU without KVM: the page KVM would share, and buses with one device each. */
#define RUN_SIZE 8192

struct fixture {
	struct kvm kvm;
	struct bus mmio, pio;
	struct ioapic ioapic;
	struct vcpus *vcpus;
	struct vcpu *vcpu;
	struct kvm_run *run;
	uint64_t offset;
	uint32_t len;
	unsigned reads, writes;
	uint8_t last;
};

static void device_read(void *opaque, uint64_t offset, void *data, uint32_t len)
{
	struct fixture *f = opaque;

	f->reads++;
	f->offset = offset;
	f->len = len;
	memset(data, 0x40 + (int)f->reads, len);
}

static void device_write(void *opaque, uint64_t offset, const void *data, uint32_t len)
{
	struct fixture *f = opaque;

	f->writes++;
	f->offset = offset;
	f->len = len;
	f->last = *(const uint8_t *)data;
}

static const struct bus_ops ops = {device_read, device_write};

static int setup(void **state)
{
	struct fixture *f = xcalloc(1, sizeof(*f));

	f->kvm = (struct kvm){.fd = -1, .vm = -1, .run_size = RUN_SIZE};
	f->run = xcalloc(1, RUN_SIZE);
	f->vcpus = xcalloc(1, sizeof(*f->vcpus));
	f->vcpus->kvm = &f->kvm;
	f->vcpus->mmio = &f->mmio;
	f->vcpus->pio = &f->pio;
	f->vcpu = &f->vcpus->vcpu[3];
	*f->vcpu = (struct vcpu){.all = f->vcpus, .id = 3, .fd = -1, .run = f->run};
	bus_add(&f->mmio, 0xd0000000, 0x1000, &ops, f);
	bus_add(&f->pio, 0x100, 0x10, &ops, f);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	free(f->run);
	free(f->vcpus);
	free(f);
	return 0;
}

static void port_io(struct fixture *f, int direction, uint16_t port, uint8_t size, uint32_t count)
{
	f->run->exit_reason = KVM_EXIT_IO;
	f->run->io.direction = (uint8_t)direction;
	f->run->io.port = port;
	f->run->io.size = size;
	f->run->io.count = count;
	f->run->io.data_offset = 4096;
}

static void mmio_reaches_its_device(void **state)
{
	struct fixture *f = *state;
	struct vcpu_end end;

	f->run->exit_reason = KVM_EXIT_MMIO;
	f->run->mmio.phys_addr = 0xd0000050;
	f->run->mmio.len = 4;
	f->run->mmio.is_write = 1;
	f->run->mmio.data[0] = 0x77;
	assert_true(vcpu_handle_exit(f->vcpu, &end));
	assert_int_equal(f->writes, 1);
	assert_int_equal(f->offset, 0x50);
	assert_int_equal(f->last, 0x77);
	f->run->mmio.is_write = 0;
	assert_true(vcpu_handle_exit(f->vcpu, &end));
	assert_int_equal(f->run->mmio.data[3], 0x41);
}

static void nobodys_mmio_and_ports_read_all_ones(void **state)
{
	struct fixture *f = *state;
	uint8_t *data = (uint8_t *)f->run + 4096;
	struct vcpu_end end;

	f->run->exit_reason = KVM_EXIT_MMIO;
	f->run->mmio.phys_addr = UINT64_MAX - 3;
	f->run->mmio.len = 8;
	assert_true(vcpu_handle_exit(f->vcpu, &end));
	for (int i = 0; i < 8; i++)
		assert_int_equal(f->run->mmio.data[i], 0xff);
	port_io(f, KVM_EXIT_IO_IN, 0x21, 1, 1);
	assert_true(vcpu_handle_exit(f->vcpu, &end));
	assert_int_equal(data[0], 0xff);
	assert_int_equal(f->reads + f->writes, 0);
}

static void string_port_io_is_one_access_an_element(void **state)
{
	struct fixture *f = *state;
	uint8_t *data = (uint8_t *)f->run + 4096;
	struct vcpu_end end;

	port_io(f, KVM_EXIT_IO_IN, 0x100, 2, 3);
	assert_true(vcpu_handle_exit(f->vcpu, &end));
	assert_int_equal(f->reads, 3);
	assert_int_equal(f->len, 2);
	assert_memory_equal(data, "AABBCC", 6);
}

static void lengths_beyond_the_shared_page_end_the_pod(void **state)
{
	struct fixture *f = *state;
	struct vcpu_end end = {.kind = VCPU_END_NONE};

	port_io(f, KVM_EXIT_IO_OUT, 0x100, 4, 1025);
	assert_false(vcpu_handle_exit(f->vcpu, &end));
	assert_int_equal(end.kind, VCPU_END_CRASH);
	port_io(f, KVM_EXIT_IO_OUT, 0x100, 4, 1024);
	assert_true(vcpu_handle_exit(f->vcpu, &end));
	f->run->io.data_offset = UINT64_MAX - 1;
	assert_false(vcpu_handle_exit(f->vcpu, &end));
	f->run->exit_reason = KVM_EXIT_MMIO;
	f->run->mmio.phys_addr = 0xd0000000;
	f->run->mmio.len = 9;
	assert_false(vcpu_handle_exit(f->vcpu, &end));
}

static void the_reset_line_and_only_it_resets(void **state)
{
	struct fixture *f = *state;
	uint8_t *data = (uint8_t *)f->run + 4096;
	struct vcpu_end end = {.kind = VCPU_END_NONE};

	port_io(f, KVM_EXIT_IO_IN, 0x64, 1, 1);
	data[0] = 0x55;
	assert_true(vcpu_handle_exit(f->vcpu, &end));
	assert_int_equal(data[0], 0);
	port_io(f, KVM_EXIT_IO_OUT, 0x64, 1, 1);
	data[0] = 0xff;
	assert_true(vcpu_handle_exit(f->vcpu, &end));
	data[0] = 0xfe;
	assert_false(vcpu_handle_exit(f->vcpu, &end));
	assert_int_equal(end.kind, VCPU_END_RESET);
}

static void an_emulation_failure_names_place_and_bytes(void **state)
{
	struct fixture *f = *state;
	struct vcpu_end end = {.kind = VCPU_END_NONE};

	f->run->exit_reason = KVM_EXIT_INTERNAL_ERROR;
	f->run->emulation_failure.suberror = KVM_INTERNAL_ERROR_EMULATION;
	f->run->emulation_failure.ndata = 3;
	f->run->emulation_failure.flags = KVM_INTERNAL_ERROR_EMULATION_FLAG_INSTRUCTION_BYTES;
	f->run->emulation_failure.insn_size = 255; /* more than there are */
	memset(f->run->emulation_failure.insn_bytes, 0xab, 15);
	assert_false(vcpu_handle_exit(f->vcpu, &end));
	assert_int_equal(end.kind, VCPU_END_CRASH);
	assert_non_null(strstr(end.text, "vCPU 3"));
	assert_string_equal(strstr(end.text, ": ab"),
			    ": ab ab ab ab ab ab ab ab ab ab ab ab ab ab ab");
}

static void every_other_end_has_its_own_line(void **state)
{
	static const struct {
		uint32_t reason;
		enum vcpu_end_kind kind;
		const char *text;
	} ends[] = {
		{KVM_EXIT_SHUTDOWN, VCPU_END_TRIPLE_FAULT, "triple fault on vCPU 3"},
		{KVM_EXIT_FAIL_ENTRY, VCPU_END_CRASH, "refuses the guest's state"},
		{KVM_EXIT_SYSTEM_EVENT, VCPU_END_RESET, "reset"},
		{KVM_EXIT_HLT, VCPU_END_CRASH, "unexpected KVM exit 5"},
		{KVM_EXIT_INTERNAL_ERROR, VCPU_END_CRASH, "suberror"},
		{0xffffffff, VCPU_END_CRASH, "unexpected KVM exit"},
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(ends); i++) {
		struct vcpu_end end = {.kind = VCPU_END_NONE};

		memset(f->run, 0, RUN_SIZE);
		f->run->exit_reason = ends[i].reason;
		if (ends[i].reason == KVM_EXIT_INTERNAL_ERROR)
			f->run->internal.suberror = KVM_INTERNAL_ERROR_DELIVERY_EV;
		assert_false(vcpu_handle_exit(f->vcpu, &end));
		assert_int_equal(end.kind, ends[i].kind);
		assert_non_null(strstr(end.text, ends[i].text));
		assert_null(strchr(end.text, '\n'));
	}
}

static void cpuid_shows_a_cpu_alone_with_its_apic_id(void **state)
{
	struct kvm_cpuid2 *cpuid = xcalloc(1, sizeof(*cpuid) + 4 * sizeof(cpuid->entries[0]));

	(void)state;
	cpuid->nent = 4;
	cpuid->entries[0] = (struct kvm_cpuid_entry2){
		.function = 1, .ebx = 0xff101234, .edx = UINT32_MAX, .ecx = 0};
	cpuid->entries[1] = (struct kvm_cpuid_entry2){
		.function = 0xb, .index = 1, .eax = 4, .ebx = 8, .ecx = 0x201, .edx = 99};
	cpuid->entries[2] = (struct kvm_cpuid_entry2){.function = 4, .eax = 0xfc01c121};
	cpuid->entries[3] = (struct kvm_cpuid_entry2){.function = 7, .eax = 2, .ebx = 5};
	vcpu_edit_cpuid(cpuid, 9, true);
	assert_int_equal(cpuid->entries[0].ebx, 0x09011234);
	assert_int_equal(cpuid->entries[0].ecx, 1U << 31 | 1U << 24);
	assert_int_equal(cpuid->entries[0].edx, ~(1U << 28));
	assert_int_equal(cpuid->entries[1].edx, 9);
	assert_int_equal(cpuid->entries[1].ebx, 0);
	assert_int_equal(cpuid->entries[2].eax, 0x121);
	assert_int_equal(cpuid->entries[3].ebx, 5);
	vcpu_edit_cpuid(cpuid, 2, false); /* the next vCPU's, from the same table */
	assert_int_equal(cpuid->entries[0].ebx, 0x02011234);
	free(cpuid);
}

static void the_boot_state_is_the_protocols(void **state)
{
	struct firmware_entry entry = {.cr3 = 0x3000, .gdt_base = 0x2000, .gdt_limit = 31};
	struct kvm_sregs sregs = {.apic_base = 0xfee00900};

	(void)state;
	vcpu_boot_sregs(&sregs, &entry);
	assert_int_equal(sregs.cr0, 0x80000031);
	assert_int_equal(sregs.cr4, 0x20);
	assert_int_equal(sregs.efer, 0x500);
	assert_int_equal(sregs.cr3, 0x3000);
	assert_int_equal(sregs.cs.selector, 0x10);
	assert_int_equal(sregs.cs.l, 1);
	assert_int_equal(sregs.ss.selector, 0x18);
	assert_int_equal(sregs.tr.limit, 0xffff);
	assert_int_equal(sregs.apic_base, 0xfee00900);
}

#define test(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(mmio_reaches_its_device),
		test(nobodys_mmio_and_ports_read_all_ones),
		test(string_port_io_is_one_access_an_element),
		test(lengths_beyond_the_shared_page_end_the_pod),
		test(the_reset_line_and_only_it_resets),
		test(an_emulation_failure_names_place_and_bytes),
		test(every_other_end_has_its_own_line),
		cmocka_unit_test(cpuid_shows_a_cpu_alone_with_its_apic_id),
		cmocka_unit_test(the_boot_state_is_the_protocols),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

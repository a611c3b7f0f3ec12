/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include <errno.h>
#include <libfdt.h>
#include <stdio.h>
#include <string.h>

#include "common/util.h"
#include "firmware/fdt.h"

static uint32_t cell(const void *fdt, int node, const char *name, int index)
{
	const fdt32_t *value;
	int len;

	value = fdt_getprop(fdt, node, name, &len);
	assert_non_null(value);
	assert_true(len >= (index + 1) * 4);
	return fdt32_to_cpu(value[index]);
}

static void *build(const struct firmware_params *params, size_t *ret_size)
{
	void *fdt = xcalloc(1, FDT_SIZE_MAX);
	struct error err = ERROR_INIT;

	assert_int_equal(fdt_build(params, fdt, ret_size, &err), 0);
	assert_int_equal(fdt_check_full(fdt, *ret_size), 0);
	return fdt;
}

static void cpus_have_their_apic_ids(void **state)
{
	struct firmware_params params = {.ncpus = 3};
	size_t size;
	cleanup_free void *fdt = build(&params, &size);

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		char path[32];
		int node;

		snprintf(path, sizeof(path), "/cpus/cpu@%x", i);
		node = fdt_path_offset(fdt, path);
		assert_true(node > 0);
		assert_string_equal(fdt_getprop(fdt, node, "device_type", NULL), "cpu");
		assert_int_equal(cell(fdt, node, "reg", 0), i);
	}
	assert_int_equal(fdt_path_offset(fdt, "/cpus/cpu@3"), -FDT_ERR_NOTFOUND);
}

static void devices_are_edge_interrupts_of_the_ioapic(void **state)
{
	struct firmware_params params = {
		.ncpus = 1,
		.nvirtio = 2,
		.virtio = {{0xd0000000, 0, false}, {0xd0001000, 7, false}},
	};
	size_t size;
	cleanup_free void *fdt = build(&params, &size);
	int soc = fdt_path_offset(fdt, "/soc"), node;
	int ioapic = fdt_path_offset(fdt, "/soc/interrupt-controller@fec00000");

	(void)state;
	assert_true(ioapic > 0);
	assert_int_equal(fdt_node_check_compatible(fdt, ioapic, "intel,ce4100-ioapic"), 0);
	assert_int_equal(cell(fdt, soc, "interrupt-parent", 0), fdt_get_phandle(fdt, ioapic));
	node = fdt_path_offset(fdt, "/soc/virtio_mmio@d0001000");
	assert_int_equal(fdt_node_check_compatible(fdt, node, "virtio,mmio"), 0);
	assert_int_equal(cell(fdt, node, "reg", 1), 0xd0001000);
	assert_int_equal(cell(fdt, node, "reg", 3), 0x200);
	assert_int_equal(cell(fdt, node, "interrupts", 0), 7);
	assert_int_equal(cell(fdt, node, "interrupts", 1), 3);
}

static void no_driver_is_for_a_late_device_by_its_name(void **state)
{
	struct firmware_params params = {
		.ncpus = 1,
		.nvirtio = 2,
		.virtio = {{LAYOUT_VIRTIO_BASE, 0, true}, {0xd0001000, 1, false}},
	};
	size_t size;
	cleanup_free void *fdt = build(&params, &size);
	int node = fdt_path_offset(fdt, "/soc/virtio_late@d0000000"); /* initrd/late.c's */

	(void)state;
	assert_true(node > 0);
	assert_int_equal(fdt_node_check_compatible(fdt, node, "virtio,mmio"), 1);
	assert_int_equal(cell(fdt, node, "reg", 1), LAYOUT_VIRTIO_BASE);
	assert_int_equal(cell(fdt, node, "interrupts", 0), 0);
	node = fdt_path_offset(fdt, "/soc/virtio_mmio@d0001000");
	assert_int_equal(fdt_node_check_compatible(fdt, node, "virtio,mmio"), 0);
}

static void serial_port_and_tpm_are_there_only_when_asked_for(void **state)
{
	struct firmware_params params = {.ncpus = 1};
	size_t size, more;
	cleanup_free void *without = build(&params, &size);
	cleanup_free void *with = NULL;
	int serial;

	(void)state;
	assert_int_equal(fdt_node_offset_by_compatible(without, -1, "ns16550a"), -FDT_ERR_NOTFOUND);
	assert_int_equal(fdt_node_offset_by_compatible(without, -1, "tcg,tpm-tis-mmio"),
			 -FDT_ERR_NOTFOUND);
	params.serial = params.tpm = true;
	params.serial_irq = 5;
	with = build(&params, &more);
	serial = fdt_node_offset_by_compatible(with, -1, "ns16550a");
	assert_int_equal(cell(with, serial, "reg", 1), LAYOUT_SERIAL_BASE);
	assert_int_equal(cell(with, serial, "interrupts", 0), 5);
	assert_int_equal(cell(with, serial, "interrupts", 1), 1);
	assert_true(fdt_node_offset_by_compatible(with, -1, "tcg,tpm-tis-mmio") > 0);
}

static void the_largest_machine_fits(void **state)
{
	struct firmware_params params = {
		.ncpus = FIRMWARE_MAX_CPUS,
		.nvirtio = FIRMWARE_MAX_VIRTIO,
		.serial = true,
		.tpm = true,
	};
	size_t size;
	cleanup_free void *fdt = NULL;

	(void)state;
	for (unsigned i = 0; i < FIRMWARE_MAX_VIRTIO; i++)
		params.virtio[i] = (struct firmware_virtio){
			.gpa = LAYOUT_VIRTIO_BASE + i * UINT64_C(0x1000), .irq = i};
	fdt = build(&params, &size);
	assert_true(size <= FDT_SIZE_MAX);
	assert_true(fdt_path_offset(fdt, "/soc/virtio_mmio@d0047000") > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(cpus_have_their_apic_ids),
		cmocka_unit_test(devices_are_edge_interrupts_of_the_ioapic),
		cmocka_unit_test(no_driver_is_for_a_late_device_by_its_name),
		cmocka_unit_test(serial_port_and_tpm_are_there_only_when_asked_for),
		cmocka_unit_test(the_largest_machine_fits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

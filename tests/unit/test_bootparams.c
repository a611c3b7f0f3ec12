/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include <asm/bootparam.h>
#include <errno.h>
#include <string.h>

#include "common/util.h"
#include "firmware/bootparams.h"

#define LOW_SIZE  (64 * MIB)
#define HIGH_SIZE (32 * MIB)

/* RAM below and above 4 GiB and a region for hot-plugging, of which only the first is touched. */
struct fixture {
	struct gmem mem;
	uint8_t *ram;
	uint8_t plugged[1];
};

static int setup(void **state)
{
	struct fixture *f = xcalloc(1, sizeof(*f));

	f->ram = xcalloc(LOW_SIZE, 1);
	f->mem.nregions = 3;
	f->mem.region[0] = (struct gmem_region){.gpa = 0, .size = LOW_SIZE, .hva = f->ram};
	f->mem.region[1] = (struct gmem_region){.gpa = 4 * GIB, .size = HIGH_SIZE};
	f->mem.region[2] = (struct gmem_region){
		.gpa = 8 * GIB, .size = 128 * MIB, .plugged = f->plugged, .block_shift = 27};
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	free(f->ram);
	free(f);
	return 0;
}

static const struct boot_params *write_params(struct fixture *f, const struct boot_info *info,
					      struct firmware_entry *entry)
{
	struct error err = ERROR_INIT;

	assert_int_equal(bootparams_write(&f->mem, info, entry, &err), 0);
	return gmem_ptr(&f->mem, entry->rsi, sizeof(struct boot_params));
}

static void the_zero_page_says_what_linux_reads(void **state)
{
	struct fixture *f = *state;
	struct boot_info info = {
		.cmdline = "quiet x=1", .initrd_gpa = 0x3000000, .initrd_size = 12345};
	struct firmware_entry entry;
	const struct boot_params *bp = write_params(f, &info, &entry);
	const uint8_t *raw = (const uint8_t *)bp;

	assert_int_equal(raw[0x1fe] | raw[0x1ff] << 8, 0xaa55);
	assert_memory_equal(raw + 0x202, "HdrS", 4);
	assert_int_equal(raw[0x210], 0xff);
	assert_int_equal(raw[0x1ef], 0); /* sentinel */
	assert_int_equal(bp->acpi_rsdp_addr, 0);
	assert_int_equal(bp->hdr.ramdisk_image, 0x3000000);
	assert_int_equal(bp->hdr.ramdisk_size, 12345);
	assert_int_equal(bp->hdr.setup_data, 0);
	assert_string_equal(gmem_ptr(&f->mem, bp->hdr.cmd_line_ptr, 2048), "quiet x=1");
}

static void the_memory_map_is_ram_without_what_is_pluggable(void **state)
{
	struct fixture *f = *state;
	struct boot_info info = {.cmdline = ""};
	struct firmware_entry entry;
	const struct boot_params *bp = write_params(f, &info, &entry);

	assert_int_equal(bp->e820_entries, 3);
	assert_int_equal(bp->e820_table[0].addr, 0);
	assert_int_equal(bp->e820_table[0].size, 0xa0000);
	assert_int_equal(bp->e820_table[1].addr, MIB);
	assert_int_equal(bp->e820_table[1].size, LOW_SIZE - MIB);
	assert_int_equal(bp->e820_table[2].addr, 4 * GIB);
	assert_int_equal(bp->e820_table[2].size, HIGH_SIZE);
	for (int i = 0; i < 3; i++)
		assert_int_equal(bp->e820_table[i].type, 1);
	assert_int_equal(bp->hdr.ramdisk_size, 0);
}

static void setup_data_is_a_chain_in_low_ram(void **state)
{
	struct fixture *f = *state;
	uint8_t odd[13], big[5000];
	struct boot_setup_data nodes[] = {
		{9, sizeof(odd), odd}, {2, sizeof(big), big}, {77, 0, ""}};
	struct boot_info info = {.cmdline = "", .setup_data = nodes, .nsetup_data = 3};
	struct firmware_entry entry;
	const struct boot_params *bp;
	uint64_t at;

	memset(odd, 0x11, sizeof(odd));
	memset(big, 0x22, sizeof(big));
	bp = write_params(f, &info, &entry);
	at = bp->hdr.setup_data;
	for (int i = 0; i < 3; i++) {
		const struct setup_data *node = gmem_ptr(&f->mem, at, sizeof(*node));

		assert_non_null(node);
		assert_int_equal(at % 8, 0);
		assert_int_equal(node->type, nodes[i].type);
		assert_int_equal(node->len, nodes[i].len);
		assert_memory_equal(node->data, nodes[i].data, nodes[i].len);
		assert_true(at >= 0x6000 + 2048 && at + sizeof(*node) + node->len <= 0xa0000);
		at = node->next;
	}
	assert_int_equal(at, 0);
}

static void the_page_tables_map_the_first_gib_to_itself(void **state)
{
	struct fixture *f = *state;
	struct boot_info info = {.cmdline = ""};
	struct firmware_entry entry;
	const uint64_t *table;
	uint64_t e;

	write_params(f, &info, &entry);
	for (uint64_t va = 0; va < GIB; va += 2 * MIB) {
		table = gmem_ptr(&f->mem, entry.cr3, 4096);
		e = table[va >> 39];
		assert_int_equal(e & 0x83, 3);
		table = gmem_ptr(&f->mem, e & ~UINT64_C(0xfff), 4096);
		e = table[va >> 30 & 511];
		assert_int_equal(e & 0x83, 3);
		table = gmem_ptr(&f->mem, e & ~UINT64_C(0xfff), 4096);
		e = table[va >> 21 & 511];
		assert_int_equal(e & 0x83, 0x83);
		assert_int_equal(e & ~UINT64_C(0x1fffff), va);
	}
}

static void the_gdt_has_the_protocols_selectors(void **state)
{
	struct fixture *f = *state;
	struct boot_info info = {.cmdline = ""};
	struct firmware_entry entry;
	const uint64_t *gdt;

	write_params(f, &info, &entry);
	gdt = gmem_ptr(&f->mem, entry.gdt_base, entry.gdt_limit + 1U);
	assert_int_equal(entry.gdt_limit, 31);
	assert_true(gdt[0] == 0 && gdt[1] == 0);
	assert_true(gdt[2] == 0x00af9b000000ffff);
	assert_true(gdt[3] == 0x00cf93000000ffff);
}

static void what_does_not_fit_is_refused(void **state)
{
	struct fixture *f = *state;
	static char words[FIRMWARE_CMDLINE_MAX + 2];
	static uint8_t data[BOOT_SETUP_DATA_MAX];
	struct boot_setup_data node = {2, sizeof(data), data};
	struct boot_info info = {.cmdline = words};
	struct firmware_entry entry = {.rsi = 42};
	struct error err = ERROR_INIT;

	memset(words, 'x', FIRMWARE_CMDLINE_MAX);
	assert_int_equal(bootparams_write(&f->mem, &info, &entry, &err), 0);
	entry.rsi = 42;
	words[FIRMWARE_CMDLINE_MAX] = 'x';
	assert_int_equal(bootparams_write(&f->mem, &info, &entry, &err), -E2BIG);
	info = (struct boot_info){.cmdline = "", .setup_data = &node, .nsetup_data = 1};
	assert_int_equal(bootparams_write(&f->mem, &info, &entry, &err), -E2BIG);
	info = (struct boot_info){.cmdline = ""};
	f->mem.region[0].size = MIB;
	assert_int_equal(bootparams_write(&f->mem, &info, &entry, &err), -EINVAL);
	assert_int_equal(entry.rsi, 42);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(the_zero_page_says_what_linux_reads, setup,
						teardown),
		cmocka_unit_test_setup_teardown(the_memory_map_is_ram_without_what_is_pluggable,
						setup, teardown),
		cmocka_unit_test_setup_teardown(setup_data_is_a_chain_in_low_ram, setup, teardown),
		cmocka_unit_test_setup_teardown(the_page_tables_map_the_first_gib_to_itself, setup,
						teardown),
		cmocka_unit_test_setup_teardown(the_gdt_has_the_protocols_selectors, setup,
						teardown),
		cmocka_unit_test_setup_teardown(what_does_not_fit_is_refused, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

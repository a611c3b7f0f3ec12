/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include <asm/bootparam.h>
#include <errno.h>
#include <libfdt.h>
#include <string.h>
#include <sys/mman.h>

#include "common/util.h"
#include "firmware/firmware.h"
#include "tests/unit/guest_elf.h"

#define RAM_SIZE (32 * MIB)

struct fixture {
	struct gmem mem;
	struct firmware_params params;
	struct guest_elf elf;
};

static int setup(void **state)
{
	struct fixture *f = xcalloc(1, sizeof(*f));

	f->elf = guest_elf("kernel", 6);
	f->mem.nregions = 1;
	f->mem.region[0] = (struct gmem_region){.size = RAM_SIZE, .hva = xcalloc(RAM_SIZE, 1)};
	f->params = (struct firmware_params){
		.kernel_fd = guest_elf_file(&f->elf), .initrd_fd = -1, .cmdline = "x", .ncpus = 1};
	memset(f->params.seed, 0x5e, sizeof(f->params.seed));
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	close_fd(&f->params.kernel_fd);
	close_fd(&f->params.initrd_fd);
	free(f->mem.region[0].hva);
	free(f);
	return 0;
}

static void make_initrd(struct fixture *f, off_t size, const char *end)
{
	close_fd(&f->params.initrd_fd);
	f->params.initrd_fd = memfd_create("initrd", MFD_CLOEXEC);
	assert_int_equal(ftruncate(f->params.initrd_fd, size), 0);
	assert_int_equal(pwrite(f->params.initrd_fd, end, strlen(end), size - (off_t)strlen(end)),
			 strlen(end));
}

static void a_kernel_gets_seed_and_device_tree(void **state)
{
	struct fixture *f = *state;
	struct error err = ERROR_INIT;
	struct firmware_entry entry;
	const struct boot_params *bp;
	const struct setup_data *seed, *tree;

	assert_int_equal(firmware_load(&f->mem, &f->params, &entry, &err), 0);
	assert_int_equal(entry.rip, GUEST_ELF_GPA);
	bp = gmem_ptr(&f->mem, entry.rsi, sizeof(*bp));
	seed = gmem_ptr(&f->mem, bp->hdr.setup_data, sizeof(*seed) + FIRMWARE_SEED_SIZE);
	assert_int_equal(seed->type, SETUP_RNG_SEED);
	assert_int_equal(seed->len, FIRMWARE_SEED_SIZE);
	assert_memory_equal(seed->data, f->params.seed, FIRMWARE_SEED_SIZE);
	tree = gmem_ptr(&f->mem, seed->next, sizeof(*tree));
	assert_int_equal(tree->type, SETUP_DTB);
	assert_int_equal(fdt_check_full(tree->data, tree->len), 0);
	assert_int_equal(tree->next, 0);
}

static void the_event_log_is_where_the_device_tree_says(void **state)
{
	static const uint8_t log[] = "an event log of some length";
	struct fixture *f = *state;
	struct error err = ERROR_INIT;
	const struct setup_data *node;
	struct firmware_entry entry;
	const struct boot_params *bp;
	const fdt32_t *size;
	const void *value;
	uint64_t base;
	int tpm, len;

	f->params.tpm = true;
	f->params.log = log;
	f->params.log_len = sizeof(log);
	assert_int_equal(firmware_load(&f->mem, &f->params, &entry, &err), 0);
	bp = gmem_ptr(&f->mem, entry.rsi, sizeof(*bp));
	node = gmem_ptr(&f->mem, bp->hdr.setup_data, sizeof(*node));
	node = gmem_ptr(&f->mem, node->next, sizeof(*node));
	assert_int_equal(node->type, SETUP_DTB);
	tpm = fdt_path_offset(node->data, "/soc/tpm@fed40000");
	value = fdt_getprop(node->data, tpm, "linux,sml-base", &len);
	assert_int_equal(len, 8);
	base = fdt64_ld(value);
	size = fdt_getprop(node->data, tpm, "linux,sml-size", &len);
	assert_int_equal(len, 4);
	assert_int_equal(fdt32_to_cpu(*size), sizeof(log));
	assert_memory_equal(gmem_ptr(&f->mem, base, sizeof(log)), log, sizeof(log));
	/* it is the data of a node, which the kernel reserves */
	assert_int_equal(base, node->next + sizeof(*node));
}

static void the_initrd_lies_whole_at_the_top_of_ram(void **state)
{
	struct fixture *f = *state;
	struct error err = ERROR_INIT;
	struct firmware_entry entry;
	const struct boot_params *bp;

	make_initrd(f, 5000, "the end");
	assert_int_equal(firmware_load(&f->mem, &f->params, &entry, &err), 0);
	bp = gmem_ptr(&f->mem, entry.rsi, sizeof(*bp));
	assert_int_equal(bp->hdr.ramdisk_image, RAM_SIZE - 8192);
	assert_int_equal(bp->hdr.ramdisk_size, 5000);
	assert_memory_equal(gmem_ptr(&f->mem, RAM_SIZE - 8192 + 5000 - 7, 7), "the end", 7);
}

static void an_initrd_that_would_touch_the_kernel_is_refused(void **state)
{
	struct fixture *f = *state;
	uint64_t kernel_end = GUEST_ELF_GPA + f->elf.phdr[0].p_memsz;
	struct firmware_entry entry = {.rip = 42};
	struct error err = ERROR_INIT;

	make_initrd(f, (off_t)(RAM_SIZE - kernel_end + 1), "x");
	assert_int_equal(firmware_load(&f->mem, &f->params, &entry, &err), -EFBIG);
	make_initrd(f, INT64_C(1) << 40, "x");
	assert_int_equal(firmware_load(&f->mem, &f->params, &entry, &err), -EFBIG);
	assert_int_equal(entry.rip, 42);
	make_initrd(f, (off_t)(RAM_SIZE - kernel_end), "x");
	assert_int_equal(firmware_load(&f->mem, &f->params, &entry, &err), 0);
	assert_memory_equal(gmem_ptr(&f->mem, GUEST_ELF_GPA, 6), "kernel", 6);
}

static void a_kernel_below_1_mib_or_past_ram_is_refused(void **state)
{
	static const uint64_t places[] = {0, 0x1000, 0x6000, 0x9f000, 0xff000, RAM_SIZE - 0x1000};
	struct fixture *f = *state;
	struct error err = ERROR_INIT;
	struct firmware_entry entry;

	for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
		f->elf.phdr[0].p_paddr = f->elf.ehdr.e_entry = places[i];
		close(f->params.kernel_fd);
		f->params.kernel_fd = guest_elf_file(&f->elf);
		assert_int_equal(firmware_load(&f->mem, &f->params, &entry, &err), -ENOEXEC);
		assert_non_null(strstr(err.msg, "guest kernel: "));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_kernel_gets_seed_and_device_tree, setup,
						teardown),
		cmocka_unit_test_setup_teardown(the_event_log_is_where_the_device_tree_says, setup,
						teardown),
		cmocka_unit_test_setup_teardown(the_initrd_lies_whole_at_the_top_of_ram, setup,
						teardown),
		cmocka_unit_test_setup_teardown(an_initrd_that_would_touch_the_kernel_is_refused,
						setup, teardown),
		cmocka_unit_test_setup_teardown(a_kernel_below_1_mib_or_past_ram_is_refused, setup,
						teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

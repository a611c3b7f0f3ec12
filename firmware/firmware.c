/* SPDX-License-Identifier: Apache-2.0 */
#include "firmware/firmware.h"

#include <asm/bootparam.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

#include "common/file.h"
#include "common/util.h"
#include "firmware/bootparams.h"
#include "firmware/elf.h"
#include "firmware/fdt.h"

#define PAGE_SIZE	UINT64_C(4096)
#define SETUP_EVENT_LOG 0x54504d4c

/*
 * Read the initrd to the top of low RAM: the kernel frees it after unpacking, and everything it
 * allocates early comes from below.
 */
static int load_initrd(const struct gmem *mem, int fd, uint64_t kernel_end, struct boot_info *info,
		       struct error *err)
{
	uint64_t top = mem->region[0].size & ~(PAGE_SIZE - 1), size, gpa;
	struct stat st;
	void *dst;
	int r;

	if (fd < 0)
		return 0;
	if (fstat(fd, &st) < 0)
		return error_errno(err, "fstat");
	if (!S_ISREG(st.st_mode))
		return error_set(err, -EINVAL, "not a regular file");
	size = (uint64_t)st.st_size;
	if (kernel_end > top || size > top - kernel_end)
		return error_set(err, -EFBIG,
				 "%" PRIu64 " bytes do not fit guest memory beside the kernel",
				 size);
	gpa = (top - size) & ~(PAGE_SIZE - 1);
	dst = gmem_ptr(mem, gpa, size);
	if (gpa < kernel_end || !dst)
		return error_set(err, -EFBIG,
				 "%" PRIu64 " bytes do not fit guest memory beside the kernel",
				 size);
	r = pread_all(fd, dst, size, 0);
	if (r < 0)
		return error_set(err, r, "read: %s", strerror(-r));
	info->initrd_gpa = gpa;
	info->initrd_size = size;
	return 0;
}

/*
 * The event log is a node of a type nobody assigned, which Linux reserves like any other and leaves
 * alone: directly mapped memory for as long as the guest lives. As the last of the chain, which ends
 * at BOOT_LOW_END, its place depends on its own length only.
 */
static bool add_log(struct firmware_params *params, struct boot_setup_data *ret)
{
	if (!params->tpm || params->log_len == 0)
		return false;
	*ret = (struct boot_setup_data){SETUP_EVENT_LOG, params->log_len, params->log};
	params->log_gpa = BOOT_LOW_END - boot_setup_data_size(ret, 1) + sizeof(struct setup_data);
	return true;
}

static void list_mapped(const struct elf_plan *kernel, struct firmware_entry *ret)
{
	_Static_assert(FIRMWARE_MAPPED_MAX >= ELF_MAX_SEGMENTS, "one for each segment");
	ret->nmapped = 0;
	for (unsigned i = 0; i < kernel->nsegments; i++) {
		if (!kernel->segment[i].mapped)
			continue;
		ret->mapped[ret->nmapped].gpa = kernel->segment[i].gpa;
		ret->mapped[ret->nmapped++].size = kernel->segment[i].mapped;
	}
}

int firmware_load(const struct gmem *mem, const struct firmware_params *params,
		  struct firmware_entry *ret, struct error *err)
{
	cleanup_free uint8_t *tree = xcalloc(1, FDT_SIZE_MAX);
	struct firmware_params described = *params;
	struct boot_setup_data setup_data[3];
	struct boot_info info = {.cmdline = params->cmdline};
	struct firmware_entry entry;
	struct elf_plan kernel;
	size_t tree_size;
	int r;

	if (mem->nregions == 0 || mem->region[0].gpa != 0)
		return error_set(err, -EINVAL, "guest memory does not start at 0");
	r = elf_load(params->kernel_fd, mem, BOOT_HIGH_START,
		     MIN(mem->region[0].size, BOOT_IDENTITY_END), params->map_kernel, &kernel, err);
	if (r < 0)
		return error_wrap(err, "guest kernel");
	r = load_initrd(mem, params->initrd_fd, kernel.high, &info, err);
	if (r < 0)
		return error_wrap(err, "initrd");
	info.nsetup_data = 2 + add_log(&described, &setup_data[2]);
	r = fdt_build(&described, tree, &tree_size, err);
	if (r < 0)
		return r;

	setup_data[0] =
		(struct boot_setup_data){SETUP_RNG_SEED, sizeof(params->seed), params->seed};
	/* Whole words, so that no scrap of RAM behind it becomes an entry of the memory map. */
	setup_data[1] = (struct boot_setup_data){SETUP_DTB, (uint32_t)ALIGN_UP(tree_size, 8), tree};
	info.setup_data = setup_data;
	r = bootparams_write(mem, &info, &entry, err);
	if (r < 0)
		return r;
	entry.rip = kernel.entry;
	list_mapped(&kernel, &entry);
	*ret = entry;
	return 0;
}

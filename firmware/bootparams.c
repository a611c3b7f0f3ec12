/* SPDX-License-Identifier: Apache-2.0 */
#include "firmware/bootparams.h"

#include <asm/bootparam.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "common/util.h"

#define BOOT_PARAMS_GPA	 UINT64_C(0x1000)
#define BOOT_GDT_GPA	 UINT64_C(0x2000)
#define BOOT_PML4_GPA	 UINT64_C(0x3000)
#define BOOT_PDPT_GPA	 UINT64_C(0x4000)
#define BOOT_PD_GPA	 UINT64_C(0x5000)
#define BOOT_CMDLINE_GPA UINT64_C(0x6000)

#define GDT_CODE64 UINT64_C(0x00af9b000000ffff)
#define GDT_DATA   UINT64_C(0x00cf93000000ffff)

#define PTE_PRESENT UINT64_C(0x01)
#define PTE_WRITE   UINT64_C(0x02)
#define PTE_HUGE    UINT64_C(0x80) /* a 2 MiB page, in a page directory */

#define PTES_PER_PAGE 512

#define HDR_BOOT_FLAG  0xaa55
#define HDR_MAGIC      0x53726448 /* "HdrS" */
#define HDR_VERSION    0x020f
#define LOADER_UNKNOWN 0xff
#define KERNEL_ALIGN   0x1000000

_Static_assert(sizeof(struct boot_params) == 4096, "the zero page is a page");
_Static_assert(BOOT_CMDLINE_GPA + FIRMWARE_CMDLINE_MAX + 1 <= BOOT_LOW_END - BOOT_SETUP_DATA_MAX,
	       "setup_data stays clear of the command line");

static void add_e820(struct boot_params *bp, uint64_t addr, uint64_t size)
{
	bp->e820_table[bp->e820_entries++] = (struct boot_e820_entry){
		.addr = addr, .size = size, .type = 1, /* RAM */
	};
}

/*
 * Every entry costs the kernel several walks, so as few as possible: RAM below and above the hole
 * under 1 MiB, and RAM above 4 GiB. Pluggable regions are virtio-mem's to announce.
 */
static void write_e820(struct boot_params *bp, const struct gmem *mem)
{
	add_e820(bp, 0, BOOT_LOW_END);
	add_e820(bp, BOOT_HIGH_START, mem->region[0].size - BOOT_HIGH_START);
	for (unsigned i = 1; i < mem->nregions; i++)
		if (!mem->region[i].plugged)
			add_e820(bp, mem->region[i].gpa, mem->region[i].size);
}

static void write_header(struct boot_params *bp, const struct boot_info *info)
{
	struct setup_header *hdr = &bp->hdr;

	hdr->boot_flag = HDR_BOOT_FLAG;
	hdr->header = HDR_MAGIC;
	hdr->version = HDR_VERSION;
	hdr->type_of_loader = LOADER_UNKNOWN;
	hdr->loadflags = LOADED_HIGH;
	hdr->kernel_alignment = KERNEL_ALIGN;
	hdr->cmd_line_ptr = BOOT_CMDLINE_GPA;
	hdr->cmdline_size = FIRMWARE_CMDLINE_MAX;
	if (info->initrd_size > 0) {
		hdr->ramdisk_image = (uint32_t)info->initrd_gpa;
		hdr->ramdisk_size = (uint32_t)info->initrd_size;
		bp->ext_ramdisk_image = (uint32_t)(info->initrd_gpa >> 32);
		bp->ext_ramdisk_size = (uint32_t)(info->initrd_size >> 32);
	}
}

static uint64_t node_size(const struct boot_setup_data *node)
{
	return ALIGN_UP(sizeof(struct setup_data) + node->len, UINT64_C(8));
}

uint64_t boot_setup_data_size(const struct boot_setup_data *nodes, unsigned n)
{
	uint64_t size = 0;

	for (unsigned i = 0; i < n; i++)
		size += node_size(&nodes[i]);
	return size;
}

/* Write the chain so that it ends at BOOT_LOW_END. Its first node's address, or 0. */
static uint64_t write_setup_data(uint8_t *low, const struct boot_setup_data *nodes, unsigned n)
{
	uint64_t first = BOOT_LOW_END - boot_setup_data_size(nodes, n), at = first;

	for (unsigned i = 0; i < n; i++) {
		uint64_t next = at + node_size(&nodes[i]);
		struct setup_data head = {
			.next = i + 1 < n ? next : 0,
			.type = nodes[i].type,
			.len = nodes[i].len,
		};

		memcpy(low + at, &head, sizeof(head));
		memcpy(low + at + sizeof(head), nodes[i].data, nodes[i].len);
		at = next;
	}
	return n > 0 ? first : 0;
}

static void write_tables(uint8_t *low)
{
	uint64_t gdt[] = {0, 0, GDT_CODE64, GDT_DATA};
	uint64_t pml4 = BOOT_PDPT_GPA | PTE_PRESENT | PTE_WRITE;
	uint64_t pdpt = BOOT_PD_GPA | PTE_PRESENT | PTE_WRITE;
	uint64_t *pd = (uint64_t *)(low + BOOT_PD_GPA);

	memcpy(low + BOOT_GDT_GPA, gdt, sizeof(gdt));
	memcpy(low + BOOT_PML4_GPA, &pml4, sizeof(pml4));
	memcpy(low + BOOT_PDPT_GPA, &pdpt, sizeof(pdpt));
	for (uint64_t i = 0; i < PTES_PER_PAGE; i++)
		pd[i] = i * 2 * MIB | PTE_PRESENT | PTE_WRITE | PTE_HUGE;
}

int bootparams_write(const struct gmem *mem, const struct boot_info *info,
		     struct firmware_entry *ret, struct error *err)
{
	uint64_t setup_size = boot_setup_data_size(info->setup_data, info->nsetup_data);
	struct boot_params bp = {.e820_entries = 0};
	size_t len = strlen(info->cmdline);
	uint8_t *low = gmem_ptr(mem, 0, BOOT_LOW_END);

	if (!low || mem->region[0].size <= BOOT_HIGH_START)
		return error_set(err, -EINVAL, "guest memory is too small");
	if (len > FIRMWARE_CMDLINE_MAX)
		return error_set(err, -E2BIG, "the kernel command line has %zu bytes, at most %d",
				 len, FIRMWARE_CMDLINE_MAX);
	if (setup_size > BOOT_SETUP_DATA_MAX)
		return error_set(err, -E2BIG, "boot data has %" PRIu64 " bytes, at most %" PRIu64,
				 setup_size, BOOT_SETUP_DATA_MAX);

	write_header(&bp, info);
	write_e820(&bp, mem);
	bp.hdr.setup_data = write_setup_data(low, info->setup_data, info->nsetup_data);
	memcpy(low + BOOT_PARAMS_GPA, &bp, sizeof(bp));
	memcpy(low + BOOT_CMDLINE_GPA, info->cmdline, len + 1);
	write_tables(low);

	*ret = (struct firmware_entry){
		.rsi = BOOT_PARAMS_GPA,
		.cr3 = BOOT_PML4_GPA,
		.gdt_base = BOOT_GDT_GPA,
		.gdt_limit = 4 * sizeof(uint64_t) - 1,
	};
	return 0;
}

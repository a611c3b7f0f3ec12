/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FIRMWARE_BOOTPARAMS_H
#define FIRMWARE_BOOTPARAMS_H

#include <stddef.h>
#include <stdint.h>

#include "common/error.h"
#include "common/gmem.h"
#include "firmware/firmware.h"

/*
 * The structures of the 64-bit boot protocol (spec sections 2 and 4). All of them lie in low RAM,
 * below 640 KiB, where no segment of the kernel may go:
 *
 *	0x01000	zero page (struct boot_params)
 *	0x02000	GDT
 *	0x03000	page tables: PML4, PDPT, one page directory: an identity map of the first GiB
 *	0x06000	command line
 *	  ...	setup_data chain, ending at 0xa0000, so that reserving it splits the memory map once
 */

#define BOOT_LOW_END	  UINT64_C(0xa0000)
#define BOOT_HIGH_START	  UINT64_C(0x100000)   /* kernel and initrd go here and above */
#define BOOT_IDENTITY_END UINT64_C(0x40000000) /* and the kernel below this */

#define BOOT_SETUP_DATA_MAX UINT64_C(0x80000) /* all nodes; fits above the command line */

/* One node of the setup_data chain. */
struct boot_setup_data {
	uint32_t type; /* SETUP_DTB, SETUP_RNG_SEED, ... */
	uint32_t len;
	const void *data;
};

/* What bootparams_write() places. */
struct boot_info {
	const char *cmdline;
	uint64_t initrd_gpa, initrd_size; /* size 0: none */
	const struct boot_setup_data *setup_data;
	unsigned nsetup_data;
};

/* Bytes of guest memory a chain of n nodes takes. */
uint64_t boot_setup_data_size(const struct boot_setup_data *nodes, unsigned n);

/*
 * Write zero page, GDT, page tables, command line and setup_data to guest memory. Fills *ret but
 * for rip, which is the kernel's.
 */
int bootparams_write(const struct gmem *mem, const struct boot_info *info,
		     struct firmware_entry *ret, struct error *err) __attribute__((nonnull));

#endif

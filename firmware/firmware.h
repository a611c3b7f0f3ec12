/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FIRMWARE_FIRMWARE_H
#define FIRMWARE_FIRMWARE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/error.h"
#include "common/gmem.h"

/*
 * What a BIOS would do, done on the host before the first guest instruction: place kernel, initrd,
 * command line, memory map, device tree and seed in guest memory and say where the boot CPU starts
 * (Linux 64-bit boot protocol). The caller has made guest memory and knows its devices.
 */

/* Guest physical layout. Low RAM ends at LAYOUT_MMIO at the latest; the rest starts at 4 GiB. */
#define LAYOUT_LOW_RAM_END  UINT64_C(0xc0000000)
#define LAYOUT_SERIAL_BASE  UINT64_C(0xcffff000)
#define LAYOUT_VIRTIO_BASE  UINT64_C(0xd0000000) /* one page a device, in order */
#define LAYOUT_IOAPIC_BASE  UINT64_C(0xfec00000)
#define LAYOUT_TPM_BASE	    UINT64_C(0xfed40000)
#define LAYOUT_LAPIC_BASE   UINT64_C(0xfee00000)
#define LAYOUT_IDENTITY_MAP UINT64_C(0xfffbc000)
#define LAYOUT_TSS	    UINT64_C(0xfffbd000)
#define LAYOUT_HIGH_RAM	    UINT64_C(0x100000000)
#define LAYOUT_HOTPLUG_MIN                                                                         \
	UINT64_C(0x100000000) /* virtio-mem region: above all RAM, 128 MiB aligned */

#define FIRMWARE_MAX_CPUS    64
#define FIRMWARE_MAX_VIRTIO  72	  /* 64 apps' disks and the pod's own devices, an IOAPIC pin each */
#define FIRMWARE_CMDLINE_MAX 2047 /* the kernel copies 2048 bytes */
#define FIRMWARE_SEED_SIZE   64

struct firmware_virtio {
	uint64_t gpa;
	uint32_t irq; /* IOAPIC pin; pins may be shared only if the transport can be, so: never */
	bool late;    /* no driver takes it by itself: init binds one (initrd/driver.h) */
};

struct firmware_params {
	int kernel_fd; /* uncompressed ELF vmlinux */
	int initrd_fd; /* -1: none */
	/*
	 * Guest memory is whole mappings of the caller's, and nobody but this process looks at it by
	 * other ways: the kernel's read-only pages may be mapped from the file, privately, instead of
	 * being copied. All pods then share them in the page cache.
	 */
	bool map_kernel;
	const char *cmdline;
	unsigned ncpus;
	struct firmware_virtio virtio[FIRMWARE_MAX_VIRTIO];
	unsigned nvirtio;
	bool serial; /* describe an 8250 at LAYOUT_SERIAL_BASE (--debug) */
	uint32_t serial_irq;
	bool tpm; /* describe a TPM at LAYOUT_TPM_BASE */
	/* with tpm: the launch's event log, log_len bytes, put in guest memory and described */
	const uint8_t *log;
	uint32_t log_len;
	uint64_t log_gpa;		  /* for fdt_build(); firmware_load() finds out */
	uint8_t seed[FIRMWARE_SEED_SIZE]; /* fresh for every VM */
};

#define FIRMWARE_MAPPED_MAX 16 /* a kernel's segments */

/* Registers of the boot CPU; the rest of its state is fixed by the boot protocol. */
struct firmware_entry {
	uint64_t rip;
	uint64_t rsi; /* boot_params */
	uint64_t cr3;
	uint64_t gdt_base;
	uint16_t gdt_limit;
	/* with map_kernel: what is mapped from the kernel's file now */
	struct {
		uint64_t gpa, size;
	} mapped[FIRMWARE_MAPPED_MAX];
	unsigned nmapped;
};

/*
 * Load everything into mem (zero-filled, region 0 starts at GPA 0). Kernel and initrd are hostile
 * input: every segment is checked against RAM and against everything else that is placed.
 */
int firmware_load(const struct gmem *mem, const struct firmware_params *params,
		  struct firmware_entry *ret, struct error *err) __attribute__((nonnull));

#endif

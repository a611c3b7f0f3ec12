/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lay out a guest's memory as the VMM does, into a file: for counting kernel instructions with QEMU,
 * which then starts exactly what a pod starts, without a boot loader of its own.
 *
 *	kernel_image KERNEL INITRD MIB CMDLINE ROM LOW HIGH [ADDRESS PIN]
 *
 * ROM, the assembled reset.S, gets the boot CPU's registers written into its first words. LOW gets
 * the first 640 KiB of memory, HIGH what starts at 1 MiB; QEMU shows the ROM between them. A
 * virtio-mmio device may be at ADDRESS, with a pin of the IOAPIC. Prints the physical entry address
 * of the kernel.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/error.h"
#include "common/file.h"
#include "common/gmem.h"
#include "common/util.h"
#include "firmware/firmware.h"

#define MIB_MAX	 3072 /* below the MMIO hole */
#define LOW_SIZE (640 << 10)
#define HIGH_GPA (1 << 20)

/* The first words of the ROM, as reset.S reads them. */
struct reset_words {
	uint64_t rip, rsi, cr3;
};

static int open_or_die(const char *path, int flags)
{
	int fd = open(path, flags | O_CLOEXEC);

	if (fd < 0) {
		perror(path);
		exit(1);
	}
	return fd;
}

static void write_file(const char *path, const uint8_t *data, size_t size)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);

	while (fd >= 0 && size > 0) {
		ssize_t n = write(fd, data, size);

		if (n <= 0)
			break;
		data += n;
		size -= (size_t)n;
	}
	if (fd < 0 || size > 0 || close(fd) < 0) {
		perror(path);
		exit(1);
	}
}

static void load(uint8_t *ram, uint64_t size, char **argv, struct firmware_entry *entry)
{
	struct firmware_params params = {
		.kernel_fd = open_or_die(argv[1], O_RDONLY),
		.initrd_fd = open_or_die(argv[2], O_RDONLY),
		.cmdline = argv[4],
		.ncpus = 1,
	};
	struct gmem mem = {.nregions = 1, .region[0] = {.size = size, .hva = ram}};
	struct error err = ERROR_INIT;

	if (argv[8]) {
		params.virtio[0].gpa = strtoull(argv[8], NULL, 0);
		params.virtio[0].irq = (uint32_t)strtoul(argv[9], NULL, 0);
		params.nvirtio = 1;
	}
	/* A constant seed: what is counted must not depend on chance. */
	memset(params.seed, 0x5a, sizeof(params.seed));
	if (firmware_load(&mem, &params, entry, &err) < 0) {
		fprintf(stderr, "kernel_image: %s\n", err.msg);
		exit(1);
	}
	close(params.kernel_fd);
	close(params.initrd_fd);
}

int main(int argc, char **argv)
{
	struct firmware_entry entry;
	struct reset_words words;
	unsigned long mib;
	size_t size;
	uint8_t *ram;
	int rom;

	if (argc != 8 && argc != 10) {
		fprintf(stderr, "usage: kernel_image KERNEL INITRD MIB CMDLINE ROM LOW HIGH "
				"[ADDRESS PIN]\n");
		return 2;
	}
	mib = strtoul(argv[3], NULL, 10);
	if (mib < 2 || mib > MIB_MAX) {
		fprintf(stderr, "kernel_image: not a size in MiB: %s\n", argv[3]);
		return 2;
	}
	size = mib << 20;
	ram = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
		   -1, 0);
	if (ram == MAP_FAILED) {
		perror("mmap");
		return 1;
	}
	load(ram, size, argv, &entry);
	write_file(argv[6], ram, LOW_SIZE);
	write_file(argv[7], ram + HIGH_GPA, size - HIGH_GPA);
	words = (struct reset_words){.rip = entry.rip, .rsi = entry.rsi, .cr3 = entry.cr3};
	rom = open_or_die(argv[5], O_RDWR);
	if (pwrite(rom, &words, sizeof(words), 0) != sizeof(words)) {
		perror(argv[5]);
		return 1;
	}
	printf("0x%" PRIx64 "\n", entry.rip);
	return 0;
}

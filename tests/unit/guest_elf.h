/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_UNIT_GUEST_ELF_H
#define TESTS_UNIT_GUEST_ELF_H

#include <assert.h>
#include <elf.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/*
 * A small vmlinux for tests: an ELF header, program headers to be bent at will, and code at
 * GUEST_ELF_GPA that runs in 64-bit kernel mode as the boot protocol leaves it.
 */

#define GUEST_ELF_GPA	 0x1000000
#define GUEST_ELF_OFFSET 0x1000 /* of the code in the file */
#define GUEST_ELF_SIZE	 0x3000 /* of the file */
#define GUEST_ELF_PHDRS	 4	/* room; one is used */

struct guest_elf {
	Elf64_Ehdr ehdr;
	Elf64_Phdr phdr[GUEST_ELF_PHDRS];
	uint8_t pad[GUEST_ELF_OFFSET - sizeof(Elf64_Ehdr) - GUEST_ELF_PHDRS * sizeof(Elf64_Phdr)];
	uint8_t code[GUEST_ELF_SIZE - GUEST_ELF_OFFSET];
};

static inline struct guest_elf guest_elf(const void *code, size_t len)
{
	struct guest_elf elf = {
		.ehdr =
			{
				.e_ident = {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64,
					    ELFDATA2LSB, EV_CURRENT},
				.e_type = ET_EXEC,
				.e_machine = EM_X86_64,
				.e_version = EV_CURRENT,
				.e_entry = GUEST_ELF_GPA,
				.e_phoff = sizeof(Elf64_Ehdr),
				.e_ehsize = sizeof(Elf64_Ehdr),
				.e_phentsize = sizeof(Elf64_Phdr),
				.e_phnum = 1,
			},
		.phdr[0] =
			{
				.p_type = PT_LOAD,
				.p_flags = PF_R | PF_X,
				.p_offset = GUEST_ELF_OFFSET,
				.p_paddr = GUEST_ELF_GPA,
				.p_vaddr = GUEST_ELF_GPA,
				.p_filesz = sizeof(elf.code),
				.p_memsz = sizeof(elf.code) + 0x1000,
				.p_align = 0x1000,
			},
	};

	assert(len <= sizeof(elf.code));
	memcpy(elf.code, code, len);
	return elf;
}

/* A file that holds it. */
static inline int guest_elf_file(const struct guest_elf *elf)
{
	int fd = memfd_create("vmlinux", MFD_CLOEXEC);

	assert(fd >= 0);
	assert(write(fd, elf, sizeof(*elf)) == sizeof(*elf));
	return fd;
}

#endif

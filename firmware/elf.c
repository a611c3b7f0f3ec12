/* SPDX-License-Identifier: Apache-2.0 */
#include "firmware/elf.h"

#include <elf.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "common/file.h"
#include "common/util.h"

#define PAGE_SIZE UINT64_C(4096)

static int check_header(const Elf64_Ehdr *ehdr, size_t len, struct error *err)
{
	if (memcmp(ehdr->e_ident, ELFMAG, SELFMAG) != 0)
		return error_set(err, -ENOEXEC, "not an ELF file");
	if (ehdr->e_ident[EI_CLASS] != ELFCLASS64 || ehdr->e_ident[EI_DATA] != ELFDATA2LSB)
		return error_set(err, -ENOEXEC, "not a 64-bit little-endian ELF file");
	if (ehdr->e_machine != EM_X86_64)
		return error_set(err, -ENOEXEC, "not for x86-64 (machine %u)", ehdr->e_machine);
	if (ehdr->e_type != ET_EXEC)
		return error_set(err, -ENOEXEC, "not an executable at fixed addresses");
	if (ehdr->e_phentsize != sizeof(Elf64_Phdr))
		return error_set(err, -ENOEXEC, "program headers of %u bytes", ehdr->e_phentsize);
	if (ehdr->e_phoff > len || ehdr->e_phnum > (len - ehdr->e_phoff) / sizeof(Elf64_Phdr))
		return error_set(err, -ENOEXEC, "program headers outside the first %zu bytes", len);
	return 0;
}

static int check_segment(const Elf64_Phdr *phdr, uint64_t file_size, uint64_t min, uint64_t max,
			 struct error *err)
{
	if (phdr->p_filesz > phdr->p_memsz)
		return error_set(err, -ENOEXEC, "a segment is larger in the file than in memory");
	if (phdr->p_offset > file_size || phdr->p_filesz > file_size - phdr->p_offset)
		return error_set(err, -ENOEXEC, "a segment lies outside the file");
	if (phdr->p_paddr < min || phdr->p_paddr > max || phdr->p_memsz > max - phdr->p_paddr)
		return error_set(err, -ENOEXEC,
				 "segment of %" PRIu64 " bytes at %#" PRIx64
				 " does not fit guest memory from %#" PRIx64 " to %#" PRIx64,
				 phdr->p_memsz, phdr->p_paddr, min, max);
	return 0;
}

/* Both are known not to wrap. */
static bool segments_overlap(const struct elf_segment *a, const struct elf_segment *b)
{
	return a->gpa < b->gpa + b->mem_size && b->gpa < a->gpa + a->mem_size;
}

static int add_segment(struct elf_plan *plan, const Elf64_Phdr *phdr, struct error *err)
{
	struct elf_segment *segment;

	if (plan->nsegments == ELF_MAX_SEGMENTS)
		return error_set(err, -ENOEXEC, "more than %d segments", ELF_MAX_SEGMENTS);
	segment = &plan->segment[plan->nsegments];
	*segment = (struct elf_segment){
		.gpa = phdr->p_paddr,
		.mem_size = phdr->p_memsz,
		.file_size = phdr->p_filesz,
		.offset = phdr->p_offset,
		.writable = phdr->p_flags & PF_W,
	};
	for (unsigned i = 0; i < plan->nsegments; i++)
		if (segments_overlap(segment, &plan->segment[i]))
			return error_set(err, -ENOEXEC, "segments overlap at %#" PRIx64,
					 segment->gpa);

	plan->low = plan->nsegments ? MIN(plan->low, segment->gpa) : segment->gpa;
	plan->high = MAX(plan->high, segment->gpa + segment->mem_size);
	plan->nsegments++;
	return 0;
}

int elf_parse(const void *head, size_t len, uint64_t file_size, uint64_t min, uint64_t max,
	      struct elf_plan *ret, struct error *err)
{
	struct elf_plan plan = {.nsegments = 0};
	bool entry_found = false;
	Elf64_Ehdr ehdr;
	int r;

	if (len < sizeof(ehdr))
		return error_set(err, -ENOEXEC, "shorter than an ELF header");
	memcpy(&ehdr, head, sizeof(ehdr));
	r = check_header(&ehdr, len, err);
	if (r < 0)
		return r;

	for (unsigned i = 0; i < ehdr.e_phnum; i++) {
		Elf64_Phdr phdr;

		memcpy(&phdr, (const uint8_t *)head + ehdr.e_phoff + i * sizeof(phdr),
		       sizeof(phdr));
		if (phdr.p_type != PT_LOAD || phdr.p_memsz == 0)
			continue;
		r = check_segment(&phdr, file_size, min, max, err);
		if (r == 0)
			r = add_segment(&plan, &phdr, err);
		if (r < 0)
			return r;
		if ((phdr.p_flags & PF_X) && ehdr.e_entry >= phdr.p_paddr &&
		    ehdr.e_entry - phdr.p_paddr < phdr.p_filesz)
			entry_found = true;
	}
	if (!entry_found)
		return error_set(err, -ENOEXEC, "entry point %#" PRIx64 " is in no code segment",
				 (uint64_t)ehdr.e_entry);
	plan.entry = ehdr.e_entry;
	*ret = plan;
	return 0;
}

/* The bytes of a segment that can be mapped from the file: whole pages, and only if congruent. */
static uint64_t mappable(const struct elf_segment *segment, const uint8_t *dst)
{
	if (segment->writable || segment->offset % PAGE_SIZE || (uintptr_t)dst % PAGE_SIZE)
		return 0;
	return segment->file_size & ~(PAGE_SIZE - 1);
}

static int load_segment(int fd, struct elf_segment *segment, uint8_t *dst, bool map,
			struct error *err)
{
	uint64_t mapped = map ? mappable(segment, dst) : 0;
	void *at = dst;
	int r;

	if (mapped > 0)
		at = mmap(dst, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED, fd,
			  (off_t)segment->offset);
	if (at == MAP_FAILED)
		return error_errno(err, "mapping a segment");
	segment->mapped = mapped;
	r = pread_all(fd, dst + mapped, segment->file_size - mapped,
		      (off_t)(segment->offset + mapped));
	return r < 0 ? error_set(err, r, "read: %s", strerror(-r)) : 0;
}

int elf_load(int fd, const struct gmem *mem, uint64_t min, uint64_t max, bool map,
	     struct elf_plan *ret, struct error *err)
{
	uint8_t head[ELF_HEAD_SIZE];
	struct elf_plan plan = {.nsegments = 0};
	struct stat st;
	size_t len;
	int r;

	if (fstat(fd, &st) < 0)
		return error_errno(err, "fstat");
	if (!S_ISREG(st.st_mode))
		return error_set(err, -EINVAL, "not a regular file");
	len = MIN((uint64_t)st.st_size, sizeof(head));
	r = pread_all(fd, head, len, 0);
	if (r < 0)
		return error_set(err, r, "read: %s", strerror(-r));
	r = elf_parse(head, len, (uint64_t)st.st_size, min, max, &plan, err);

	for (unsigned i = 0; r == 0 && i < plan.nsegments; i++) {
		struct elf_segment *segment = &plan.segment[i];
		uint8_t *dst = gmem_ptr(mem, segment->gpa, segment->mem_size);

		if (!dst)
			return error_set(err, -ENOEXEC,
					 "segment at %#" PRIx64 " is outside guest memory",
					 segment->gpa);
		r = load_segment(fd, segment, dst, map, err);
	}
	if (r == 0)
		*ret = plan;
	return r;
}

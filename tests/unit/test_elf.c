/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include <errno.h>
#include <string.h>

#include "common/util.h"
#include "firmware/elf.h"
#include "tests/unit/guest_elf.h"

#define MIN_GPA MIB
#define MAX_GPA (64 * MIB)

static const char code[] = "code of the guest kernel";

static int parse(const struct guest_elf *elf, struct elf_plan *ret)
{
	struct error err = ERROR_INIT;
	int r = elf_parse(elf, ELF_HEAD_SIZE, sizeof(*elf), MIN_GPA, MAX_GPA, ret, &err);

	assert_int_equal(r, err.code);
	return r;
}

static void a_kernel_is_planned_where_its_headers_say(void **state)
{
	struct guest_elf elf = guest_elf(code, sizeof(code));
	struct elf_plan plan;

	(void)state;
	assert_int_equal(parse(&elf, &plan), 0);
	assert_int_equal(plan.nsegments, 1);
	assert_int_equal(plan.entry, GUEST_ELF_GPA);
	assert_int_equal(plan.low, GUEST_ELF_GPA);
	assert_int_equal(plan.high, GUEST_ELF_GPA + sizeof(elf.code) + 0x1000);
	assert_int_equal(plan.segment[0].offset, GUEST_ELF_OFFSET);
	assert_false(plan.segment[0].writable);
}

/* One change each to a good file, and every one must be refused. */
static void bend(struct guest_elf *elf, unsigned how)
{
	Elf64_Phdr *p = &elf->phdr[0];

	switch (how) {
	case 0:
		elf->ehdr.e_ident[0] = 'M';
		break;
	case 1:
		elf->ehdr.e_ident[EI_CLASS] = ELFCLASS32;
		break;
	case 2:
		elf->ehdr.e_ident[EI_DATA] = ELFDATA2MSB;
		break;
	case 3:
		elf->ehdr.e_machine = EM_AARCH64;
		break;
	case 4:
		elf->ehdr.e_type = ET_DYN;
		break;
	case 5:
		elf->ehdr.e_phentsize = 32;
		break;
	case 6:
		elf->ehdr.e_phnum = 0xffff;
		break;
	case 7:
		elf->ehdr.e_phoff = UINT64_MAX;
		break;
	case 8:
		elf->ehdr.e_phoff = ELF_HEAD_SIZE - 8;
		break;
	case 9:
		elf->ehdr.e_phnum = 0;
		break;
	case 10:
		elf->ehdr.e_entry = 0;
		break;
	case 11:
		elf->ehdr.e_entry = GUEST_ELF_GPA + p->p_filesz;
		break;
	case 12:
		p->p_flags = PF_R | PF_W;
		break;
	case 13:
		p->p_memsz = p->p_filesz - 1;
		break;
	case 14:
		p->p_offset = UINT64_MAX - 0x1000;
		break;
	case 15:
		p->p_filesz = p->p_memsz = GUEST_ELF_SIZE;
		break;
	case 16:
		p->p_paddr = MIN_GPA - 1;
		break;
	case 17:
		p->p_paddr = MAX_GPA - 0x1000;
		break;
	case 18:
		p->p_paddr = UINT64_MAX - 0x1000;
		break;
	case 19:
		p->p_memsz = UINT64_MAX;
		break;
	case 20:
		p->p_memsz = UINT64_MAX - p->p_paddr + 1;
		break;
	case 21:
		p->p_paddr = MAX_GPA + 1;
		break;
	case 22: /* a second segment over the end of the first */
		elf->ehdr.e_phnum = 2;
		elf->phdr[1] = *p;
		elf->phdr[1].p_paddr += p->p_memsz - 1;
		break;
	case 23: /* ... and around it */
		elf->ehdr.e_phnum = 2;
		elf->phdr[1] = *p;
		elf->phdr[1].p_paddr -= 0x1000;
		elf->phdr[1].p_memsz += 0x4000;
		break;
	default:
		fail();
	}
}

#define BENDS 24

static void every_lie_in_the_headers_is_refused(void **state)
{
	(void)state;
	for (unsigned how = 0; how < BENDS; how++) {
		struct guest_elf elf = guest_elf(code, sizeof(code));
		struct elf_plan plan = {.entry = 42};

		bend(&elf, how);
		if (parse(&elf, &plan) != -ENOEXEC)
			fail_msg("change %u was taken", how);
		assert_int_equal(plan.entry, 42);
	}
}

static void more_segments_than_the_limit_are_refused(void **state)
{
	struct {
		Elf64_Ehdr ehdr;
		Elf64_Phdr phdr[ELF_MAX_SEGMENTS + 1];
	} many = {.ehdr = guest_elf("", 0).ehdr};
	struct error err = ERROR_INIT;
	struct elf_plan plan;

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(many.phdr); i++) {
		many.phdr[i] = guest_elf("", 0).phdr[0];
		many.phdr[i].p_paddr += i * MIB;
	}
	many.ehdr.e_phnum = ELF_MAX_SEGMENTS;
	assert_int_equal(
		elf_parse(&many, sizeof(many), GUEST_ELF_SIZE, MIN_GPA, MAX_GPA, &plan, &err), 0);
	many.ehdr.e_phnum = ELF_MAX_SEGMENTS + 1;
	assert_int_equal(
		elf_parse(&many, sizeof(many), GUEST_ELF_SIZE, MIN_GPA, MAX_GPA, &plan, &err),
		-ENOEXEC);
}

static void a_file_cut_anywhere_is_refused(void **state)
{
	struct guest_elf elf = guest_elf(code, sizeof(code));
	struct error err = ERROR_INIT;
	struct elf_plan plan;

	(void)state;
	for (size_t len = 0; len < sizeof(elf); len += len < 256 ? 1 : 509)
		assert_int_equal(elf_parse(&elf, MIN(len, (size_t)ELF_HEAD_SIZE), len, MIN_GPA,
					   MAX_GPA, &plan, &err),
				 -ENOEXEC);
}

static struct gmem make_memory(void)
{
	struct gmem mem = {.nregions = 1};
	void *p = mmap(NULL, MAX_GPA, PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	assert_ptr_not_equal(p, MAP_FAILED);
	mem.region[0] = (struct gmem_region){.gpa = 0, .size = MAX_GPA, .hva = p};
	return mem;
}

static void loading_gives_the_same_memory_mapped_or_copied(void **state)
{
	struct guest_elf elf = guest_elf(code, sizeof(code));
	struct error err = ERROR_INIT;

	(void)state;
	/* a last page that is not whole: its rest must stay zero, whatever the file has there */
	elf.phdr[0].p_filesz = 0x1100;
	memset(elf.code + 0x1000, 0xaa, 0x1000);
	for (int map = 0; map <= 1; map++) {
		cleanup_fd int fd = guest_elf_file(&elf);
		struct gmem mem = make_memory();
		uint8_t *p = gmem_ptr(&mem, GUEST_ELF_GPA, 0x4000), zero[0x2000] = {0};
		struct elf_plan plan;

		assert_int_equal(elf_load(fd, &mem, MIN_GPA, MAX_GPA, map, &plan, &err), 0);
		assert_memory_equal(p, elf.code, 0x1100);
		assert_memory_equal(p + 0x1100, zero, 0x1f00);
		/* what the guest writes there stays its own */
		memset(p, 0x55, 16);
		munmap(mem.region[0].hva, MAX_GPA);
		mem = make_memory();
		assert_int_equal(elf_load(fd, &mem, MIN_GPA, MAX_GPA, map, &plan, &err), 0);
		assert_memory_equal(gmem_ptr(&mem, GUEST_ELF_GPA, 16), code, 16);
		munmap(mem.region[0].hva, MAX_GPA);
	}
}

static void what_is_no_regular_file_is_refused(void **state)
{
	struct error err = ERROR_INIT;
	struct gmem mem = make_memory();
	struct elf_plan plan;
	int fds[2];

	(void)state;
	assert_int_equal(pipe(fds), 0);
	assert_int_equal(elf_load(fds[0], &mem, MIN_GPA, MAX_GPA, true, &plan, &err), -EINVAL);
	close(fds[0]);
	close(fds[1]);
	munmap(mem.region[0].hva, MAX_GPA);
}

/* Symbols: section headers and tables in the place of the code. */
struct symbols {
	Elf64_Shdr section[3];
	Elf64_Sym symbol[3];
	char names[32];
};

static struct guest_elf with_symbols(struct symbols **ret)
{
	static struct guest_elf elf;
	struct symbols *s;

	elf = guest_elf("", 0);
	s = (struct symbols *)elf.code;
	memcpy(s->names, "\0other\0prb\0prb", 15);
	s->symbol[1] = (Elf64_Sym){.st_name = 7, .st_size = 4, .st_value = 1};
	s->symbol[2] = (Elf64_Sym){.st_name = 11, .st_size = 8, .st_value = 0xffffffff81000000};
	s->section[1] = (Elf64_Shdr){
		.sh_type = SHT_SYMTAB,
		.sh_link = 2,
		.sh_offset = GUEST_ELF_OFFSET + offsetof(struct symbols, symbol),
		.sh_size = sizeof(s->symbol),
	};
	s->section[2] = (Elf64_Shdr){
		.sh_type = SHT_STRTAB,
		.sh_offset = GUEST_ELF_OFFSET + offsetof(struct symbols, names),
		.sh_size = sizeof(s->names),
	};
	elf.ehdr.e_shoff = GUEST_ELF_OFFSET;
	elf.ehdr.e_shentsize = sizeof(Elf64_Shdr);
	elf.ehdr.e_shnum = 3;
	*ret = s;
	return elf;
}

static int look_up(const struct guest_elf *elf, const char *name, uint64_t *ret)
{
	cleanup_fd int fd = guest_elf_file(elf);

	return elf_symbol(fd, name, 8, ret);
}

static void a_symbol_is_found_by_name_and_size(void **state)
{
	struct symbols *s;
	struct guest_elf elf = with_symbols(&s);
	uint64_t value = 0;

	(void)state;
	assert_int_equal(look_up(&elf, "prb", &value), 0);
	assert_true(value == 0xffffffff81000000);
	assert_int_equal(look_up(&elf, "nothing", &value), -ENOENT);
	elf.ehdr.e_shnum = 0;
	assert_int_equal(look_up(&elf, "prb", &value), -ENOENT);
}

static void lies_about_symbols_are_refused(void **state)
{
	struct symbols *s;
	struct guest_elf elf = with_symbols(&s), bent;
	struct symbols *b = (struct symbols *)bent.code;
	uint64_t value;

	(void)state;
	bent = elf;
	bent.ehdr.e_shoff = UINT64_MAX;
	assert_int_equal(look_up(&bent, "prb", &value), -ENOEXEC);
	bent = elf;
	bent.ehdr.e_shnum = 0xffff;
	assert_int_equal(look_up(&bent, "prb", &value), -ENOEXEC);
	bent = elf;
	b->section[1].sh_size = UINT64_MAX;
	assert_int_equal(look_up(&bent, "prb", &value), -EFBIG);
	bent = elf;
	b->section[2].sh_offset = UINT64_MAX - 8;
	assert_int_equal(look_up(&bent, "prb", &value), -EFBIG);
	bent = elf;
	b->section[1].sh_link = 99;
	assert_int_equal(look_up(&bent, "prb", &value), -ENOENT);
	bent = elf;
	b->symbol[2].st_name = UINT32_MAX;
	assert_int_equal(look_up(&bent, "prb", &value), -ENOENT);
	bent = elf;
	b->section[2].sh_size = 14; /* the last name is not terminated: it ends with its table */
	assert_int_equal(look_up(&bent, "prb", &value), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_kernel_is_planned_where_its_headers_say),
		cmocka_unit_test(every_lie_in_the_headers_is_refused),
		cmocka_unit_test(more_segments_than_the_limit_are_refused),
		cmocka_unit_test(a_file_cut_anywhere_is_refused),
		cmocka_unit_test(loading_gives_the_same_memory_mapped_or_copied),
		cmocka_unit_test(what_is_no_regular_file_is_refused),
		cmocka_unit_test(a_symbol_is_found_by_name_and_size),
		cmocka_unit_test(lies_about_symbols_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Finding one symbol of an ELF file, for looking into a guest that died: rare, so nothing is kept.
 * The file is hostile; section and string sizes are bounded before anything is allocated.
 */
#include <elf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/file.h"
#include "common/util.h"
#include "firmware/elf.h"

#define SECTIONS_MAX 256		  /* a kernel has about 40 */
#define TABLE_MAX    (UINT64_C(16) << 20) /* a kernel's symbols and names are 1 MiB each */

static int read_table(int fd, const Elf64_Shdr *section, char **ret)
{
	cleanup_free char *table = NULL;
	int r;

	if (section->sh_size > TABLE_MAX || section->sh_offset > INT64_MAX - TABLE_MAX)
		return -EFBIG;
	table = malloc(section->sh_size + 1);
	if (!table)
		return -ENOMEM;
	r = pread_all(fd, table, section->sh_size, (off_t)section->sh_offset);
	if (r < 0)
		return r;
	table[section->sh_size] = '\0';
	*ret = take_ptr(table);
	return 0;
}

static int find(const char *symbols, uint64_t nsymbols, const char *names, uint64_t names_size,
		const char *name, uint64_t size, uint64_t *ret)
{
	for (uint64_t i = 0; i < nsymbols; i++) {
		Elf64_Sym symbol;

		memcpy(&symbol, symbols + i * sizeof(symbol), sizeof(symbol));
		if (symbol.st_size == size && symbol.st_name < names_size &&
		    strcmp(names + symbol.st_name, name) == 0) {
			*ret = symbol.st_value;
			return 0;
		}
	}
	return -ENOENT;
}

static int read_sections(int fd, Elf64_Shdr *sections, unsigned *ret_n)
{
	Elf64_Ehdr ehdr;
	int r = pread_all(fd, &ehdr, sizeof(ehdr), 0);

	if (r < 0)
		return r;
	if (memcmp(ehdr.e_ident, ELFMAG, SELFMAG) != 0 || ehdr.e_ident[EI_CLASS] != ELFCLASS64 ||
	    ehdr.e_shentsize != sizeof(*sections) || ehdr.e_shnum > SECTIONS_MAX ||
	    ehdr.e_shoff > INT64_MAX)
		return -ENOEXEC;
	r = pread_all(fd, sections, ehdr.e_shnum * sizeof(*sections), (off_t)ehdr.e_shoff);
	if (r == 0)
		*ret_n = ehdr.e_shnum;
	return r;
}

int elf_symbol(int fd, const char *name, uint64_t size, uint64_t *ret)
{
	Elf64_Shdr sections[SECTIONS_MAX];
	unsigned n = 0;
	int r = read_sections(fd, sections, &n);

	for (unsigned i = 0; r == 0 && i < n; i++) {
		cleanup_free char *symbols = NULL, *names = NULL;
		const Elf64_Shdr *strings;

		if (sections[i].sh_type != SHT_SYMTAB || sections[i].sh_link >= n)
			continue;
		strings = &sections[sections[i].sh_link];
		r = read_table(fd, &sections[i], &symbols);
		if (r == 0)
			r = read_table(fd, strings, &names);
		if (r < 0)
			return r;
		return find(symbols, sections[i].sh_size / sizeof(Elf64_Sym), names,
			    strings->sh_size, name, size, ret);
	}
	return r < 0 ? r : -ENOENT;
}

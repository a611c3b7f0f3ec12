/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FIRMWARE_ELF_H
#define FIRMWARE_ELF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"
#include "common/gmem.h"

/*
 * The vmlinux loader: an uncompressed 64-bit x86 ELF executable, each PT_LOAD copied to its
 * physical address.
 */

#define ELF_HEAD_SIZE	 4096 /* the headers must end here; those of a kernel end below 1 KiB */
#define ELF_MAX_SEGMENTS 16   /* a kernel has 4 or 5 */

struct elf_segment {
	uint64_t gpa;
	uint64_t mem_size; /* in guest memory; what lies past file_size stays zero */
	uint64_t file_size;
	uint64_t offset; /* in the file */
	uint64_t mapped; /* bytes, from gpa on, that elf_load() has mapped from the file */
	bool writable;
};

struct elf_plan {
	uint64_t entry;	    /* guest physical */
	uint64_t low, high; /* all segments lie in [low, high) */
	struct elf_segment segment[ELF_MAX_SEGMENTS];
	unsigned nsegments;
};

/*
 * Check headers: the first len bytes (ELF_HEAD_SIZE or the whole file if shorter) of a file of
 * file_size bytes. Every segment must lie in guest physical [min, max), in the file, and apart from
 * the others; the entry point in an executable one. Hostile input.
 */
int elf_parse(const void *head, size_t len, uint64_t file_size, uint64_t min, uint64_t max,
	      struct elf_plan *ret, struct error *err) __attribute__((nonnull));

/*
 * Check the file and bring it to guest memory, of which [min, max) is open to it and zero. With map
 * the whole pages of read-only segments are mapped privately where guest memory is mapped; the rest
 * is copied.
 */
int elf_load(int fd, const struct gmem *mem, uint64_t min, uint64_t max, bool map,
	     struct elf_plan *ret, struct error *err) __attribute__((nonnull));

/*
 * The value of the first symbol with this name and size. 0, or a negative errno: -ENOENT when there
 * is none (the file may be stripped). Hostile input; takes up to 32 MiB of memory for a moment.
 */
int elf_symbol(int fd, const char *name, uint64_t size, uint64_t *ret) __attribute__((nonnull));

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/util.h"
#include "firmware/elf.h"

#define MIN_GPA MIB
#define MAX_GPA (64 * MIB)

/* A file for a kernel: what is planned lies where it may, apart; symbols are looked up. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	cleanup_fd int fd = memfd_create("elf", MFD_CLOEXEC);
	struct error err = ERROR_INIT;
	struct elf_plan plan;
	uint64_t value;

	if (fd < 0 || write(fd, data, size) != (ssize_t)size)
		return 0;
	(void)elf_symbol(fd, "prb", sizeof(value), &value);
	if (elf_parse(data, MIN(size, (size_t)ELF_HEAD_SIZE), size, MIN_GPA, MAX_GPA, &plan, &err) <
	    0)
		return 0;
	if (plan.low < MIN_GPA || plan.high > MAX_GPA || plan.entry < plan.low ||
	    plan.entry >= plan.high)
		abort();
	for (unsigned i = 0; i < plan.nsegments; i++)
		for (unsigned j = 0; j < i; j++)
			if (plan.segment[i].gpa < plan.segment[j].gpa + plan.segment[j].mem_size &&
			    plan.segment[j].gpa < plan.segment[i].gpa + plan.segment[i].mem_size)
				abort();
	return 0;
}

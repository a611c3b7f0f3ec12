/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>
#include <string.h>

#include "vmm/klog.h"

/* The input is the guest's memory; the ring buffer's pointer is its first word. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *ram = malloc(size ? size : 1);
	struct gmem mem = {.nregions = 1};
	struct klog klog;

	memcpy(ram, data, size);
	mem.region[0] = (struct gmem_region){.size = size, .hva = ram};
	if (klog_read_at(&mem, UINT64_C(0xffffffff80000000), &klog) == 0) {
		if (klog.n > KLOG_LINES || strlen(klog.panic) > KLOG_LINE_MAX)
			abort();
		for (unsigned i = 0; i < klog.n; i++)
			if (strlen(klog.line[i]) > KLOG_LINE_MAX)
				abort();
	}
	free(ram);
	return 0;
}

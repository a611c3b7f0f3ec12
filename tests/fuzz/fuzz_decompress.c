/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/file.h"
#include "stage0/image/decompress.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct decomp_limits limits = {1 << 20, 100, 1 << 16};
	cleanup_fd int fd = memfd_create("input", MFD_CLOEXEC);
	cleanup_decomp struct decomp *decomp = NULL;
	static uint8_t block[65536];
	struct error err = ERROR_INIT;
	uint64_t total = 0;
	size_t n = 0;

	if (write_all(fd, data, size) < 0 || lseek(fd, 0, SEEK_SET) < 0)
		abort();
	if (decomp_new(&(struct decomp_input){.fd = fd}, &limits, NULL, &decomp, &err) < 0)
		return 0;
	while (decomp_read(decomp, block, sizeof(block), &n, &err) == 0 && n > 0)
		total += n;
	/* a block over the limit may be decompressed before it is noticed, never handed out */
	if (total > limits.out_max)
		abort();
	return 0;
}

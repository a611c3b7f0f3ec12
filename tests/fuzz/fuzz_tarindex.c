/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "stage0/image/tarindex.h"

/* An archive's headers; what is found lies within the archive. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const names[] = {"manifest.json", "index.json", "a/b", "l"};
	cleanup_tarindex struct tarindex *index = NULL;
	struct error err = ERROR_INIT;
	int fd = memfd_create("tar", MFD_CLOEXEC);

	if (write(fd, data, size) == (ssize_t)size && tarindex_read(fd, &index, &err) == 0) {
		for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
			const struct tarindex_member *member;

			if (tarindex_find(index, names[i], &member, &err) == 0 &&
			    (member->offset > size || member->size > size - member->offset))
				abort();
		}
	}
	close(fd);
	return 0;
}

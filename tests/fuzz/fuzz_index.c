/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/file.h"
#include "stage0/image/index.h"

/* Entries that come out of any bytes keep their promises and go into a new index. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	cleanup_fd int fd = memfd_create("index", MFD_CLOEXEC),
		       out = memfd_create("out", MFD_CLOEXEC);
	cleanup_index_writer struct index_writer *writer = index_writer_new(out);
	cleanup_index_reader struct index_reader *reader = NULL;
	struct error err = ERROR_INIT;
	struct entry entry;

	if (write_all(fd, data, size) < 0 || lseek(fd, 0, SEEK_SET) < 0)
		abort();
	if (index_reader_new(fd, &reader, &err) < 0)
		return 0;
	while (index_reader_next(reader, &entry, &err) > 0)
		if (index_writer_add(writer, &entry, &err) < 0)
			abort();
	return 0;
}

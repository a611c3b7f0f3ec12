/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/fuzz/fuzz.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/file.h"
#include "stage0/image/erofs.h"
#include "stage0/image/index.h"
#include "tests/unit/erofs_model.h"

/* Any index that reads makes, by either set of rules, a file system that is exactly its tree. */
static void render(int fd, enum tree_rules rules)
{
	static const uint64_t blocks[] = {UINT64_C(1) << 28};
	cleanup_tree struct tree *tree = tree_new(rules);
	cleanup_index_reader struct index_reader *reader = NULL;
	cleanup_fd int out = memfd_create("erofs", MFD_CLOEXEC);
	struct error err = ERROR_INIT;
	const char *wrong;
	struct entry entry;
	off_t size;
	uint8_t *p;

	if (lseek(fd, 0, SEEK_SET) < 0 || index_reader_new(fd, &reader, &err) < 0)
		return;
	while (index_reader_next(reader, &entry, &err) > 0)
		tree_add(tree, &entry, &err);
	if (tree_finish(tree, &err) < 0)
		return;
	if (erofs_write(tree, blocks, 1, "", out, &err) < 0)
		abort();
	size = lseek(out, 0, SEEK_END);
	p = mmap(NULL, (size_t)size, PROT_READ, MAP_PRIVATE, out, 0);
	if (p == MAP_FAILED)
		abort();
	wrong = em_compare(p, (uint64_t)size, tree, blocks, 1);
	if (wrong) {
		fprintf(stderr, "%s\n", wrong);
		abort();
	}
	munmap(p, (size_t)size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	cleanup_fd int fd = memfd_create("index", MFD_CLOEXEC);

	if (write_all(fd, data, size) < 0)
		abort();
	render(fd, TREE_APPC);
	render(fd, TREE_OCI);
	return 0;
}

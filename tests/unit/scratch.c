/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/scratch.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/file.h"
#include "common/util.h"

int scratch_setup(void **state)
{
	struct scratch *scratch = xcalloc(1, sizeof(*scratch));

	snprintf(scratch->path, sizeof(scratch->path), "/tmp/tripod-unit.XXXXXX");
	if (!mkdtemp(scratch->path))
		return -1;
	scratch->fd = open(scratch->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	*state = scratch;
	return scratch->fd < 0 ? -1 : 0;
}

int scratch_teardown(void **state)
{
	struct scratch *scratch = *state;
	struct error err = ERROR_INIT;
	int r = remove_tree(AT_FDCWD, scratch->path, &err);

	close(scratch->fd);
	free(scratch);
	return r;
}

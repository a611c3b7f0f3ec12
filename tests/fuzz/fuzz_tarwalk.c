/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>

#include "stage0/image/tarwalk.h"

struct input {
	const uint8_t *p;
	size_t len;
	uint64_t size;
};

static int on_read(void *ctx, const void **ret, size_t *ret_len, struct error *err)
{
	struct input *input = ctx;

	(void)err;
	*ret = input->p;
	*ret_len = MIN(input->len, (size_t)700);
	input->p += *ret_len;
	input->len -= *ret_len;
	return 0;
}

/* Whatever gets through keeps an entry's promises. */
static int on_entry(void *ctx, const struct entry *entry, struct error *err)
{
	struct input *input = ctx;

	input->size = entry->size;
	if (entry_check(entry, err) < 0)
		abort();
	return 0;
}

static int on_data(void *ctx, uint64_t offset, const void *bytes, size_t len, uint64_t stream_pos,
		   struct error *err)
{
	struct input *input = ctx;

	(void)bytes, (void)stream_pos, (void)err;
	if (offset > input->size || len > input->size - offset)
		abort();
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct tarwalk_ops ops = {on_read, on_entry, on_data};
	struct input input = {.p = data, .len = size};
	struct error err = ERROR_INIT;

	tarwalk(&ops, &input, &err);
	return 0;
}

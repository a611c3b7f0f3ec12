/* SPDX-License-Identifier: Apache-2.0 */
#include "common/gmem.h"

#include <string.h>
#include <sys/mman.h>

#include "common/util.h"

#define HOST_PAGE ((uintptr_t)4096)

static bool blocks_exist(const struct gmem_region *r, uint64_t offset, uint64_t len)
{
	uint64_t last = (offset + (len ? len - 1 : 0)) >> r->block_shift;

	for (uint64_t block = offset >> r->block_shift; block <= last; block++)
		if (!__atomic_load_n(&r->plugged[block], __ATOMIC_RELAXED))
			return false;
	return true;
}

void *gmem_ptr(const struct gmem *mem, uint64_t gpa, uint64_t len)
{
	for (unsigned i = 0; i < mem->nregions; i++) {
		const struct gmem_region *r = &mem->region[i];
		uint64_t offset = gpa - r->gpa;

		if (gpa < r->gpa || offset >= r->size)
			continue;
		if (len > r->size - offset)
			return NULL;
		if (r->plugged && !blocks_exist(r, offset, len))
			return NULL;
		return r->hva + offset;
	}
	return NULL;
}

bool gmem_read(const struct gmem *mem, uint64_t gpa, void *dst, size_t len)
{
	const void *p = gmem_ptr(mem, gpa, len);

	if (p)
		memcpy(dst, p, len);
	return p;
}

bool gmem_write(const struct gmem *mem, uint64_t gpa, const void *src, size_t len)
{
	void *p = gmem_ptr(mem, gpa, len);

	if (p)
		memcpy(p, src, len);
	return p;
}

bool gmem_zero(const struct gmem *mem, uint64_t gpa, uint64_t len)
{
	void *p = gmem_ptr(mem, gpa, len);

	if (p)
		memset(p, 0, len);
	return p;
}

void gmem_release(void *p, size_t len)
{
	uintptr_t start = ALIGN_UP((uintptr_t)p, HOST_PAGE);
	uintptr_t end = ((uintptr_t)p + len) & ~(HOST_PAGE - 1);

	if (start >= end)
		return;
	/* A hole in the file behind a shared mapping; private memory has none and is dropped. */
	if (madvise((void *)start, end - start, MADV_REMOVE) < 0)
		(void)madvise((void *)start, end - start, MADV_DONTNEED);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/bus.h"

#include <assert.h>
#include <stddef.h>
#include <string.h>

void bus_add(struct bus *bus, uint64_t base, uint64_t size, const struct bus_ops *ops, void *opaque)
{
	assert(bus->n < BUS_MAX_RANGES);
	assert(size > 0 && size - 1 <= UINT64_MAX - base);
	for (unsigned i = 0; i < bus->n; i++)
		assert(base + (size - 1) < bus->range[i].base ||
		       bus->range[i].base + (bus->range[i].size - 1) < base);
	bus->range[bus->n++] = (struct bus_range){base, size, ops, opaque};
}

static const struct bus_range *find(const struct bus *bus, uint64_t addr, uint32_t len)
{
	for (unsigned i = 0; i < bus->n; i++) {
		const struct bus_range *range = &bus->range[i];

		if (addr >= range->base && addr - range->base < range->size)
			return len <= range->size - (addr - range->base) ? range : NULL;
	}
	return NULL;
}

void bus_read(const struct bus *bus, uint64_t addr, void *data, uint32_t len)
{
	const struct bus_range *range = find(bus, addr, len);

	if (range)
		range->ops->read(range->opaque, addr - range->base, data, len);
	else
		memset(data, 0xff, len);
}

void bus_write(const struct bus *bus, uint64_t addr, const void *data, uint32_t len)
{
	const struct bus_range *range = find(bus, addr, len);

	if (range)
		range->ops->write(range->opaque, addr - range->base, data, len);
}

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMM_BUS_H
#define VMM_BUS_H

#include <stdint.h>

/*
 * Who answers a guest's access to an address: one bus for MMIO, one for port I/O. A few ranges,
 * set up before the vCPUs start and never changed afterwards, so looking one up takes no lock.
 *
 * An access nobody claims, or one that leaves the range it starts in, is silent and cheap: reads
 * give all ones, writes are dropped. A guest can make millions of them.
 */

#define BUS_MAX_RANGES 8

struct bus_ops {
	/* offset is within the range; len is 1, 2, 4 or 8. Called by vCPU threads, several at once.
	 */
	void (*read)(void *opaque, uint64_t offset, void *data, uint32_t len);
	void (*write)(void *opaque, uint64_t offset, const void *data, uint32_t len);
};

struct bus_range {
	uint64_t base, size;
	const struct bus_ops *ops;
	void *opaque;
};

struct bus {
	struct bus_range range[BUS_MAX_RANGES];
	unsigned n;
};

/* Overlapping ranges, or too many, are programming errors. */
void bus_add(struct bus *bus, uint64_t base, uint64_t size, const struct bus_ops *ops, void *opaque)
	__attribute__((nonnull));

void bus_read(const struct bus *bus, uint64_t addr, void *data, uint32_t len)
	__attribute__((nonnull));
void bus_write(const struct bus *bus, uint64_t addr, const void *data, uint32_t len)
	__attribute__((nonnull));

#endif

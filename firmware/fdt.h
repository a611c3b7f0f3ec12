/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FIRMWARE_FDT_H
#define FIRMWARE_FDT_H

#include <stddef.h>
#include <stdint.h>

#include "common/error.h"
#include "firmware/firmware.h"

/* The device tree: CPUs, IOAPIC and devices, as Linux on x86 reads them (spec section 5). */

#define FDT_SIZE_MAX ((size_t)24 * 1024) /* 64 CPUs and 72 devices take 17 KiB */

/* Build the tree of params at dst, FDT_SIZE_MAX bytes. *ret_size: what it takes. */
int fdt_build(const struct firmware_params *params, void *dst, size_t *ret_size, struct error *err)
	__attribute__((nonnull));

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>
#include <string.h>

#include "vmm/ioapic.h"

#define PINS 7

static void routes_changed(void *opaque)
{
	struct ioapic_msi msi;

	for (unsigned pin = 0; pin < PINS; pin++)
		if (ioapic_route(opaque, pin, &msi) &&
		    (msi.address & ~UINT64_C(0xff004)) != 0xfee00000)
			abort();
}

static void inject(void *opaque, const struct ioapic_msi *msi)
{
	(void)opaque;
	if ((msi->data & 0xff) < 16)
		abort();
}

/* A guest's accesses, EOIs and a device's line, six bytes each. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct ioapic_ops ops = {routes_changed, inject};
	struct ioapic ioapic;
	uint64_t value;

	ioapic_init(&ioapic, PINS, &ops, &ioapic);
	for (; size >= 6; data += 6, size -= 6) {
		uint32_t len = 1U << (data[0] >> 2 & 3);
		uint64_t offset = (uint64_t)data[1] << (data[0] >> 4 & 4);

		memset(&value, data[5], sizeof(value));
		memcpy(&value, data + 2, 4);
		switch (data[0] & 3) {
		case 0:
			ioapic_write(&ioapic, offset, &value, len);
			break;
		case 1:
			ioapic_read(&ioapic, offset, &value, len);
			break;
		case 2:
			ioapic_set_line(&ioapic, data[1] % PINS, data[2] & 1);
			break;
		default:
			ioapic_eoi(&ioapic, data[1]);
		}
	}
	ioapic_free(&ioapic);
	return 0;
}

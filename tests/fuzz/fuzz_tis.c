/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TPM registers. Input: records of four bytes, {what, offset low, offset high, value}: a read or
 * write of a width, or the TPM turning slow, quick or dead. The command buffer stays in bounds by
 * the sanitizer; what the TPM is sent has the size its header says.
 */
#include "tests/fuzz/fuzz.h"

#include <assert.h>
#include <string.h>

#include "vmm/tis.h"

static bool slow, dead;

static bool fake_send(void *ctx, unsigned locality, const uint8_t *command, size_t len)
{
	(void)ctx;
	assert(locality < TIS_LOCALITIES - 1);
	assert(len >= 10 && len <= TIS_BUFFER);
	assert((size_t)command[4] << 8 == (len & 0xff00) && command[5] == (len & 0xff));
	return !dead;
}

static int fake_receive(void *ctx, uint8_t *response, size_t max, int timeout_ms)
{
	(void)ctx;
	(void)timeout_ms;
	memset(response, 0x55, max);
	return dead ? -1 : slow ? 0 : (int)max;
}

static void fake_cancel(void *ctx)
{
	(void)ctx;
}

static const struct tis_backend backend = {fake_send, fake_receive, fake_cancel};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct tis tis;

	slow = dead = false;
	tis_init(&tis, &backend, NULL);
	for (; size >= 4; data += 4, size -= 4) {
		uint64_t offset = data[1] | (uint64_t)data[2] << 8,
			 value = data[3] * UINT64_C(0x0101010101010101);
		uint32_t len = 1U << (data[0] >> 1 & 3);

		if (data[0] & 0x80) {
			slow = data[0] & 1;
			dead = data[0] & 2;
		} else if (data[0] & 1) {
			tis_write(&tis, offset, &value, len);
		} else {
			tis_read(&tis, offset, &value, len);
		}
	}
	tis_free(&tis);
	return 0;
}

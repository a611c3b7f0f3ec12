/* SPDX-License-Identifier: Apache-2.0 */
/* The event log's reader: bounded, and as many records as it says. */
#include "tests/fuzz/fuzz.h"

#include <assert.h>

#include "common/eventlog.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct error err = ERROR_INIT;
	struct pcrs pcrs;

	assert(eventlog_replay(data, size, &pcrs, &err) == err.code);
	return 0;
}

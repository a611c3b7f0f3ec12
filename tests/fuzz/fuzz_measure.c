/* SPDX-License-Identifier: Apache-2.0 */
/* A log that is required, which somebody else made: compared, and what differs described. */
#include "tests/fuzz/fuzz.h"

#include <assert.h>
#include <string.h>

#include "common/util.h"
#include "firmware/measure.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct measure_app app = {.name = "app"};
	static const struct measure_launch launch = {
		.version = "tripod-vmm", .cmdline = "", .apps = &app, .napps = 1};
	struct error err = ERROR_INIT;
	struct eventlog log;
	int r = measure_launch(&launch, &log, &err);

	assert(r == 0);
	r = measure_compare(log.data, log.len, data, size, &err);
	/* only the same bytes say the same, but for what is in the header and not looked at */
	assert(r < 0 || size == log.len);
	assert(measure_compare(data, size, data, size, &err) <= 0);
	eventlog_free(&log);
	return 0;
}

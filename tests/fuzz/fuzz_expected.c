/* SPDX-License-Identifier: Apache-2.0 */
/* Reference values as a JSON file: what is accepted comes out the same again. */
#include "tests/fuzz/fuzz.h"

#include <assert.h>

#include "stage0/attest/expected.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct error err = ERROR_INIT;
	struct json_object *doc = NULL;
	struct eventlog log, again;
	const char *text;

	if (expected_parse((const char *)data, size, &log, &err) < 0)
		return 0;
	assert(expected_from_log(log.data, log.len, &doc, &err) == 0);
	text = json_text(doc);
	assert(expected_parse(text, strlen(text), &again, &err) == 0);
	assert(again.len == log.len && memcmp(again.data, log.data, log.len) == 0);
	assert(expected_compare(log.data, log.len, &again, &err) == 0);
	eventlog_free(&again);
	eventlog_free(&log);
	json_object_put(doc);
	return 0;
}

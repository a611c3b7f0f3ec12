/* SPDX-License-Identifier: Apache-2.0 */
/* A host's evidence as a JSON file. */
#include "tests/fuzz/fuzz.h"

#include <assert.h>

#include "stage0/attest/evidence.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct error err = ERROR_INIT;
	struct host_evidence host, again;
	struct json_object *doc;
	const char *text;

	setenv("TSS2_LOG", "all+none", 0);
	if (host_evidence_parse((const char *)data, size, &host, &err) < 0)
		return 0;
	/* what is read can be written, and read again */
	doc = host_evidence_json(&host);
	text = json_text(doc);
	if (strlen(text) <= JSON_SIZE_MAX) {
		assert(host_evidence_parse(text, strlen(text), &again, &err) == 0);
		host_evidence_free(&again);
	}
	json_object_put(doc);
	host_evidence_free(&host);
	return 0;
}

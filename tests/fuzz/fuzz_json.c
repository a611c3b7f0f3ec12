/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>

#include "common/json.h"

/* What json_parse() takes, json-c writes as something json_parse() takes. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct error err = ERROR_INIT;
	cleanup_json struct json_object *obj = NULL;
	cleanup_json struct json_object *again = NULL;

	if (json_parse((const char *)data, size, "input", &obj, &err) == 0 &&
	    json_parse(json_text(obj), strlen(json_text(obj)), "output", &again, &err) < 0)
		abort();
	return 0;
}

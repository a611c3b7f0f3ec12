/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/fuzz/fuzz.h"

#include "stage0/fetch/registries.h"

/* containers-registries.conf, and what it makes of a few references. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const refs[] = {"redis", "a.b/c/d:e", "x.wild.test:1/y"};
	struct registries registries = REGISTRIES_INIT;
	struct error err = ERROR_INIT;

	registries_parse((const char *)data, size, "input", &registries, &err);
	for (size_t i = 0; i < ARRAY_SIZE(refs); i++) {
		struct registry_places places;
		struct dockerref ref;

		if (dockerref_parse(refs[i], &ref, &err) == 0 &&
		    registry_places_find(NULL, &registries, &ref, &places, &err) == 0)
			registry_places_free(&places);
	}
	registries_free(&registries);
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/fuzz/fuzz.h"

#include "common/util.h"
#include "stage0/fetch/discovery.h"
#include "stage0/fetch/url.h"

/* Whatever a page holds: few URLs come of it, and each is one that can be asked for. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct discovery_endpoints found = {.v = NULL};
	cleanup_strv struct strv keys = STRV_INIT;
	struct error err = ERROR_INIT;

	discovery_page_endpoints((const char *)data, size, "example.com/app", NULL, true, &found);
	discovery_page_keys((const char *)data, size, "example.com/app", &keys);
	if (found.n > DISCOVERY_RESULTS_MAX || keys.n > DISCOVERY_RESULTS_MAX)
		abort();
	for (size_t i = 0; i < found.n; i++) {
		cleanup_url struct url url = {.text = NULL};

		if (url_parse(found.v[i].image, &url, &err) < 0)
			abort();
	}
	discovery_endpoints_free(&found);
	return 0;
}

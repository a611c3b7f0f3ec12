/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>

#include "stage0/fetch/dockerref.h"
#include "stage0/fetch/url.h"

/* A reference, which when spelled out means the same; and a URL, alone and as a redirect. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = xstrndup((const char *)data, size);
	struct url base = {.host = NULL}, url = {.host = NULL};
	struct error err = ERROR_INIT;
	struct dockerref ref, again;

	if (dockerref_parse(text, &ref, &err) == 0) {
		char *whole = dockerref_text(&ref), *twice;

		if (dockerref_parse(whole, &again, &err) < 0)
			abort();
		twice = dockerref_text(&again);
		if (strcmp(whole, twice) != 0)
			abort();
		free(whole);
		free(twice);
	}
	if (url_parse(text, &url, &err) == 0) {
		if (url_parse(url.text, &base, &err) < 0 || !url_same_origin(&base, &url))
			abort();
		url_free(&url);
		url_free(&base);
	}
	if (url_parse("https://a.b:1/c/d", &base, &err) == 0 &&
	    url_resolve(&base, text, &url, &err) == 0)
		url_free(&url);
	url_free(&base);
	free(text);
	return 0;
}

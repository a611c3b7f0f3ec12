/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>

#include "stage0/fetch/challenge.h"

/* A WWW-Authenticate header, after another one. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct challenges challenges = {.n = 0};
	char *text = xstrndup((const char *)data, size);
	size_t n;

	challenge_parse("Basic realm=\"x\"", &challenges);
	n = challenges.n;
	if (!challenge_parse(text, &challenges) && challenges.n != n)
		abort();
	challenges_free(&challenges);
	free(text);
	return 0;
}

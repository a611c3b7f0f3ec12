/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>

#include "stage0/fetch/credentials_priv.h"

/* Credentials of other clients, in both forms, and what their helpers print. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	for (int old = 0; old <= 1; old++) {
		struct credential found = {.user = NULL};
		struct error err = ERROR_INIT;
		struct auth_file file;

		if (auth_file_parse((const char *)data, size, "input", old, &file, &err) < 0)
			continue;
		auth_file_helper(&file, "docker.io");
		auth_file_find(&file, "a.b", "c/d", &found, &err);
		credential_free(&found);
		auth_file_find(&file, "docker.io", "library/x", &found, &err);
		credential_free(&found);
		auth_file_free(&file);
	}
	struct credential helped = {.user = NULL};
	struct error err = ERROR_INIT;

	credential_helper_parse((const char *)data, size, "input", &helped, &err);
	credential_free(&helped);
	return 0;
}

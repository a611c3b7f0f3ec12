/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/fuzz/fuzz.h"

#include "common/json.h"
#include "stage0/config_priv.h"

/* A document of any subdirectory is taken or refused; what is taken can be printed and looked up. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const dirs[] = {"auth.d", "registries.d", "paths.d", "stage1.d"};
	cleanup_config struct config config = CONFIG_INIT;
	cleanup_json struct json_object *doc = NULL, *printed = NULL;
	struct error err = ERROR_INIT;

	if (json_parse((const char *)data, size, "document", &doc, &err) < 0)
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(dirs); i++) {
		struct error ignored = ERROR_INIT;

		config_read_document(&config, dirs[i], doc, &ignored);
	}
	for (size_t i = 0; i < config.nregistries; i++) {
		const char *prefix = config.registries[i].prefix;

		if (prefix[0] != '*' && !config_registry_for(&config, prefix))
			abort();
	}
	printed = config_json(&config);
	json_text(printed);
	return 0;
}

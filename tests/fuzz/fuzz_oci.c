/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>

#include "common/json.h"
#include "stage0/image/oci_config.h"
#include "stage0/image/oci_doc.h"

/* One document, read as each kind there is. What a config converts to is JSON again. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct oci_platform platform = {.os = "linux", .arch = "amd64"};
	static const struct oci_wanted wanted = {.ref = NULL, .platform = &platform};
	static const struct oci_source source = {.name = "x"};
	static struct oci_manifest manifest;
	cleanup_json struct json_object *doc = NULL, *out = NULL, *again = NULL;
	cleanup_strv struct strv warnings = STRV_INIT;
	struct error err = ERROR_INIT;
	struct oci_digest diff_id[2];
	struct oci_desc desc;

	if (json_parse((const char *)data, size, "input", &doc, &err) < 0)
		return 0;
	oci_manifest_parse(doc, &manifest, &err);
	oci_index_choose(doc, &wanted, &desc, &err);
	oci_diff_ids(doc, diff_id, ARRAY_SIZE(diff_id), &err);
	if (oci_config_convert(doc, &source, &out, &warnings, &err) == 0 &&
	    json_parse(json_text(out), strlen(json_text(out)), "output", &again, &err) < 0)
		abort();
	return 0;
}

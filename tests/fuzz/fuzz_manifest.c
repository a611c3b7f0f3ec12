/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/fuzz/fuzz.h"

#include "common/util.h"
#include "stage0/image_manifest.h"
#include "stage0/pod_manifest.h"

/* An image manifest that is accepted makes a pod manifest, or an error that says why not. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct app_request request = {.image = "file.aci", .memory = "1Gi", .caps_remove = "KILL"};
	struct pod_request pod = {.uid = 0};
	cleanup_strv struct strv warnings = STRV_INIT;
	cleanup_json struct json_object *image = NULL, *manifest = NULL;
	struct pod_app app = {.request = &request, .key = "sha512-00"};
	struct error err = ERROR_INIT;

	if (image_manifest_parse((const char *)data, size, &image, &warnings, &err) < 0)
		return 0;
	image_manifest_runnable(image, &err);
	app.image = image;
	pod_manifest_build(&pod, &app, 1, &manifest, &err);
	free(app.name);
	return 0;
}

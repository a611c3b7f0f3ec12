/* SPDX-License-Identifier: Apache-2.0 */
#include "common/log.h"
#include "common/util.h"
#include "stage0/cmds.h"
#include "stage0/format.h"
#include "stage0/pod_info.h"

struct cat_options {
	bool pretty_print;
	char *uuid_file;
};

static const struct option options[] = {
	{"pretty-print", OPT_BOOL, offsetof(struct cat_options, pretty_print), .dflt = "true",
	 .help = "indent the manifest"},
	{"uuid-file", OPT_STRING, offsetof(struct cat_options, uuid_file), .arg = "FILE",
	 .help = "print the manifest of the pod whose UUID is in this file"},
	{.name = NULL},
};

static int print_manifest(const struct globals *globals, const char *uuid, enum format format,
			  struct error *err)
{
	cleanup_free char *data_dir = NULL, *text = NULL;
	cleanup_pod struct pod pod = POD_INIT;
	cleanup_json struct json_object *doc = NULL;
	struct pods pods = {.fd = -1};
	size_t len;
	int r = globals_data_dir(globals, &data_dir, err);

	if (r == 0)
		r = pods_open(data_dir, &pods, err);
	if (r == 0)
		r = pod_find(&pods, uuid, &pod, err);
	if (r == 0)
		r = pod_read(&pod, "pod", JSON_SIZE_MAX, &text, &len, err);
	if (r == 0)
		r = json_parse(text, len, "pod manifest", &doc, err);
	pods_close(&pods);
	if (r == 0)
		format_json(stdout, doc, format);
	return r;
}

static int run(struct globals *globals, void *opts, const struct strv *args)
{
	const struct cat_options *cat = opts;
	cleanup_free char *uuid = NULL;
	struct error err = ERROR_INIT;

	if ((args->n == 0) == (cat->uuid_file == NULL))
		return usage_error(globals->prog, &cmd_cat_manifest,
				   "name one pod, or a file with --uuid-file");
	if ((cat->uuid_file && pod_read_uuid_file(cat->uuid_file, &uuid, &err) < 0) ||
	    print_manifest(globals, uuid ? uuid : args->v[0],
			   cat->pretty_print ? FORMAT_JSON_PRETTY : FORMAT_JSON, &err) < 0) {
		log_error("%s", err.msg);
		return EXIT_FAILED;
	}
	return 0;
}

const struct command cmd_cat_manifest = {
	.name = "cat-manifest",
	.args = "[options] UUID",
	.summary = "print the manifest of a pod",
	.options = options,
	.size = sizeof(struct cat_options),
	.max_args = 1,
	.run = run,
};

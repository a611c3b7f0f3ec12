/* SPDX-License-Identifier: Apache-2.0 */
#include "common/log.h"
#include "common/util.h"
#include "stage0/cmds.h"
#include "stage0/format.h"
#include "stage0/image_find.h"

struct cat_options {
	bool pretty_print;
};

static const struct option options[] = {
	{"pretty-print", OPT_BOOL, offsetof(struct cat_options, pretty_print), .dflt = "true",
	 .help = "indent the manifest"},
	{.name = NULL},
};

static int print_manifest(const struct globals *globals, const char *image, enum format format,
			  struct error *err)
{
	cleanup_json struct json_object *manifest = NULL;
	cleanup_free char *data_dir = NULL;
	cleanup_store struct store *store = NULL;
	char key[IMAGE_KEY_LEN + 1];
	int r = globals_data_dir(globals, &data_dir, err);

	if (r == 0)
		r = store_open(data_dir, &store, err);
	if (r == 0)
		r = image_find(store, image, key, err);
	if (r == 0)
		r = store_manifest(store, key, &manifest, err);
	if (r == 0)
		format_json(stdout, manifest, format);
	return r;
}

static int run(struct globals *globals, void *opts, const struct strv *args)
{
	const struct cat_options *cat = opts;
	struct error err = ERROR_INIT;

	if (print_manifest(globals, args->v[0],
			   cat->pretty_print ? FORMAT_JSON_PRETTY : FORMAT_JSON, &err) < 0) {
		log_error("%s", err.msg);
		return EXIT_FAILED;
	}
	return 0;
}

const struct command cmd_image_cat_manifest = {
	.name = "image cat-manifest",
	.args = "[options] IMAGE",
	.summary = "print the manifest of an image",
	.options = options,
	.size = sizeof(struct cat_options),
	.min_args = 1,
	.max_args = 1,
	.run = run,
};

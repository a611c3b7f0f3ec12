/* SPDX-License-Identifier: Apache-2.0 */
#include "common/log.h"
#include "common/util.h"
#include "stage0/cmds.h"
#include "stage0/image_file.h"
#include "stage0/image_find.h"

struct export_options {
	bool overwrite;
};

static const struct option options[] = {
	{"overwrite", OPT_BOOL, offsetof(struct export_options, overwrite),
	 .help = "replace FILE if it is there"},
	{.name = NULL},
};

struct source {
	struct store *store;
	const char *key;
};

static int fill(void *ctx, int fd, struct error *err)
{
	const struct source *source = ctx;

	return store_export_aci(source->store, source->key, fd, err);
}

static int export_to(struct store *store, const char *key, const char *path, bool overwrite,
		     struct error *err)
{
	struct source source = {store, key};

	return image_file_write(path, overwrite, fill, &source, err);
}

static int run(struct globals *globals, void *opts, const struct strv *args)
{
	const struct export_options *given = opts;
	cleanup_free char *data_dir = NULL;
	cleanup_store struct store *store = NULL;
	char key[IMAGE_KEY_LEN + 1];
	struct error err = ERROR_INIT;

	if (globals_data_dir(globals, &data_dir, &err) < 0 ||
	    store_open(data_dir, &store, &err) < 0 ||
	    image_find(store, args->v[0], key, &err) < 0 ||
	    export_to(store, key, args->v[1], given->overwrite, &err) < 0) {
		log_error("%s", err.msg);
		return EXIT_FAILED;
	}
	return 0;
}

const struct command cmd_image_export = {
	.name = "image export",
	.args = "[options] IMAGE FILE",
	.summary = "write an image as an ACI",
	.text = "The archive is not compressed. What came as an ACI is written as it was, byte "
		"for\n"
		"byte, and its digest is checked; what came as layers, as an archive made of "
		"them,\n"
		"the same whenever it is made.",
	.options = options,
	.size = sizeof(struct export_options),
	.min_args = 2,
	.max_args = 2,
	.run = run,
};

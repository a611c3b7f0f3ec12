/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "common/log.h"
#include "common/util.h"
#include "stage0/cmds.h"
#include "stage0/fetching.h"
#include "stage0/grammar.h"

#define KEY_SHORT (7 + 32) /* "sha512-" and as many digits as are printed */

struct fetch_command {
	bool full;
	struct fetching_options fetching;
};

static const struct option options[] = {
	{"full", OPT_BOOL, offsetof(struct fetch_command, full),
	 .help = "print the IDs with all digits the store goes by"},
	FETCHING_JOBS(struct fetch_command, fetching),
	FETCHING_NO_STORE(struct fetch_command, fetching),
	FETCHING_PLATFORM(struct fetch_command, fetching),
	FETCHING_PULL_POLICY(struct fetch_command, fetching, "update"),
	{"signature", OPT_STRING, offsetof(struct app_request, signature), .app = true,
	 .arg = "FILE", .help = "file of the image's signature"},
	FETCHING_STORE_ONLY(struct fetch_command, fetching),
	{.name = NULL},
};

static int fetch_one(struct fetching *fetching, struct store *store,
		     const struct app_request *request, bool full, struct error *err)
{
	char key[IMAGE_KEY_LEN + 1];
	int r = fetching_image(fetching, request->image, request->signature, false, key, err);

	if (r == 0) {
		r = store_render_image(store, key, err);
		if (r < 0)
			error_wrap(err, "%s", request->image);
	}
	if (r == 0) {
		printf("%.*s\n", full ? IMAGE_KEY_LEN : KEY_SHORT, key);
		fflush(stdout);
	}
	return r;
}

static int fetch_all(struct globals *globals, const struct fetch_command *how,
		     const struct image_list *images, struct error *err)
{
	cleanup(fetching_close) struct fetching fetching = FETCHING_INIT;
	cleanup(store_closep) struct store *store = NULL;
	cleanup_free char *data_dir = NULL;
	int r = fetching_parse(&how->fetching, &fetching, err);

	if (r == 0)
		r = globals_data_dir(globals, &data_dir, err);
	if (r == 0)
		r = store_open(data_dir, &store, err);
	if (r == 0)
		r = fetching_open(globals, store, false, &fetching, err);
	for (size_t i = 0; r == 0 && i < images->n; i++)
		r = fetch_one(&fetching, store, &images->v[i], how->full, err);
	return r;
}

static int run(struct globals *globals, void *opts, const struct strv *args)
{
	const struct option_set sets[] = {{options, opts}, {global_options, globals}};
	struct image_list images = IMAGE_LIST_INIT;
	struct error err = ERROR_INIT;
	int r = grammar_parse(args, sets, ARRAY_SIZE(sets), &images, &err);

	if (r == 0 && !globals->help)
		r = globals_apply(globals, &err);
	if (r == 0 && globals->help) {
		usage_command(stdout, globals->prog, &cmd_fetch);
	} else if (r == 0 && images.n == 0) {
		image_list_free(&images, options);
		return usage_error(globals->prog, &cmd_fetch, "fetch: no image is named");
	} else if (r == 0) {
		r = fetch_all(globals, opts, &images, &err);
	}
	if (r < 0)
		log_error("%s", err.msg);
	image_list_free(&images, options);
	return r < 0 ? EXIT_FAILED : 0;
}

const struct command cmd_fetch = {
	.name = "fetch",
	.args = "[options] IMAGE [options] [IMAGE ...]",
	.summary = "fetch images into the store",
	.text = "Bring images, and what they depend on, into the store, and print their IDs.\n"
		"IMAGE is a file or URL ending in .aci, a name (NAME[:VERSION][,LABEL=VALUE...])\n"
		"whose server says where the image is, docker://[HOST/]NAME[:TAG|@DIGEST],\n"
		"oci:DIR[:NAME], oci-archive:FILE[:NAME], docker-archive:FILE[:NAME[:TAG]], or\n"
		"the ID of an image in the store.\n"
		"\n"
		"Signatures are checked; --insecure-options=image does without.",
	.options = options,
	.size = sizeof(struct fetch_command),
	.flags = COMMAND_GRAMMAR,
	.run = run,
};

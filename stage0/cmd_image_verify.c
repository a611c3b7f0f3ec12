/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <limits.h>

#include "common/log.h"
#include "common/util.h"
#include "stage0/cmds.h"
#include "stage0/image_find.h"

static int verify(struct store *store, const char *text)
{
	char key[IMAGE_KEY_LEN + 1];
	struct error err = ERROR_INIT;
	int r = image_find(store, text, key, &err);

	if (r < 0) {
		log_error("%s", err.msg);
		return r;
	}
	r = store_verify(store, key, &err);
	if (r == 0)
		printf("successfully verified checksum for image: \"%s\" (\"%s\")\n", text, key);
	else
		log_error("tree cache verification failed for image \"%s\" (\"%s\"): %s", text, key,
			  err.msg);
	fflush(stdout);
	return r;
}

static int run(struct globals *globals, void *opts, const struct strv *args)
{
	cleanup_free char *data_dir = NULL;
	cleanup_store struct store *store = NULL;
	struct error err = ERROR_INIT;
	size_t failed = 0;

	(void)opts;
	if (globals_data_dir(globals, &data_dir, &err) < 0 ||
	    store_open(data_dir, &store, &err) < 0) {
		log_error("%s", err.msg);
		return EXIT_FAILED;
	}
	for (size_t i = 0; i < args->n; i++)
		failed += verify(store, args->v[i]) < 0;
	return failed ? EXIT_FAILED : 0;
}

const struct command cmd_image_verify = {
	.name = "image verify",
	.args = "IMAGE...",
	.summary = "check images in the store for damage",
	.text = "Everything the store has of the images and of what they depend on is read and\n"
		"compared with their digests, and what was rendered of them with the same.",
	.min_args = 1,
	.max_args = UINT_MAX,
	.run = run,
};

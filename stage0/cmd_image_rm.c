/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <limits.h>

#include "common/log.h"
#include "common/util.h"
#include "stage0/cmds.h"
#include "stage0/image_find.h"

/* Find all first, so that what is named twice, however it is spelled, is removed once. */
static void find_all(struct store *store, const struct strv *args, struct strv *keys)
{
	for (size_t i = 0; i < args->n; i++) {
		char key[IMAGE_KEY_LEN + 1];
		struct error err = ERROR_INIT;

		if (image_find(store, args->v[i], key, &err) < 0)
			log_error("%s", err.msg);
		else if (!strv_contains(keys, key))
			strv_add(keys, key);
	}
}

static int run(struct globals *globals, void *opts, const struct strv *args)
{
	cleanup_strv struct strv keys = STRV_INIT;
	cleanup_free char *data_dir = NULL;
	cleanup_store struct store *store = NULL;
	struct error err = ERROR_INIT;
	size_t removed = 0, failed = 0;

	(void)opts;
	if (globals_data_dir(globals, &data_dir, &err) < 0 ||
	    store_open(data_dir, &store, &err) < 0) {
		log_error("%s", err.msg);
		return EXIT_FAILED;
	}
	find_all(store, args, &keys);
	for (size_t i = 0; i < keys.n; i++) {
		struct error one = ERROR_INIT;
		int r = store_remove(store, keys.v[i], &one);

		if (r == 0) {
			printf("successfully removed aci for image: \"%s\"\n", keys.v[i]);
			removed++;
		} else {
			log_error("%s", one.msg);
			failed += r != -ENOENT; /* somebody else was faster */
		}
	}
	fflush(stdout);
	if (removed)
		log_info("%zu image(s) successfully removed", removed);
	return failed ? EXIT_FAILED : 0;
}

const struct command cmd_image_rm = {
	.name = "image rm",
	.args = "IMAGE...",
	.summary = "remove images from the store",
	.text = "What an image shares with others stays. An image that is being used at this "
		"moment\n"
		"is not removed. Pods that are prepared or run keep what they have.",
	.min_args = 1,
	.max_args = UINT_MAX,
	.run = run,
};

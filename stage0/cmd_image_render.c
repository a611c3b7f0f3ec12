/* SPDX-License-Identifier: Apache-2.0 */
#include "common/log.h"
#include "stage0/cmds.h"
#include "stage0/unpack.h"

static int run(struct globals *globals, void *opts, const struct strv *args)
{
	struct error err = ERROR_INIT;

	if (unpack(globals, args->v[0], args->v[1], opts, true, &err) < 0) {
		log_error("%s", err.msg);
		return EXIT_FAILED;
	}
	return 0;
}

const struct command cmd_image_render = {
	.name = "image render",
	.args = "[options] IMAGE DIRECTORY",
	.summary = "unpack an image and what it depends on into a directory",
	.text = "What an app of this image sees: with its dependencies, and with path whitelists\n"
		"applied. DIRECTORY appears when all is there.",
	.options = unpack_options,
	.size = sizeof(struct unpack_options),
	.min_args = 2,
	.max_args = 2,
	.run = run,
};

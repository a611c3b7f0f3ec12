/* SPDX-License-Identifier: Apache-2.0 */
/* app add: another app for a mutable pod (rkt-behaviour 2.15). */
#include <errno.h>

#include "common/log.h"
#include "common/util.h"
#include "stage0/cmds.h"
#include "stage0/grammar.h"
#include "stage0/launch.h"
#include "stage0/mutable.h"

static const struct option options[] = {
	{.include = launch_app_options},
	{"mnt-volume", OPT_LIST, .app = true, .offset = offsetof(struct app_request, mnt_volumes),
	 .arg = "name=NAME,kind=empty|host,target=PATH[,KEY=VALUE...]",
	 .help = "mount a volume of the app's own (repeatable)"},
	{.name = NULL},
};

static int parse(struct globals *globals, const struct strv *words, struct image_list *images,
		 struct error *err)
{
	const struct option_set sets[] = {{options, NULL}, {global_options, globals}};
	struct strv rest = {.v = words->v + 1, .n = words->n - 1};
	int r = grammar_parse(&rest, sets, ARRAY_SIZE(sets), images, err);

	if (r < 0 || globals->help)
		return r;
	if (images->n != 1)
		return error_set(err, -EINVAL, "name one image, not %zu", images->n);
	return globals_apply(globals, err);
}

static int run(struct globals *globals, void *opts, const struct strv *args)
{
	cleanup_mutable struct mutable_pod mp = MUTABLE_POD_INIT(globals);
	struct image_list images = IMAGE_LIST_INIT;
	struct error err = ERROR_INIT;
	int r;

	(void)opts;
	if (args->n == 0)
		return usage_error(globals->prog, &cmd_app_add, "name a pod and an image");
	r = parse(globals, args, &images, &err);
	if (r == 0 && globals->help) {
		usage_command(stdout, globals->prog, &cmd_app_add);
	} else {
		if (r == 0)
			r = mutable_open(&mp, args->v[0], true, &err);
		if (r == 0)
			r = mutable_add(&mp, &images.v[0], &err);
		if (r < 0)
			log_error("%s", err.msg);
	}
	image_list_free(&images, options);
	return r < 0 ? EXIT_FAILED : 0;
}

const struct command cmd_app_add = {
	.name = "app add",
	.args = "UUID IMAGE [options] [-- ARGS]",
	.summary = "add an app to a mutable pod",
	.text = "Add an image of the store, by its ID or its name, to a pod that \"app sandbox\"\n"
		"has started. The app is not started; \"app start\" does that.",
	.options = options,
	.flags = COMMAND_GRAMMAR,
	.only = experiment_app,
	.run = run,
};

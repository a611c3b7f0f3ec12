/* SPDX-License-Identifier: Apache-2.0 */
/*
 * prepare: run's first half. What fails after the pod's directory was made leaves the pod in
 * prepare, where list and status show it as an aborted one and gc finds it (rkt-behaviour 2.4).
 */
#include "common/log.h"
#include "stage0/cmds.h"
#include "stage0/launch.h"

static const struct option options[] = {
	{.include = launch_app_options},
	{.include = launch_stage1_options},
	{.include = launch_image_options},
	{"quiet", OPT_BOOL, offsetof(struct launch_options, quiet),
	 .help = "say nothing but the UUID and errors"},
	{.name = NULL},
};

static int prepare(struct launch *launch, struct error *err)
{
	int r;

	if (launch->opts->quiet && !launch->globals->debug)
		log_set_level(LOG_ERROR);
	r = launch_open(launch, err);
	if (r == 0)
		r = launch_create(launch, err);
	if (r == 0)
		r = launch_prepare(launch, err);
	if (r == 0)
		r = pod_move(&launch->pods, &launch->pod, POD_PREPARED, err);
	if (r == 0)
		printf("%s\n", launch->pod.uuid);
	return r;
}

static int run(struct globals *globals, void *opts, const struct strv *args)
{
	struct launch launch = LAUNCH_INIT(globals, opts);

	return launch_command(&launch, &cmd_prepare, args, prepare, EXIT_FAILED);
}

const struct command cmd_prepare = {
	.name = "prepare",
	.args = "[options] IMAGE [options] [-- ARGS [---]] [IMAGE ...]",
	.summary = "prepare a pod to be run later",
	.text = "Do all that run does before the pod starts, and print the pod's UUID, for\n"
		"run-prepared. IMAGE, the options after it and its arguments are those of run.",
	.options = options,
	.size = sizeof(struct launch_options),
	.flags = COMMAND_GRAMMAR | COMMAND_ROOT,
	.run = run,
};

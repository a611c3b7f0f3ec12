/* SPDX-License-Identifier: Apache-2.0 */
/*
 * run: prepare a pod and run it. Until the exec, a failure takes the whole pod away again; after it,
 * the pod is stage1's, and stays behind as an exited pod for status, list and gc.
 */
#include "stage0/cmds.h"
#include "stage0/launch.h"

static const struct option options[] = {
	{.include = launch_app_options},
	{.include = launch_stage1_options},
	{.include = launch_image_options},
	{.include = launch_pod_options},
	{.include = launch_run_options},
	{"uuid-file-save", OPT_STRING, offsetof(struct launch_options, uuid_file_save),
	 .arg = "FILE", .help = "write the pod's UUID to this file"},
	{.name = NULL},
};

static int run(struct globals *globals, void *opts, const struct strv *args)
{
	struct launch launch = LAUNCH_INIT(globals, opts);

	return launch_command(&launch, &cmd_run, args, launch_run, EXIT_FAILED);
}

const struct command cmd_run = {
	.name = "run",
	.args = "[options] IMAGE [options] [-- ARGS [---]] [IMAGE ...]",
	.summary = "run images as a pod",
	.text = "Run one or more images as the apps of a pod, in a virtual machine of its\n"
		"own, and wait for it. IMAGE is whatever fetch takes. Options after an image are\n"
		"for that image; words between \"--\" and \"---\" are arguments of its program.\n"
		"\n"
		"A single app's output is passed on as it is; that of several apps gets the\n"
		"app's name before each line. The exit status is that of the first app that\n"
		"fails, or 0; 254 when the pod could not be started.",
	.options = options,
	.size = sizeof(struct launch_options),
	.flags = COMMAND_GRAMMAR | COMMAND_ROOT,
	.run = run,
};

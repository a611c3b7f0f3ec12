/* SPDX-License-Identifier: Apache-2.0 */
/* app sandbox: run a pod without apps, which can get some (rkt-behaviour 2.15). */
#include "stage0/cmds.h"
#include "stage0/launch.h"

#define EXIT_SANDBOX_FAILED 1 /* as rkt's */

#define POD(field) .offset = offsetof(struct launch_options, field)

static const struct option options[] = {
	{.include = launch_stage1_options},
	{.include = launch_pod_options},
	{"annotation", OPT_KEYVALS, POD(annotations), .arg = "NAME=VALUE",
	 .help = "add an annotation to the pod (repeatable)"},
	{"mds-register", OPT_BOOL, POD(mds_register),
	 .help = "serve the apps the pod's metadata at $AC_METADATA_URL"},
	{"no-overlay", OPT_BOOL, POD(no_overlay),
	 .help = "accepted for rkt's callers: nothing is mounted on the host anyway"},
	{"port", OPT_LIST, POD(whole_ports), .arg = "NAME:PROTO:PODPORT:HOSTIP:HOSTPORT",
	 .help = "publish a port of the pod; HOSTIP may be empty (repeatable)"},
	FETCHING_PULL_POLICY(struct launch_options, fetching, "new"),
	{"user-annotation", OPT_KEYVALS, POD(user_annotations), .arg = "NAME=VALUE",
	 .help = "add a user annotation to the pod (repeatable)"},
	{"user-label", OPT_KEYVALS, POD(user_labels), .arg = "NAME=VALUE",
	 .help = "add a user label to the pod (repeatable)"},
	{"uuid-file-save", OPT_STRING, POD(uuid_file_save), .arg = "FILE",
	 .help = "write the pod's UUID to this file"},
	{.name = NULL},
};

static int run(struct globals *globals, void *opts, const struct strv *args)
{
	struct launch launch = LAUNCH_INIT(globals, opts);

	launch.sandbox = true;
	return launch_command(&launch, &cmd_app_sandbox, args, launch_run, EXIT_SANDBOX_FAILED);
}

const struct command cmd_app_sandbox = {
	.name = "app sandbox",
	.args = "[options]",
	.summary = "run a pod without apps",
	.text = "Run a pod that begins without apps, and wait for it. \"app add\" gives it some,\n"
		"at most 16 at once. Their ends do not end it; stop does. What its apps write is\n"
		"kept in its memory.",
	.options = options,
	.size = sizeof(struct launch_options),
	.flags = COMMAND_GRAMMAR,
	.only = experiment_app,
	.run = run,
};

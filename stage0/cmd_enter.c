/* SPDX-License-Identifier: Apache-2.0 */
/* enter: execute a command beside an app of a running pod, by stage1 (rkt-behaviour 2.10). */
#include <errno.h>

#include "common/log.h"
#include "common/util.h"
#include "stage0/cmds.h"
#include "stage0/pod_info.h"
#include "stage0/stage1.h"

#define DEFAULT_COMMAND "/bin/bash"

struct enter_options {
	char *app;
};

const struct option enter_options[] = {
	{"app", OPT_STRING, offsetof(struct enter_options, app), .arg = "NAME",
	 .help = "the app to enter, of a pod that has several"},
	{.name = NULL},
};

static int enter(const struct pods *pods, const char *uuid, const char *wanted,
		 char *const *command, struct error *err)
{
	cleanup_pod_info struct pod_info info = {.state = NULL};
	static char *const shell[] = {DEFAULT_COMMAND, NULL};
	cleanup_pod struct pod pod = POD_INIT;
	const char *app;
	int r = pod_find_running(pods, uuid, &pod, &info, err);

	if (r < 0)
		return r;
	app = pod_info_choose_app(&info, wanted, err);
	if (!app)
		return err->code;
	if (!*command) {
		log_info("no command is given, assuming \"" DEFAULT_COMMAND "\"");
		command = shell;
	}
	r = stage1_enter(&pod, info.pid, app, command, err);
	return r == -ENOENT ? error_wrap(err, "pod \"%s\": its stage1 can not enter it", pod.uuid)
			    : r;
}

int enter_run(struct globals *globals, void *opts, const struct strv *args)
{
	const struct enter_options *given = opts;
	cleanup_free char *data_dir = NULL;
	struct pods pods = {.fd = -1};
	struct error err = ERROR_INIT;

	if (args->n == 0)
		return usage_error(globals->prog, &cmd_enter, "name a pod");
	if (globals_data_dir(globals, &data_dir, &err) == 0 &&
	    pods_open(data_dir, &pods, &err) == 0)
		enter(&pods, args->v[0], given->app, args->v + 1, &err);
	log_error("%s", err.msg);
	pods_close(&pods);
	return EXIT_FAILED;
}

const struct command cmd_enter = {
	.name = "enter",
	.args = "[options] UUID [CMD [ARGS...]]",
	.summary = "execute a command in an app of a running pod",
	.text = "Execute CMD, or " DEFAULT_COMMAND ", in an app's root, with its environment and\n"
		"within its limits, but as root. It gets a terminal when stdin and stdout are\n"
		"one. The exit status is the command's. A UUID may be shortened as long as it\n"
		"is the only match.",
	.options = enter_options,
	.size = sizeof(struct enter_options),
	.flags = COMMAND_GRAMMAR | COMMAND_ROOT,
	.run = enter_run,
};

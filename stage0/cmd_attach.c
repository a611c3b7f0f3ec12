/* SPDX-License-Identifier: Apache-2.0 */
/* attach: connect our streams with an app's that are for clients, by stage1 (rkt-behaviour 2.18). */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "common/util.h"
#include "stage0/cmds.h"
#include "stage0/pod_info.h"
#include "stage0/stage1.h"

struct attach_options {
	char *app;
	char *mode;
};

static const struct option options[] = {
	{"app", OPT_STRING, offsetof(struct attach_options, app), .arg = "NAME",
	 .help = "the app to attach to, of a pod that has several"},
	{"mode", OPT_STRING, offsetof(struct attach_options, mode), .dflt = "auto", .arg = "MODE",
	 .help = "list, auto, some of stdin,stdout,stderr, or one of tty, tty-in, tty-out"},
	{.name = NULL},
};

/* The contract's action of a mode, and in the environment which streams are meant. */
static int choose(const char *mode, const char **ret_action, struct error *err)
{
	static const struct {
		const char *word;
		const char *variables[2];
	} words[] = {
		{"stdin", {"STAGE2_ATTACH_STDIN"}},
		{"stdout", {"STAGE2_ATTACH_STDOUT"}},
		{"stderr", {"STAGE2_ATTACH_STDERR"}},
		{"tty-in", {"STAGE2_ATTACH_TTYIN"}},
		{"tty-out", {"STAGE2_ATTACH_TTYOUT"}},
		{"tty", {"STAGE2_ATTACH_TTYIN", "STAGE2_ATTACH_TTYOUT"}},
	};
	cleanup_strv struct strv parts = STRV_INIT;

	*ret_action = strcmp(mode, "list") == 0	  ? "list"
		      : strcmp(mode, "auto") == 0 ? "auto-attach"
						  : "custom-attach";
	if (strcmp(*ret_action, "custom-attach") != 0)
		return 0;
	strv_split(&parts, mode, ',');
	for (size_t i = 0; i < parts.n; i++) {
		size_t w = 0;

		while (w < ARRAY_SIZE(words) && strcmp(parts.v[i], words[w].word) != 0)
			w++;
		if (w == ARRAY_SIZE(words) || (w > 2 && parts.n > 1))
			return error_set(err, -EINVAL, "--mode: \"%s\" is no mode", mode);
		for (size_t v = 0; v < 2 && words[w].variables[v]; v++)
			if (setenv(words[w].variables[v], "true", 1) < 0)
				return error_errno(err, "setenv");
	}
	return 0;
}

static int attach(const struct pods *pods, const char *uuid, const struct attach_options *opts,
		  const char *action, struct error *err)
{
	cleanup_pod_info struct pod_info info = {.state = NULL};
	cleanup_pod struct pod pod = POD_INIT;
	const char *app;
	int r = pod_find_running(pods, uuid, &pod, &info, err);

	if (r < 0)
		return r;
	app = pod_info_choose_app(&info, opts->app, err);
	if (!app)
		return err->code;
	r = stage1_attach(&pod, app, action, err);
	return r == -ENOENT ? error_wrap(err, "pod \"%s\": its stage1 can not attach", pod.uuid)
			    : r;
}

static int run(struct globals *globals, void *opts, const struct strv *args)
{
	const struct attach_options *given = opts;
	cleanup_free char *data_dir = NULL;
	struct pods pods = {.fd = -1};
	struct error err = ERROR_INIT;
	const char *action;

	if (choose(given->mode, &action, &err) < 0)
		return usage_error(globals->prog, &cmd_attach, err.msg);
	if (globals_data_dir(globals, &data_dir, &err) == 0 &&
	    pods_open(data_dir, &pods, &err) == 0)
		attach(&pods, args->v[0], given, action, &err);
	log_error("%s", err.msg);
	pods_close(&pods);
	return EXIT_FAILED;
}

const struct command cmd_attach = {
	.name = "attach",
	.args = "[options] UUID",
	.summary = "connect to the streams of an app",
	.text = "Connect stdin, stdout and stderr, or this terminal, with those of an app that\n"
		"was run with --stdin, --stdout or --stderr set to stream or tty. A UUID may be\n"
		"shortened as long as it is the only match.",
	.options = options,
	.size = sizeof(struct attach_options),
	.flags = COMMAND_ROOT,
	.min_args = 1,
	.max_args = 1,
	.only = experiment_attach,
	.run = run,
};

/* SPDX-License-Identifier: Apache-2.0 */
#include "stage0/cmds.h"

static int run(struct globals *globals, void *opts, const struct strv *args)
{
	const struct command *command;
	bool ambiguous;

	(void)opts;
	if (args->n == 0) {
		usage_top(stdout, globals->prog);
		return 0;
	}
	command = command_find(args->v[0], &ambiguous);
	if (!command) {
		fprintf(stderr, "Error: %s command \"%s\" for \"%s\"\nRun '%s help' for usage.\n",
			ambiguous ? "ambiguous" : "unknown", args->v[0], globals->prog,
			globals->prog);
		return EXIT_FAILED;
	}
	usage_command(stdout, globals->prog, command);
	return 0;
}

const struct command cmd_help = {
	.name = "help",
	.args = "[COMMAND]",
	.summary = "show the usage of tripod or of a command",
	.max_args = 1,
	.run = run,
};

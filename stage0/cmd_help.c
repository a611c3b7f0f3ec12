/* SPDX-License-Identifier: Apache-2.0 */
#include "stage0/cmds.h"

static int run(struct globals *globals, void *opts, const struct strv *args)
{
	const struct command *command = NULL;
	bool ambiguous;

	(void)opts;
	if (args->n == 0) {
		usage_top(stdout, globals->prog);
		return 0;
	}
	for (size_t i = 0; i < args->n; i++) {
		if (i == 0 || !command->run)
			command = command_find(command, args->v[i], &ambiguous);
		if (!command)
			return command_unknown(globals->prog, args->v[i], ambiguous);
	}
	usage_command(stdout, globals->prog, command);
	return 0;
}

const struct command cmd_help = {
	.name = "help",
	.args = "[COMMAND...]",
	.summary = "show the usage of tripod or of a command",
	.max_args = 2,
	.run = run,
};

/* SPDX-License-Identifier: Apache-2.0 */
#include "stage0/cmds.h"

const struct command *const commands[] = {
	&cmd_completion, &cmd_help, &cmd_run, &cmd_version, NULL,
};

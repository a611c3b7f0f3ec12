/* SPDX-License-Identifier: Apache-2.0 */
#include "stage0/cmds.h"

/* clang-format off: one a line */
const struct command *const commands[] = {
	&cmd_completion,
	&cmd_help,
	&cmd_version,
	NULL,
};
/* clang-format on */

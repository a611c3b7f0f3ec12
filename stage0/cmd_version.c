/* SPDX-License-Identifier: Apache-2.0 */
#include "stage0/cmds.h"

/*
 * Callers of rkt take the version from these lines by regular expression and compare it with what
 * they need (rkt-behaviour 2.17), so under the name rkt it is the version that is spoken.
 */
#define RKT_VERSION "1.30.0"

static int run(struct globals *globals, void *opts, const struct strv *args)
{
	(void)opts;
	(void)args;
	if (globals->as_rkt)
		printf("rkt Version: " RKT_VERSION "\n");
	else
		printf("tripod Version: " TRIPOD_VERSION "\n");
	printf("appc Version: " APPC_VERSION "\n");
	if (globals->as_rkt)
		printf("Go Version: none (tripod " TRIPOD_VERSION ")\nGo OS/Arch: linux/" APPC_ARCH
		       "\n");
	else
		printf("OS/Arch: linux/" APPC_ARCH "\n");
	printf("Features: +TPM -SDJOURNAL\n");
	return 0;
}

const struct command cmd_version = {
	.name = "version",
	.args = "",
	.summary = "show versions and features",
	.run = run,
};

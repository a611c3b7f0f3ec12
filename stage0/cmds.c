/* SPDX-License-Identifier: Apache-2.0 */
#include "stage0/cmds.h"

/* clang-format off */
const struct command *const commands[] = {
	&cmd_attest,
	&cmd_attest_expected,
	&cmd_attest_quote,
	&cmd_attest_verify,
	&cmd_cat_manifest,
	&cmd_completion,
	&cmd_config,
	&cmd_doctor,
	&cmd_enter,
	&cmd_fetch,
	&cmd_gc,
	&cmd_help,
	&cmd_image,
	&cmd_image_cat_manifest,
	&cmd_image_export,
	&cmd_image_extract,
	&cmd_image_gc,
	&cmd_image_list,
	&cmd_image_render,
	&cmd_image_rm,
	&cmd_image_verify,
	&cmd_list,
	&cmd_logs,
	&cmd_prepare,
	&cmd_rm,
	&cmd_run,
	&cmd_run_prepared,
	&cmd_status,
	&cmd_stop,
	&cmd_trust,
	&cmd_version,
	NULL,
};
/* clang-format on */

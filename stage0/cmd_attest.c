/* SPDX-License-Identifier: Apache-2.0 */
#include "stage0/cmds.h"

const struct command cmd_attest = {
	.name = "attest",
	.args = "COMMAND [options] [arguments]",
	.summary = "prove what runs in a pod",
	.text = "expected says what a pod must measure, quote has a running pod's TPM say what "
		"was\n"
		"measured, and verify compares the two.",
};

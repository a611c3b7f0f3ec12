/* SPDX-License-Identifier: Apache-2.0 */
#include "stage0/cmds.h"

const struct command cmd_image = {
	.name = "image",
	.args = "COMMAND [options] [arguments]",
	.summary = "look at the images in the store, and remove them",
	.text = "An IMAGE is an ID, \"sha512-\" and at least two digits, as many as make it the "
		"only\n"
		"one; or a name with labels: NAME[:VERSION][,LABEL=VALUE...].",
};

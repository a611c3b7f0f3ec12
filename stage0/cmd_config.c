/* SPDX-License-Identifier: Apache-2.0 */
#include "common/log.h"
#include "common/util.h"
#include "stage0/cmds.h"
#include "stage0/format.h"

struct config_options {
	bool pretty_print;
};

static const struct option options[] = {
	{"pretty-print", OPT_BOOL, offsetof(struct config_options, pretty_print), .dflt = "true",
	 .help = "indent the configuration"},
	{.name = NULL},
};

static int run(struct globals *globals, void *opts, const struct strv *args)
{
	const struct config_options *how = opts;
	cleanup_config struct config config = CONFIG_INIT;
	cleanup_json struct json_object *doc = NULL;
	struct error err = ERROR_INIT;

	(void)args;
	if (globals_config(globals, &config, &err) < 0) {
		log_error("%s", err.msg);
		return EXIT_FAILED;
	}
	doc = config_json(&config);
	format_json(stdout, doc, how->pretty_print ? FORMAT_JSON_PRETTY : FORMAT_JSON);
	return 0;
}

const struct command cmd_config = {
	.name = "config",
	.args = "[options]",
	.summary = "print the configuration in force",
	.text = "Print what the configuration directories say together, as JSON. Credentials\n"
		"are printed as they are.",
	.options = options,
	.size = sizeof(struct config_options),
	.run = run,
};

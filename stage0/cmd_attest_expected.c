/* SPDX-License-Identifier: Apache-2.0 */
/*
 * attest expected: a pod is prepared as for run, measured by its stage1 without being started, and
 * removed again.
 */
#include "common/util.h"
#include "stage0/attest/expected.h"
#include "stage0/cmds.h"
#include "stage0/format.h"
#include "stage0/launch.h"

struct expected_options {
	struct launch_options launch; /* first: its offsets are the options' */
	char *host_kind;
	char *host_cpus;
};

static const struct option options[] = {
	{.include = launch_app_options},
	{.include = launch_stage1_options},
	{.include = launch_image_options},
	{.include = launch_pod_options},
	{.include = launch_run_options},
	{"host-cpus", OPT_STRING, offsetof(struct expected_options, host_cpus), .arg = "N",
	 .help = "number of CPUs of the host the pod will run on (default: this one's)"},
	{"host-kind", OPT_STRING, offsetof(struct expected_options, host_kind),
	 .arg = "hardware|emulated",
	 .help = "how that host's KVM runs a guest's kernel (default: as this one's)"},
	{.name = NULL},
};

/* With the pod prepared. */
static int show(struct launch *launch, struct error *err)
{
	const struct expected_options *given =
		container_of(launch->opts, struct expected_options, launch);
	const struct stage1_host host = {given->host_kind, given->host_cpus};
	cleanup_json struct json_object *doc = NULL;
	cleanup_free char *log = NULL;
	size_t len;
	int r = launch_measure(launch, &host, &log, &len, err);

	if (r < 0)
		return r;
	if (expected_from_log(log, len, &doc, err) < 0)
		return error_wrap(err, "stage1's measurement");
	format_json(stdout, doc, FORMAT_JSON_PRETTY);
	return 0;
}

static int measure(struct launch *launch, struct error *err)
{
	return launch_passing(launch, show, err);
}

static int run(struct globals *globals, void *opts, const struct strv *args)
{
	struct expected_options *given = opts;
	struct launch launch = LAUNCH_INIT(globals, &given->launch);

	return launch_command(&launch, &cmd_attest_expected, args, measure, EXIT_FAILED);
}

const struct command cmd_attest_expected = {
	.name = "attest expected",
	.args = "[options] IMAGE [options] [-- ARGS [---]] [IMAGE ...]",
	.summary = "print what a pod must measure",
	.text = "Print the reference values of the pod that run would start with the same words:\n"
		"its PCRs and the events they come from, as JSON. Nothing is started, and no TPM "
		"is\n"
		"needed.",
	.options = options,
	.size = sizeof(struct expected_options),
	.flags = COMMAND_GRAMMAR,
	.run = run,
};

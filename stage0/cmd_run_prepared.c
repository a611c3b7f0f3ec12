/* SPDX-License-Identifier: Apache-2.0 */
/* run-prepared: run's second half, for a pod that prepare made (rkt-behaviour 2.5). */
#include <errno.h>

#include "common/log.h"
#include "common/util.h"
#include "stage0/cmds.h"
#include "stage0/launch.h"
#include "stage0/pod_info.h"
#include "stage0/stage1.h"

static const struct option options[] = {
	{.include = launch_pod_options},
	{.include = launch_run_options},
	{"no-overlay", OPT_BOOL, offsetof(struct launch_options, no_overlay),
	 .help = "accepted for rkt's callers: nothing is mounted on the host anyway"},
	{.name = NULL},
};

/* Find the pod, look at it, and lock it. */
static int take_pod(struct launch *launch, const char *text, struct error *err)
{
	cleanup_pod_info struct pod_info info = {.state = NULL};
	int r = pod_find(&launch->pods, text, &launch->pod, err);

	if (r < 0)
		return r;
	if (launch->pod.where != POD_PREPARED)
		return error_set(err, -EINVAL, "pod %s is not prepared, but %s", launch->pod.uuid,
				 pod_state(launch->pod.where, pod_is_locked(&launch->pod)));
	/* before the lock is taken: looking whether there is one would give it back */
	r = pod_info_read(&launch->pod, &info, err);
	launch->prepared = true;
	launch->manifest = json_object_get(info.manifest);
	launch->napps = info.napps;
	if (r == 0)
		r = launch_check_run(launch, info.napps, err);
	if (r == 0)
		r = pod_try_lock(&launch->pods, &launch->pod, err);
	if (r == 0)
		r = stage1_manifest(&launch->pod, &launch->stage1.manifest, err);
	return r;
}

static int run(struct globals *globals, void *opts, const struct strv *args)
{
	struct launch launch = LAUNCH_INIT(globals, opts);
	struct error err = ERROR_INIT;

	if (launch_open(&launch, &err) == 0 && take_pod(&launch, args->v[0], &err) == 0)
		launch_exec(&launch, &err);
	log_error("%s", err.msg);
	launch_free(&launch);
	return EXIT_FAILED;
}

const struct command cmd_run_prepared = {
	.name = "run-prepared",
	.args = "[options] UUID",
	.summary = "run a prepared pod",
	.text = "Run a pod that prepare has made, and wait for it, as run does. A UUID may be\n"
		"shortened as long as it is the only match.",
	.options = options,
	.size = sizeof(struct launch_options),
	.flags = COMMAND_ROOT,
	.min_args = 1,
	.max_args = 1,
	.run = run,
};

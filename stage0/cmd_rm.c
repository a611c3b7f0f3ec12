/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <limits.h>

#include "common/log.h"
#include "common/util.h"
#include "stage0/cmds.h"
#include "stage0/collect.h"

struct rm_options {
	char *uuid_file;
};

static const struct option options[] = {
	{"uuid-file", OPT_STRING, offsetof(struct rm_options, uuid_file), .arg = "FILE",
	 .help = "remove the pod whose UUID is in this file"},
	{.name = NULL},
};

static int remove_pod(const struct pods *pods, const char *text, bool debug, struct error *err)
{
	cleanup_pod struct pod pod = POD_INIT;
	int r = pod_find(pods, text, &pod, err);

	if (r < 0)
		return r;
	if (pod_try_lock(pods, &pod, err) < 0)
		return err->code == -EWOULDBLOCK ? error_set(err, -EBUSY, "pod %s is %s", pod.uuid,
							     pod_state(pod.where, true))
						 : err->code;
	switch (pod.where) {
	case POD_PREPARE:
	case POD_PREPARED:
		log_info("moving pod %s (%s) to garbage", pod.uuid, pod_state(pod.where, false));
		r = pod_move(pods, &pod, POD_GARBAGE, err);
		break;
	case POD_RUN:
		r = pod_move(pods, &pod, POD_EXITED_GARBAGE, err);
		break;
	default:
		break;
	}
	if (r == 0)
		r = collect_pod(pods, &pod, debug, err);
	if (r == 0)
		printf("\"%s\"\n", pod.uuid);
	return r;
}

static int run(struct globals *globals, void *opts, const struct strv *args)
{
	const struct rm_options *rm = opts;
	cleanup_free char *data_dir = NULL, *uuid = NULL;
	struct pods pods = {.fd = -1};
	struct error err = ERROR_INIT;
	size_t failed = 0;

	if ((args->n == 0) == (rm->uuid_file == NULL))
		return usage_error(globals->prog, &cmd_rm, "name pods, or a file with --uuid-file");
	if (globals_data_dir(globals, &data_dir, &err) < 0 ||
	    pods_open(data_dir, &pods, &err) < 0 ||
	    (rm->uuid_file && pod_read_uuid_file(rm->uuid_file, &uuid, &err) < 0)) {
		log_error("%s", err.msg);
		pods_close(&pods);
		return EXIT_FAILED;
	}
	for (size_t i = 0; i < (uuid ? 1 : args->n); i++) {
		struct error one = ERROR_INIT;

		if (remove_pod(&pods, uuid ? uuid : args->v[i], globals->debug, &one) < 0) {
			log_error("%s", one.msg);
			failed++;
		}
	}
	pods_close(&pods);
	if (failed)
		log_error("%zu of %zu pods could not be removed", failed, uuid ? 1 : args->n);
	return failed ? EXIT_FAILED : 0;
}

const struct command cmd_rm = {
	.name = "rm",
	.args = "[options] UUID...",
	.summary = "remove pods that do not run",
	.text = "Remove pods that have ended or never ran, with everything they wrote. A UUID may\n"
		"be shortened as long as it is the only match.",
	.options = options,
	.size = sizeof(struct rm_options),
	.flags = COMMAND_ROOT,
	.max_args = UINT_MAX,
	.run = run,
};

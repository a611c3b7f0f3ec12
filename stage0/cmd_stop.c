/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stop: ask pods to end, all of them at once, and wait until each has (rkt-behaviour 2.11). What is
 * done is stage1's business; that the pod has ended is seen by its lock, so that gc and rm find it
 * free when stop returns.
 */
#include <errno.h>
#include <limits.h>
#include <poll.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/spawn.h"
#include "common/util.h"
#include "stage0/cmds.h"
#include "stage0/pod.h"
#include "stage0/stage1.h"

/* From the end of stage1's stop to the end of the pod's process: milliseconds, unless it is stuck. */
#define UNLOCK_TIMEOUT_MS 10000
#define UNLOCK_POLL_MS	  10

struct stop_options {
	bool force;
	char *uuid_file;
};

static const struct option options[] = {
	{"force", OPT_BOOL, offsetof(struct stop_options, force),
	 .help = "kill the pods instead of asking their apps to end"},
	{"uuid-file", OPT_STRING, offsetof(struct stop_options, uuid_file), .arg = "FILE",
	 .help = "stop the pod whose UUID is in this file"},
	{.name = NULL},
};

/* A pod on its way to its end. */
struct stopping {
	struct pod pod;
	bool waits; /* for stage1's stop entry point */
	pid_t pid;
	int pidfd;
};

/* Begin. 0 also for a pod that has ended, of which nothing is left to wait for. */
static int begin(const struct pods *pods, const char *text, bool force, struct stopping *stopping,
		 struct error *err)
{
	struct pod *pod = &stopping->pod;
	bool locked;
	int r = pod_find(pods, text, pod, err);

	if (r < 0)
		return r;
	locked = pod_is_locked(pod);
	if (pod->where == POD_EXITED_GARBAGE || (pod->where == POD_RUN && !locked)) {
		printf("pod \"%s\" is already stopped\n", pod->uuid);
		return 0;
	}
	if (pod->where != POD_RUN)
		return error_set(err, -EINVAL, "pod \"%s\" is not running, but %s", pod->uuid,
				 pod_state(pod->where, locked));
	r = stage1_stop(pod, force, &stopping->pid, &stopping->pidfd, err);
	if (r == -ENOENT)
		return error_wrap(err, "pod \"%s\": stopping is not supported by its stage1",
				  pod->uuid);
	if (r < 0)
		return error_wrap(err, "stopping pod \"%s\"", pod->uuid);
	stopping->waits = true;
	return 0;
}

static int end(struct stopping *stopping, struct error *err)
{
	const struct pod *pod = &stopping->pod;
	uint64_t until;
	int status, r;

	r = spawn_wait(stopping->pid, stopping->pidfd, -1, &status, err);
	if (r == 0 && status != 0)
		r = error_set(err, -EIO, "stage1's stop entry point ended with status %d", status);
	until = clock_now_ns() + UINT64_C(1000000) * UNLOCK_TIMEOUT_MS;
	while (r == 0 && pod_is_locked(pod)) {
		if (clock_now_ns() > until)
			r = error_set(err, -ETIMEDOUT, "it was told to end, but runs");
		poll(NULL, 0, UNLOCK_POLL_MS);
	}
	if (r < 0)
		return error_wrap(err, "stopping pod \"%s\"", pod->uuid);
	printf("\"%s\"\n", pod->uuid);
	return 0;
}

/* How many could not be stopped. */
static size_t stop_all(const struct pods *pods, char *const *uuids, size_t n, bool force)
{
	struct stopping *all = xcalloc(n, sizeof(*all));
	size_t failed = 0;

	for (size_t i = 0; i < n; i++) {
		struct error err = ERROR_INIT;

		all[i] = (struct stopping){.pod = POD_INIT, .pidfd = -1};
		if (begin(pods, uuids[i], force, &all[i], &err) < 0) {
			log_error("%s", err.msg);
			failed++;
		}
	}
	for (size_t i = 0; i < n; i++) {
		struct error err = ERROR_INIT;

		if (all[i].waits && end(&all[i], &err) < 0) {
			log_error("%s", err.msg);
			failed++;
		}
		close_fd(&all[i].pidfd);
		pod_close(&all[i].pod);
	}
	free(all);
	return failed;
}

static int run(struct globals *globals, void *opts, const struct strv *args)
{
	const struct stop_options *stop = opts;
	cleanup_free char *data_dir = NULL, *uuid = NULL;
	struct pods pods = {.fd = -1};
	struct error err = ERROR_INIT;
	size_t failed, n;

	if ((args->n == 0) == (stop->uuid_file == NULL))
		return usage_error(globals->prog, &cmd_stop,
				   "name pods, or a file with --uuid-file");
	if (globals_data_dir(globals, &data_dir, &err) < 0 ||
	    pods_open(data_dir, &pods, &err) < 0 ||
	    (stop->uuid_file && pod_read_uuid_file(stop->uuid_file, &uuid, &err) < 0)) {
		log_error("%s", err.msg);
		pods_close(&pods);
		return EXIT_FAILED;
	}
	n = uuid ? 1 : args->n;
	failed = stop_all(&pods, uuid ? &uuid : args->v, n, stop->force);
	pods_close(&pods);
	if (failed)
		log_error("failed to stop %zu of %zu pods", failed, n);
	return failed ? EXIT_FAILED : 0;
}

const struct command cmd_stop = {
	.name = "stop",
	.args = "[options] UUID...",
	.summary = "stop pods that run",
	.text = "Ask the apps of pods to end (SIGTERM), or with --force kill the pods, and wait\n"
		"until they have ended. A UUID may be shortened as long as it is the only match.",
	.options = options,
	.size = sizeof(struct stop_options),
	.max_args = UINT_MAX,
	.run = run,
};

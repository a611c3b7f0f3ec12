/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gc marks, then sweeps (rkt-behaviour 2.13). Marking is a rename, whose time (the directory's
 * ctime) starts the grace period, so what ended can still be looked at for a while. Every step takes
 * the pod's lock first; a pod that is locked, or that another collector was faster with, is skipped.
 */
#include <errno.h>
#include <limits.h>
#include <sys/stat.h>

#include "common/log.h"
#include "common/util.h"
#include "stage0/cmds.h"
#include "stage0/collect.h"
#include "stage0/format.h"
#include "stage0/image/store.h"

struct gc_options {
	char *expire_prepared;
	char *grace_period;
	bool mark_only;
};

static const struct option options[] = {
	{"expire-prepared", OPT_STRING, offsetof(struct gc_options, expire_prepared), .dflt = "24h",
	 .arg = "DURATION", .help = "age at which prepared pods are given up"},
	{"grace-period", OPT_STRING, offsetof(struct gc_options, grace_period), .dflt = "30m",
	 .arg = "DURATION", .help = "how long ended pods are kept after they were marked"},
	{"mark-only", OPT_BOOL, offsetof(struct gc_options, mark_only),
	 .help = "mark what has ended, remove nothing"},
	{.name = NULL},
};

struct gc {
	struct pods pods;
	bool debug;
	int64_t grace, expire;
	int64_t now;
	size_t failed;
};

/* Call visit for each pod at where, locked. A pod somebody else has or moves is not ours. */
static void each_pod(struct gc *gc, enum pod_where where,
		     int (*visit)(struct gc *gc, struct pod *pod, struct error *err))
{
	cleanup_strv struct strv uuids = STRV_INIT;
	struct error err = ERROR_INIT;

	if (pods_list(&gc->pods, where, &uuids, &err) < 0) {
		log_error("%s", err.msg);
		gc->failed++;
		return;
	}
	for (size_t i = 0; i < uuids.n; i++) {
		cleanup_pod struct pod pod = POD_INIT;
		struct error one = ERROR_INIT;
		int r = pod_open(&gc->pods, where, uuids.v[i], &pod, &one);

		if (r == 0)
			r = pod_try_lock(&gc->pods, &pod, &one);
		if (r == 0)
			r = visit(gc, &pod, &one);
		if (r < 0 && r != -ENOENT && r != -EWOULDBLOCK) {
			log_error("%s", one.msg);
			gc->failed++;
		}
	}
}

static int64_t age_of(const struct gc *gc, const struct pod *pod)
{
	struct stat st;

	if (fstat(pod->fd, &st) < 0)
		return -1;
	return gc->now - (st.st_ctim.tv_sec * INT64_C(1000000000) + st.st_ctim.tv_nsec);
}

static int mark_exited(struct gc *gc, struct pod *pod, struct error *err)
{
	log_info("moving pod %s to exited-garbage", pod->uuid);
	return pod_move(&gc->pods, pod, POD_EXITED_GARBAGE, err);
}

static int mark_aborted(struct gc *gc, struct pod *pod, struct error *err)
{
	log_info("moving pod %s, whose preparation was cut short, to garbage", pod->uuid);
	return pod_move(&gc->pods, pod, POD_GARBAGE, err);
}

static int mark_expired(struct gc *gc, struct pod *pod, struct error *err)
{
	if (age_of(gc, pod) < gc->expire)
		return 0;
	log_info("moving pod %s, prepared long ago, to garbage", pod->uuid);
	return pod_move(&gc->pods, pod, POD_GARBAGE, err);
}

static int sweep(struct gc *gc, struct pod *pod, struct error *err)
{
	printf("Garbage collecting pod \"%s\"\n", pod->uuid);
	fflush(stdout); /* before what stage1 may say */
	return collect_pod(&gc->pods, pod, gc->debug, err);
}

static int sweep_exited(struct gc *gc, struct pod *pod, struct error *err)
{
	cleanup_free char *period = duration_text(gc->grace);

	if (age_of(gc, pod) >= gc->grace)
		return sweep(gc, pod, err);
	log_info("pod %s stays: it was marked less than %s ago", pod->uuid, period);
	return 0;
}

static void collect(struct gc *gc, bool mark_only)
{
	each_pod(gc, POD_RUN, mark_exited);
	each_pod(gc, POD_EMBRYO, mark_aborted);
	each_pod(gc, POD_PREPARE, mark_aborted);
	if (mark_only)
		return;
	each_pod(gc, POD_PREPARED, mark_expired);
	gc->now = time_now(); /* what was marked just now is in the past */
	each_pod(gc, POD_EXITED_GARBAGE, sweep_exited);
	each_pod(gc, POD_GARBAGE, sweep);
}

static int run(struct globals *globals, void *opts, const struct strv *args)
{
	const struct gc_options *options_given = opts;
	struct gc gc = {.pods = {.fd = -1}, .debug = globals->debug, .now = time_now()};
	cleanup_free char *data_dir = NULL;
	struct store *store = NULL;
	struct error err = ERROR_INIT;

	(void)args;
	if (duration_parse(options_given->grace_period, &gc.grace, &err) < 0) {
		error_wrap(&err, "--grace-period");
		return usage_error(globals->prog, &cmd_gc, err.msg);
	}
	if (duration_parse(options_given->expire_prepared, &gc.expire, &err) < 0) {
		error_wrap(&err, "--expire-prepared");
		return usage_error(globals->prog, &cmd_gc, err.msg);
	}
	if (globals_data_dir(globals, &data_dir, &err) < 0 ||
	    pods_open(data_dir, &gc.pods, &err) < 0) {
		log_error("%s", err.msg);
		return EXIT_FAILED;
	}
	collect(&gc, options_given->mark_only);
	if (!options_given->mark_only &&
	    (store_open(data_dir, &store, &err) < 0 || store_sweep(store, &err) < 0)) {
		log_error("%s", err.msg);
		gc.failed++;
	}
	store_close(store);
	pods_close(&gc.pods);
	return gc.failed ? EXIT_FAILED : 0;
}

const struct command cmd_gc = {
	.name = "gc",
	.args = "[options]",
	.summary = "collect pods that have ended",
	.text = "Mark pods that have ended, and remove those that were marked longer than the "
		"grace\n"
		"period ago; remove what aborted preparations left. To be run regularly.",
	.options = options,
	.size = sizeof(struct gc_options),
	.flags = COMMAND_ROOT,
	.max_args = UINT_MAX,
	.run = run,
};

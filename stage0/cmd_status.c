/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <poll.h>
#include <string.h>

#include "common/log.h"
#include "common/util.h"
#include "stage0/attest/pod_tpm.h"
#include "stage0/cmds.h"
#include "stage0/format.h"
#include "stage0/pod_control.h"
#include "stage0/pod_info.h"

#define POLL_MS		   100 /* a pod may be moved, so there is no one file to wait on */
#define EXIT_BAD_UUID_FILE 1
#define WAIT_FOREVER	   INT64_C(-1)

struct status_options {
	char *uuid_file;
	char *wait;
	char *wait_ready;
	char *format;
};

static const struct option options[] = {
	{"format", OPT_STRING, offsetof(struct status_options, format), .arg = "FORMAT",
	 .help = "print json or json-pretty instead of key=value lines"},
	{"uuid-file", OPT_STRING, offsetof(struct status_options, uuid_file), .arg = "FILE",
	 .help = "show the pod whose UUID is in this file"},
	{"wait", OPT_STRING, offsetof(struct status_options, wait), .dflt = "false",
	 .noopt = "true", .arg = "BOOL|DURATION",
	 .help = "wait until the pod has ended, at most this long"},
	{"wait-ready", OPT_STRING, offsetof(struct status_options, wait_ready), .dflt = "false",
	 .noopt = "true", .arg = "BOOL|DURATION",
	 .help = "wait until the pod's apps are up, at most this long"},
	{.name = NULL},
};

/* true, false, or a duration, negative for ever. */
static int parse_wait(const char *text, const char *option, int64_t *ret, struct error *err)
{
	bool wait;

	if (parse_bool(text, &wait)) {
		*ret = wait ? WAIT_FOREVER : 0;
		return 0;
	}
	if (duration_parse(text, ret, err) < 0)
		return error_wrap(err, "--%s", option);
	if (*ret < 0)
		*ret = WAIT_FOREVER;
	return 0;
}

static bool is_finished(const struct pod *pod, const struct pod_info *info)
{
	(void)pod;
	return pod_info_is_finished(info);
}

static bool is_ready(const struct pod *pod, const struct pod_info *info)
{
	(void)info;
	return pod_is_ready(pod);
}

/* Look at the pod, again and again until it is as wanted. The pod may move meanwhile. */
static int look(const struct pods *pods, const char *uuid, int64_t timeout,
		bool (*wanted)(const struct pod *pod, const struct pod_info *info),
		struct pod *ret_pod, struct pod_info *ret_info, struct error *err)
{
	int64_t begin = time_now();

	for (;;) {
		cleanup_pod struct pod pod = POD_INIT;
		struct pod_info info = {.state = NULL};
		int r = pod_find(pods, uuid, &pod, err);

		if (r == 0)
			r = pod_info_read(&pod, &info, err);
		if (r < 0)
			return r;
		if (info.where == POD_PREPARE && !info.locked && !pod_is_in_place(pods, &pod)) {
			pod_info_free(&info); /* it was moved on while we looked */
			continue;
		}
		if (timeout == 0 || wanted(&pod, &info)) {
			*ret_info = info;
			*ret_pod = pod;
			pod.fd = -1;
			return 0;
		}
		pod_info_free(&info);
		if (timeout > 0 && time_now() - begin >= timeout)
			return error_set(err, -ETIMEDOUT, "pod %s: timed out waiting", pod.uuid);
		poll(NULL, 0, POLL_MS);
	}
}

static void print_text(const struct pod_info *info)
{
	bool running = info->where == POD_RUN && info->locked;
	bool ended = (info->where == POD_RUN && !info->locked) || info->where >= POD_EXITED_GARBAGE;
	cleanup_free char *created = time_full(info->created);

	printf("state=%s\ncreated=%s\n", info->state, created);
	if (info->started) {
		cleanup_free char *started = time_full(info->started);

		printf("started=%s\n", started);
	}
	if (!running && !ended)
		return;
	if (info->where == POD_RUN || info->networks) {
		cleanup_free char *networks = pod_info_networks(info);

		printf("networks=%s\n", networks);
	}
	if (info->pid)
		printf("pid=%d\n", info->pid);
	printf("exited=%s\n", ended && !info->locked ? "true" : "false");
	for (size_t i = 0; ended && i < info->napps; i++)
		if (info->apps[i].has_exit_code)
			printf("app-%s=%u\n", info->apps[i].name, info->apps[i].exit_code);
}

/*
 * PCR values: "measured", what the launch's event log gives, and of a running pod "pcrs", what its
 * TPM says now. A pod without a TPM has the one and not the other.
 */
static void add_pcrs(const struct pod *pod, const struct pod_info *info, struct json_object *json)
{
	cleanup_json struct json_object *answer = NULL;
	struct error ignored = ERROR_INIT;
	struct pcr_set set;

	if (pod_tpm_pcrs(pod, &set, &ignored) == 0)
		json_add(json, "measured", pcr_set_json(&set));
	if (info->where == POD_RUN && info->locked &&
	    pod_control(pod, "pcrs", POD_CONTROL_LOOK_MS, &answer, &ignored) == 0 &&
	    pcr_set_from_json(answer, &set, &ignored) == 0)
		json_add(json, "pcrs", pcr_set_json(&set));
}

static int show(const struct globals *globals, const char *uuid, int64_t wait, int64_t wait_ready,
		enum format format, struct error *err)
{
	cleanup_free char *data_dir = NULL;
	cleanup_pod struct pod pod = POD_INIT;
	cleanup_pod_info struct pod_info info = {.state = NULL};
	struct pods pods = {.fd = -1};
	struct json_object *json;
	int r = globals_data_dir(globals, &data_dir, err);

	if (r == 0)
		r = pods_open(data_dir, &pods, err);
	if (r == 0 && wait_ready != 0) {
		r = look(&pods, uuid, wait_ready, is_ready, &pod, &info, err);
		pod_info_free(&info);
		pod_close(&pod);
	}
	if (r == 0)
		r = look(&pods, uuid, wait, is_finished, &pod, &info, err);
	pods_close(&pods);
	if (r < 0)
		return r;
	if (format == FORMAT_TEXT) {
		print_text(&info);
	} else {
		json = pod_info_json(&pod, &info);
		add_pcrs(&pod, &info, json);
		format_json(stdout, json, format);
		json_object_put(json);
	}
	return 0;
}

static int run(struct globals *globals, void *opts, const struct strv *args)
{
	const struct status_options *given = opts;
	cleanup_free char *uuid = NULL;
	struct error err = ERROR_INIT;
	int64_t wait, wait_ready;
	enum format format;

	if ((args->n == 0) == (given->uuid_file == NULL))
		return usage_error(globals->prog, &cmd_status,
				   "name one pod, or a file with --uuid-file");
	if (format_parse(given->format, &format, &err) < 0 ||
	    parse_wait(given->wait, "wait", &wait, &err) < 0 ||
	    parse_wait(given->wait_ready, "wait-ready", &wait_ready, &err) < 0)
		return usage_error(globals->prog, &cmd_status, err.msg);
	if (given->uuid_file && pod_read_uuid_file(given->uuid_file, &uuid, &err) < 0) {
		log_error("%s", err.msg);
		return EXIT_BAD_UUID_FILE;
	}
	if (show(globals, uuid ? uuid : args->v[0], wait, wait_ready, format, &err) < 0) {
		log_error("%s", err.msg);
		return EXIT_FAILED;
	}
	return 0;
}

const struct command cmd_status = {
	.name = "status",
	.args = "[options] UUID",
	.summary = "show the state of a pod",
	.text = "Show a pod's state and its apps' exit statuses. A UUID may be shortened as long "
		"as\n"
		"it is the only match.",
	.options = options,
	.size = sizeof(struct status_options),
	.max_args = 1,
	.run = run,
};

/* SPDX-License-Identifier: Apache-2.0 */
/* memory: what a pod's guest has of the host's memory, and how much of it is asked back. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "common/log.h"
#include "common/quantity.h"
#include "common/util.h"
#include "stage0/cmds.h"
#include "stage0/format.h"
#include "stage0/pod_control.h"

struct memory_options {
	char *format;
	char *target;
};

static const struct option options[] = {
	{"format", OPT_STRING, offsetof(struct memory_options, format), .arg = "FORMAT",
	 .help = "print json or json-pretty instead of key=value lines"},
	{"target", OPT_STRING, offsetof(struct memory_options, target), .arg = "QUANTITY|max",
	 .help = "have the guest keep so much, such as 256Mi, and give the rest back"},
	{.name = NULL},
};

/* The members of stage1's answer, in the order they are shown. */
static const char *const members[] = {"total",	 "target",   "current",
				      "minimum", "resident", "returned"};

static int get(struct json_object *answer, const char *member, int64_t *ret, struct error *err)
{
	*ret = -1;
	if (json_get_int(answer, member, 0, INT64_MAX, ret, err) == 0 && *ret < 0)
		error_set(err, -EPROTO, "its stage1 does not say %s", member);
	return *ret < 0 ? err->code : 0;
}

/* The request for a target: a quantity, or all there is. */
static int target_request(const struct pod *pod, const char *text, char **ret, struct error *err)
{
	cleanup_json struct json_object *answer = NULL;
	int64_t bytes = 0;
	int r;

	if (strcmp(text, "max") == 0) {
		r = pod_control(pod, "memory", POD_CONTROL_TIMEOUT_MS, &answer, err);
		if (r == 0)
			r = get(answer, "total", &bytes, err);
	} else {
		r = quantity_parse(text, QUANTITY_ONE, &bytes, err);
		if (r < 0)
			error_wrap(err, "--target");
	}
	if (r == 0)
		*ret = xasprintf("memory %" PRId64, bytes);
	return r;
}

static int show(struct json_object *answer, enum format format, struct error *err)
{
	cleanup_json struct json_object *shown = json_object_new_object();

	for (size_t i = 0; i < ARRAY_SIZE(members); i++) {
		int64_t value;
		int r = get(answer, members[i], &value, err);

		if (r < 0)
			return r;
		json_add_int(shown, members[i], value);
		if (format == FORMAT_TEXT)
			printf("%s=%" PRId64 "\n", members[i], value);
	}
	if (format != FORMAT_TEXT)
		format_json(stdout, shown, format);
	return 0;
}

static int memory(const struct globals *globals, const char *uuid, const char *target,
		  enum format format, struct error *err)
{
	cleanup_json struct json_object *answer = NULL;
	cleanup_free char *data_dir = NULL, *request = NULL;
	cleanup_pod struct pod pod = POD_INIT;
	struct pods pods = {.fd = -1};
	int r = globals_data_dir(globals, &data_dir, err);

	if (r == 0)
		r = pods_open(data_dir, &pods, err);
	if (r == 0)
		r = pod_find(&pods, uuid, &pod, err);
	if (r == 0 && target)
		r = target_request(&pod, target, &request, err);
	if (r == 0)
		r = pod_control(&pod, request ? request : "memory", POD_CONTROL_TIMEOUT_MS, &answer,
				err);
	pods_close(&pods);
	return r < 0 ? r : show(answer, format, err);
}

static int run(struct globals *globals, void *opts, const struct strv *args)
{
	const struct memory_options *given = opts;
	struct error err = ERROR_INIT;
	enum format format;

	if (format_parse(given->format, &format, &err) < 0)
		return usage_error(globals->prog, &cmd_memory, err.msg);
	if (memory(globals, args->v[0], given->target, format, &err) < 0) {
		log_error("%s", err.msg);
		return EXIT_FAILED;
	}
	return 0;
}

const struct command cmd_memory = {
	.name = "memory",
	.args = "[options] UUID",
	.summary = "show or limit what memory a running pod keeps",
	.text = "Show how many bytes of memory a pod's guest has and the host has in use for it,\n"
		"and with --target ask the guest to keep less, or more again. A UUID may be\n"
		"shortened as long as it is the only match.",
	.options = options,
	.size = sizeof(struct memory_options),
	.min_args = 1,
	.max_args = 1,
	.run = run,
};

/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "common/json.h"
#include "common/util.h"
#include "stage0/cmds.h"
#include "stage0/doctor.h"
#include "stage0/format.h"

struct doctor_options {
	char *format;
	char *stage1_path;
};

static const struct option options[] = {
	{"format", OPT_STRING, offsetof(struct doctor_options, format), .arg = "FORMAT",
	 .help = "print json or json-pretty instead of a table"},
	{"stage1-path", OPT_STRING, offsetof(struct doctor_options, stage1_path), .arg = "FILE",
	 .help = "stage1 image to look at (default: stage1-kvm.aci beside tripod)"},
	{.name = NULL},
};

static const char *const words[] = {
	[VERDICT_OK] = "ok",
	[VERDICT_INFO] = "info",
	[VERDICT_WARN] = "warn",
	[VERDICT_FAIL] = "FAIL",
};

static void print_text(const struct diagnosis *d)
{
	for (size_t i = 0; i < d->n; i++) {
		cleanup_str struct str found = STR_INIT;

		str_add_escaped(&found, d->v[i].found, strlen(d->v[i].found));
		printf("%-5s %-15s %s\n", words[d->v[i].verdict], d->v[i].check, str_get(&found));
		if (d->v[i].advice)
			printf("%-5s %-15s -> %s\n", "", "", d->v[i].advice);
	}
	printf("\n%s\n", diagnosis_is_good(d) ? "Pods can run here."
					      : "Pods can not run here; see FAIL above.");
}

static void print_json(const struct diagnosis *d, enum format format)
{
	struct json_object *doc = json_object_new_object(), *checks = json_object_new_array(),
			   *probe = json_object_new_object();

	json_add_bool(doc, "ok", diagnosis_is_good(d));
	for (size_t i = 0; i < d->n; i++) {
		struct json_object *check = json_object_new_object();

		json_add_string(check, "check", d->v[i].check);
		json_add_string(check, "verdict",
				d->v[i].verdict == VERDICT_FAIL ? "fail" : words[d->v[i].verdict]);
		json_add_string(check, "found", d->v[i].found);
		if (d->v[i].advice)
			json_add_string(check, "advice", d->v[i].advice);
		json_object_array_add(checks, check);
	}
	json_add(doc, "checks", checks);
	for (size_t i = 0; i < d->probe.n; i++) {
		cleanup_free char *key = xstrndup(d->probe.v[i], strcspn(d->probe.v[i], "="));

		if (*key && d->probe.v[i][strlen(key)] == '=')
			json_add_string(probe, key, d->probe.v[i] + strlen(key) + 1);
	}
	json_add(doc, "kvm", probe);
	format_json(stdout, doc, format);
	json_object_put(doc);
}

static int run(struct globals *globals, void *opts, const struct strv *args)
{
	const struct doctor_options *given = opts;
	struct diagnosis diagnosis;
	struct error err = ERROR_INIT;
	enum format format;
	int status;

	(void)args;
	if (format_parse(given->format, &format, &err) < 0)
		return usage_error(globals->prog, &cmd_doctor, err.msg);
	diagnose(globals, given->stage1_path, &diagnosis);
	if (format == FORMAT_TEXT)
		print_text(&diagnosis);
	else
		print_json(&diagnosis, format);
	status = diagnosis_is_good(&diagnosis) ? 0 : EXIT_FAILED;
	diagnosis_free(&diagnosis);
	return status;
}

const struct command cmd_doctor = {
	.name = "doctor",
	.args = "[options]",
	.summary = "check whether pods can run on this host",
	.text = "Look at KVM, the stage1 image, the data directory, limits and helper programs, "
		"and\n"
		"say how to mend what is missing. The exit status is 0 when pods can run.",
	.options = options,
	.size = sizeof(struct doctor_options),
	.run = run,
};

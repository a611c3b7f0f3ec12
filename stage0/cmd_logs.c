/* SPDX-License-Identifier: Apache-2.0 */
/*
 * logs: what the apps of a pod have written, and go on to write. The records of several apps are
 * merged by their times, which compare as text.
 */
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <string.h>

#include "common/log.h"
#include "common/util.h"
#include "stage0/cmds.h"
#include "stage0/logfile.h"
#include "stage0/pod_info.h"

#define FOLLOW_MS 100 /* between looks for more */

struct logs_options {
	char *app;
	bool follow;
	char *tail;
	bool timestamps;
};

static const struct option options[] = {
	{"app", OPT_STRING, offsetof(struct logs_options, app), .arg = "NAME",
	 .help = "show what this app has written, and not all of them"},
	{"follow", OPT_BOOL, offsetof(struct logs_options, follow), .letter = 'f',
	 .help = "go on until the pod has ended"},
	{"tail", OPT_STRING, offsetof(struct logs_options, tail), .arg = "N",
	 .help = "show no more than the last N lines of each app"},
	{"timestamps", OPT_BOOL, offsetof(struct logs_options, timestamps),
	 .help = "show when each line was written"},
	{.name = NULL},
};

/* An app's log on its way to our stdout and stderr. */
struct source {
	const char *name; /* to be shown before each line; NULL: not */
	struct logfile *log;
	struct log_record record;
	bool waits;		 /* the record is still to be shown */
	bool open[2];		 /* a line of that stream has begun */
	unsigned long long skip; /* lines that are not wanted */
};

/* How many lines there are, a last one without an end among them. */
static int count_lines(const struct pod *pod, const char *app, unsigned long long *ret,
		       struct error *err)
{
	struct log_record record;
	struct logfile *log;
	bool open[2] = {false};
	int r = logfile_open(pod, app, &log, err);

	if (r < 0)
		return r;
	*ret = 0;
	while ((r = logfile_next(log, &record, err)) > 0) {
		*ret += record.ends;
		open[record.is_stderr] = !record.ends;
	}
	*ret += open[0] + open[1];
	logfile_free(log);
	return r;
}

static void show(struct source *source, bool timestamps)
{
	const struct log_record *record = &source->record;
	FILE *out = record->is_stderr ? stderr : stdout;
	bool *open = &source->open[record->is_stderr];

	source->waits = false;
	if (source->skip) {
		source->skip -= record->ends;
		return;
	}
	if (!*open && timestamps)
		fprintf(out, "%s ", record->time);
	if (!*open && source->name)
		fprintf(out, "%s: ", source->name);
	fwrite(record->text, 1, record->len, out);
	if (record->ends)
		fputc('\n', out);
	*open = !record->ends;
}

/* Show all there is now, oldest first. */
static int show_all(struct source *sources, size_t n, bool timestamps, struct error *err)
{
	for (;;) {
		struct source *first = NULL;

		for (size_t i = 0; i < n; i++) {
			struct source *s = &sources[i];
			int r = s->waits ? 1 : logfile_next(s->log, &s->record, err);

			if (r < 0)
				return r;
			s->waits = r > 0;
			if (s->waits && (!first || strcmp(s->record.time, first->record.time) < 0))
				first = s;
		}
		if (!first)
			return 0;
		show(first, timestamps);
	}
}

static int follow(const struct pod *pod, struct source *sources, size_t n,
		  const struct logs_options *opts, struct error *err)
{
	int r;

	for (;;) {
		bool last = !opts->follow || pod->where != POD_RUN || !pod_is_locked(pod);

		r = show_all(sources, n, opts->timestamps, err);
		if (fflush(stdout) != 0)
			return error_errno(err, "stdout");
		if (r < 0 || last)
			return r;
		poll(NULL, 0, FOLLOW_MS);
	}
}

/* The apps that are wanted, each with its log. */
static int open_sources(const struct pod *pod, const struct pod_info *info,
			const struct logs_options *opts, unsigned long long tail,
			struct source *sources, size_t *n, struct error *err)
{
	for (size_t i = 0; i < info->napps; i++) {
		const char *name = info->apps[i].name;
		struct source *source = &sources[*n];
		unsigned long long lines = 0;
		int r;

		if (opts->app && strcmp(opts->app, name) != 0)
			continue;
		r = logfile_open(pod, name, &source->log, err);
		if (r < 0)
			return r;
		++*n;
		source->name = opts->app || info->napps == 1 ? NULL : name;
		if (opts->tail && (r = count_lines(pod, name, &lines, err)) < 0)
			return r;
		source->skip = lines > tail ? lines - tail : 0;
	}
	if (*n == 0 && !opts->app)
		return error_set(err, -ENOENT, "the pod has no apps");
	if (*n == 0)
		return error_set(err, -ENOENT, "the pod has no app \"%s\"", opts->app);
	return 0;
}

static int logs(const struct pods *pods, const char *uuid, const struct logs_options *opts,
		unsigned long long tail, struct error *err)
{
	cleanup_pod_info struct pod_info info = {.state = NULL};
	cleanup_free struct source *sources = NULL;
	cleanup_pod struct pod pod = POD_INIT;
	size_t n = 0;
	int r = pod_find(pods, uuid, &pod, err);

	if (r == 0)
		r = pod_info_read(&pod, &info, err);
	if (r < 0)
		return r;
	sources = xcalloc(info.napps + 1, sizeof(*sources));
	r = open_sources(&pod, &info, opts, tail, sources, &n, err);
	if (r == 0)
		r = follow(&pod, sources, n, opts, err);
	for (size_t i = 0; i < n; i++)
		logfile_free(sources[i].log);
	return r;
}

static int run(struct globals *globals, void *opts, const struct strv *args)
{
	const struct logs_options *given = opts;
	cleanup_free char *data_dir = NULL;
	struct pods pods = {.fd = -1};
	struct error err = ERROR_INIT;
	unsigned long long tail = 0;
	int r;

	if (given->tail && !str_to_u64(given->tail, ULLONG_MAX, &tail))
		return usage_error(globals->prog, &cmd_logs, "--tail: not a number of lines");
	r = globals_data_dir(globals, &data_dir, &err);
	if (r == 0)
		r = pods_open(data_dir, &pods, &err);
	if (r == 0)
		r = logs(&pods, args->v[0], given, tail, &err);
	pods_close(&pods);
	if (r < 0)
		log_error("%s", err.msg);
	return r < 0 ? EXIT_FAILED : 0;
}

const struct command cmd_logs = {
	.name = "logs",
	.args = "[options] UUID",
	.summary = "show what the apps of a pod have written",
	.text = "Show what the apps of a pod have written to stdout and stderr, while it runs\n"
		"and until it is collected. A UUID may be shortened as long as it is the only\n"
		"match.",
	.options = options,
	.size = sizeof(struct logs_options),
	.min_args = 1,
	.max_args = 1,
	.run = run,
};

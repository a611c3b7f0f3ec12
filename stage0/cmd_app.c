/* SPDX-License-Identifier: Apache-2.0 */
/* The commands of mutable pods that are a few lines each (rkt-behaviour 2.15). */
#include "common/log.h"
#include "common/util.h"
#include "stage0/cmds.h"
#include "stage0/format.h"
#include "stage0/mutable.h"

#define EXIT_APP_FAILED 1 /* of list and status, as rkt's */

struct app_options {
	char *app;
	char *format;
	bool no_legend;
};

#define APP_OPTION                                                                                 \
	{                                                                                          \
		"app", OPT_STRING, offsetof(struct app_options, app), .arg = "NAME",               \
								      .help = "the app"            \
	}

static const struct option options[] = {
	APP_OPTION,
	{.name = NULL},
};

static int change(struct globals *globals, const char *uuid, const char *entry, const char *name)
{
	cleanup_mutable struct mutable_pod mp = MUTABLE_POD_INIT(globals);
	struct error err = ERROR_INIT;
	int r = mutable_open(&mp, uuid, true, &err);

	if (r == 0)
		r = entry ? mutable_change(&mp, entry, name, &err)
			  : mutable_remove(&mp, name, &err);
	if (r == 0)
		return 0;
	log_error("%s", err.msg);
	return EXIT_FAILED;
}

static int run_start(struct globals *globals, void *opts, const struct strv *args)
{
	return change(globals, args->v[0], "app/start", ((struct app_options *)opts)->app);
}

static int run_stop(struct globals *globals, void *opts, const struct strv *args)
{
	return change(globals, args->v[0], "app/stop", ((struct app_options *)opts)->app);
}

static int run_rm(struct globals *globals, void *opts, const struct strv *args)
{
	return change(globals, args->v[0], NULL, ((struct app_options *)opts)->app);
}

static int run_list(struct globals *globals, void *opts, const struct strv *args)
{
	cleanup_mutable struct mutable_pod mp = MUTABLE_POD_INIT(globals);
	struct table table = {.columns = 2, .cells = STRV_INIT};
	struct error err = ERROR_INIT;

	if (mutable_open(&mp, args->v[0], false, &err) < 0) {
		log_error("%s", err.msg);
		return EXIT_APP_FAILED;
	}
	strv_add(&table.cells, "NAME");
	strv_add(&table.cells, "STATE");
	for (size_t i = 0; i < mp.info.napps; i++) {
		strv_add(&table.cells, mp.info.apps[i].name);
		strv_add(&table.cells, mp.info.apps[i].state);
	}
	table_print(stdout, &table, !((struct app_options *)opts)->no_legend);
	strv_free(&table.cells);
	return 0;
}

static void print_time(const char *key, int64_t ns)
{
	cleanup_free char *text = ns ? time_full(ns) : NULL;

	if (text)
		printf("%s=%s\n", key, text);
}

static void print_member(struct json_object *doc, const char *key)
{
	struct json_object *value = NULL;

	if (json_object_object_get_ex(doc, key, &value) && value)
		printf("%s=%s\n", key, json_text(value));
}

static void print_app(const struct mutable_pod *mp, const struct app_info *app,
		      struct json_object *doc)
{
	struct app_times times = pod_info_app_times(&mp->info, app);

	printf("name=%s\nstate=%s\n", app->name, app->state);
	if (app->image_id)
		printf("image_id=%s\n", app->image_id);
	print_time("created_at", times.created);
	print_time("started_at", times.started);
	print_time("finished_at", times.finished);
	if (app->has_exit_code)
		printf("exit_code=%u\n", app->exit_code);
	print_member(doc, "mounts");
	print_member(doc, "user_annotations");
	print_member(doc, "user_labels");
}

static int show(struct mutable_pod *mp, const char *uuid, const char *name, enum format format,
		struct error *err)
{
	cleanup_json struct json_object *doc = NULL;
	const struct app_info *app;
	int r = mutable_open(mp, uuid, false, err);

	if (r < 0)
		return r;
	app = mutable_find(mp, name, err);
	if (!app)
		return err->code;
	doc = pod_info_app_json(&mp->info, app);
	if (format == FORMAT_TEXT)
		print_app(mp, app, doc);
	else
		format_json(stdout, doc, format);
	return 0;
}

static int run_status(struct globals *globals, void *opts, const struct strv *args)
{
	cleanup_mutable struct mutable_pod mp = MUTABLE_POD_INIT(globals);
	const struct app_options *given = opts;
	struct error err = ERROR_INIT;
	enum format format;

	if (format_parse(given->format, &format, &err) < 0)
		return usage_error(globals->prog, &cmd_app_status, err.msg);
	if (show(&mp, args->v[0], given->app, format, &err) == 0)
		return 0;
	log_error("%s", err.msg);
	return EXIT_APP_FAILED;
}

const struct command cmd_app = {
	.name = "app",
	.args = "COMMAND [options] [arguments]",
	.summary = "change the apps of a pod while it runs",
	.text = "A pod that \"app sandbox\" has started is mutable: it begins without apps and "
		"runs\n"
		"until it is stopped.\n"
		"\n"
		"As in rkt, these commands are there if RKT_EXPERIMENT_APP is true.",
	.only = experiment_app,
};

const struct command cmd_app_start = {
	.name = "app start",
	.args = "--app=NAME UUID",
	.summary = "start an app of a mutable pod",
	.text = "Start an app that was added, or start one again that has ended. What it wrote\n"
		"before is still there.",
	.options = options,
	.size = sizeof(struct app_options),
	.min_args = 1,
	.max_args = 1,
	.only = experiment_app,
	.run = run_start,
};

const struct command cmd_app_stop = {
	.name = "app stop",
	.args = "--app=NAME UUID",
	.summary = "stop an app of a mutable pod",
	.text = "Have an app end, by SIGTERM and 90 s later by SIGKILL. The pod goes on.",
	.options = options,
	.size = sizeof(struct app_options),
	.min_args = 1,
	.max_args = 1,
	.only = experiment_app,
	.run = run_stop,
};

const struct command cmd_app_rm = {
	.name = "app rm",
	.args = "--app=NAME UUID",
	.summary = "remove an app from a mutable pod",
	.text = "Stop an app if it runs, and take it away with all it has written. Its name is\n"
		"free for another.",
	.options = options,
	.size = sizeof(struct app_options),
	.min_args = 1,
	.max_args = 1,
	.only = experiment_app,
	.run = run_rm,
};

static const struct option list_options[] = {
	{"no-legend", OPT_BOOL, offsetof(struct app_options, no_legend), .help = "print no header"},
	{.name = NULL},
};

const struct command cmd_app_list = {
	.name = "app list",
	.args = "[options] UUID",
	.summary = "list the apps of a pod",
	.text = "List a pod's apps and their states: unknown, created, running or exited.",
	.options = list_options,
	.size = sizeof(struct app_options),
	.min_args = 1,
	.max_args = 1,
	.only = experiment_app,
	.run = run_list,
};

static const struct option status_options[] = {
	APP_OPTION,
	{"format", OPT_STRING, offsetof(struct app_options, format), .arg = "FORMAT",
	 .help = "print json or json-pretty instead of key=value lines"},
	{.name = NULL},
};

const struct command cmd_app_status = {
	.name = "app status",
	.args = "[options] --app=NAME UUID",
	.summary = "show the state of an app",
	.text = "Show what is known of an app of a pod.",
	.options = status_options,
	.size = sizeof(struct app_options),
	.min_args = 1,
	.max_args = 1,
	.only = experiment_app,
	.run = run_status,
};

const struct command cmd_app_exec = {
	.name = "app exec",
	.args = "[options] UUID [CMD [ARGS...]]",
	.summary = "execute a command in an app of a running pod",
	.text = "The same as enter.",
	.options = enter_options,
	.size = ENTER_OPTIONS_SIZE,
	.flags = COMMAND_GRAMMAR | COMMAND_ROOT,
	.only = experiment_app,
	.run = enter_run,
};

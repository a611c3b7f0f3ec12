/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>

#include "common/log.h"
#include "common/util.h"
#include "stage0/cmds.h"
#include "stage0/format.h"
#include "stage0/pod_info.h"

#define IMAGE_ID_SHOWN 19 /* characters of an image ID */
#define UUID_SHOWN     8

struct list_options {
	bool full;
	bool no_legend;
	char *format;
};

static const struct option options[] = {
	{"format", OPT_STRING, offsetof(struct list_options, format), .arg = "FORMAT",
	 .help = "print json or json-pretty instead of a table"},
	{"full", OPT_BOOL, offsetof(struct list_options, full),
	 .help = "print whole UUIDs and times, and image IDs"},
	{"no-legend", OPT_BOOL, offsetof(struct list_options, no_legend),
	 .help = "print no header"},
	{.name = NULL},
};

/* One pass over all pods; problems with single ones are kept for the end. */
struct listing {
	const struct list_options *opts;
	struct table table;
	struct json_object *json;
	struct strv problems;
	int64_t now;
};

static void add_header(struct listing *listing)
{
	static const char *const titles[] = {"UUID",  "APP",	 "IMAGE NAME", "IMAGE ID",
					     "STATE", "CREATED", "STARTED",    "NETWORKS"};

	for (size_t i = 0; i < ARRAY_SIZE(titles); i++) {
		if (!listing->opts->full && strcmp(titles[i], "IMAGE ID") == 0)
			continue;
		strv_add(&listing->table.cells, titles[i]);
		listing->table.columns++;
	}
}

static char *time_cell(const struct listing *listing, int64_t ns)
{
	return listing->opts->full ? time_full(ns) : time_ago(ns, listing->now);
}

/* A pod without apps, as yet, has one row all the same. */
static void add_rows(struct listing *listing, const struct pod *pod, const struct pod_info *info)
{
	static const struct app_info none = {.name = "-", .image_name = "-", .image_id = "-"};
	struct strv *cells = &listing->table.cells;

	for (size_t i = 0; i < MAX(info->napps, 1); i++) {
		const struct app_info *app = info->napps ? &info->apps[i] : &none;
		const char *id = app->image_id ? app->image_id : "";

		strv_add_owned(cells,
			       i ? xstrdup("")
				 : xasprintf("%.*s",
					     listing->opts->full ? UUID_TEXT_LEN : UUID_SHOWN,
					     pod->uuid));
		strv_add(cells, app->name);
		strv_add(cells, app->image_name);
		if (listing->opts->full)
			strv_add_owned(cells, xasprintf("%.*s", IMAGE_ID_SHOWN, id));
		strv_add(cells, i ? "" : info->state);
		strv_add_owned(cells, i ? xstrdup("") : time_cell(listing, info->created));
		strv_add_owned(cells, i || !info->started ? xstrdup("")
							  : time_cell(listing, info->started));
		strv_add_owned(cells, i ? xstrdup("") : pod_info_networks(info));
	}
}

/*
 * Read one pod that was found at where. -ENOENT: it is gone from there, or on its way: a pod that
 * moves on while we look is neither missing nor in a state it never was in.
 */
static int read_pod(const struct pods *pods, enum pod_where where, const char *uuid, bool again,
		    struct pod *pod, struct pod_info *ret, struct error *err)
{
	int r = again ? pod_find(pods, uuid, pod, err) : pod_open(pods, where, uuid, pod, err);

	if (r == 0)
		r = pod_info_read(pod, ret, err);
	if (r == 0 && ret->where == POD_PREPARE && !ret->locked && !pod_is_in_place(pods, pod)) {
		pod_info_free(ret);
		return -ENOENT;
	}
	return r;
}

static void list_pod(struct listing *listing, const struct pods *pods, enum pod_where where,
		     const char *uuid)
{
	cleanup_pod_info struct pod_info info = {.state = NULL};
	cleanup_pod struct pod pod = POD_INIT;
	struct error err = ERROR_INIT;
	int r = -ENOENT;

	for (int i = 0; r == -ENOENT && i < POD_WHERES; i++) {
		pod_close(&pod);
		err = (struct error)ERROR_INIT;
		r = read_pod(pods, where, uuid, i > 0, &pod, &info, &err);
	}
	if (r == -ENOENT) /* deleted while we looked */
		return;
	if (r < 0) {
		strv_add(&listing->problems, err.msg);
		return;
	}
	if (!listing->json)
		add_rows(listing, &pod, &info);
	else if (info.manifest)
		json_object_array_add(listing->json, pod_info_json(&pod, &info));
}

struct found {
	char *uuid;
	enum pod_where where;
};

static int by_uuid(const void *a, const void *b)
{
	return strcmp(((const struct found *)a)->uuid, ((const struct found *)b)->uuid);
}

static int list_pods(struct listing *listing, const struct pods *pods, struct error *err)
{
	static const enum pod_where listed[] = {POD_PREPARE, POD_PREPARED, POD_RUN,
						POD_EXITED_GARBAGE};
	cleanup_strv struct strv uuids = STRV_INIT;
	cleanup_free struct found *found = NULL;
	size_t n = 0;

	for (size_t i = 0; i < ARRAY_SIZE(listed); i++) {
		size_t before = uuids.n;
		cleanup_strv struct strv some = STRV_INIT;
		int r = pods_list(pods, listed[i], &some, err);

		if (r < 0)
			return r;
		for (size_t k = 0; k < some.n; k++)
			if (!strv_contains(&uuids, some.v[k]))
				strv_add(&uuids, some.v[k]);
		found = xrealloc(found, uuids.n + 1, sizeof(*found));
		for (n = before; n < uuids.n; n++)
			found[n] = (struct found){uuids.v[n], listed[i]};
	}
	n = uuids.n;
	qsort(found, n, sizeof(*found), by_uuid);
	for (size_t i = 0; i < n; i++)
		list_pod(listing, pods, found[i].where, found[i].uuid);
	return 0;
}

static int run(struct globals *globals, void *opts, const struct strv *args)
{
	struct listing listing = {.opts = opts, .now = time_now()};
	cleanup_free char *data_dir = NULL;
	struct pods pods = {.fd = -1};
	struct error err = ERROR_INIT;
	enum format format;
	int status = EXIT_FAILED;

	(void)args;
	if (format_parse(listing.opts->format, &format, &err) < 0)
		return usage_error(globals->prog, &cmd_list, err.msg);
	if (format != FORMAT_TEXT)
		listing.json = json_object_new_array();
	add_header(&listing);
	if (globals_data_dir(globals, &data_dir, &err) < 0 ||
	    pods_open(data_dir, &pods, &err) < 0 || list_pods(&listing, &pods, &err) < 0) {
		log_error("%s", err.msg);
		goto out;
	}
	status = 0;
	if (!listing.json)
		table_print(stdout, &listing.table, !listing.opts->no_legend);
	else
		format_json(stdout, json_object_array_length(listing.json) ? listing.json : NULL,
			    format);
	fflush(stdout);
	if (listing.problems.n)
		log_warn("%zu pods could not be read:", listing.problems.n);
	for (size_t i = 0; i < listing.problems.n; i++)
		log_warn("%s", listing.problems.v[i]);
out:
	strv_free(&listing.table.cells);
	strv_free(&listing.problems);
	json_object_put(listing.json);
	pods_close(&pods);
	return status;
}

const struct command cmd_list = {
	.name = "list",
	.args = "[options]",
	.summary = "list pods",
	.text = "List the pods that are prepared, run or have ended, a row for each app.",
	.options = options,
	.size = sizeof(struct list_options),
	.run = run,
};

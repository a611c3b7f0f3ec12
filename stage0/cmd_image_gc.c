/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What nothing refers to any more (rkt-behaviour 2.14): rendered trees of no pod, images that were
 * not used for long, then what is left of them. Pods are being prepared by nobody meanwhile. The
 * store itself sees to it that what is being used at this moment stays.
 */
#include <errno.h>
#include <limits.h>

#include "common/log.h"
#include "common/util.h"
#include "stage0/cmds.h"
#include "stage0/format.h"
#include "stage0/image_use.h"
#include "stage0/prepare.h"

struct gc_options {
	char *grace_period;
};

static const struct option options[] = {
	{"grace-period", OPT_STRING, offsetof(struct gc_options, grace_period), .dflt = "24h",
	 .arg = "DURATION", .help = "how long images are kept that nobody uses"},
	{.name = NULL},
};

struct image_gc {
	struct pods pods;
	struct store *store;
	struct image_use use;
	int64_t grace;
	size_t removed, failed;
};

static void failed(struct image_gc *gc, const struct error *err)
{
	log_error("%s", err->msg);
	gc->failed++;
}

static void collect_trees(struct image_gc *gc)
{
	cleanup_strv struct strv trees = STRV_INIT;

	store_trees(gc->store, &trees);
	for (size_t i = 0; i < trees.n; i++) {
		struct error err = ERROR_INIT;
		int r;

		if (strv_contains(&gc->use.trees, trees.v[i]))
			continue;
		r = store_tree_remove(gc->store, trees.v[i], &err);
		if (r == 0)
			log_info("removed tree store \"%s\", which no pod refers to", trees.v[i]);
		else if (r != -EBUSY)
			failed(gc, &err);
	}
}

static void collect_image(struct image_gc *gc, const char *key)
{
	struct error err = ERROR_INIT;
	struct store_image image;
	int r = store_image(gc->store, key, &image, &err);

	if (r == 0 && time_now() - image.last_used < gc->grace)
		return;
	if (r == 0)
		r = store_remove(gc->store, key, &err);
	if (r == 0) {
		printf("successfully removed aci for image: \"%s\"\n", key);
		gc->removed++;
	} else if (r != -EBUSY && r != -ENOENT) {
		failed(gc, &err);
	}
}

static int collect(struct image_gc *gc, const char *data_dir, struct error *err)
{
	cleanup_strv struct strv images = STRV_INIT;
	cleanup_fd int lock = -1;
	int r = pods_open(data_dir, &gc->pods, err);

	if (r == 0)
		r = store_open(data_dir, &gc->store, err);
	if (r == 0)
		r = prepare_lock(&gc->pods, true, &lock, err);
	if (r == 0)
		r = image_use_read(&gc->pods, gc->store, &gc->use, err);
	if (r < 0)
		return r;
	collect_trees(gc);
	store_images(gc->store, &images);
	for (size_t i = 0; i < images.n; i++)
		if (!strv_contains(&gc->use.images, images.v[i]))
			collect_image(gc, images.v[i]);
	fflush(stdout);
	if (gc->removed)
		log_info("%zu image(s) successfully removed", gc->removed);
	return store_collect(gc->store, gc->grace, err);
}

static int run(struct globals *globals, void *opts, const struct strv *args)
{
	const struct gc_options *given = opts;
	struct image_gc gc = {.pods = {.fd = -1}, .use = IMAGE_USE_INIT};
	cleanup_free char *data_dir = NULL;
	struct error err = ERROR_INIT;

	(void)args;
	if (duration_parse(given->grace_period, &gc.grace, &err) < 0) {
		error_wrap(&err, "--grace-period");
		return usage_error(globals->prog, &cmd_image_gc, err.msg);
	}
	if (globals_data_dir(globals, &data_dir, &err) < 0 || collect(&gc, data_dir, &err) < 0)
		failed(&gc, &err);
	image_use_free(&gc.use);
	store_close(gc.store);
	pods_close(&gc.pods);
	return gc.failed ? EXIT_FAILED : 0;
}

const struct command cmd_image_gc = {
	.name = "image gc",
	.args = "[options]",
	.summary = "remove rendered trees and images that nobody uses",
	.text = "Remove rendered trees that no pod refers to, images that were not used within "
		"the\n"
		"grace period and are not those of a pod that is prepared or runs, and what\n"
		"interrupted downloads left. To be run regularly, after gc.",
	.options = options,
	.size = sizeof(struct gc_options),
	.max_args = UINT_MAX,
	.run = run,
};

/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>

#include "common/log.h"
#include "common/util.h"
#include "stage0/cmds.h"
#include "stage0/format.h"
#include "stage0/image/store.h"
#include "stage0/image_manifest.h"

#define IMAGE_ID_SHOWN 19 /* characters of an image ID */

struct list_options {
	char *fields;
	char *sort;
	char *order;
	bool no_legend;
	bool full;
	char *format;
};

static const struct option options[] = {
	{"fields", OPT_STRING, offsetof(struct list_options, fields),
	 .dflt = "id,name,size,importtime,lastused", .arg = "LIST",
	 .help = "columns to print, in this order"},
	{"format", OPT_STRING, offsetof(struct list_options, format), .arg = "FORMAT",
	 .help = "print json or json-pretty instead of a table"},
	{"full", OPT_BOOL, offsetof(struct list_options, full),
	 .help = "print whole IDs and times, and sizes in bytes"},
	{"no-legend", OPT_BOOL, offsetof(struct list_options, no_legend),
	 .help = "print no header"},
	{"order", OPT_STRING, offsetof(struct list_options, order), .dflt = "asc", .arg = "ORDER",
	 .help = "asc or desc"},
	{"sort", OPT_STRING, offsetof(struct list_options, sort), .dflt = "importtime",
	 .arg = "LIST",
	 .help = "sort by name, importtime, lastused or size; by several, the first counts most"},
	{.name = NULL},
};

struct image {
	char *key;
	char *name;
	int64_t import_time, last_used;
	uint64_t size; /* with what was rendered */
};

enum field {
	FIELD_ID,
	FIELD_NAME,
	FIELD_SIZE,
	FIELD_IMPORTTIME,
	FIELD_LASTUSED,
	FIELDS,
};

static const struct {
	const char *word, *title;
} field_names[FIELDS] = {
	[FIELD_ID] = {"id", "ID"},
	[FIELD_NAME] = {"name", "NAME"},
	[FIELD_SIZE] = {"size", "SIZE"},
	[FIELD_IMPORTTIME] = {"importtime", "IMPORT TIME"},
	[FIELD_LASTUSED] = {"lastused", "LAST USED"},
};

/* A list of fields, each once. */
struct fields {
	enum field v[FIELDS];
	size_t n;
};

struct listing {
	const struct list_options *opts;
	enum format format;
	struct fields columns, sort;
	bool descending;
	struct image *images;
	size_t n;
};

static int parse_fields(const char *option, const char *list, struct fields *ret, struct error *err)
{
	cleanup_strv struct strv words = STRV_INIT;

	strv_split(&words, list, ',');
	for (size_t i = 0; i < words.n; i++) {
		size_t field = 0;

		while (field < FIELDS && strcmp(words.v[i], field_names[field].word) != 0)
			field++;
		if (field == FIELDS || (field == FIELD_ID && strcmp(option, "sort") == 0))
			return error_set(err, -EINVAL, "--%s: unknown field \"%s\"", option,
					 words.v[i]);
		for (size_t k = 0; k < ret->n; k++)
			if (ret->v[k] == field)
				return error_set(err, -EINVAL, "--%s: \"%s\" is given twice",
						 option, words.v[i]);
		ret->v[ret->n++] = field;
	}
	return 0;
}

static int parse_options(struct listing *listing, struct error *err)
{
	const struct list_options *opts = listing->opts;
	int r = format_parse(opts->format, &listing->format, err);

	if (r == 0)
		r = parse_fields("fields", opts->fields, &listing->columns, err);
	if (r == 0)
		r = parse_fields("sort", opts->sort, &listing->sort, err);
	if (r < 0)
		return r;
	listing->descending = strcmp(opts->order, "desc") == 0;
	if (!listing->descending && strcmp(opts->order, "asc") != 0)
		return error_set(err, -EINVAL, "--order: \"%s\" is neither asc nor desc",
				 opts->order);
	return 0;
}

static int read_image(struct store *store, const char *key, struct image *ret, struct error *err)
{
	cleanup_json struct json_object *manifest = NULL;
	const char *name = "", *version;
	struct store_image image;
	int r = store_image(store, key, &image, err);

	if (r == 0)
		r = store_manifest(store, key, &manifest, err);
	if (r == 0)
		r = json_get_string(manifest, "name", &name, err);
	if (r < 0)
		return r;
	version = image_manifest_label(manifest, "version");
	*ret = (struct image){
		.key = xstrdup(key),
		.name = xasprintf("%s%s%s", name, version ? ":" : "", version ? version : ""),
		.import_time = image.import_time,
		.last_used = image.last_used,
		.size = image.size + image.tree_size,
	};
	return 0;
}

static void read_images(struct listing *listing, struct store *store)
{
	cleanup_strv struct strv keys = STRV_INIT;

	store_images(store, &keys);
	listing->images = xcalloc(keys.n + 1, sizeof(*listing->images));
	for (size_t i = 0; i < keys.n; i++) {
		struct error err = ERROR_INIT;
		int r = read_image(store, keys.v[i], &listing->images[listing->n], &err);

		if (r == 0)
			listing->n++;
		else if (r != -ENOENT) /* removed while we looked */
			log_warn("image %s: %s", keys.v[i], err.msg);
	}
}

static int compare_field(enum field field, const struct image *a, const struct image *b)
{
	switch (field) {
	case FIELD_SIZE:
		return (a->size > b->size) - (a->size < b->size);
	case FIELD_IMPORTTIME:
		return (a->import_time > b->import_time) - (a->import_time < b->import_time);
	case FIELD_LASTUSED:
		return (a->last_used > b->last_used) - (a->last_used < b->last_used);
	default:
		return strcmp(a->name, b->name);
	}
}

static int compare(const void *x, const void *y, void *ctx)
{
	const struct listing *listing = ctx;
	const struct image *a = x, *b = y;
	int r = 0;

	for (size_t i = 0; r == 0 && i < listing->sort.n; i++)
		r = compare_field(listing->sort.v[i], a, b);
	if (r == 0)
		r = strcmp(a->key, b->key); /* the order never depends on chance */
	return listing->descending ? -r : r;
}

static char *cell(const struct listing *listing, const struct image *image, enum field field,
		  int64_t now)
{
	bool full = listing->opts->full;

	switch (field) {
	case FIELD_ID:
		return xstrndup(image->key, full ? IMAGE_KEY_LEN : IMAGE_ID_SHOWN);
	case FIELD_SIZE:
		return full ? xasprintf("%llu", (unsigned long long)image->size)
			    : size_text(image->size);
	case FIELD_IMPORTTIME:
		return full ? time_full(image->import_time) : time_ago(image->import_time, now);
	case FIELD_LASTUSED:
		return full ? time_full(image->last_used) : time_ago(image->last_used, now);
	default:
		return xstrdup(image->name);
	}
}

static void print_table(const struct listing *listing)
{
	struct table table = {.columns = listing->columns.n};
	int64_t now = time_now();

	for (size_t i = 0; i < listing->columns.n; i++)
		strv_add(&table.cells, field_names[listing->columns.v[i]].title);
	for (size_t i = 0; i < listing->n; i++)
		for (size_t k = 0; k < listing->columns.n; k++)
			strv_add_owned(&table.cells, cell(listing, &listing->images[i],
							  listing->columns.v[k], now));
	table_print(stdout, &table, !listing->opts->no_legend);
	strv_free(&table.cells);
}

static void print_json(const struct listing *listing)
{
	cleanup_json struct json_object *list = json_object_new_array();

	for (size_t i = 0; i < listing->n; i++) {
		const struct image *image = &listing->images[i];
		struct json_object *entry = json_object_new_object();

		json_add_string(entry, "id", image->key);
		json_add_string(entry, "name", image->name);
		json_add_int(entry, "import_time", image->import_time);
		json_add_int(entry, "last_used_time", image->last_used);
		json_add_int(entry, "size", (int64_t)image->size);
		json_object_array_add(list, entry);
	}
	format_json(stdout, listing->n ? list : NULL, listing->format);
}

static int run(struct globals *globals, void *opts, const struct strv *args)
{
	struct listing listing = {.opts = opts};
	cleanup_free char *data_dir = NULL;
	cleanup_store struct store *store = NULL;
	struct error err = ERROR_INIT;

	(void)args;
	if (parse_options(&listing, &err) < 0)
		return usage_error(globals->prog, &cmd_image_list, err.msg);
	if (globals_data_dir(globals, &data_dir, &err) < 0 ||
	    store_open(data_dir, &store, &err) < 0) {
		log_error("%s", err.msg);
		return EXIT_FAILED;
	}
	read_images(&listing, store);
	qsort_r(listing.images, listing.n, sizeof(*listing.images), compare, &listing);
	if (listing.format == FORMAT_TEXT)
		print_table(&listing);
	else
		print_json(&listing);
	for (size_t i = 0; i < listing.n; i++) {
		free(listing.images[i].key);
		free(listing.images[i].name);
	}
	free(listing.images);
	return 0;
}

const struct command cmd_image_list = {
	.name = "image list",
	.args = "[options]",
	.summary = "list the images in the store",
	.options = options,
	.size = sizeof(struct list_options),
	.run = run,
};

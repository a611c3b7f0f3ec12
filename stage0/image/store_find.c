/* SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/json.h"
#include "common/str.h"
#include "stage0/image/store.h"
#include "stage0/image/store_priv.h"

static const char *label_value(struct json_object *labels, const char *name)
{
	struct error ignored = ERROR_INIT;

	for (size_t i = 0; labels && i < json_object_array_length(labels); i++) {
		struct json_object *label = json_object_array_get_idx(labels, i);
		const char *key = NULL, *value = NULL;

		if (json_object_is_type(label, json_type_object) &&
		    json_get_string(label, "name", &key, &ignored) == 0 && key &&
		    strcmp(key, name) == 0 &&
		    json_get_string(label, "value", &value, &ignored) == 0)
			return value;
	}
	return NULL;
}

/* Whether the manifest has the name and every one of the labels. */
static bool matches(struct json_object *manifest, const char *name, struct json_object *labels)
{
	struct json_object *has = NULL;
	struct error ignored = ERROR_INIT;
	const char *manifest_name = NULL;

	if (json_get_string(manifest, "name", &manifest_name, &ignored) < 0 || !manifest_name ||
	    strcmp(manifest_name, name) != 0 ||
	    json_get_array(manifest, "labels", &has, &ignored) < 0)
		return false;
	for (size_t i = 0; labels && i < json_object_array_length(labels); i++) {
		struct json_object *label = json_object_array_get_idx(labels, i);
		const char *key = NULL, *value = NULL, *got;

		if (!json_object_is_type(label, json_type_object) ||
		    json_get_string(label, "name", &key, &ignored) < 0 ||
		    json_get_string(label, "value", &value, &ignored) < 0 || !key || !value)
			return false;
		got = label_value(has, key);
		if (!got || strcmp(got, value) != 0)
			return false;
	}
	return true;
}

static bool later(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec != b->tv_sec ? a->tv_sec > b->tv_sec : a->tv_nsec > b->tv_nsec;
}

struct find {
	struct store *store;
	const char *name;
	struct json_object *labels;
	char key[IMAGE_KEY_LEN + 1]; /* the best so far; "" for none */
	struct timespec imported;
};

/* Look at one image. What can not be read is as good as not there. */
static void consider(void *ctx, const char *key)
{
	cleanup_json struct json_object *manifest = NULL;
	struct error ignored = ERROR_INIT;
	struct find *find = ctx;
	char path[STORE_PATH_MAX];
	struct stat st;

	store_manifest_path(key, path);
	if (fstatat(find->store->cas, path, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
	    (find->key[0] && !later(&st.st_mtim, &find->imported)) ||
	    store_manifest(find->store, key, &manifest, &ignored) < 0 ||
	    !matches(manifest, find->name, find->labels))
		return;
	memcpy(find->key, key, sizeof(find->key));
	find->imported = st.st_mtim;
}

/* Add the names in a directory below parent. */
static void add_names(int parent, const char *path, struct strv *names)
{
	int fd = openat(parent, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;

	if (!dir) {
		close_fd(&fd);
		return;
	}
	while ((entry = readdir(dir)))
		if (entry->d_name[0] != '.')
			strv_add(names, entry->d_name);
	closedir(dir);
}

void store_each_image(struct store *store, void (*fn)(void *ctx, const char *key), void *ctx)
{
	cleanup_strv struct strv dirs = STRV_INIT, keys = STRV_INIT;

	add_names(store->cas, "imageManifest/sha512", &dirs);
	for (size_t i = 0; i < dirs.n; i++) {
		cleanup_free char *path = xasprintf("imageManifest/sha512/%s", dirs.v[i]);

		add_names(store->cas, path, &keys);
	}
	for (size_t i = 0; i < keys.n; i++)
		if (store_key_valid(keys.v[i]) && store_has_image(store, keys.v[i]))
			fn(ctx, keys.v[i]);
}

int store_find(struct store *store, const char *name, struct json_object *labels,
	       char ret_key[IMAGE_KEY_LEN + 1], struct error *err)
{
	struct find find = {.store = store, .name = name, .labels = labels};

	store_each_image(store, consider, &find);
	if (!find.key[0])
		return error_set(err, -ENOENT, "no image named %.200s is in the store", name);
	memcpy(ret_key, find.key, sizeof(find.key));
	return 0;
}

struct find_id {
	struct store *store;
	char prefix[IMAGE_KEY_LEN + 1];
	size_t len;
	unsigned found;
	char key[IMAGE_KEY_LEN + 1];
};

static void match_id(void *ctx, const char *key)
{
	struct find_id *find = ctx;

	if (strncmp(key, find->prefix, find->len) != 0)
		return;
	find->found++;
	memcpy(find->key, key, sizeof(find->key));
}

int store_find_id(struct store *store, const char *id, char ret_key[IMAGE_KEY_LEN + 1],
		  struct error *err)
{
	struct find_id find = {.store = store};

	if (!str_starts_with(id, "sha512-") || strspn(id + 7, "0123456789abcdef") != strlen(id + 7))
		return error_set(err, -EINVAL, "\"%.200s\" is no image ID", id);
	if (strlen(id) < 9)
		return error_set(err, -EINVAL, "image ID too short: \"%s\"", id);
	snprintf(find.prefix, sizeof(find.prefix), "%.*s", IMAGE_KEY_LEN, id);
	find.len = strlen(find.prefix);
	store_each_image(store, match_id, &find);
	if (find.found == 0)
		return error_set(err, -ENOENT, "no image IDs found for \"%.200s\"", id);
	if (find.found > 1)
		return error_set(err, -ENOTUNIQ,
				 "ambiguous image ID: \"%s\" is the beginning of %u", id,
				 find.found);
	memcpy(ret_key, find.key, sizeof(find.key));
	return 0;
}

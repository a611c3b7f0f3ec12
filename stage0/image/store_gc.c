/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How things leave the store.
 *
 * Theory of operation: first what makes a thing visible goes (an image's manifest), then the thing is
 * renamed into a directory of cas/tmp and deleted there: a process that dies on the way leaves a
 * layer of no image, or work of a dead process, and both are collected. Each step is made under the
 * exclusive lock of what it removes (store_hold.c), which is only tried: what somebody uses stays.
 *
 * A layer is needed when any image lists it. Who imports an image holds its layers from before the
 * look whether they are there until the image lists them; so with the layers' locks in hand, one
 * look at all images tells which are not needed, and none can become needed meanwhile.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/file.h"
#include "common/json.h"
#include "stage0/image/store.h"
#include "stage0/image/store_priv.h"

#define PARTIAL_AGE (INT64_C(7) * 24 * 3600 * 1000000000) /* a download is not resumed later */
#define ASIDE_AGE   (INT64_C(3600) * 1000000000)	  /* no file takes so long to write */

/* Move a directory of the store away and delete it. */
static int throw_away(struct store *store, const char *path, struct error *err)
{
	struct store_tmp tmp = STORE_TMP_INIT;
	int r = store_tmp_new(store, &tmp, err);

	if (r < 0)
		return r;
	if (renameat(store->cas, path, tmp.fd, "gone") < 0 && errno != ENOENT)
		r = error_errno(err, "removing %s", path);
	store_tmp_end(store, &tmp);
	return r;
}

static int throw_layer_away(struct store *store, const char *key, struct error *err)
{
	char path[STORE_PATH_MAX];

	snprintf(path, sizeof(path), "layer/%s", key);
	return throw_away(store, path, err);
}

/* The layers all images list. */
static void add_needed(struct store *store, struct strv *needed)
{
	cleanup_strv struct strv images = STRV_INIT;
	struct error ignored = ERROR_INIT;

	store_images(store, &images);
	for (size_t i = 0; i < images.n; i++)
		store_layers(store, images.v[i], needed, &ignored);
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static bool is_in(const struct strv *sorted, const char *key)
{
	return sorted->n && bsearch(&key, sorted->v, sorted->n, sizeof(*sorted->v), by_text);
}

/* Remove those of the layers that no image needs and nobody uses. */
static int drop_layers(struct store *store, const struct strv *layers, struct error *err)
{
	cleanup_strv struct strv needed = STRV_INIT;
	cleanup_free int *lock = xcalloc(layers->n + 1, sizeof(*lock));
	int r = 0;

	if (layers->n == 0)
		return 0;
	for (size_t i = 0; i < layers->n; i++) {
		struct error busy = ERROR_INIT;

		lock[i] = store_lock_key(store, layers->v[i], &busy);
	}
	add_needed(store, &needed);
	if (needed.n)
		qsort(needed.v, needed.n, sizeof(*needed.v), by_text);
	for (size_t i = 0; i < layers->n; i++) {
		if (r == 0 && lock[i] >= 0 && !is_in(&needed, layers->v[i]))
			r = throw_layer_away(store, layers->v[i], err);
		if (lock[i] >= 0)
			store_lock_drop(store, STORE_HOLDS, layers->v[i], &lock[i]);
	}
	return r;
}

/* Make an image invisible, for good: once its layers go, it must not come back after a crash. */
static int remove_manifest(struct store *store, const char *key, struct error *err)
{
	char path[STORE_PATH_MAX], *slash;
	cleanup_fd int dir = -1;

	store_manifest_path(key, path);
	if (unlinkat(store->cas, path, 0) < 0)
		return error_errno(err, "removing image %s", key);
	slash = strrchr(path, '/');
	*slash = '\0';
	dir = openat(store->cas, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0 || fsync(dir) < 0)
		return error_errno(err, "removing image %s", key);
	return 0;
}

static int remove_locked(struct store *store, const char *key, struct strv *layers,
			 struct error *err)
{
	char path[STORE_PATH_MAX];
	int r;

	if (!store_has_image(store, key))
		return error_set(err, -ENOENT, "image %s is not in the store", key);
	r = store_layers(store, key, layers, err);
	if (r >= 0)
		r = remove_manifest(store, key, err);
	if (r < 0)
		return r;
	snprintf(path, sizeof(path), "imageInfo/%s", key);
	unlinkat(store->cas, path, 0);
	return throw_layer_away(store, key, err);
}

int store_remove(struct store *store, const char *key, struct error *err)
{
	cleanup_strv struct strv layers = STRV_INIT;
	int lock, r;

	if (!store_key_valid(key))
		return error_set(err, -ENOENT, "no image has the key \"%.100s\"", key);
	lock = store_lock_key(store, key, err);
	if (lock < 0)
		return lock;
	r = remove_locked(store, key, &layers, err);
	store_lock_drop(store, STORE_HOLDS, key, &lock);
	return r < 0 ? r : drop_layers(store, &layers, err);
}

void store_trees(struct store *store, struct strv *ret)
{
	store_names(store, "tree", ret);
}

bool store_tree_image(struct store *store, const char *id, char ret_key[IMAGE_KEY_LEN + 1])
{
	struct error ignored = ERROR_INIT;
	cleanup_free char *key = NULL;
	char path[STORE_PATH_MAX];
	size_t len;

	if (strchr(id, '/') || id[0] == '.')
		return false;
	snprintf(path, sizeof(path), "tree/%.150s/" TREE_IMAGE, id);
	if (file_read(store->cas, path, IMAGE_KEY_LEN, &key, &len, &ignored) < 0 ||
	    !store_key_valid(key))
		return false;
	memcpy(ret_key, key, IMAGE_KEY_LEN + 1);
	return true;
}

int store_tree_remove(struct store *store, const char *id, struct error *err)
{
	char path[STORE_PATH_MAX];
	int lock, r;

	if (strlen(id) > 150 || strchr(id, '/') || id[0] == '.')
		return error_set(err, -ENOENT, "no tree has the ID \"%.200s\"", id);
	lock = store_try_lock(store, "treestorelocks", id, err);
	if (lock < 0)
		return lock;
	snprintf(path, sizeof(path), "tree/%s", id);
	r = throw_away(store, path, err);
	store_lock_drop(store, "treestorelocks", id, &lock);
	return r;
}

static int64_t age_of(struct store *store, const char *path)
{
	struct timespec now;
	struct stat st;

	clock_gettime(CLOCK_REALTIME, &now);
	if (fstatat(store->cas, path, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return -1;
	return (now.tv_sec - st.st_ctim.tv_sec) * INT64_C(1000000000) +
	       (now.tv_nsec - st.st_ctim.tv_nsec);
}

/* An ACI's layer whose image never became visible, or is no more. */
static int drop_content(struct store *store, const char *key, struct error *err)
{
	struct error busy = ERROR_INIT;
	int lock = store_lock_key(store, key, &busy), r = 0;

	if (lock < 0)
		return 0;
	if (!store_has_image(store, key))
		r = throw_layer_away(store, key, err);
	store_lock_drop(store, STORE_HOLDS, key, &lock);
	return r;
}

static int collect_layers(struct store *store, int64_t age, struct error *err)
{
	cleanup_strv struct strv names = STRV_INIT, layers = STRV_INIT;
	int r = 0;

	store_names(store, "layer", &names);
	for (size_t i = 0; r == 0 && i < names.n; i++) {
		const char *key = names.v[i];
		char path[STORE_PATH_MAX];

		snprintf(path, sizeof(path), "layer/%.*s", IMAGE_KEY_LEN, key);
		if (!store_key_valid(key) || age_of(store, path) < age)
			continue;
		if (str_starts_with(key, "sha256-"))
			strv_add(&layers, key);
		else if (!store_has_image(store, key))
			r = drop_content(store, key, err);
	}
	return r < 0 ? r : drop_layers(store, &layers, err);
}

/* The key a small file is about. */
static bool key_in_text(const char *text, size_t len, char *ret)
{
	snprintf(ret, IMAGE_KEY_LEN + 1, "%.*s", (int)MIN(len, (size_t)IMAGE_KEY_LEN), text);
	return store_key_valid(ret);
}

static bool key_in_json(const char *text, size_t len, char *ret)
{
	cleanup_json struct json_object *doc = NULL;
	struct error ignored = ERROR_INIT;
	const char *key = "";

	if (json_parse(text, len, "a record", &doc, &ignored) < 0 ||
	    json_get_string(doc, "key", &key, &ignored) < 0 || !store_key_valid(key))
		return false;
	memcpy(ret, key, IMAGE_KEY_LEN + 1);
	return true;
}

/* Forget what is remembered of images that are gone. All of it is only a saving of time. */
static void collect_records(struct store *store, const char *dir,
			    bool (*key_of)(const char *text, size_t len, char *ret))
{
	cleanup_strv struct strv names = STRV_INIT;

	store_names(store, dir, &names);
	for (size_t i = 0; i < names.n; i++) {
		cleanup_free char *path = xasprintf("%s/%s", dir, names.v[i]), *text = NULL;
		struct error ignored = ERROR_INIT;
		char key[IMAGE_KEY_LEN + 1];
		size_t len;

		if (strstr(names.v[i], ".tmp-") ||
		    file_read(store->cas, path, 64 * KIB, &text, &len, &ignored) < 0)
			continue;
		if (!key_of(text, len, key) || !store_has_image(store, key))
			unlinkat(store->cas, path, 0);
	}
}

static void collect_infos(struct store *store)
{
	cleanup_strv struct strv names = STRV_INIT;

	store_names(store, "imageInfo", &names);
	for (size_t i = 0; i < names.n; i++) {
		cleanup_free char *path = xasprintf("imageInfo/%s", names.v[i]);

		if (store_key_valid(names.v[i]) && !store_has_image(store, names.v[i]))
			unlinkat(store->cas, path, 0);
	}
}

/* A download nobody has gone on with for long; who does has a lock on it. */
static void collect_partial(struct store *store, const char *dir)
{
	cleanup_strv struct strv names = STRV_INIT;

	store_names(store, dir, &names);
	for (size_t i = 0; i < names.n; i++) {
		cleanup_free char *path = xasprintf("%s/%s", dir, names.v[i]);
		cleanup_fd int fd = -1;
		struct stat st;

		if (fstatat(store->cas, path, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
		    !S_ISREG(st.st_mode) || age_of(store, path) < PARTIAL_AGE)
			continue;
		fd = openat(store->cas, path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
		if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0 &&
		    store_lock_is(fd, store->cas, path))
			unlinkat(store->cas, path, 0);
	}
}

/* What a process that died while it replaced a file left beside it. */
static void collect_aside(struct store *store, const char *dir)
{
	cleanup_strv struct strv names = STRV_INIT;

	store_names(store, dir, &names);
	for (size_t i = 0; i < names.n; i++) {
		cleanup_free char *path = xasprintf("%s/%s", dir, names.v[i]);

		if (strstr(names.v[i], ".tmp-") && age_of(store, path) > ASIDE_AGE)
			unlinkat(store->cas, path, 0);
	}
}

static void collect_all_aside(struct store *store)
{
	static const char *const dirs[] = {"files", "remote", "imageInfo"};
	cleanup_strv struct strv names = STRV_INIT;

	for (size_t i = 0; i < ARRAY_SIZE(dirs); i++)
		collect_aside(store, dirs[i]);
	store_names(store, "imageManifest/sha512", &names);
	for (size_t i = 0; i < names.n; i++) {
		cleanup_free char *dir = xasprintf("imageManifest/sha512/%s", names.v[i]);

		collect_aside(store, dir);
	}
}

int store_collect(struct store *store, int64_t age, struct error *err)
{
	int r = store_sweep(store, err);

	if (r == 0)
		r = collect_layers(store, age, err);
	if (r < 0)
		return r;
	collect_records(store, "files", key_in_text);
	collect_records(store, "remote", key_in_json);
	collect_infos(store);
	collect_all_aside(store);
	collect_partial(store, "partial");
	collect_partial(store, "tmp");
	return 0;
}

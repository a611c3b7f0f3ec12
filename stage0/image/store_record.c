/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the store knows of images and of URLs besides the content: small JSON files, replaced as a
 * whole. All of it can be lost without harm: an image without a record counts as imported when its
 * manifest was written.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/file.h"
#include "common/json.h"
#include "stage0/image/layer.h"
#include "stage0/image/limits.h"
#include "stage0/image/store.h"
#include "stage0/image/store_priv.h"

#define RECORD_MAX (64 * KIB) /* bytes of any record; URLs and ETags come from servers */

static void info_path(const char *key, char ret[STORE_PATH_MAX])
{
	snprintf(ret, STORE_PATH_MAX, "imageInfo/%s", key);
}

static int64_t ns_of(const struct timespec *ts)
{
	return ts->tv_sec * INT64_C(1000000000) + ts->tv_nsec;
}

static int read_json(struct store *store, const char *path, struct json_object **ret,
		     struct error *err)
{
	cleanup_free char *text = NULL;
	size_t len;
	int r = file_read(store->cas, path, RECORD_MAX, &text, &len, err);

	return r < 0 ? r : json_parse(text, len, path, ret, err);
}

void store_record(struct store *store, const char *key, struct store_image *ret)
{
	cleanup_json struct json_object *doc = NULL;
	struct error ignored = ERROR_INIT;
	char path[STORE_PATH_MAX];
	struct stat st;

	*ret = (struct store_image){.import_time = 0};
	store_manifest_path(key, path);
	if (fstatat(store->cas, path, &st, AT_SYMLINK_NOFOLLOW) == 0)
		ret->import_time = ret->last_used = ns_of(&st.st_mtim);
	info_path(key, path);
	if (fstatat(store->cas, path, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return;
	ret->last_used = ns_of(&st.st_mtim);
	if (read_json(store, path, &doc, &ignored) < 0 ||
	    json_get_int(doc, "importTime", 0, INT64_MAX, &ret->import_time, &ignored) < 0)
		return;
	json_get_bool(doc, "latest", &ret->latest, &ignored);
}

int store_record_import(struct store *store, const char *key, const struct store_import_info *info,
			struct error *err)
{
	cleanup_json struct json_object *doc = json_object_new_object();
	struct store_image image = {.import_time = 0};
	char path[STORE_PATH_MAX];
	struct timespec now;
	struct stat st;
	const char *text;

	info_path(key, path);
	clock_gettime(CLOCK_REALTIME, &now);
	if (fstatat(store->cas, path, &st, AT_SYMLINK_NOFOLLOW) == 0)
		store_record(store, key, &image);
	if (image.import_time && image.latest == info->latest) {
		store_image_used(store, key);
		return 0;
	}
	json_add_int(doc, "importTime", image.import_time ? image.import_time : ns_of(&now));
	json_add_bool(doc, "latest", info->latest);
	text = json_text(doc);
	return file_write(store->cas, path, text, strlen(text), 0640, err);
}

void store_image_used(struct store *store, const char *key)
{
	char path[STORE_PATH_MAX];

	info_path(key, path);
	(void)!utimensat(store->cas, path, NULL, AT_SYMLINK_NOFOLLOW);
}

/* Bytes of a layer's archive. */
static uint64_t layer_size(struct store *store, const char *key)
{
	cleanup_json struct json_object *doc = NULL;
	struct error ignored = ERROR_INIT;
	char path[STORE_PATH_MAX];
	int64_t size = 0;

	snprintf(path, sizeof(path), "layer/%s/" LAYER_INFO, key);
	if (read_json(store, path, &doc, &ignored) == 0)
		json_get_int(doc, "size", 0, INT64_MAX, &size, &ignored);
	return (uint64_t)size;
}

static uint64_t image_size(struct store *store, const char *key)
{
	cleanup_strv struct strv layers = STRV_INIT;
	struct error ignored = ERROR_INIT;
	uint64_t size = 0;

	if (store_layers(store, key, &layers, &ignored) == 0)
		return layer_size(store, key);
	for (size_t i = 0; i < layers.n; i++)
		size += layer_size(store, layers.v[i]);
	return size;
}

/* Bytes of the files that were made for the image's tree and are not hard links to layers. */
static uint64_t tree_size(struct store *store, const char *key)
{
	struct store peek = {.cas = store->cas, .peek = true};
	struct store_rootfs rootfs = STORE_ROOTFS_INIT;
	cleanup_free char *text = NULL;
	struct error ignored = ERROR_INIT;
	unsigned long long rootfs_size = 0;
	char path[STORE_PATH_MAX];
	uint64_t size = 0;
	struct stat st;
	size_t len;

	if (store_rootfs_resolve(&peek, key, &rootfs, &ignored) == 0) {
		snprintf(path, sizeof(path), "tree/%s/disk/0", rootfs.tree_id);
		if (fstatat(store->cas, path, &st, AT_SYMLINK_NOFOLLOW) == 0)
			size = (uint64_t)st.st_size;
		snprintf(path, sizeof(path), "tree/%s/" TREE_ROOTFS_SIZE, rootfs.tree_id);
		if (file_read(store->cas, path, 32, &text, &len, &ignored) == 0 &&
		    str_to_u64(text, INT64_MAX, &rootfs_size))
			size += rootfs_size;
	}
	store_rootfs_free(&rootfs);
	return size;
}

int store_image(struct store *store, const char *key, struct store_image *ret, struct error *err)
{
	struct store_image image;

	if (!store_key_valid(key) || !store_has_image(store, key))
		return error_set(err, -ENOENT, "image %.100s is not in the store", key);
	store_record(store, key, &image);
	image.size = image_size(store, key);
	image.tree_size = tree_size(store, key);
	*ret = image;
	return 0;
}

static void remote_path(const char *url, char ret[STORE_PATH_MAX])
{
	cleanup_hash struct hash *hash = hash_new(HASH_SHA256);
	uint8_t digest[HASH_MAX_SIZE];
	char hex[HASH_HEX_MAX];

	hash_update(hash, url, strlen(url));
	hash_final(hash, digest);
	hash_hex(digest, hash_size(HASH_SHA256), hex);
	snprintf(ret, STORE_PATH_MAX, "remote/%.64s", hex);
}

static char *copy_of(const char *text)
{
	return text ? xstrdup(text) : NULL;
}

int store_remote_get(struct store *store, const char *url, struct store_remote *ret,
		     struct error *err)
{
	const char *its_url = "", *signature_url = NULL, *etag = NULL, *key = "";
	cleanup_json struct json_object *doc = NULL;
	struct store_remote remote = {.max_age = 0};
	char path[STORE_PATH_MAX];
	int r;

	remote_path(url, path);
	r = read_json(store, path, &doc, err);
	if (r == 0)
		r = json_get_string(doc, "url", &its_url, err);
	if (r == 0)
		r = json_get_string(doc, "signatureURL", &signature_url, err);
	if (r == 0)
		r = json_get_string(doc, "etag", &etag, err);
	if (r == 0)
		r = json_get_string(doc, "key", &key, err);
	if (r == 0)
		r = json_get_int(doc, "maxAge", 0, INT64_MAX, &remote.max_age, err);
	if (r == 0)
		r = json_get_int(doc, "time", 0, INT64_MAX, &remote.time, err);
	/* a record that can not be read, by a tripod of another day say, is as good as none */
	if (r < 0 || strcmp(its_url, url) != 0 || !store_key_valid(key))
		return error_set(err, -ENOENT, "nothing is known of %s", url);
	r = store_hold(store, key, err);
	if (r < 0)
		return r;
	if (!store_has_image(store, key))
		return error_set(err, -ENOENT, "the image of %s is gone", url);
	snprintf(remote.key, sizeof(remote.key), "%s", key);
	remote.signature_url = copy_of(signature_url);
	remote.etag = copy_of(etag);
	*ret = remote;
	return 0;
}

int store_remote_put(struct store *store, const char *url, const struct store_remote *remote,
		     struct error *err)
{
	cleanup_json struct json_object *doc = json_object_new_object();
	char path[STORE_PATH_MAX];
	const char *text;

	json_add_string(doc, "url", url);
	if (remote->signature_url)
		json_add_string(doc, "signatureURL", remote->signature_url);
	if (remote->etag)
		json_add_string(doc, "etag", remote->etag);
	json_add_string(doc, "key", remote->key);
	json_add_int(doc, "maxAge", remote->max_age);
	json_add_int(doc, "time", remote->time);
	text = json_text(doc);
	if (strlen(text) > RECORD_MAX)
		return error_set(err, -EFBIG, "what is to be remembered of %.200s is too long",
				 url);
	remote_path(url, path);
	return file_write(store->cas, path, text, strlen(text), 0640, err);
}

void store_remote_free(struct store_remote *remote)
{
	free(remote->signature_url);
	free(remote->etag);
	*remote = (struct store_remote){.max_age = 0};
}

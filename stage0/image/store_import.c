/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/file.h"
#include "common/json.h"
#include "stage0/image/layer.h"
#include "stage0/image/limits.h"
#include "stage0/image/store.h"
#include "stage0/image/store_priv.h"

static const struct decomp_limits image_limits = {
	.out_max = IMAGE_OUT_MAX,
	.ratio_max = IMAGE_RATIO_MAX,
	.ratio_free = IMAGE_RATIO_FREE,
};

/* The manifest's bytes, from where the layer has them. */
static int read_manifest(int dir, const struct layer_result *layer, char **ret, size_t *ret_len,
			 struct error *err)
{
	cleanup_fd int fd = openat(dir, LAYER_DATA, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	cleanup_free char *text = xcalloc(layer->manifest_size + 1, 1);
	cleanup_json struct json_object *manifest = NULL;
	const char *kind = NULL;
	int r;

	if (fd < 0)
		return error_errno(err, "opening the image's data");
	r = pread_all(fd, text, layer->manifest_size, (off_t)layer->manifest);
	if (r < 0)
		return error_set(err, r, "reading the manifest: %s", strerror(-r));
	r = json_parse(text, layer->manifest_size, "the image manifest", &manifest, err);
	if (r == 0)
		r = json_get_string(manifest, "acKind", &kind, err);
	if (r < 0)
		return r;
	if (!kind || strcmp(kind, "ImageManifest") != 0)
		return error_set(err, -EBADMSG, "the image manifest's acKind is not ImageManifest");
	*ret = take_ptr(text);
	*ret_len = layer->manifest_size;
	return 0;
}

static int write_info(int dir, const struct layer_result *layer, struct error *err)
{
	cleanup_json struct json_object *info = json_object_new_object();
	char hex[HASH_HEX_MAX], id[HASH_HEX_MAX + 8];
	const char *text;

	hash_hex(layer->id, hash_size(HASH_SHA512), hex);
	snprintf(id, sizeof(id), "sha512-%s", hex);
	json_add_string(info, "id", id);
	json_add_int(info, "size", (int64_t)layer->stream_size);
	json_add_int(info, "dataSize", (int64_t)layer->data_size);
	json_add_int(info, "entries", (int64_t)layer->entries);
	text = json_text(info);
	return file_write(dir, LAYER_INFO, text, strlen(text), 0444, err);
}

int store_publish(struct store *store, struct store_tmp *tmp, const char *key, const char *manifest,
		  size_t len, struct error *err)
{
	char path[STORE_PATH_MAX], *slash;
	int r;

	snprintf(path, sizeof(path), "layer/%s", key);
	r = store_tmp_commit(store, tmp, path, err);
	if (r < 0)
		return r;
	store_manifest_path(key, path);
	slash = strrchr(path, '/');
	*slash = '\0';
	r = mkdir_path(store->cas, path, 0750, err);
	*slash = '/';
	return r < 0 ? r : file_write(store->cas, path, manifest, len, 0640, err);
}

static int import(struct store *store, int fd, struct store_tmp *tmp,
		  char ret_key[IMAGE_KEY_LEN + 1], struct error *err)
{
	struct layer_job job = {
		.kind = LAYER_ACI,
		.alg = HASH_SHA512,
		.limits = image_limits,
		.in = fd,
		.dir = tmp->fd,
	};
	cleanup_free char *manifest = NULL;
	struct layer_result layer;
	size_t len = 0;
	int r = layer_make(&job, &layer, err);

	if (r == 0)
		r = read_manifest(tmp->fd, &layer, &manifest, &len, err);
	if (r < 0)
		return r;
	store_key(HASH_SHA512, layer.id, ret_key);
	if (store_has_image(store, ret_key))
		return 0;
	r = write_info(tmp->fd, &layer, err);
	if (r == 0)
		r = layer_sync(tmp->fd, err);
	return r < 0 ? r : store_publish(store, tmp, ret_key, manifest, len, err);
}

/* Import what fd holds, whatever is known of it. */
static int import_new(struct store *store, int fd, char ret_key[IMAGE_KEY_LEN + 1],
		      struct error *err)
{
	struct store_tmp tmp = STORE_TMP_INIT;
	int r = store_tmp_new(store, &tmp, err);

	if (r < 0)
		return r;
	r = import(store, fd, &tmp, ret_key, err);
	store_tmp_end(store, &tmp);
	return r;
}

/* A whole regular file: whoever else imports it at this time leaves us nothing to do. */
static int import_file(struct store *store, int fd, const struct stat *st,
		       char ret_key[IMAGE_KEY_LEN + 1], struct error *err)
{
	char name[HASH_HEX_MAX];
	cleanup_fd int lock = -1;
	int r = 0;

	store_file_name(st, name);
	lock = store_lock(store, "filelocks", name, true, err);
	if (lock < 0)
		return lock;
	if (!store_file_known(store, st, ret_key)) {
		r = import_new(store, fd, ret_key, err);
		if (r == 0)
			store_file_learn(store, fd, st, ret_key);
	}
	store_lock_drop(store, "filelocks", name, &lock);
	return r;
}

int store_import_aci(struct store *store, int fd, const char *what, char ret_key[IMAGE_KEY_LEN + 1],
		     struct error *err)
{
	char key[IMAGE_KEY_LEN + 1];
	struct stat st;
	int r;

	if (fstat(fd, &st) < 0)
		return error_errno(err, "%s", what);
	if (S_ISREG(st.st_mode) && lseek(fd, 0, SEEK_CUR) == 0)
		r = import_file(store, fd, &st, key, err);
	else
		r = import_new(store, fd, key, err);
	if (r < 0)
		return error_wrap(err, "%s", what);
	memcpy(ret_key, key, sizeof(key));
	return 0;
}

int store_export_aci(struct store *store, const char *key, int fd, struct error *err)
{
	char path[STORE_PATH_MAX], got[IMAGE_KEY_LEN + 1];
	uint8_t id[HASH_MAX_SIZE];
	cleanup_fd int dir = -1;
	int r;

	if (!store_key_valid(key) || !store_has_image(store, key))
		return error_set(err, -ENOENT, "image %.100s is not in the store", key);
	snprintf(path, sizeof(path), "layer/%s", key);
	dir = openat(store->cas, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return error_errno(err, "opening image %s", key);
	if (faccessat(dir, LAYER_LIST, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
		return error_set(err, -EINVAL,
				 "image %s came as layers and has no archive of its own", key);
	r = layer_export(dir, HASH_SHA512, fd, id, err);
	if (r < 0)
		return r;
	store_key(HASH_SHA512, id, got);
	if (strcmp(got, key) != 0)
		return error_set(err, -EBADMSG, "the store's copy of image %s is damaged", key);
	return 0;
}

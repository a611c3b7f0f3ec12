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
#include "stage0/image_manifest.h"

static const struct decomp_limits image_limits = {
	.out_max = IMAGE_OUT_MAX,
	.ratio_max = IMAGE_RATIO_MAX,
	.ratio_free = IMAGE_RATIO_FREE,
};

struct store_staged {
	struct store *store;
	struct store_tmp tmp;
	struct layer_result layer;
	char key[IMAGE_KEY_LEN + 1];
	char id[HASH_HEX_MAX + 8];
	struct json_object *manifest;
};

/* The manifest, from where the layer has it: checked here, so no other is ever in the store. */
static int read_manifest(struct store_staged *staged, struct error *err)
{
	cleanup_fd int fd = openat(staged->tmp.fd, LAYER_DATA, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	size_t len = staged->layer.manifest_size;
	cleanup_strv struct strv warnings = STRV_INIT; /* who runs the image gives them */
	cleanup_free char *text = xcalloc(len + 1, 1);
	int r;

	if (fd < 0)
		return error_errno(err, "opening the image's data");
	r = pread_all(fd, text, len, (off_t)staged->layer.manifest);
	if (r < 0)
		return error_set(err, r, "reading the manifest: %s", strerror(-r));
	return image_manifest_parse(text, len, &staged->manifest, &warnings, err);
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

static int stage(struct store_staged *staged, int fd, struct error *err)
{
	struct layer_job job = {
		.kind = LAYER_ACI,
		.alg = HASH_SHA512,
		.limits = image_limits,
		.in = fd,
	};
	char hex[HASH_HEX_MAX];
	int r = store_tmp_new(staged->store, &staged->tmp, err);

	job.dir = staged->tmp.fd;
	if (r == 0)
		r = layer_make(&job, &staged->layer, err);
	if (r == 0)
		r = read_manifest(staged, err);
	if (r < 0)
		return r;
	store_key(HASH_SHA512, staged->layer.id, staged->key);
	hash_hex(staged->layer.id, hash_size(HASH_SHA512), hex);
	snprintf(staged->id, sizeof(staged->id), "sha512-%s", hex);
	return 0;
}

int store_stage_aci(struct store *store, int fd, const char *what, struct store_staged **ret,
		    struct error *err)
{
	cleanup_staged struct store_staged *staged = xcalloc(1, sizeof(*staged));
	int r;

	staged->store = store;
	staged->tmp.fd = -1;
	r = stage(staged, fd, err);
	if (r < 0)
		return error_wrap(err, "%s", what);
	*ret = take_ptr(staged);
	return 0;
}

const char *store_staged_key(const struct store_staged *staged)
{
	return staged->key;
}

const char *store_staged_id(const struct store_staged *staged)
{
	return staged->id;
}

struct json_object *store_staged_manifest(const struct store_staged *staged)
{
	return staged->manifest;
}

int store_staged_commit(struct store_staged *staged, const struct store_import_info *info,
			struct error *err)
{
	struct store *store = staged->store;
	const char *text = json_text(staged->manifest);
	/* from here on nobody takes it away again */
	int r = store_hold(store, staged->key, err);

	if (r == 0 && !store_has_image(store, staged->key)) {
		r = layer_sync(staged->tmp.fd, err);
		if (r == 0)
			r = store_publish(store, &staged->tmp, staged->key, text, strlen(text),
					  err);
	}
	return r < 0 ? r : store_record_import(store, staged->key, info, err);
}

void store_staged_free(struct store_staged *staged)
{
	if (!staged)
		return;
	store_tmp_end(staged->store, &staged->tmp);
	json_object_put(staged->manifest);
	free(staged);
}

/* Import what fd holds, whatever is known of it. */
static int import_new(struct store *store, int fd, char ret_key[IMAGE_KEY_LEN + 1],
		      struct error *err)
{
	static const struct store_import_info info = {.latest = false};
	struct store_staged staged = {.store = store, .tmp = STORE_TMP_INIT};
	int r = stage(&staged, fd, err);

	if (r == 0)
		r = store_staged_commit(&staged, &info, err);
	if (r == 0)
		memcpy(ret_key, staged.key, sizeof(staged.key));
	store_tmp_end(store, &staged.tmp);
	json_object_put(staged.manifest);
	return r;
}

/* Whether the file's image is known and there; it is held and counts as used then. */
static bool import_known(struct store *store, const struct stat *st,
			 char ret_key[IMAGE_KEY_LEN + 1])
{
	struct error ignored = ERROR_INIT;

	if (!store_file_known(store, st, ret_key) || store_hold(store, ret_key, &ignored) < 0 ||
	    !store_has_image(store, ret_key))
		return false;
	store_image_used(store, ret_key);
	return true;
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
	if (!import_known(store, st, ret_key)) {
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

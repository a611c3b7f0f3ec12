/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Images from an OCI layout directory (spec/images.md 16.1).
 *
 * Theory of operation: index, manifest and config are read whole, each verified by the digest that
 * named it before it is parsed. Each layer goes through the same pass as an ACI and becomes a layer
 * of the store under its diff_id, if it is not there already: images share layers. The image itself
 * is the list of its layers and the appc manifest its config converts to; its key is the hash of both.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "common/file.h"
#include "common/json.h"
#include "stage0/image/layer.h"
#include "stage0/image/limits.h"
#include "stage0/image/oci_doc.h"
#include "stage0/image/store.h"
#include "stage0/image/store_priv.h"

#define INDEX_DEPTH_MAX 4 /* indexes that name indexes */
#define LAYOUT_VERSION	"1.0.0"

/* Part of every key: another conversion makes another image. */
#define CONVERT_VERSION "tripod-oci-1"

struct oci_import {
	struct store *store;
	int dir; /* the layout */
	struct oci_manifest manifest;
	struct oci_digest manifest_digest;
	struct oci_digest diff_id[IMAGE_LAYERS_MAX];
	struct json_object *config;
	uint64_t left; /* bytes its layers may still have when decompressed */
};

/* A blob of the layout, whose size must be the descriptor's. */
static int open_blob(const struct oci_import *import, const struct oci_desc *desc,
		     struct error *err)
{
	char path[STORE_PATH_MAX], digest[OCI_DIGEST_MAX];
	cleanup_fd int fd = -1;
	struct stat st;

	oci_digest_text(&desc->digest, digest);
	snprintf(path, sizeof(path), "blobs/%.6s/%s", digest, desc->digest.hex);
	fd = open_beneath(import->dir, path, O_RDONLY | O_NONBLOCK, 0);
	if (fd < 0)
		return error_set(err, fd, "blob %s: %s", digest, strerror(-fd));
	if (fstat(fd, &st) < 0)
		return error_errno(err, "blob %s", digest);
	if (!S_ISREG(st.st_mode) || (uint64_t)st.st_size != desc->size)
		return error_set(err, -EBADMSG, "blob %s is not of the size it is said to have",
				 digest);
	return take_fd(&fd);
}

/* A JSON document among the blobs, verified. */
static int read_document(const struct oci_import *import, const struct oci_desc *desc,
			 struct json_object **ret, struct error *err)
{
	cleanup_fd int fd = open_blob(import, desc, err);
	char digest[OCI_DIGEST_MAX];
	cleanup_free char *text = NULL;

	oci_digest_text(&desc->digest, digest);
	if (fd < 0)
		return fd;
	if (desc->size > JSON_SIZE_MAX)
		return error_set(err, -EFBIG, "blob %s is too large for a document", digest);
	text = xcalloc(desc->size + 1, 1);
	if (pread_all(fd, text, desc->size, 0) < 0)
		return error_set(err, -EIO, "blob %s can not be read", digest);
	if (!oci_digest_matches(&desc->digest, text, desc->size))
		return error_set(err, -EBADMSG, "blob %s has another digest", digest);
	return json_parse(text, desc->size, digest, ret, err);
}

static int read_layout_file(const struct oci_import *import, const char *name,
			    struct json_object **ret, struct error *err)
{
	cleanup_fd int fd = open_beneath(import->dir, name, O_RDONLY | O_NONBLOCK, 0);
	cleanup_free char *text = NULL;
	struct stat st;

	if (fd < 0)
		return error_set(err, fd, "%s: %s", name, strerror(-fd));
	if (fstat(fd, &st) < 0)
		return error_errno(err, "%s", name);
	if (!S_ISREG(st.st_mode) || st.st_size > JSON_SIZE_MAX)
		return error_set(err, -EBADMSG, "%s is no document", name);
	text = xcalloc((size_t)st.st_size + 1, 1);
	if (pread_all(fd, text, (size_t)st.st_size, 0) < 0)
		return error_set(err, -EIO, "%s can not be read", name);
	return json_parse(text, (size_t)st.st_size, name, ret, err);
}

static int check_layout(const struct oci_import *import, struct error *err)
{
	cleanup_json struct json_object *doc = NULL;
	const char *version = "";
	int r = read_layout_file(import, "oci-layout", &doc, err);

	if (r == 0)
		r = json_get_string(doc, "imageLayoutVersion", &version, err);
	if (r < 0)
		return r;
	if (strcmp(version, LAYOUT_VERSION) != 0)
		return error_set(err, -EBADMSG, "the layout is not of version " LAYOUT_VERSION);
	return 0;
}

/* This machine in OCI's words. */
static const char *host_arch(struct utsname *uts)
{
	static const struct {
		const char *machine, *arch;
	} names[] = {{"x86_64", "amd64"}, {"aarch64", "arm64"}, {"i686", "386"}};

	if (uname(uts) < 0)
		return "unknown";
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (strcmp(uts->machine, names[i].machine) == 0)
			return names[i].arch;
	return uts->machine;
}

/* From index.json to the manifest of the image that is wanted. */
static int find_manifest(struct oci_import *import, const char *ref, struct error *err)
{
	struct utsname uts;
	struct oci_wanted wanted = {.ref = ref, .os = "linux", .arch = host_arch(&uts)};
	cleanup_json struct json_object *doc = NULL;
	int r = read_layout_file(import, "index.json", &doc, err);

	for (unsigned depth = 0; r == 0; depth++) {
		struct oci_desc desc;

		if (depth == INDEX_DEPTH_MAX)
			return error_set(err, -EBADMSG, "indexes are nested too deep");
		r = oci_index_choose(doc, &wanted, &desc, err);
		json_object_put(take_ptr(doc));
		if (r == 0)
			r = read_document(import, &desc, &doc, err);
		if (r == 0 && desc.kind == OCI_MANIFEST) {
			import->manifest_digest = desc.digest;
			return oci_manifest_parse(doc, &import->manifest, err);
		}
		wanted.ref = NULL; /* it names the index; inside only the platform tells */
	}
	return r;
}

static int check_platform(const struct oci_import *import, struct error *err)
{
	const char *os = "linux", *arch = NULL;
	struct utsname uts;
	int r = json_get_string(import->config, "os", &os, err);

	if (r == 0)
		r = json_get_string(import->config, "architecture", &arch, err);
	if (r < 0)
		return r;
	if (strcmp(os, "linux") != 0 || (arch && strcmp(arch, host_arch(&uts)) != 0))
		return error_set(err, -EINVAL, "the image is for another kind of machine");
	return 0;
}

/* Whether what the pass saw is what the documents promise. */
static int verify_layer(const struct layer_result *layer, const struct oci_desc *desc,
			const struct oci_digest *diff_id, struct error *err)
{
	char raw[HASH_HEX_MAX], id[HASH_HEX_MAX];

	hash_hex(layer->raw, hash_size(HASH_SHA256), raw);
	hash_hex(layer->id, hash_size(HASH_SHA256), id);
	if (layer->in_size != desc->size || strcmp(raw, desc->digest.hex) != 0)
		return error_set(err, -EBADMSG, "its digest is another");
	if (strcmp(id, diff_id->hex) != 0)
		return error_set(err, -EBADMSG, "its diff_id is another");
	return 0;
}

static int make_layer(struct oci_import *import, size_t i, struct store_tmp *tmp, const char *path,
		      struct error *err)
{
	const struct oci_desc *desc = &import->manifest.layer[i];
	cleanup_fd int fd = open_blob(import, desc, err);
	struct layer_job job = {
		.kind = LAYER_OCI,
		.alg = HASH_SHA256,
		.hash_raw = true,
		.limits = {import->left, IMAGE_RATIO_MAX, IMAGE_RATIO_FREE},
		.in = fd,
		.dir = tmp->fd,
	};
	struct layer_result layer;
	int r;

	if (fd < 0)
		return fd;
	r = layer_make(&job, &layer, err);
	if (r == 0)
		r = verify_layer(&layer, desc, &import->diff_id[i], err);
	if (r == 0)
		r = layer_sync(tmp->fd, err);
	if (r < 0)
		return r;
	import->left -= MIN(import->left, layer.stream_size);
	return store_tmp_commit(import->store, tmp, path, err);
}

/* Have a layer in the store. */
static int import_layer(struct oci_import *import, size_t i, struct error *err)
{
	struct store_tmp tmp = STORE_TMP_INIT;
	char path[STORE_PATH_MAX];
	int r;

	if (import->diff_id[i].alg != HASH_SHA256 ||
	    import->manifest.layer[i].digest.alg != HASH_SHA256)
		return error_set(err, -EBADMSG, "layer %zu is not named by SHA-256", i);
	snprintf(path, sizeof(path), "layer/sha256-%.64s", import->diff_id[i].hex);
	if (faccessat(import->store->cas, path, F_OK, 0) == 0)
		return 0;
	r = store_tmp_new(import->store, &tmp, err);
	if (r < 0)
		return r;
	r = make_layer(import, i, &tmp, path, err);
	store_tmp_end(import->store, &tmp);
	return r < 0 ? error_wrap(err, "layer %zu", i) : 0;
}

static void image_key(const char *manifest, const char *layers, char ret[IMAGE_KEY_LEN + 1])
{
	cleanup_hash struct hash *hash = hash_new(HASH_SHA512);
	uint8_t digest[HASH_MAX_SIZE];

	hash_update(hash, CONVERT_VERSION "\n", sizeof(CONVERT_VERSION));
	hash_update(hash, layers, strlen(layers));
	hash_update(hash, manifest, strlen(manifest));
	hash_final(hash, digest);
	store_key(HASH_SHA512, digest, ret);
}

/* Put the image itself into the store: its layers are there. */
static int publish_image(struct oci_import *import, struct json_object *manifest,
			 char ret_key[IMAGE_KEY_LEN + 1], struct error *err)
{
	const char *text = json_text(manifest);
	cleanup_str struct str layers = STR_INIT;
	struct store_tmp tmp = STORE_TMP_INIT;
	int r;

	for (size_t i = 0; i < import->manifest.nlayers; i++)
		str_addf(&layers, "sha256-%s\n", import->diff_id[i].hex);
	image_key(text, str_get(&layers), ret_key);
	if (store_has_image(import->store, ret_key))
		return 0;
	r = store_tmp_new(import->store, &tmp, err);
	if (r < 0)
		return r;
	r = file_write(tmp.fd, LAYER_LIST, str_get(&layers), layers.len, 0444, err);
	if (r == 0 && fsync(tmp.fd) < 0)
		r = error_errno(err, "writing the image");
	if (r == 0)
		r = store_publish(import->store, &tmp, ret_key, text, strlen(text), err);
	store_tmp_end(import->store, &tmp);
	return r;
}

static int import_image(struct oci_import *import, const char *ref, const struct oci_source *source,
			char ret_key[IMAGE_KEY_LEN + 1], struct strv *warnings, struct error *err)
{
	char manifest_digest[OCI_DIGEST_MAX], config_digest[OCI_DIGEST_MAX];
	cleanup_json struct json_object *manifest = NULL;
	struct oci_source whole = *source;
	int r = check_layout(import, err);

	if (r == 0)
		r = find_manifest(import, ref, err);
	if (r == 0)
		r = read_document(import, &import->manifest.config, &import->config, err);
	if (r == 0)
		r = check_platform(import, err);
	if (r == 0)
		r = oci_diff_ids(import->config, import->diff_id, import->manifest.nlayers, err);
	if (r < 0)
		return r;
	oci_digest_text(&import->manifest_digest, manifest_digest);
	oci_digest_text(&import->manifest.config.digest, config_digest);
	whole.manifest_digest = manifest_digest;
	whole.config_digest = config_digest;
	r = oci_config_convert(import->config, &whole, &manifest, warnings, err);
	for (size_t i = 0; r == 0 && i < import->manifest.nlayers; i++)
		r = import_layer(import, i, err);
	return r < 0 ? r : publish_image(import, manifest, ret_key, err);
}

int store_import_oci(struct store *store, const char *dir, const char *ref,
		     const struct oci_source *source, char ret_key[IMAGE_KEY_LEN + 1],
		     struct strv *warnings, struct error *err)
{
	cleanup_free struct oci_import *import = xcalloc(1, sizeof(*import));
	char key[IMAGE_KEY_LEN + 1];
	int r;

	import->store = store;
	import->left = IMAGE_OUT_MAX;
	import->dir = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (import->dir < 0)
		return error_errno(err, "%s", dir);
	r = import_image(import, ref, source, key, warnings, err);
	close_fd(&import->dir);
	json_object_put(import->config);
	if (r < 0)
		return error_wrap(err, "%s", dir);
	memcpy(ret_key, key, sizeof(key));
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Images of OCI and Docker origins (spec/images.md 13.3, 13.4, 16).
 *
 * Theory of operation: index, manifest and config are read whole, each verified by the digest that
 * named it before it is parsed. Each layer goes through the same pass as an ACI and becomes a layer
 * of the store under its diff_id, if it is not there already: images share layers. The image itself
 * is the list of its layers and the appc manifest its config converts to; its key is the hash of both.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/file.h"
#include "common/json.h"
#include "stage0/image/layer.h"
#include "stage0/image/entry.h"
#include "stage0/image/oci_origin.h"
#include "stage0/image/store.h"
#include "stage0/image/store_priv.h"
#include "stage0/image_manifest.h"

#define INDEX_DEPTH_MAX 4 /* indexes that name indexes */

/* Part of every key: another conversion makes another image. */
#define CONVERT_VERSION "tripod-oci-2"

struct oci_import {
	struct store *store;
	struct oci_origin *origin;
	struct oci_import_options options;
	struct oci_platform platform;
	struct oci_manifest manifest;
	struct oci_digest document[INDEX_DEPTH_MAX + 1]; /* from the first one to the manifest */
	size_t ndocuments;
	struct oci_digest diff_id[IMAGE_LAYERS_MAX];
	struct json_object *config;
};

/* A JSON document and its digest: verified, when a descriptor names it. */
static int read_document(struct oci_import *import, const struct oci_desc *desc,
			 struct json_object **ret, char ret_media_type[OCI_MEDIA_TYPE_MAX],
			 struct oci_digest *ret_digest, struct error *err)
{
	char name[OCI_DIGEST_MAX] = "the image's index or manifest";
	cleanup_str struct str text = STR_INIT;
	int r;

	if (desc) {
		oci_digest_text(&desc->digest, name);
		if (desc->size > JSON_SIZE_MAX)
			return error_set(err, -EFBIG, "%s is too large for a document", name);
	}
	r = import->origin->ops->document(import->origin, desc, &text, ret_media_type, err);
	if (r < 0)
		return r;
	if (text.len > JSON_SIZE_MAX)
		return error_set(err, -EFBIG, "%s is too large for a document", name);
	if (desc && text.len != desc->size)
		return error_set(err, -EBADMSG, "%s is not of the size it is said to have", name);
	if (desc && !oci_digest_matches(&desc->digest, str_get(&text), text.len))
		return error_set(err, -EBADMSG, "%s has another digest", name);
	if (desc)
		*ret_digest = desc->digest;
	else
		oci_digest_of(str_get(&text), text.len, ret_digest);
	return json_parse(str_get(&text), text.len, name, ret, err);
}

/* The next document on the way to the manifest, and what it is. */
static int next_document(struct oci_import *import, const struct oci_desc *desc,
			 struct json_object **ret, enum oci_kind *ret_kind, struct error *err)
{
	char type[OCI_MEDIA_TYPE_MAX] = "";
	int r = read_document(import, desc, ret, type, &import->document[import->ndocuments], err);

	if (r == 0)
		r = oci_document_kind(*ret, type, ret_kind, err);
	if (r == 0 && desc && *ret_kind != desc->kind)
		r = error_set(err, -EBADMSG, "the document is of another type than announced");
	if (r == 0)
		import->ndocuments++;
	return r;
}

/* From what the reference names to the manifest of the image that is wanted. */
static int find_manifest(struct oci_import *import, struct error *err)
{
	struct oci_wanted wanted = {import->origin->ref, &import->platform};
	cleanup_json struct json_object *doc = NULL;
	enum oci_kind kind;
	int r = next_document(import, NULL, &doc, &kind, err);

	while (r == 0 && kind == OCI_INDEX) {
		struct oci_desc desc;

		if (import->ndocuments == ARRAY_SIZE(import->document))
			return error_set(err, -EBADMSG, "indexes are nested too deep");
		r = oci_index_choose(doc, &wanted, &desc, err);
		json_object_put(take_ptr(doc));
		if (r == 0)
			r = next_document(import, &desc, &doc, &kind, err);
		wanted.ref = NULL; /* it names the index; inside only the platform tells */
	}
	return r < 0 ? r : oci_manifest_parse(doc, &import->manifest, err);
}

/* The config has the last word on the platform: an image of another one only when it was named. */
static int check_platform(struct oci_import *import, struct strv *warnings, struct error *err)
{
	const char *os = NULL, *arch = NULL, *variant = NULL;
	const struct oci_platform *wanted = &import->platform;
	cleanup_free char *is = NULL;
	int r = json_get_string(import->config, "os", &os, err);

	if (r == 0)
		r = json_get_string(import->config, "architecture", &arch, err);
	if (r == 0)
		r = json_get_string(import->config, "variant", &variant, err);
	if (r < 0 ||
	    oci_platform_rank(wanted, os ? os : "linux", arch ? arch : wanted->arch, variant))
		return r;
	is = xasprintf("%s/%s%s%s", os ? os : "linux", arch ? arch : wanted->arch,
		       variant && variant[0] ? "/" : "", variant ? variant : "");
	if (!import->options.platform) {
		cleanup_free char *name = entry_name(is);

		return error_set(err, -EINVAL, "the image is for another kind of machine: %s",
				 name);
	}
	strv_add_owned(warnings, xasprintf("the image says it is for %s, not for %s/%s", is,
					   wanted->os, wanted->arch));
	return 0;
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

/* The image holds its layers, and we the image. */
static void give_layers_back(struct store *store, const struct strv *keys)
{
	for (size_t i = 0; i < keys->n; i++)
		store_give_back(store, keys->v[i]);
}

/* Put the image itself into the store: its layers are there. */
static int publish_image(struct oci_import *import, struct json_object *manifest,
			 const struct store_import_info *info, char ret_key[IMAGE_KEY_LEN + 1],
			 struct error *err)
{
	const char *text = json_text(manifest);
	cleanup_strv struct strv keys = STRV_INIT;
	cleanup_str struct str layers = STR_INIT;
	struct store_tmp tmp = STORE_TMP_INIT;
	int r;

	for (size_t i = 0; i < import->manifest.nlayers; i++) {
		strv_add_owned(&keys, xasprintf("sha256-%s", import->diff_id[i].hex));
		str_addf(&layers, "%s\n", keys.v[i]);
	}
	image_key(text, str_get(&layers), ret_key);
	r = store_hold(import->store, ret_key, err);
	if (r < 0)
		return r;
	if (store_has_image(import->store, ret_key)) {
		give_layers_back(import->store, &keys);
		return store_record_import(import->store, ret_key, info, err);
	}
	r = store_check_layers(import->store, &keys, err);
	if (r == 0)
		r = store_tmp_new(import->store, &tmp, err);
	if (r < 0)
		return r;
	r = file_write(tmp.fd, LAYER_LIST, str_get(&layers), layers.len, 0444, err);
	if (r == 0 && fsync(tmp.fd) < 0)
		r = error_errno(err, "writing the image");
	if (r == 0)
		r = store_publish(import->store, &tmp, ret_key, text, strlen(text), err);
	if (r == 0)
		r = store_record_import(import->store, ret_key, info, err);
	if (r == 0)
		give_layers_back(import->store, &keys);
	store_tmp_end(import->store, &tmp);
	return r;
}

/* Everything that is decided before a layer is opened. */
static int read_documents(struct oci_import *import, struct strv *warnings, struct error *err)
{
	char type[OCI_MEDIA_TYPE_MAX] = "";
	struct oci_digest ignored;
	int r = find_manifest(import, err);

	if (r == 0)
		r = read_document(import, &import->manifest.config, &import->config, type, &ignored,
				  err);
	if (r == 0)
		r = check_platform(import, warnings, err);
	if (r == 0)
		r = oci_diff_ids(import->config, import->diff_id, import->manifest.nlayers, err);
	if (r == 0 && import->options.accept)
		r = import->options.accept(import->options.ctx, import->document,
					   import->origin->by_diff_id ? 0 : import->ndocuments,
					   err);
	return r;
}

static int import_image(struct oci_import *import, const struct oci_source *source,
			char ret_key[IMAGE_KEY_LEN + 1], struct strv *warnings, struct error *err)
{
	char manifest_digest[OCI_DIGEST_MAX], config_digest[OCI_DIGEST_MAX];
	cleanup_json struct json_object *manifest = NULL;
	cleanup_strv struct strv given_later = STRV_INIT; /* by who runs the image */
	struct store_import_info info = {.latest = !source->tag || !strcmp(source->tag, "latest")};
	struct oci_source whole = *source;
	int r = read_documents(import, warnings, err);

	if (r < 0)
		return r;
	oci_digest_text(&import->document[import->ndocuments - 1], manifest_digest);
	oci_digest_text(&import->manifest.config.digest, config_digest);
	whole.manifest_digest = import->origin->by_diff_id ? NULL : manifest_digest;
	whole.config_digest = config_digest;
	r = oci_config_convert(import->config, &whole, &manifest, warnings, err);
	if (r == 0)
		r = image_manifest_check(manifest, &given_later, err);
	if (r == 0)
		r = store_import_layers(import->store, import->origin, &import->manifest,
					import->diff_id, import->options.jobs, err);
	return r < 0 ? r : publish_image(import, manifest, &info, ret_key, err);
}

int store_import_origin(struct store *store, struct oci_origin *origin,
			const struct oci_source *source, const struct oci_import_options *options,
			char ret_key[IMAGE_KEY_LEN + 1], struct strv *warnings, struct error *err)
{
	cleanup_free struct oci_import *import = xcalloc(1, sizeof(*import));
	char key[IMAGE_KEY_LEN + 1];
	int r;

	import->store = store;
	import->origin = origin;
	if (options)
		import->options = *options;
	if (import->options.platform)
		import->platform = *import->options.platform;
	else
		oci_platform_host(&import->platform);
	r = import_image(import, source, key, warnings, err);
	json_object_put(import->config);
	if (r < 0)
		return r;
	memcpy(ret_key, key, sizeof(key));
	return 0;
}

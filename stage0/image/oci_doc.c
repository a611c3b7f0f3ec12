/* SPDX-License-Identifier: Apache-2.0 */
#include "stage0/image/oci_doc.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/json.h"
#include "common/str.h"
#include "common/util.h"
#include "stage0/image/entry.h"

#define INDEX_ENTRIES_MAX 1024 /* of an index document */

#define ANNOTATION_REF	    "org.opencontainers.image.ref.name"
#define ANNOTATION_NAME	    "io.containerd.image.name"
#define ANNOTATION_REF_TYPE "vnd.docker.reference.type"

int oci_digest_parse(const char *text, struct oci_digest *ret, struct error *err)
{
	static const struct {
		const char *prefix;
		enum hash_alg alg;
	} algs[] = {{"sha256:", HASH_SHA256}, {"sha512:", HASH_SHA512}};

	for (size_t i = 0; i < ARRAY_SIZE(algs); i++) {
		const char *hex = text + strlen(algs[i].prefix);
		size_t len = 2 * hash_size(algs[i].alg);

		if (!str_starts_with(text, algs[i].prefix))
			continue;
		if (strlen(hex) != len || strspn(hex, "0123456789abcdef") != len)
			break;
		ret->alg = algs[i].alg;
		memcpy(ret->hex, hex, len + 1);
		return 0;
	}
	{
		cleanup_free char *name = entry_name(text);

		return error_set(err, -EBADMSG, "\"%.200s\" is no digest that can be verified",
				 name);
	}
}

void oci_digest_text(const struct oci_digest *digest, char ret[OCI_DIGEST_MAX])
{
	snprintf(ret, OCI_DIGEST_MAX, "%s:%s", digest->alg == HASH_SHA256 ? "sha256" : "sha512",
		 digest->hex);
}

bool oci_digest_matches(const struct oci_digest *digest, const void *bytes, size_t len)
{
	cleanup_hash struct hash *hash = hash_new(digest->alg);
	uint8_t raw[HASH_MAX_SIZE];
	char hex[HASH_HEX_MAX];

	hash_update(hash, bytes, len);
	hash_final(hash, raw);
	hash_hex(raw, hash_size(digest->alg), hex);
	return strcmp(hex, digest->hex) == 0;
}

static enum oci_kind kind_of(const char *media)
{
	static const struct {
		const char *media;
		enum oci_kind kind;
	} kinds[] = {
		{"application/vnd.oci.image.index.v1+json", OCI_INDEX},
		{"application/vnd.docker.distribution.manifest.list.v2+json", OCI_INDEX},
		{"application/vnd.oci.image.manifest.v1+json", OCI_MANIFEST},
		{"application/vnd.docker.distribution.manifest.v2+json", OCI_MANIFEST},
		{"application/vnd.oci.image.config.v1+json", OCI_CONFIG},
		{"application/vnd.docker.container.image.v1+json", OCI_CONFIG},
	};
	/* how a layer is packed is told by its content */
	static const char *const layers[] = {"", "+gzip", "+zstd", ".gzip", ".zstd"};
	static const char *const bases[] = {
		"application/vnd.oci.image.layer.v1.tar",
		"application/vnd.oci.image.layer.nondistributable.v1.tar",
		"application/vnd.docker.image.rootfs.diff.tar",
		"application/vnd.docker.image.rootfs.foreign.diff.tar",
	};

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		if (strcmp(media, kinds[i].media) == 0)
			return kinds[i].kind;
	for (size_t i = 0; i < ARRAY_SIZE(bases); i++)
		for (size_t n = 0; n < ARRAY_SIZE(layers); n++)
			if (str_starts_with(media, bases[i]) &&
			    strcmp(media + strlen(bases[i]), layers[n]) == 0)
				return OCI_LAYER;
	return OCI_OTHER;
}

int oci_desc_parse(struct json_object *obj, struct oci_desc *ret, struct error *err)
{
	const char *media = "", *digest = "";
	int64_t size = -1;
	struct oci_desc desc;
	int r = json_object_is_type(obj, json_type_object)
			? 0
			: error_set(err, -EBADMSG, "a descriptor is no object");

	if (r == 0)
		r = json_get_string(obj, "mediaType", &media, err);
	if (r == 0)
		r = json_get_string(obj, "digest", &digest, err);
	if (r == 0)
		r = json_get_int(obj, "size", 0, (int64_t)IMAGE_OUT_MAX, &size, err);
	if (r == 0 && size < 0)
		r = error_set(err, -EBADMSG, "a descriptor has no size");
	if (r == 0)
		r = oci_digest_parse(digest, &desc.digest, err);
	if (r < 0)
		return r;
	desc.kind = kind_of(media);
	desc.size = (uint64_t)size;
	*ret = desc;
	return 0;
}

static bool has(struct json_object *doc, const char *key)
{
	return json_object_object_get_ex(doc, key, NULL);
}

/* A document says what it is once: by its type, when it has one, and by its fields. */
static int check_kind(struct json_object *doc, enum oci_kind kind, struct error *err)
{
	const char *media = NULL;
	int64_t version = 0;
	int r = json_object_is_type(doc, json_type_object)
			? json_get_string(doc, "mediaType", &media, err)
			: error_set(err, -EBADMSG, "the document is no object");

	if (r == 0)
		r = json_get_int(doc, "schemaVersion", 0, 100, &version, err);
	if (r < 0)
		return r;
	if (version != 2)
		return error_set(err, -EBADMSG, "the document is not of schema version 2");
	if (media && kind_of(media) != kind)
		return error_set(err, -EBADMSG, "the document is of another type than announced");
	if (has(doc, "fsLayers") ||
	    (kind == OCI_INDEX ? has(doc, "config") || has(doc, "layers") : has(doc, "manifests")))
		return error_set(err, -EBADMSG, "the document is two things at once");
	return 0;
}

int oci_manifest_parse(struct json_object *doc, struct oci_manifest *ret, struct error *err)
{
	struct json_object *config = NULL, *layers = NULL;
	int r = check_kind(doc, OCI_MANIFEST, err);

	if (r == 0)
		r = json_get_object(doc, "config", &config, err);
	if (r == 0)
		r = json_get_array(doc, "layers", &layers, err);
	if (r < 0)
		return r;
	if (!config)
		return error_set(err, -EBADMSG, "the image has no config");
	r = oci_desc_parse(config, &ret->config, err);
	if (r < 0)
		return r;
	if (ret->config.kind != OCI_CONFIG)
		return error_set(err, -EBADMSG, "not a runnable image but an artifact");
	ret->nlayers = layers ? json_object_array_length(layers) : 0;
	if (ret->nlayers > IMAGE_LAYERS_MAX)
		return error_set(err, -EFBIG, "the image has more than %d layers",
				 IMAGE_LAYERS_MAX);
	for (size_t i = 0; r == 0 && i < ret->nlayers; i++) {
		r = oci_desc_parse(json_object_array_get_idx(layers, i), &ret->layer[i], err);
		if (r == 0 && ret->layer[i].kind != OCI_LAYER)
			r = error_set(err, -EBADMSG,
				      "layer %zu is not of a known type (encrypted, perhaps)", i);
	}
	return r;
}

static const char *annotation(struct json_object *entry, const char *key)
{
	struct json_object *annotations = NULL;
	struct error ignored = ERROR_INIT;
	const char *value = NULL;

	if (json_get_object(entry, "annotations", &annotations, &ignored) < 0 ||
	    json_get_string(annotations, key, &value, &ignored) < 0)
		return NULL;
	return value;
}

static bool has_ref(struct json_object *entry, const char *ref)
{
	const char *is = annotation(entry, ANNOTATION_REF);
	const char *name = annotation(entry, ANNOTATION_NAME);

	return (is && strcmp(is, ref) == 0) || (name && strcmp(name, ref) == 0);
}

/* Whether an index's entry may be an image for the platform; *ret_named: it says so itself. */
static bool fits(struct json_object *entry, const struct oci_wanted *wanted, bool *ret_named)
{
	const char *os = NULL, *arch = NULL;
	struct json_object *platform = NULL;
	struct error ignored = ERROR_INIT;

	*ret_named = false;
	if (annotation(entry, ANNOTATION_REF_TYPE) || has(entry, "artifactType"))
		return false;
	if (json_get_object(entry, "platform", &platform, &ignored) < 0)
		return false;
	if (!platform)
		return true;
	if (json_get_string(platform, "os", &os, &ignored) < 0 ||
	    json_get_string(platform, "architecture", &arch, &ignored) < 0 || !os || !arch)
		return false;
	*ret_named = strcmp(os, wanted->os) == 0 && strcmp(arch, wanted->arch) == 0;
	return *ret_named;
}

static int nothing_fits(struct json_object *list, const struct oci_wanted *wanted,
			struct error *err)
{
	cleanup_str struct str offers = STR_INIT;

	for (size_t i = 0; i < json_object_array_length(list) && offers.len < 500; i++) {
		struct json_object *entry = json_object_array_get_idx(list, i), *platform = NULL;
		const char *text = annotation(entry, ANNOTATION_REF);

		json_object_object_get_ex(entry, "platform", &platform);
		str_add(&offers, offers.len ? ", " : "");
		if (text)
			str_add_escaped(&offers, text, strlen(text));
		if (platform) {
			text = json_text(platform);
			str_add_escaped(&offers, text, strlen(text));
		}
	}
	return error_set(err, -ENOENT, "no image for %s%s%s/%s among: %s",
			 wanted->ref ? wanted->ref : "", wanted->ref ? " on " : "", wanted->os,
			 wanted->arch, str_get(&offers));
}

int oci_index_choose(struct json_object *doc, const struct oci_wanted *wanted, struct oci_desc *ret,
		     struct error *err)
{
	struct json_object *list = NULL, *found = NULL;
	size_t unnamed = 0, n;
	int r = check_kind(doc, OCI_INDEX, err);

	if (r == 0)
		r = json_get_array(doc, "manifests", &list, err);
	if (r < 0)
		return r;
	n = list ? json_object_array_length(list) : 0;
	if (n == 0 || n > INDEX_ENTRIES_MAX)
		return error_set(err, -EBADMSG, "the index has no images, or too many");
	for (size_t i = 0; i < n; i++) {
		struct json_object *entry = json_object_array_get_idx(list, i);
		struct oci_desc desc;
		bool named;

		r = oci_desc_parse(entry, &desc, err);
		if (r < 0)
			return r;
		if ((desc.kind != OCI_MANIFEST && desc.kind != OCI_INDEX) ||
		    (wanted->ref && !has_ref(entry, wanted->ref)) || !fits(entry, wanted, &named))
			continue;
		if (named || unnamed == 0) {
			*ret = desc;
			found = entry;
		}
		if (named)
			return 0;
		unnamed++;
	}
	/* one that does not name its platform will do when it is the only one */
	if (unnamed == 1 && found)
		return 0;
	return nothing_fits(list, wanted, err);
}

int oci_diff_ids(struct json_object *config, struct oci_digest *ret, size_t n, struct error *err)
{
	struct json_object *rootfs = NULL, *list = NULL;
	const char *type = "";
	int r = json_get_object(config, "rootfs", &rootfs, err);

	if (r == 0)
		r = json_get_string(rootfs, "type", &type, err);
	if (r == 0)
		r = json_get_array(rootfs, "diff_ids", &list, err);
	if (r < 0)
		return r;
	if (strcmp(type, "layers") != 0)
		return error_set(err, -EBADMSG, "the image's rootfs is not made of layers");
	if ((list ? json_object_array_length(list) : 0) != n)
		return error_set(err, -EBADMSG, "the config has another number of layers");
	for (size_t i = 0; r == 0 && i < n; i++) {
		struct json_object *item = json_object_array_get_idx(list, i);

		r = json_object_is_type(item, json_type_string)
			    ? oci_digest_parse(json_object_get_string(item), &ret[i], err)
			    : error_set(err, -EBADMSG, "a diff_id is no string");
	}
	return r;
}

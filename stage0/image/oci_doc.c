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
#define OFFERS_MAX	  500  /* bytes of a list in a message */

#define LAYOUT_VERSION "1.0.0"

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

static void digest_of(enum hash_alg alg, const void *bytes, size_t len, struct oci_digest *ret)
{
	cleanup_hash struct hash *hash = hash_new(alg);
	uint8_t raw[HASH_MAX_SIZE];

	hash_update(hash, bytes, len);
	hash_final(hash, raw);
	ret->alg = alg;
	hash_hex(raw, hash_size(alg), ret->hex);
}

void oci_digest_of(const void *bytes, size_t len, struct oci_digest *ret)
{
	digest_of(HASH_SHA256, bytes, len, ret);
}

bool oci_digest_matches(const struct oci_digest *digest, const void *bytes, size_t len)
{
	struct oci_digest is;

	digest_of(digest->alg, bytes, len, &is);
	return strcmp(is.hex, digest->hex) == 0;
}

enum oci_kind oci_kind_of(const char *media_type)
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
		if (strcmp(media_type, kinds[i].media) == 0)
			return kinds[i].kind;
	for (size_t i = 0; i < ARRAY_SIZE(bases); i++)
		for (size_t n = 0; n < ARRAY_SIZE(layers); n++)
			if (str_starts_with(media_type, bases[i]) &&
			    strcmp(media_type + strlen(bases[i]), layers[n]) == 0)
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
	if (strlen(media) >= sizeof(desc.media_type))
		return error_set(err, -EBADMSG, "a descriptor's media type is too long");
	desc.kind = oci_kind_of(media);
	desc.size = (uint64_t)size;
	memcpy(desc.media_type, media, strlen(media) + 1);
	*ret = desc;
	return 0;
}

static bool has(struct json_object *doc, const char *key)
{
	return json_object_object_get_ex(doc, key, NULL);
}

static bool says_nothing(const char *media_type)
{
	return !media_type || !media_type[0] || strcmp(media_type, "text/plain") == 0;
}

/* Docker's manifests from before content addressing: no digest in them names a layer's content. */
static int refuse_schema1(struct error *err)
{
	return error_set(err, -EBADMSG,
			 "the image has a manifest of schema 1, whose layers can not be verified: "
			 "convert it (skopeo copy --format oci does)");
}

/* By its fields, when no type is given anywhere. */
static enum oci_kind kind_by_shape(struct json_object *doc)
{
	if (has(doc, "manifests"))
		return OCI_INDEX;
	return has(doc, "config") || has(doc, "layers") ? OCI_MANIFEST : OCI_OTHER;
}

int oci_document_kind(struct json_object *doc, const char *announced, enum oci_kind *ret,
		      struct error *err)
{
	const char *media = NULL;
	enum oci_kind kind;
	int64_t version = 0;
	int r = json_object_is_type(doc, json_type_object)
			? json_get_string(doc, "mediaType", &media, err)
			: error_set(err, -EBADMSG, "the document is no object");

	if (r == 0)
		r = json_get_int(doc, "schemaVersion", 0, 100, &version, err);
	if (r < 0)
		return r;
	if (version == 1 && (has(doc, "fsLayers") || !has(doc, "layers")))
		return refuse_schema1(err);
	if (version != 2)
		return error_set(err, -EBADMSG, "the document is not of schema version 2");
	if (media && !says_nothing(announced) && strcmp(media, announced) != 0)
		return error_set(err, -EBADMSG, "the document is of another type than announced");
	if (says_nothing(media))
		media = announced;
	kind = says_nothing(media) ? kind_by_shape(doc) : oci_kind_of(media);
	if (kind != OCI_INDEX && kind != OCI_MANIFEST) {
		cleanup_free char *name = entry_name(media ? media : "");

		return error_set(err, -EBADMSG, "the document is no image (type \"%.200s\")", name);
	}
	if (has(doc, "fsLayers") ||
	    (kind == OCI_INDEX ? has(doc, "config") || has(doc, "layers") : has(doc, "manifests")))
		return error_set(err, -EBADMSG, "the document is two things at once");
	*ret = kind;
	return 0;
}

static int check_kind(struct json_object *doc, enum oci_kind kind, struct error *err)
{
	enum oci_kind is;
	int r = oci_document_kind(doc, "", &is, err);

	if (r == 0 && is != kind)
		r = error_set(err, -EBADMSG, "the document is of another type than announced");
	return r;
}

static int refuse_artifact(struct json_object *doc, const struct oci_desc *config,
			   struct error *err)
{
	const char *type = config->media_type;
	struct error ignored = ERROR_INIT;
	cleanup_free char *name = NULL;

	json_get_string(doc, "artifactType", &type, &ignored);
	name = entry_name(type);
	return error_set(err, -EBADMSG, "not a runnable image (artifact type \"%.200s\")", name);
}

static int check_layer(const struct oci_desc *layer, size_t i, struct error *err)
{
	cleanup_free char *type = NULL;

	if (layer->kind == OCI_LAYER)
		return 0;
	if (str_ends_with(layer->media_type, "+encrypted"))
		return error_set(err, -EBADMSG,
				 "layer %zu is encrypted, and encrypted layers are not supported",
				 i);
	type = entry_name(layer->media_type);
	return error_set(err, -EBADMSG, "layer %zu is of the unknown type \"%.200s\"", i, type);
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
		return refuse_artifact(doc, &ret->config, err);
	ret->nlayers = layers ? json_object_array_length(layers) : 0;
	if (ret->nlayers > IMAGE_LAYERS_MAX)
		return error_set(err, -EFBIG, "the image has more than %d layers",
				 IMAGE_LAYERS_MAX);
	for (size_t i = 0; r == 0 && i < ret->nlayers; i++) {
		r = oci_desc_parse(json_object_array_get_idx(layers, i), &ret->layer[i], err);
		if (r == 0)
			r = check_layer(&ret->layer[i], i, err);
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

/* Whether an entry is an image or an index of the wanted name at all, whatever its platform. */
static bool is_candidate(struct json_object *entry, const struct oci_wanted *wanted)
{
	struct error ignored = ERROR_INIT;
	const char *type = annotation(entry, ANNOTATION_REF_TYPE), *media = NULL;
	enum oci_kind kind;

	if (!json_object_is_type(entry, json_type_object) ||
	    json_get_string(entry, "mediaType", &media, &ignored) < 0 || !media)
		return false;
	kind = oci_kind_of(media);
	if (kind != OCI_MANIFEST && kind != OCI_INDEX)
		return false;
	if ((type && strcmp(type, "attestation-manifest") == 0) || has(entry, "artifactType"))
		return false;
	return !wanted->ref || has_ref(entry, wanted->ref);
}

/* How good a candidate is by the platform it names; *ret_named: it names one. */
static unsigned rank(struct json_object *entry, const struct oci_wanted *wanted, bool *ret_named)
{
	const char *os = NULL, *arch = NULL, *variant = NULL;
	struct json_object *platform = NULL;
	struct error ignored = ERROR_INIT;

	*ret_named = true;
	if (json_get_object(entry, "platform", &platform, &ignored) < 0)
		return 0;
	*ret_named = platform;
	if (!platform || json_get_string(platform, "os", &os, &ignored) < 0 ||
	    json_get_string(platform, "architecture", &arch, &ignored) < 0 ||
	    json_get_string(platform, "variant", &variant, &ignored) < 0)
		return 0;
	return oci_platform_rank(wanted->platform, os, arch, variant);
}

/* "linux/arm/v7" */
static void add_platform(struct str *str, struct json_object *platform)
{
	static const char *const keys[] = {"os", "architecture", "variant"};
	struct error ignored = ERROR_INIT;

	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		const char *word = NULL;

		if (json_get_string(platform, keys[i], &word, &ignored) < 0 || !word || !word[0])
			continue;
		str_add(str, i > 0 ? "/" : "");
		str_add_escaped(str, word, strlen(word));
	}
}

static int nothing_fits(struct json_object *list, const struct oci_wanted *wanted,
			struct error *err)
{
	const struct oci_platform *platform = wanted->platform;
	cleanup_str struct str offers = STR_INIT;

	for (size_t i = 0; i < json_object_array_length(list) && offers.len < OFFERS_MAX; i++) {
		struct json_object *entry = json_object_array_get_idx(list, i), *object = NULL;
		const struct oci_wanted any = {.platform = platform};
		const char *name = annotation(entry, ANNOTATION_REF);

		if (!is_candidate(entry, &any))
			continue;
		json_object_object_get_ex(entry, "platform", &object);
		str_add(&offers, offers.len ? ", " : "");
		if (name)
			str_add_escaped(&offers, name, strlen(name));
		str_add(&offers, name && object ? " for "
				 : name		? ""
				 : object	? ""
						: "one unnamed");
		if (object)
			add_platform(&offers, object);
	}
	return error_set(err, -ENOENT, "no image %s%sfor %s/%s%s%s among: %s",
			 wanted->ref ? wanted->ref : "", wanted->ref ? " " : "", platform->os,
			 platform->arch, platform->variant[0] ? "/" : "", platform->variant,
			 offers.len ? str_get(&offers) : "(none)");
}

int oci_index_choose(struct json_object *doc, const struct oci_wanted *wanted, struct oci_desc *ret,
		     struct error *err)
{
	struct json_object *list = NULL, *found = NULL, *unnamed = NULL;
	size_t candidates = 0, n;
	unsigned best = 0;
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
		unsigned fit;
		bool named;

		if (!is_candidate(entry, wanted))
			continue;
		candidates++;
		fit = rank(entry, wanted, &named);
		if (fit > best)
			found = entry;
		best = MAX(best, fit);
		if (!named)
			unnamed = entry;
	}
	/* one that does not name its platform will do when it is the only one */
	if (!found && candidates == 1)
		found = unnamed;
	return found ? oci_desc_parse(found, ret, err) : nothing_fits(list, wanted, err);
}

int oci_layout_check(const char *text, size_t len, struct error *err)
{
	cleanup_json struct json_object *doc = NULL;
	const char *version = "";
	int r = json_parse(text, len, "oci-layout", &doc, err);

	if (r == 0)
		r = json_get_string(doc, "imageLayoutVersion", &version, err);
	if (r < 0)
		return r;
	if (strcmp(version, LAYOUT_VERSION) != 0)
		return error_set(err, -EBADMSG, "the layout is not of version " LAYOUT_VERSION);
	return 0;
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

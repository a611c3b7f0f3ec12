/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The origin that is a file of "docker save" (spec/images.md 19).
 *
 * Theory of operation: manifest.json lists the images: config, names, layers, all by member names,
 * in the legacy layout (ID/layer.tar) and in the later ones (blobs/sha256/HEX) alike. Of the image
 * that is wanted, a manifest is made up whose layers are named by the diff_ids of its config, the
 * only digests such an archive has. Names from the archive are only ever looked up in the archive.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/json.h"
#include "common/util.h"
#include "stage0/image/archive_file.h"
#include "stage0/image/entry.h"
#include "stage0/image/oci_origin.h"

#define MANIFEST_MAX (1 * MIB) /* of manifest.json */
#define IMAGES_MAX   1024      /* of an archive */
#define OFFERS_MAX   500       /* bytes of a list in a message */

#define CONFIG_TYPE   "application/vnd.oci.image.config.v1+json"
#define LAYER_TYPE    "application/vnd.oci.image.layer.v1.tar"
#define MANIFEST_TYPE "application/vnd.oci.image.manifest.v1+json"

struct archive {
	struct oci_origin origin;
	struct archive_file file;
	struct str config;   /* its text */
	struct str manifest; /* the one made up */
	struct oci_digest diff_id[IMAGE_LAYERS_MAX];
	struct strv layers; /* the members, base first */
	char *name, *tag;
};

static int docker_document(struct oci_origin *origin, const struct oci_desc *desc, struct str *ret,
			   char ret_media_type[OCI_MEDIA_TYPE_MAX], struct error *err)
{
	struct archive *archive = container_of(origin, struct archive, origin);
	const struct str *text = desc ? &archive->config : &archive->manifest;

	(void)err;
	str_addn(ret, str_get(text), text->len);
	ret_media_type[0] = '\0';
	return 0;
}

static int docker_open_blob(struct oci_origin *origin, const struct oci_desc *desc,
			    struct oci_stream *ret, struct error *err)
{
	struct archive *archive = container_of(origin, struct archive, origin);

	for (size_t i = 0; i < archive->layers.n; i++)
		if (strcmp(archive->diff_id[i].hex, desc->digest.hex) == 0)
			return archive_file_stream(&archive->file, archive->layers.v[i], ret, err);
	return error_set(err, -ENOENT, "the archive has no such layer");
}

static void docker_free(struct oci_origin *origin)
{
	struct archive *archive = container_of(origin, struct archive, origin);

	archive_file_close(&archive->file);
	str_free(&archive->config);
	str_free(&archive->manifest);
	strv_free(&archive->layers);
	free(archive->name);
	free(archive->tag);
	free(archive);
}

/* Where the tag of a name begins: its ':' or its end. A ':' before a '/' is a port's. */
static const char *tag_of(const char *name)
{
	const char *slash = strrchr(name, '/');

	return strchrnul(slash ? slash : name, ':');
}

/* Names of one image as people and tools write them: with and without what Docker adds. */
static char *whole_name(const char *name)
{
	const char *tag = tag_of(name);

	if (str_starts_with(name, "docker.io/"))
		name += strlen("docker.io/");
	if (str_starts_with(name, "library/"))
		name += strlen("library/");
	return xasprintf("%s%s", name, *tag ? "" : ":latest");
}

static bool same_name(const char *a, const char *b)
{
	cleanup_free char *whole_a = whole_name(a), *whole_b = whole_name(b);

	return strcmp(whole_a, whole_b) == 0;
}

/* The name number i of an image of manifest.json; NULL: it has no more. */
static const char *repo_tag(struct json_object *image, size_t i)
{
	struct json_object *tags = NULL, *tag;
	struct error ignored = ERROR_INIT;

	if (json_get_array(image, "RepoTags", &tags, &ignored) < 0 || !tags ||
	    i >= json_object_array_length(tags))
		return NULL;
	tag = json_object_array_get_idx(tags, i);
	return json_object_is_type(tag, json_type_string) ? json_object_get_string(tag) : NULL;
}

static int no_image(struct json_object *list, const char *ref, struct error *err)
{
	cleanup_str struct str offers = STR_INIT;

	for (size_t i = 0; i < json_object_array_length(list) && offers.len < OFFERS_MAX; i++) {
		const char *name = repo_tag(json_object_array_get_idx(list, i), 0);

		str_addf(&offers, "%s@%zu ", offers.len ? ", " : "", i);
		str_add_escaped(&offers, name ? name : "(no name)", name ? strlen(name) : 9);
	}
	return error_set(err, -ENOENT, "%s%s; the archive has: %s",
			 ref ? "no image " : "several images: name the one you want",
			 ref ? ref : "", offers.len ? str_get(&offers) : "(none)");
}

static int choose_image(struct json_object *list, const char *ref, struct json_object **ret,
			const char **ret_name, struct error *err)
{
	size_t n = json_object_is_type(list, json_type_array) ? json_object_array_length(list) : 0;
	unsigned long long number;

	if (n == 0 || n > IMAGES_MAX)
		return error_set(err, -EBADMSG, "manifest.json lists no images, or too many");
	if (!ref && n > 1)
		return no_image(list, ref, err);
	if (!ref || (ref[0] == '@' && str_to_u64(ref + 1, n - 1, &number))) {
		*ret = json_object_array_get_idx(list, ref ? (size_t)number : 0);
		*ret_name = repo_tag(*ret, 0);
		return 0;
	}
	for (size_t i = 0; i < n; i++) {
		struct json_object *image = json_object_array_get_idx(list, i);
		const char *name;

		for (size_t tag = 0; (name = repo_tag(image, tag)); tag++) {
			if (!same_name(name, ref))
				continue;
			*ret = image;
			*ret_name = name;
			return 0;
		}
	}
	return no_image(list, ref, err);
}

/* A config is called by its digest; a name that looks like another one is a lie. */
static int check_config_name(const char *name, const struct oci_digest *digest, struct error *err)
{
	const char *base = strrchr(name, '/') ? strrchr(name, '/') + 1 : name;
	size_t len = strspn(base, "0123456789abcdef");

	if (len == strlen(digest->hex) && (base[len] == '\0' || strcmp(base + len, ".json") == 0) &&
	    strncmp(base, digest->hex, len) != 0)
		return error_set(err, -EBADMSG, "the image's config has another digest");
	return 0;
}

static int read_config(struct archive *archive, struct json_object *image,
		       struct oci_digest *ret_digest, struct error *err)
{
	cleanup_json struct json_object *config = NULL;
	const char *name = NULL;
	int r = json_get_string(image, "Config", &name, err);

	if (r == 0 && !name)
		r = error_set(err, -EBADMSG, "manifest.json names no config");
	if (r == 0)
		r = archive_file_read(&archive->file, name, JSON_SIZE_MAX, &archive->config, err);
	if (r < 0)
		return r;
	oci_digest_of(str_get(&archive->config), archive->config.len, ret_digest);
	r = check_config_name(name, ret_digest, err);
	if (r == 0)
		r = json_parse(str_get(&archive->config), archive->config.len, "the image's config",
			       &config, err);
	return r < 0 ? r : oci_diff_ids(config, archive->diff_id, archive->layers.n, err);
}

static int read_layers(struct archive *archive, struct json_object *image, struct error *err)
{
	struct json_object *list = NULL;
	int r = json_get_array(image, "Layers", &list, err);
	size_t n = r == 0 && list ? json_object_array_length(list) : 0;

	if (r < 0)
		return r;
	if (n > IMAGE_LAYERS_MAX)
		return error_set(err, -EFBIG, "the image has more than %d layers",
				 IMAGE_LAYERS_MAX);
	for (size_t i = 0; i < n; i++) {
		struct json_object *item = json_object_array_get_idx(list, i);

		if (!json_object_is_type(item, json_type_string))
			return error_set(err, -EBADMSG, "manifest.json names no layer %zu", i);
		strv_add(&archive->layers, json_object_get_string(item));
	}
	return 0;
}

static int make_manifest(struct archive *archive, const struct oci_digest *config,
			 struct error *err)
{
	str_addf(&archive->manifest,
		 "{\"schemaVersion\":2,\"mediaType\":\"" MANIFEST_TYPE "\",\"config\":"
		 "{\"mediaType\":\"" CONFIG_TYPE "\",\"digest\":\"sha256:%s\",\"size\":%zu},"
		 "\"layers\":[",
		 config->hex, archive->config.len);
	for (size_t i = 0; i < archive->layers.n; i++) {
		const struct tarindex_member *member;
		char digest[OCI_DIGEST_MAX];
		int r = tarindex_find(archive->file.index, archive->layers.v[i], &member, err);

		if (r < 0)
			return r;
		oci_digest_text(&archive->diff_id[i], digest);
		str_addf(&archive->manifest,
			 "%s{\"mediaType\":\"" LAYER_TYPE "\",\"digest\":\"%s\",\"size\":%llu}",
			 i ? "," : "", digest, (unsigned long long)member->size);
	}
	str_add(&archive->manifest, "]}");
	return 0;
}

static int read_archive(struct archive *archive, const char *ref, struct error *err)
{
	cleanup_json struct json_object *list = NULL;
	cleanup_str struct str text = STR_INIT;
	struct json_object *image = NULL;
	const char *name = NULL;
	struct oci_digest config;
	int r = archive_file_read(&archive->file, "manifest.json", MANIFEST_MAX, &text, err);

	if (r == -ENOENT)
		return error_set(err, -EBADMSG,
				 "there is no manifest.json: not what docker save writes since "
				 "version 1.10");
	if (r == 0)
		r = json_parse(str_get(&text), text.len, "manifest.json", &list, err);
	if (r == 0)
		r = choose_image(list, ref, &image, &name, err);
	if (r == 0)
		r = read_layers(archive, image, err);
	if (r == 0)
		r = read_config(archive, image, &config, err);
	if (r == 0)
		r = make_manifest(archive, &config, err);
	if (r < 0 || !name)
		return r;
	archive->name = xstrndup(name, (size_t)(tag_of(name) - name));
	if (*tag_of(name))
		archive->tag = xstrdup(tag_of(name) + 1);
	return 0;
}

int docker_archive_open(struct store *store, const char *path, const char *ref,
			struct oci_origin **ret, struct error *err)
{
	static const struct oci_origin_ops ops = {
		.document = docker_document,
		.open_blob = docker_open_blob,
		.close_blob = oci_file_close_blob,
		.free = docker_free,
	};
	struct archive *archive = xcalloc(1, sizeof(*archive));
	int r;

	archive->file = (struct archive_file)ARCHIVE_FILE_INIT;
	archive->origin = (struct oci_origin){.ops = &ops, .by_diff_id = true};
	r = archive_file_open(store, path, &archive->file, err);
	if (r == 0) {
		r = read_archive(archive, ref, err);
		if (r < 0)
			error_wrap(err, "%s", path);
	}
	if (r < 0) {
		docker_free(&archive->origin);
		return r;
	}
	archive->origin.name = archive->name;
	archive->origin.tag = archive->tag;
	*ret = &archive->origin;
	return 0;
}

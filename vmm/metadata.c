/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Everything that can be read is made once, as a list of paths with their bodies; a request looks
 * for its path in there. What remains are the two that compute: sign and verify.
 *
 * Manifests go out as they were written, byte for byte. Annotations are taken out of them, and
 * where the pod's manifest has null or nothing its endpoint says null, too (8.4).
 */
#include "vmm/metadata.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <string.h>
#include <strings.h>

#include "common/encode.h"
#include "common/hash.h"
#include "common/json.h"
#include "common/util.h"
#include "common/uuid.h"

#define BASE	     "/acMetadata/v1"
#define POD_MANIFEST "/pod/manifest"
#define SIGN	     "/pod/hmac/sign"
#define VERIFY	     "/pod/hmac/verify"
#define APPS	     "/apps/"
#define TYPE_JSON    "application/json"
#define TYPE_TEXT    "text/plain; charset=us-ascii"
#define UUID_SIZE    16
#define PATH_LEN     4096 /* bytes of a path, decoded: an annotation's name is the longest part */

struct document {
	char *path; /* without token and BASE */
	const char *type;
	char *body;
	size_t len;
};

struct metadata {
	char *token;
	uint8_t key[METADATA_KEY_SIZE];
	uint8_t uuid[UUID_SIZE];
	struct document *docs;
	size_t ndocs;
};

static void add(struct metadata *md, char *path, const char *type, const char *body, size_t len)
{
	md->docs = xrealloc(md->docs, md->ndocs + 1, sizeof(*md->docs));
	md->docs[md->ndocs++] = (struct document){
		.path = path, .type = type, .body = xstrndup(body, len), .len = len};
}

static void add_text(struct metadata *md, char *path, const char *type, const char *text)
{
	add(md, path, type, text, strlen(text));
}

/* A list of annotations as a whole, and each by its name. */
static int add_annotations(struct metadata *md, const char *prefix, struct json_object *list,
			   struct error *err)
{
	add_text(md, xasprintf("%s/annotations", prefix), TYPE_JSON,
		 list ? json_text(list) : "null");
	for (size_t i = 0; list && i < json_object_array_length(list); i++) {
		struct json_object *entry = json_object_array_get_idx(list, i);
		const char *name = NULL, *value = NULL;

		if (!json_object_is_type(entry, json_type_object))
			return error_set(err, -EINVAL, "an annotation is not an object");
		if (json_get_string(entry, "name", &name, err) < 0 ||
		    json_get_string(entry, "value", &value, err) < 0)
			return err->code;
		if (name && value)
			add_text(md, xasprintf("%s/annotations/%s", prefix, name), TYPE_TEXT,
				 value);
	}
	return 0;
}

static bool is_named(struct json_object *entry, const char *name)
{
	struct json_object *member;

	return json_object_is_type(entry, json_type_object) &&
	       json_object_object_get_ex(entry, "name", &member) &&
	       json_object_is_type(member, json_type_string) &&
	       strcmp(json_object_get_string(member), name) == 0;
}

/* The image's annotations with the pod's over them: replaced in place, new ones at the end. */
static struct json_object *merge(struct json_object *image, struct json_object *pod)
{
	struct json_object *list = json_object_new_array();

	for (size_t i = 0; image && i < json_object_array_length(image); i++)
		json_object_array_add(list, json_object_get(json_object_array_get_idx(image, i)));
	for (size_t i = 0; pod && i < json_object_array_length(pod); i++) {
		struct json_object *entry = json_object_array_get_idx(pod, i);
		struct json_object *member = NULL;
		size_t at = 0, n = json_object_array_length(list);

		if (json_object_is_type(entry, json_type_object))
			json_object_object_get_ex(entry, "name", &member);
		if (member && json_object_is_type(member, json_type_string))
			while (at < n && !is_named(json_object_array_get_idx(list, at),
						   json_object_get_string(member)))
				at++;
		else
			at = n;
		if (at == n)
			json_object_array_add(list, json_object_get(entry));
		else
			json_must_add(json_object_array_put_idx(list, at, json_object_get(entry)));
	}
	return list;
}

static int add_app(struct metadata *md, struct json_object *app, const struct metadata_image *image,
		   struct error *err)
{
	cleanup_json struct json_object *manifest = NULL, *merged = NULL;
	struct json_object *of_image = NULL, *of_pod = NULL, *reference = NULL;
	const char *name = NULL, *id = NULL;
	cleanup_free char *prefix = NULL;
	int r = json_get_string(app, "name", &name, err);

	if (r == 0 && !name)
		r = error_set(err, -EINVAL, "an app has no name");
	if (r < 0)
		return r;
	prefix = xasprintf(APPS "%s", name);
	if ((r = json_get_array(app, "annotations", &of_pod, err)) < 0 ||
	    (r = json_get_object(app, "image", &reference, err)) < 0 ||
	    (r = json_get_string(reference, "id", &id, err)) < 0)
		return r;
	if (id)
		add_text(md, xasprintf("%s/image/id", prefix), TYPE_TEXT, id);
	if (image && image->text) {
		r = json_parse(image->text, image->len, "image manifest", &manifest, err);
		if (r < 0 || (r = json_get_array(manifest, "annotations", &of_image, err)) < 0)
			return r;
		add(md, xasprintf("%s/image/manifest", prefix), TYPE_JSON, image->text, image->len);
	}
	merged = merge(of_image, of_pod);
	return add_annotations(md, prefix, merged, err);
}

/* Forget all but the first n. */
static void truncate_docs(struct metadata *md, size_t n)
{
	while (md->ndocs > n) {
		free(md->docs[--md->ndocs].path);
		free(md->docs[md->ndocs].body);
	}
}

/* Forget what an app has among the first n. */
static void remove_docs(struct metadata *md, const char *app, size_t n)
{
	cleanup_free char *prefix = xasprintf(APPS "%s/", app);
	size_t kept = 0;

	for (size_t i = 0; i < md->ndocs; i++) {
		if (i < n && str_starts_with(md->docs[i].path, prefix)) {
			free(md->docs[i].path);
			free(md->docs[i].body);
		} else {
			md->docs[kept++] = md->docs[i];
		}
	}
	md->ndocs = kept;
}

/* The pod's manifest has become another. */
static void set_manifest(struct metadata *md, const char *text, size_t len)
{
	size_t i = 0;

	while (strcmp(md->docs[i].path, POD_MANIFEST) != 0)
		i++;
	free(md->docs[i].body);
	md->docs[i].body = xstrndup(text, len);
	md->docs[i].len = len;
}

static int add_pod(struct metadata *md, const struct metadata_config *config, struct error *err)
{
	cleanup_json struct json_object *pod = NULL;
	struct json_object *annotations = NULL, *apps = NULL;
	int r = json_parse(config->pod, config->pod_len, "pod manifest", &pod, err);

	if (r < 0 || (r = json_get_array(pod, "annotations", &annotations, err)) < 0 ||
	    (r = json_get_array(pod, "apps", &apps, err)) < 0)
		return r;
	add(md, xstrdup(POD_MANIFEST), TYPE_JSON, config->pod, config->pod_len);
	add_text(md, xstrdup("/pod/uuid"), TYPE_TEXT, config->uuid);
	r = add_annotations(md, "/pod", annotations, err);
	for (size_t i = 0; r == 0 && apps && i < json_object_array_length(apps); i++)
		r = add_app(md, json_object_array_get_idx(apps, i),
			    i < config->nimages ? &config->images[i] : NULL, err);
	return r;
}

/* The 16 bytes of a UUID as people write it. */
static bool uuid_bytes(const char *text, uint8_t ret[UUID_SIZE])
{
	char lower[UUID_TEXT_LEN + 1], hex[2 * UUID_SIZE + 1];
	struct error ignored;
	size_t n = 0, len;

	if (strlen(text) != UUID_TEXT_LEN)
		return false;
	for (size_t i = 0; i <= UUID_TEXT_LEN; i++)
		lower[i] = (char)(text[i] >= 'A' && text[i] <= 'F' ? text[i] | 0x20 : text[i]);
	if (!uuid_is_valid(lower))
		return false;
	for (size_t i = 0; i < UUID_TEXT_LEN; i++)
		if (lower[i] != '-')
			hex[n++] = lower[i];
	hex[n] = '\0';
	return hex_decode(hex, ret, UUID_SIZE, &len, &ignored) == 0 && len == UUID_SIZE;
}

int metadata_new(const struct metadata_config *config, struct metadata **ret, struct error *err)
{
	struct metadata *md = xcalloc(1, sizeof(*md));
	int r = 0;

	md->token = xstrdup(config->token);
	memcpy(md->key, config->key, sizeof(md->key));
	if (!uuid_bytes(config->uuid, md->uuid))
		r = error_set(err, -EINVAL, "the pod's UUID is none");
	if (r == 0)
		r = add_pod(md, config, err);
	if (r < 0)
		metadata_free(md);
	else
		*ret = md;
	return r;
}

void metadata_free(struct metadata *md)
{
	if (!md)
		return;
	truncate_docs(md, 0);
	free(md->docs);
	free(md->token);
	OPENSSL_cleanse(md->key, sizeof(md->key));
	free(md);
}

static struct json_object *find_app(struct json_object *apps, const char *name, size_t *ret_at)
{
	for (size_t i = 0; apps && i < json_object_array_length(apps); i++) {
		struct json_object *entry = json_object_array_get_idx(apps, i);

		if (!is_named(entry, name))
			continue;
		*ret_at = i;
		return entry;
	}
	return NULL;
}

int metadata_add_app(struct metadata *md, const char *name, const char *pod, size_t pod_len,
		     const struct metadata_image *image, struct error *err)
{
	cleanup_json struct json_object *manifest = NULL;
	struct json_object *apps = NULL, *entry = NULL;
	size_t before = md->ndocs, at;
	int r = json_parse(pod, pod_len, "pod manifest", &manifest, err);

	if (r == 0)
		r = json_get_array(manifest, "apps", &apps, err);
	if (r < 0)
		return r;
	entry = find_app(apps, name, &at);
	if (!entry)
		return error_set(err, -ENOENT, "the pod's manifest does not have it");
	r = add_app(md, entry, image, err);
	if (r < 0) {
		truncate_docs(md, before);
		return r;
	}
	remove_docs(md, name, before);
	set_manifest(md, pod, pod_len);
	return 0;
}

void metadata_remove_app(struct metadata *md, const char *name)
{
	cleanup_json struct json_object *manifest = NULL;
	struct json_object *apps = NULL;
	struct error ignored = ERROR_INIT; /* what is there has been parsed before */
	const struct document *doc;
	const char *text;
	size_t at;

	remove_docs(md, name, md->ndocs);
	for (doc = md->docs; strcmp(doc->path, POD_MANIFEST) != 0; doc++)
		;
	if (json_parse(doc->body, doc->len, "pod manifest", &manifest, &ignored) < 0 ||
	    json_get_array(manifest, "apps", &apps, &ignored) < 0 || !find_app(apps, name, &at))
		return;
	json_must_add(json_object_array_del_idx(apps, at, 1));
	text = json_text(manifest);
	set_manifest(md, text, strlen(text));
}

/* A response that is only a status says it once more in words, for people. */
static void refuse(struct str *out, const struct mdhttp_request *request, int status,
		   const char *allow, const char *why)
{
	cleanup_free char *body = xasprintf("%s\n", why);

	mdhttp_respond(out, &(struct mdhttp_response){
				    .status = status,
				    .type = TYPE_TEXT,
				    .allow = allow,
				    .body = body,
				    .body_len = strlen(body),
				    .no_body = request->method == MDHTTP_HEAD,
			    });
}

static void respond_text(struct str *out, const char *text)
{
	mdhttp_respond(out, &(struct mdhttp_response){.status = 200,
						      .type = TYPE_TEXT,
						      .body = text,
						      .body_len = strlen(text)});
}

/* A field of the request's form, terminated after *ret_len bytes. NULL: there is none. */
static char *form_field(const struct mdhttp_request *request, const char *name, size_t *ret_len)
{
	char *value = xcalloc(1, request->body_len + 1);
	long len = request->form ? mdhttp_form_field(request->body, request->body_len, name, value)
				 : -1;

	if (len < 0) {
		free(value);
		return NULL;
	}
	value[len] = '\0';
	*ret_len = (size_t)len;
	return value;
}

static void make_mac(const struct metadata *md, const uint8_t uuid[UUID_SIZE], const char *content,
		     size_t len, uint8_t mac[HASH_MAX_SIZE])
{
	const struct hash_part parts[] = {{uuid, UUID_SIZE}, {content, len}};

	hash_hmac_sha512(md->key, sizeof(md->key), parts, ARRAY_SIZE(parts), mac);
}

static void sign(const struct metadata *md, const struct mdhttp_request *request, struct str *out)
{
	size_t len = 0;
	cleanup_free char *content = form_field(request, "content", &len), *text = NULL;
	uint8_t mac[HASH_MAX_SIZE];

	if (!content || !len) {
		refuse(out, request, 400, NULL, "the form has no content");
		return;
	}
	make_mac(md, md->uuid, content, len, mac);
	text = base64_encode(mac, sizeof(mac));
	respond_text(out, text);
}

static void verify(const struct metadata *md, const struct mdhttp_request *request, struct str *out)
{
	size_t len = 0, uuid_len = 0, text_len = 0, signature_len = 0;
	cleanup_free char *content = form_field(request, "content", &len);
	cleanup_free char *text = form_field(request, "signature", &text_len);
	cleanup_free char *uuid_text = form_field(request, "uuid", &uuid_len);
	cleanup_free uint8_t *signature = NULL;
	uint8_t mac[HASH_MAX_SIZE], uuid[UUID_SIZE];
	struct error ignored;

	if (!content || !len) {
		refuse(out, request, 400, NULL, "the form has no content");
	} else if (!uuid_text || strlen(uuid_text) != uuid_len || !uuid_bytes(uuid_text, uuid)) {
		refuse(out, request, 400, NULL, "the form has no UUID");
	} else if (!text || strlen(text) != text_len ||
		   base64_decode(text, MDHTTP_BODY_MAX, &signature, &signature_len, &ignored) < 0) {
		refuse(out, request, 400, NULL, "the form has no signature in base64");
	} else {
		make_mac(md, uuid, content, len, mac);
		if (signature_len != sizeof(mac) || CRYPTO_memcmp(signature, mac, sizeof(mac)) != 0)
			refuse(out, request, 403, NULL, "the signature is not the pod's");
		else
			respond_text(out, "");
	}
}

/* appc's: lower-case letters and digits, with hyphens inside. */
static bool is_app_name(const char *s, size_t len)
{
	static const char set[] = "abcdefghijklmnopqrstuvwxyz0123456789-";

	for (size_t i = 0; i < len; i++)
		if (!memchr(set, s[i], sizeof(set) - 1))
			return false;
	return len > 0 && s[0] != '-' && s[len - 1] != '-';
}

/* A path that is none of ours: there is no such thing, or its app's name is not even one. */
static void not_found(const struct mdhttp_request *request, const char *path, struct str *out)
{
	if (str_starts_with(path, APPS)) {
		const char *name = path + strlen(APPS);

		if (!is_app_name(name, strcspn(name, "/"))) {
			refuse(out, request, 400, NULL, "malformed name of an app");
			return;
		}
	}
	refuse(out, request, 404, NULL, "there is nothing of this name");
}

static void answer_path(const struct metadata *md, const struct mdhttp_request *request,
			const char *path, struct str *out)
{
	bool post = strcmp(path, SIGN) == 0 || strcmp(path, VERIFY) == 0;
	const struct document *doc = NULL;

	for (size_t i = 0; !doc && i < md->ndocs; i++)
		if (strcmp(md->docs[i].path, path) == 0)
			doc = &md->docs[i];
	if (!post && !doc)
		not_found(request, path, out);
	else if (post && request->method != MDHTTP_POST)
		refuse(out, request, 405, "POST", "this is for POST");
	else if (post && strcmp(path, SIGN) == 0)
		sign(md, request, out);
	else if (post)
		verify(md, request, out);
	else if (request->method != MDHTTP_GET && request->method != MDHTTP_HEAD)
		refuse(out, request, 405, "GET, HEAD", "this is for GET");
	else
		mdhttp_respond(out, &(struct mdhttp_response){
					    .status = 200,
					    .type = doc->type,
					    .body = doc->body,
					    .body_len = doc->len,
					    .no_body = request->method == MDHTTP_HEAD,
				    });
}

void metadata_answer(const struct metadata *md, const struct mdhttp_request *request,
		     struct str *out)
{
	size_t token_len = strlen(md->token);
	char path[PATH_LEN + 1];
	long len = request->path_len > PATH_LEN
			   ? -1
			   : mdhttp_decode(request->path, request->path_len, false, path);

	if (len < 0 || memchr(path, '\0', (size_t)len)) {
		refuse(out, request, 400, NULL, "malformed path");
		return;
	}
	path[len] = '\0';
	if (strcspn(path + 1, "/") != token_len ||
	    CRYPTO_memcmp(path + 1, md->token, token_len) != 0)
		refuse(out, request, 401, NULL, "the URL has no token, or another pod's");
	else if (!str_starts_with(path + 1 + token_len, BASE "/"))
		refuse(out, request, 404, NULL, "there is nothing of this name");
	else
		answer_path(md, request, path + 1 + token_len + strlen(BASE), out);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * References, told apart in rkt's order: an ID, what a scheme names, a file that is there or looks
 * like one, and everything else a name. Additions to rkt's are spelled as skopeo spells them.
 */
#include "stage0/imageref.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/encode.h"
#include "common/util.h"
#include "stage0/acname.h"
#include "stage0/command.h"
#include "stage0/image_manifest.h"

#define ACI_SUFFIX     ".aci"
#define ID_PREFIX      "sha512-"
#define NAME_MAX_BYTES 2048 /* of a name: it becomes a URL */
#define LABELS_MAX     64   /* of a reference */

/* The part of ref before a URL's ':', or 0. */
static size_t scheme_length(const char *ref)
{
	size_t len =
		strspn(ref, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+-.");

	return ref[len] == ':' && strspn(ref, "0123456789+-.") == 0 ? len : 0;
}

void imageref_free(struct imageref *ref)
{
	free(ref->path);
	free(ref->name);
	json_object_put(ref->labels);
	*ref = (struct imageref)IMAGEREF_INIT;
}

const char *imageref_label(const struct imageref *ref, const char *label)
{
	return namevals_get(ref->labels, label);
}

static int set_path(struct imageref *ref, enum imageref_kind kind, const char *path, size_t len)
{
	*ref = (struct imageref){.kind = kind, .path = xstrndup(path, len)};
	return 0;
}

static void add_label(struct json_object *labels, const char *name, const char *value)
{
	struct json_object *label = json_object_new_object();

	json_add_string(label, "name", name);
	json_add_string(label, "value", value);
	json_object_array_add(labels, label);
}

static int add_new_label(struct json_object *labels, const char *name, const char *value,
			 struct error *err)
{
	if (!acident_is_valid(name) || strcmp(name, "name") == 0)
		return error_set(err, -EINVAL, "\"%s\" is not the name of a label", name);
	if (namevals_get(labels, name))
		return error_set(err, -EINVAL, "label \"%s\" is given twice", name);
	if (json_object_array_length(labels) >= LABELS_MAX)
		return error_set(err, -E2BIG, "more than %d labels", LABELS_MAX);
	add_label(labels, name, value);
	return 0;
}

/* Whether there are machines of that kind (rkt-behaviour 5.1). */
static bool is_platform(const char *os, const char *arch)
{
	static const char *const arches[][2] = {
		{"linux", "amd64"},	 {"linux", "i386"},    {"linux", "aarch64"},
		{"linux", "aarch64_be"}, {"linux", "armv6l"},  {"linux", "armv7l"},
		{"linux", "armv7b"},	 {"linux", "ppc64"},   {"linux", "ppc64le"},
		{"linux", "s390x"},	 {"freebsd", "amd64"}, {"freebsd", "i386"},
		{"freebsd", "arm"},	 {"darwin", "x86_64"}, {"darwin", "i386"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(arches); i++)
		if (strcmp(arches[i][0], os) == 0 && strcmp(arches[i][1], arch) == 0)
			return true;
	return false;
}

/* Take labels (an array, owned) with what they leave open. */
static int set_name(struct imageref *ret, const char *name, struct json_object *labels,
		    struct error *err)
{
	cleanup_json struct json_object *owned = labels;
	bool any_os = !namevals_get(owned, "os"), any_arch = !namevals_get(owned, "arch");

	if (strlen(name) > NAME_MAX_BYTES || !acident_is_valid(name))
		return error_set(err, -EINVAL, "\"%.256s\" is not the name of an image", name);
	if (any_os)
		add_label(owned, "os", "linux");
	if (any_arch)
		add_label(owned, "arch", APPC_ARCH);
	if (!is_platform(namevals_get(owned, "os"), namevals_get(owned, "arch")))
		return error_set(err, -EINVAL, "there are no machines of os \"%s\", arch \"%s\"",
				 namevals_get(owned, "os"), namevals_get(owned, "arch"));
	*ret = (struct imageref){.kind = IMAGEREF_NAME, .path = xstrdup(name)};
	ret->labels = take_ptr(owned);
	ret->any_os = any_os;
	ret->any_arch = any_arch;
	return 0;
}

int imageref_from_name(const char *name, struct json_object *labels, struct imageref *ret,
		       struct error *err)
{
	struct json_object *copy = json_object_new_array();

	for (size_t i = 0; labels && i < json_object_array_length(labels); i++)
		json_object_array_add(copy, json_object_get(json_object_array_get_idx(labels, i)));
	return set_name(ret, name, copy, err);
}

static int split_name(const char *text, struct json_object *labels, char **ret_name,
		      struct error *err)
{
	cleanup_strv struct strv parts = STRV_INIT;
	char *version;
	int r = 0;

	strv_split(&parts, text, ',');
	version = strchr(parts.v[0], ':');
	if (version) {
		*version++ = '\0';
		if (strchr(version, ':'))
			return error_set(err, -EINVAL, "there is more than one colon in the name");
		r = add_new_label(labels, "version", version, err);
	}
	for (size_t i = 1; r == 0 && i < parts.n; i++) {
		char *eq = strchr(parts.v[i], '=');

		if (!eq)
			return error_set(err, -EINVAL, "\"%s\" is not LABEL=VALUE", parts.v[i]);
		*eq = '\0';
		r = add_new_label(labels, parts.v[i], eq + 1, err);
	}
	if (r == 0)
		*ret_name = xstrdup(parts.v[0]);
	return r;
}

static int parse_name(const char *text, struct imageref *ret, struct error *err)
{
	cleanup_json struct json_object *labels = json_object_new_array();
	cleanup_free char *name = NULL;
	int r = split_name(text, labels, &name, err);

	return r < 0 ? r : set_name(ret, name, take_ptr(labels), err);
}

static int parse_file_url(const char *text, struct imageref *ret, struct error *err)
{
	const char *path = text + strlen("file:");

	if (str_starts_with(path, "//"))
		path += 2;
	if (path[0] != '/')
		return error_set(err, -EINVAL, "the path is not absolute");
	if (!str_ends_with(path, ACI_SUFFIX))
		return error_set(err, -EINVAL, "the name does not end in " ACI_SUFFIX);
	return set_path(ret, IMAGEREF_FILE, path, strlen(path));
}

static int parse_web_url(const char *text, struct imageref *ret, struct error *err)
{
	const char *rest = strchr(text, ':') + 1, *slash;
	size_t len;

	if (!str_starts_with(rest, "//"))
		return error_set(err, -EINVAL, "no URL: \"//\" is missing");
	slash = strchr(rest + 2, '/');
	len = slash ? strcspn(slash, "?#") : 0;
	if (len < strlen("/" ACI_SUFFIX) ||
	    strncmp(slash + len - strlen(ACI_SUFFIX), ACI_SUFFIX, strlen(ACI_SUFFIX)) != 0)
		return error_set(err, -EINVAL, "the URL's path does not end in " ACI_SUFFIX);
	return set_path(ret, IMAGEREF_URL, text, strlen(text));
}

static int parse_docker(const char *text, struct imageref *ret, struct error *err)
{
	const char *ref = text + strlen("docker:");

	if (str_starts_with(ref, "//"))
		ref += 2;
	if (!*ref)
		return error_set(err, -EINVAL, "no image is named");
	return set_path(ret, IMAGEREF_DOCKER, ref, strlen(ref));
}

/* SCHEME:PLACE[:NAME], as other tools spell it: PLACE has no colon. */
static int parse_place(const char *text, enum imageref_kind kind, struct imageref *ret,
		       struct error *err)
{
	const char *place = strchr(text, ':') + 1, *colon = strchrnul(place, ':');
	int scheme = (int)(place - text);

	if (colon == place || strcmp(colon, ":") == 0)
		return error_set(err, -EINVAL, "expected %.*sPATH or %.*sPATH:NAME", scheme, text,
				 scheme, text);
	set_path(ret, kind, place, (size_t)(colon - place));
	if (*colon)
		ret->name = xstrdup(colon + 1);
	return 0;
}

static int parse_oci(const char *text, struct imageref *ret, struct error *err)
{
	return parse_place(text, IMAGEREF_OCI, ret, err);
}

static int parse_oci_archive(const char *text, struct imageref *ret, struct error *err)
{
	return parse_place(text, IMAGEREF_OCI_ARCHIVE, ret, err);
}

static int parse_docker_archive(const char *text, struct imageref *ret, struct error *err)
{
	return parse_place(text, IMAGEREF_DOCKER_ARCHIVE, ret, err);
}

/* Undo a URL query's encoding in place. -EINVAL: a bad escape, or a NUL byte. */
static int decode_query(char *text, struct error *err)
{
	char *to = text;

	for (const char *p = text; *p; p++) {
		char hex[3] = {0};
		uint8_t byte = 0;
		size_t len;

		if (*p != '%') {
			*to++ = *p == '+' ? ' ' : *p;
			continue;
		}
		if (!p[1] || !p[2])
			return error_set(err, -EINVAL, "a bad escape in \"%s\"", text);
		memcpy(hex, p + 1, 2);
		if (hex_decode(hex, &byte, 1, &len, err) < 0 || byte == 0)
			return error_set(err, -EINVAL, "a bad escape %%%s", hex);
		*to++ = (char)byte;
		p += 2;
	}
	*to = '\0';
	return 0;
}

/* NAME?LABEL=VALUE&... */
static int parse_cimd_appc(const char *data, struct imageref *ret, struct error *err)
{
	cleanup_json struct json_object *labels = json_object_new_array();
	cleanup_free char *name = xstrndup(data, strcspn(data, "?"));
	cleanup_strv struct strv pairs = STRV_INIT;
	int r = 0;

	if (data[strlen(name)] && data[strlen(name) + 1])
		strv_split(&pairs, data + strlen(name) + 1, '&');
	for (size_t i = 0; r == 0 && i < pairs.n; i++) {
		char *eq = strchr(pairs.v[i], '=');

		if (!eq)
			return error_set(err, -EINVAL, "\"%s\" is not LABEL=VALUE", pairs.v[i]);
		*eq = '\0';
		r = decode_query(pairs.v[i], err);
		if (r == 0)
			r = decode_query(eq + 1, err);
		if (r == 0)
			r = add_new_label(labels, pairs.v[i], eq + 1, err);
	}
	return r < 0 ? r : set_name(ret, name, take_ptr(labels), err);
}

static int parse_cimd_archive(const char *data, struct imageref *ret, struct error *err)
{
	cleanup_free char *url = xstrdup(data);
	int r = decode_query(url, err);

	if (r < 0)
		return r;
	if (strncasecmp(url, "file:", 5) == 0)
		return parse_file_url(url, ret, err);
	if (strncasecmp(url, "http:", 5) == 0 || strncasecmp(url, "https:", 6) == 0)
		return parse_web_url(url, ret, err);
	return error_set(err, -EINVAL, "the archive's URL is none of file, http, https");
}

/* cimd:TYPE:v=N:DATA, what other references are short for. */
static int parse_cimd(const char *text, struct imageref *ret, struct error *err)
{
	cleanup_strv struct strv parts = STRV_INIT;
	cleanup_free char *docker = NULL;
	const char *data = text;

	strv_split(&parts, text, ':');
	if (parts.n < 4)
		return error_set(err, -EINVAL, "expected cimd:TYPE:v=0:DATA");
	if (strcmp(parts.v[2], "v=0") != 0)
		return error_set(err, -EINVAL, "version \"%s\" is not known", parts.v[2]);
	for (unsigned colons = 0; colons < 3; colons++)
		data = strchr(data, ':') + 1;
	if (strcmp(parts.v[1], "aci-archive") == 0)
		return parse_cimd_archive(data, ret, err);
	if (strcmp(parts.v[1], "appc") == 0)
		return parse_cimd_appc(data, ret, err);
	if (strcmp(parts.v[1], "docker") != 0)
		return error_set(err, -EINVAL, "type \"%s\" is none of aci-archive, appc, docker",
				 parts.v[1]);
	docker = xasprintf("docker:%s", data);
	return parse_docker(docker, ret, err);
}

static int parse_id(const char *text, struct imageref *ret, struct error *err)
{
	if (!acimageid_is_valid(text))
		return error_set(err, -EINVAL,
				 "not an image ID: " ID_PREFIX " and up to 128 hexadecimal digits");
	return set_path(ret, IMAGEREF_ID, text, strlen(text));
}

static bool is_file(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISREG(st.st_mode);
}

static int parse(const char *text, struct imageref *ret, struct error *err)
{
	static const struct {
		const char *scheme;
		int (*parse)(const char *text, struct imageref *ret, struct error *err);
	} schemes[] = {
		{"file", parse_file_url},
		{"http", parse_web_url},
		{"https", parse_web_url},
		{"docker", parse_docker},
		{"cimd", parse_cimd},
		{"oci", parse_oci},
		{"oci-archive", parse_oci_archive},
		{"docker-archive", parse_docker_archive},
	};
	size_t len = scheme_length(text);

	if (!*text)
		return error_set(err, -EINVAL, "no image is named");
	if (str_starts_with(text, ID_PREFIX))
		return parse_id(text, ret, err);
	for (size_t i = 0; i < ARRAY_SIZE(schemes); i++)
		if (strlen(schemes[i].scheme) == len &&
		    strncasecmp(text, schemes[i].scheme, len) == 0)
			return schemes[i].parse(text, ret, err);
	if (len == 0 &&
	    (text[0] == '/' || is_file(text) ||
	     (!strchr(text, ':') && (strstr(text, "./") || str_ends_with(text, ACI_SUFFIX)))))
		return set_path(ret, IMAGEREF_FILE, text, strlen(text));
	return parse_name(text, ret, err);
}

int imageref_parse(const char *text, struct imageref *ret, struct error *err)
{
	int r = parse(text, ret, err);

	return r < 0 ? error_wrap(err, "image \"%.1024s\"", text) : 0;
}

int imageref_parse_name(const char *text, struct imageref *ret, struct error *err)
{
	int r = parse_name(text, ret, err);

	return r < 0 ? error_wrap(err, "image \"%.1024s\"", text) : 0;
}

int imageref_import_aci(struct store *store, const char *path, char ret_key[IMAGE_KEY_LEN + 1],
			struct error *err)
{
	cleanup_fd int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return error_errno(err, "%s", path);
	if (S_ISDIR(st.st_mode))
		return error_set(err, -EISDIR, "%s: is a directory", path);
	return store_import_aci(store, fd, path, ret_key, err);
}

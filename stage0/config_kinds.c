/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What one file of configuration may say: a table of kinds, with the subdirectory a kind belongs in,
 * its version, and who reads it. A reader adds to a struct config; a key that is there already was
 * said by the same directory, which is an error.
 */
#include "stage0/config_priv.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>
#include <strings.h>

#include "common/util.h"
#include "stage0/acname.h"

#define HOST_MAX 320 /* bytes: a DNS name, brackets, a port */

/* Host or host:port, as it is compared: lower case. NULL: it is none. */
static char *host_normal(const char *text)
{
	size_t len = strlen(text);
	char *host;

	if (len == 0 || len > HOST_MAX || text[0] == ':' ||
	    strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
			 "0123456789-._:[]") != len)
		return NULL;
	host = xstrdup(text);
	for (char *p = host; *p; p++)
		*p = (char)tolower((unsigned char)*p);
	return host;
}

/* The string members of a file that must be there and hold something. */
static int need_string(struct json_object *obj, const char *key, const char **ret,
		       struct error *err)
{
	const char *value = NULL;
	int r = json_get_string(obj, key, &value, err);

	if (r == 0 && (!value || !*value))
		r = error_set(err, -EINVAL, "%s is missing or empty", key);
	if (r == 0)
		*ret = value;
	return r;
}

/* The hosts that obj[key] lists: at least one, each fit to be compared. */
static int need_hosts(struct json_object *obj, const char *key, struct strv *ret, struct error *err)
{
	struct json_object *list = NULL;
	int r = json_get_array(obj, key, &list, err);

	if (r < 0)
		return r;
	if (!list || json_object_array_length(list) == 0)
		return error_set(err, -EINVAL, "%s is missing or empty", key);
	for (size_t i = 0; i < json_object_array_length(list); i++) {
		struct json_object *item = json_object_array_get_idx(list, i);
		char *host = json_object_is_type(item, json_type_string)
				     ? host_normal(json_object_get_string(item))
				     : NULL;

		if (!host)
			return error_set(err, -EINVAL,
					 "%s: entry %zu is neither a host nor host:port", key,
					 i + 1);
		strv_add_owned(ret, host);
	}
	return 0;
}

static int too_many(size_t n, const char *what, struct error *err)
{
	if (n < CONFIG_ENTRIES_MAX)
		return 0;
	return error_set(err, -E2BIG, "more than %d %s", CONFIG_ENTRIES_MAX, what);
}

/* What a file of kind auth says of every host it lists. */
struct auth_words {
	enum config_auth_type type;
	const char *user, *secret, *region;
};

static int read_auth_words(struct json_object *doc, struct auth_words *ret, struct error *err)
{
	struct json_object *credentials = NULL;
	const char *type = NULL;
	int r = need_string(doc, "type", &type, err);

	if (r == 0)
		r = json_get_object(doc, "credentials", &credentials, err);
	if (r < 0)
		return r;
	if (!credentials)
		return error_set(err, -EINVAL, "credentials are missing");
	if (strcmp(type, "basic") == 0) {
		ret->type = CONFIG_BASIC;
		r = need_string(credentials, "user", &ret->user, err);
		if (r == 0)
			r = need_string(credentials, "password", &ret->secret, err);
	} else if (strcmp(type, "oauth") == 0) {
		ret->type = CONFIG_OAUTH;
		r = need_string(credentials, "token", &ret->secret, err);
	} else if (strcmp(type, "aws") == 0) {
		ret->type = CONFIG_AWS;
		r = need_string(credentials, "accessKeyID", &ret->user, err);
		if (r == 0)
			r = need_string(credentials, "secretAccessKey", &ret->secret, err);
		if (r == 0)
			r = json_get_string(credentials, "awsRegion", &ret->region, err);
	} else {
		return error_set(err, -EINVAL, "type \"%s\" is none of basic, oauth, aws", type);
	}
	return r < 0 ? error_wrap(err, "credentials") : 0;
}

static char *dup_or_null(const char *s)
{
	return s && *s ? xstrdup(s) : NULL;
}

static int read_auth(struct config *config, struct json_object *doc, struct error *err)
{
	cleanup_strv struct strv hosts = STRV_INIT;
	struct auth_words words = {.user = NULL};
	int r = need_hosts(doc, "domains", &hosts, err);

	if (r == 0)
		r = read_auth_words(doc, &words, err);
	for (size_t i = 0; r == 0 && i < hosts.n; i++) {
		struct config_auth *auth;

		if (config_find_auth(config, hosts.v[i]))
			return error_set(err, -EEXIST,
					 "auth for domain \"%s\" is already specified", hosts.v[i]);
		r = too_many(config->nauth, "domains", err);
		if (r < 0)
			return r;
		auth = list_grow(config->auth, config->nauth);
		*auth = (struct config_auth){
			.host = xstrdup(hosts.v[i]),
			.type = words.type,
			.user = dup_or_null(words.user),
			.secret = dup_or_null(words.secret),
			.region = dup_or_null(words.region),
		};
	}
	return r;
}

static int read_docker_auth(struct config *config, struct json_object *doc, struct error *err)
{
	cleanup_strv struct strv hosts = STRV_INIT;
	struct json_object *credentials = NULL;
	const char *user = NULL, *password = NULL;
	int r = need_hosts(doc, "registries", &hosts, err);

	if (r == 0)
		r = json_get_object(doc, "credentials", &credentials, err);
	if (r == 0)
		r = need_string(credentials, "user", &user, err);
	if (r == 0)
		r = need_string(credentials, "password", &password, err);
	for (size_t i = 0; r == 0 && i < hosts.n; i++) {
		struct config_docker_auth *auth;

		if (config_find_docker_auth(config, hosts.v[i]))
			return error_set(err, -EEXIST,
					 "auth for registry \"%s\" is already specified",
					 hosts.v[i]);
		r = too_many(config->ndocker_auth, "registries", err);
		if (r < 0)
			return r;
		auth = list_grow(config->docker_auth, config->ndocker_auth);
		auth->registry = xstrdup(hosts.v[i]);
		auth->user = xstrdup(user);
		auth->password = xstrdup(password);
	}
	return r;
}

/* host[:port][/path], without a scheme, a slash at the end or an empty component. */
static bool is_place(const char *text)
{
	size_t len = strcspn(text, "/"), all = strlen(text);
	cleanup_free char *host = xstrndup(text, len);
	cleanup_free char *normal = host_normal(host);

	return normal && all <= CONFIG_FILE_MAX && text[all - 1] != '/' && !strstr(text, "//") &&
	       strspn(text + len, "abcdefghijklmnopqrstuvwxyz0123456789-._/") == all - len;
}

static char *lower_host(const char *place)
{
	char *copy = xstrdup(place);

	for (char *p = copy; *p && *p != '/'; p++)
		*p = (char)tolower((unsigned char)*p);
	return copy;
}

static int read_endpoints(struct json_object *entry, struct strv *ret, struct error *err)
{
	struct json_object *list = NULL;
	int r = json_get_array(entry, "endpoints", &list, err);

	for (size_t i = 0; r == 0 && list && i < json_object_array_length(list); i++) {
		struct json_object *item = json_object_array_get_idx(list, i);
		const char *text = json_object_get_string(item);

		if (!json_object_is_type(item, json_type_string) || !is_place(text))
			return error_set(
				err, -EINVAL,
				"endpoints: entry %zu is not of the form host[:port][/path]",
				i + 1);
		strv_add_owned(ret, lower_host(text));
	}
	return r;
}

static int read_registry(struct config *config, struct json_object *entry, struct error *err)
{
	struct config_registry registry = {.prefix = NULL}, *slot;
	const char *prefix = NULL;
	int r = too_many(config->nregistries, "prefixes", err);

	if (r == 0)
		r = need_string(entry, "prefix", &prefix, err);
	if (r < 0)
		return r;
	if (!is_place(str_starts_with(prefix, "*.") ? prefix + 2 : prefix) ||
	    (prefix[0] == '*' && strpbrk(prefix, ":/")))
		return error_set(err, -EINVAL,
				 "prefix \"%s\" is neither host[:port][/path] nor *.domain",
				 prefix);
	registry.prefix = lower_host(prefix);
	if (config_find_registry(config, registry.prefix))
		r = error_set(err, -EEXIST, "prefix \"%s\" is already specified", prefix);
	if (r == 0)
		r = read_endpoints(entry, &registry.endpoints, err);
	if (r == 0)
		r = json_get_bool(entry, "insecure", &registry.insecure, err);
	if (r == 0)
		r = json_get_bool(entry, "blocked", &registry.blocked, err);
	if (r == 0)
		r = json_get_bool(entry, "byDigestOnly", &registry.by_digest_only, err);
	if (r < 0) {
		config_registry_free(&registry);
		return r;
	}
	slot = list_grow(config->registries, config->nregistries);
	*slot = registry;
	return 0;
}

static int read_registries(struct config *config, struct json_object *doc, struct error *err)
{
	struct json_object *list = NULL;
	int r = json_get_array(doc, "registries", &list, err);

	if (r == 0 && (!list || json_object_array_length(list) == 0))
		r = error_set(err, -EINVAL, "registries is missing or empty");
	for (size_t i = 0; r == 0 && i < json_object_array_length(list); i++) {
		struct json_object *entry = json_object_array_get_idx(list, i);

		/* what looks a key up in null finds nothing, which says it well enough */
		r = read_registry(config, entry, err);
		if (r < 0)
			error_wrap(err, "registries, entry %zu", i + 1);
	}
	return r;
}

static int read_path(struct json_object *doc, const char *key, char **field, struct error *err)
{
	const char *path = NULL;
	int r = json_get_string(doc, key, &path, err);

	if (r < 0 || !path || !*path)
		return r;
	if (path[0] != '/')
		return error_set(err, -EINVAL, "%s \"%s\" is not an absolute path", key, path);
	if (*field)
		return error_set(err, -EEXIST, "%s is already specified", key);
	*field = xstrdup(path);
	return 0;
}

static int read_paths(struct config *config, struct json_object *doc, struct error *err)
{
	int r = read_path(doc, "data", &config->data, err);

	return r < 0 ? r : read_path(doc, "stage1-images", &config->stage1_images, err);
}

/* A location is an absolute path, or a URL of a kind that images come from. */
static bool is_location(const char *text)
{
	static const char *const schemes[] = {"file://", "http://", "https://", "docker://"};

	for (size_t i = 0; i < ARRAY_SIZE(schemes); i++)
		if (strncasecmp(text, schemes[i], strlen(schemes[i])) == 0)
			return text[strlen(schemes[i])] != '\0';
	return text[0] == '/';
}

static int check_location(const char *text, struct error *err)
{
	const char *colon = strstr(text, "://");

	if (is_location(text))
		return 0;
	if (!colon)
		return error_set(err, -EINVAL,
				 "default stage1 image location is either a relative path or a URL "
				 "without scheme: \"%s\"",
				 text);
	return error_set(err, -EINVAL,
			 "default stage1 image location \"%s\" has a scheme that is none of file, "
			 "http, https, docker",
			 text);
}

static int read_stage1(struct config *config, struct json_object *doc, struct error *err)
{
	const char *name = "", *version = "", *location = "";
	int r = json_get_string(doc, "name", &name, err);

	if (r == 0)
		r = json_get_string(doc, "version", &version, err);
	if (r == 0)
		r = json_get_string(doc, "location", &location, err);
	if (r == 0 && *location)
		r = check_location(location, err);
	if (r < 0)
		return r;
	if (!*name != !*version)
		return error_set(err, -EINVAL,
				 "name and version of the default stage1 image must "
				 "be given together");
	if (*name && !acident_is_valid(name))
		return error_set(err, -EINVAL, "name \"%s\" is not the name of an image", name);
	if ((*name && config->stage1_name) || (*location && config->stage1_location))
		return error_set(err, -EEXIST,
				 "%s of the default stage1 image is already specified",
				 *name && config->stage1_name ? "name" : "location");
	if (*name) {
		config->stage1_name = xstrdup(name);
		config->stage1_version = xstrdup(version);
	}
	if (*location)
		config->stage1_location = xstrdup(location);
	return 0;
}

static const struct kind {
	const char *dir, *kind, *version;
	int (*read)(struct config *config, struct json_object *doc, struct error *err);
} kinds[] = {
	{"auth.d", "auth", "v1", read_auth},
	{"auth.d", "dockerAuth", "v1", read_docker_auth},
	{"registries.d", "registries", "v1", read_registries},
	{"paths.d", "paths", "v1", read_paths},
	{"stage1.d", "stage1", "v1", read_stage1},
};

int config_read_document(struct config *config, const char *dir, struct json_object *doc,
			 struct error *err)
{
	const char *kind = NULL, *version = NULL, *elsewhere = NULL;
	bool known_version = true;
	int r = need_string(doc, "rktKind", &kind, err);

	if (r == 0)
		r = need_string(doc, "rktVersion", &version, err);
	if (r < 0)
		return r;
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		if (strcmp(kinds[i].kind, kind) != 0)
			continue;
		if (strcmp(kinds[i].dir, dir) != 0)
			elsewhere = kinds[i].dir;
		else if (strcmp(kinds[i].version, version) == 0)
			return kinds[i].read(config, doc, err);
		else
			known_version = false;
	}
	if (!known_version)
		return error_set(err, -EINVAL, "rktVersion \"%s\" of kind \"%s\" is not known",
				 version, kind);
	if (elsewhere)
		return error_set(err, -EINVAL, "files of kind \"%s\" belong in %s, not in %s", kind,
				 elsewhere, dir);
	return error_set(err, -EINVAL, "rktKind \"%s\" is not known", kind);
}

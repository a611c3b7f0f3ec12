/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Docker's config.json, its older .dockercfg, and auth.json of containers (spec/images.md 15.2).
 */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/encode.h"
#include "common/json.h"
#include "common/util.h"
#include "stage0/fetch/credentials_priv.h"
#include "stage0/fetch/dockerref.h"

#define SECRET_MAX (64 * 1024) /* bytes of a password or token */

static int check_strings(struct json_object *obj, const char *what, struct error *err)
{
	if (!obj)
		return 0;
	if (json_object_object_length(obj) > CREDENTIALS_KEYS_MAX)
		return error_set(err, -EFBIG, "%s: too many registries", what);
	json_object_object_foreach(obj, key, value)
	{
		if (!json_object_is_type(value, json_type_string))
			return error_set(err, -EINVAL, "%s: \"%.256s\" is no string", what, key);
	}
	return 0;
}

static int check_auths(struct json_object *auths, struct error *err)
{
	if (!auths)
		return 0;
	if (json_object_object_length(auths) > CREDENTIALS_KEYS_MAX)
		return error_set(err, -EFBIG, "auths: too many registries");
	json_object_object_foreach(auths, key, entry)
	{
		if (entry && !json_object_is_type(entry, json_type_object))
			return error_set(err, -EINVAL, "auths: \"%.256s\" is no object", key);
	}
	return 0;
}

int auth_file_parse(const char *text, size_t len, const char *path, bool old, struct auth_file *ret,
		    struct error *err)
{
	struct auth_file file = {.path = xstrdup(path)};
	int r = 0;

	/* what is created and then left empty is no mistake */
	if (len > 0)
		r = json_parse(text, len, path, &file.doc, err);
	else
		file.doc = json_object_new_object();
	if (r == 0 && !json_object_is_type(file.doc, json_type_object))
		r = error_set(err, -EINVAL, "%s: is no JSON object", path);
	if (r == 0 && old) {
		file.auths = file.doc;
		r = check_auths(file.auths, err);
	} else if (r == 0) {
		if ((r = json_get_object(file.doc, "auths", &file.auths, err)) == 0 &&
		    (r = json_get_object(file.doc, "credHelpers", &file.cred_helpers, err)) == 0 &&
		    (r = json_get_string(file.doc, "credsStore", &file.creds_store, err)) == 0 &&
		    (r = check_auths(file.auths, err)) == 0)
			r = check_strings(file.cred_helpers, "credHelpers", err);
		if (r < 0)
			error_wrap(err, "%s", path);
	}
	if (r < 0)
		auth_file_free(&file);
	else
		*ret = file;
	return r;
}

void auth_file_free(struct auth_file *file)
{
	free(file->path);
	json_object_put(file->doc);
	*file = (struct auth_file){.path = NULL};
}

/*
 * A key of such a file as host[:port][/path], with one name for Docker Hub; the caller frees it. Old
 * files have URLs of the API there.
 */
static char *normal_key(const char *key)
{
	static const char *const schemes[] = {"https://", "http://"};
	cleanup_free char *host = NULL, *path = NULL;
	size_t len;

	for (size_t i = 0; i < ARRAY_SIZE(schemes); i++)
		if (str_starts_with(key, schemes[i])) {
			key += strlen(schemes[i]);
			break;
		}
	len = strcspn(key, "/");
	host = xstrndup(key, len);
	path = xstrdup(key + len);
	for (char *p = host; *p; p++)
		*p = (char)tolower((unsigned char)*p);
	if (str_starts_with(path, "/v1") || str_starts_with(path, "/v2"))
		if (path[3] == '\0' || path[3] == '/')
			path[0] = '\0';
	len = strlen(path);
	while (len > 0 && path[len - 1] == '/')
		path[--len] = '\0';
	return xasprintf("%s%s", registry_host_canonical(host), path);
}

static bool key_is(const char *key, const char *wanted)
{
	cleanup_free char *normal = normal_key(key);

	return strcmp(normal, wanted) == 0;
}

const char *auth_file_helper(const struct auth_file *file, const char *host)
{
	const char *wanted = registry_host_canonical(host);

	if (file->cred_helpers) {
		json_object_object_foreach(file->cred_helpers, key, value)
		{
			if (key_is(key, wanted))
				return json_object_get_string(value);
		}
	}
	return file->creds_store && *file->creds_store ? file->creds_store : NULL;
}

/* auth: base64 of user:password */
static int split_auth(const char *auth, struct credential *ret, struct error *err)
{
	cleanup_free uint8_t *text = NULL;
	const uint8_t *colon;
	size_t len;
	int r = base64_decode(auth, SECRET_MAX, &text, &len, err);

	if (r < 0)
		return error_wrap(err, "auth");
	while (len > 0 && text[len - 1] == '\0') /* some programs count the NUL */
		len--;
	colon = memchr(text, ':', len);
	if (!colon || memchr(text, '\0', len))
		return error_set(err, -EINVAL, "auth: is not \"user:password\" in base64");
	ret->user = xstrndup((const char *)text, (size_t)(colon - text));
	ret->password = xstrndup((const char *)colon + 1, len - (size_t)(colon + 1 - text));
	explicit_bzero(text, len);
	return 0;
}

static bool present(const char *text)
{
	return text && *text;
}

static int take_entry(struct json_object *entry, struct credential *ret, struct error *err)
{
	const char *auth = NULL, *user = NULL, *password = NULL, *identity = NULL, *token = NULL;
	int r;

	if ((r = json_get_string(entry, "auth", &auth, err)) < 0 ||
	    (r = json_get_string(entry, "username", &user, err)) < 0 ||
	    (r = json_get_string(entry, "password", &password, err)) < 0 ||
	    (r = json_get_string(entry, "identitytoken", &identity, err)) < 0 ||
	    (r = json_get_string(entry, "registrytoken", &token, err)) < 0)
		return r;
	if (present(auth)) {
		r = split_auth(auth, ret, err);
	} else if (present(user) && present(password)) {
		ret->user = xstrdup(user);
		ret->password = xstrdup(password);
	}
	if (present(identity))
		ret->identity_token = xstrdup(identity);
	if (present(token))
		ret->registry_token = xstrdup(token);
	return r;
}

static int find_key(const struct auth_file *file, const char *wanted, struct credential *ret,
		    struct error *err)
{
	json_object_object_foreach(file->auths, key, entry)
	{
		struct credential found = {.user = NULL};
		int r;

		if (!key_is(key, wanted))
			continue;
		r = take_entry(entry, &found, err);
		if (r < 0) {
			credential_free(&found);
			return error_wrap(err, "%s: \"%.256s\"", file->path, key);
		}
		*ret = found;
		return 1;
	}
	return 0;
}

int auth_file_find(const struct auth_file *file, const char *host, const char *repository,
		   struct credential *ret, struct error *err)
{
	cleanup_free char *wanted = xasprintf("%s/%s", registry_host_canonical(host), repository);

	if (!file->auths)
		return 0;
	for (;;) {
		int r = find_key(file, wanted, ret, err);
		char *slash = strrchr(wanted, '/');

		if (r != 0 || !slash)
			return r;
		*slash = '\0';
	}
}

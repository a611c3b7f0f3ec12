/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A key's way into the keystore: bytes from a file or a server, parsed in the confined child,
 * reviewed, written. A file or page with several keys would make the review meaningless, so it is
 * refused where it is parsed.
 */
#include "stage0/fetch/key_import.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "common/file.h"
#include "common/util.h"
#include "stage0/fetch/discovery.h"

/* The bytes at a location. *ret_secure: they came by https. */
static int load(const struct key_import *import, const char *location, char **ret, size_t *ret_len,
		bool *ret_secure, struct error *err)
{
	*ret_secure = false;
	if (!strstr(location, "://"))
		return file_read(AT_FDCWD, location, KEY_FILE_MAX, ret, ret_len, err);
	if (strncasecmp(location, "https://", 8) != 0 && strncasecmp(location, "http://", 7) != 0)
		return error_set(err, -EINVAL, "%s: keys come from files, https and http",
				 location);
	return trust_web_get(import->web, location, KEY_FILE_MAX, ret, ret_len, ret_secure, err);
}

static void tell(const struct key_import *import, char *line)
{
	if (import->info)
		import->info(import->priv, line);
	free(line);
}

static int add(const struct key_import *import, const char *prefix, const struct public_key *key,
	       struct error *err)
{
	cleanup_free char *path = NULL;
	int r = keystore_add(import->dirs, prefix, key, &path, err);

	if (r < 0)
		return r;
	tell(import, prefix ? xasprintf("Added key for prefix \"%s\" at \"%s\"", prefix, path)
			    : xasprintf("Added root key at \"%s\"", path));
	return 0;
}

int key_import(const struct key_import *import, const char *prefix, const char *location,
	       struct error *err)
{
	cleanup_public_key struct public_key key = PUBLIC_KEY_INIT;
	cleanup_free char *bytes = NULL;
	bool secure, review;
	size_t len;
	int r = load(import, location, &bytes, &len, &secure, err);

	if (r == 0)
		r = public_key_parse(bytes, len, location, &key, err);
	if (r < 0)
		return r;
	review = import->review && !(import->review_no_https && secure);
	if (review)
		r = import->review(import->review_priv, &key, prefix, location, err);
	if (r < 0)
		return r;
	tell(import, xasprintf("Trusting \"%s\" for %s%s%s %s fingerprint review", location,
			       prefix ? "prefix \"" : "all names", prefix ? prefix : "",
			       prefix ? "\"" : "", review ? "after" : "without"));
	return add(import, prefix, &key, err);
}

int key_import_discovered(const struct key_import *import, const char *prefix, struct error *err)
{
	const struct discovery discovery = {
		.http = import->web->http,
		.config = import->web->config,
		.allow_http = import->web->allow_http,
		.priv = import->priv,
		.debug = import->debug,
	};
	cleanup_strv struct strv urls = STRV_INIT;
	int r = discovery_keys(&discovery, prefix, &urls, err);

	for (size_t i = 0; r == 0 && i < urls.n; i++)
		r = key_import(import, prefix, urls.v[i], err);
	return r;
}

/* News to those who asked for keys, and no more to those who would be asked about them. */
static int tell_existing(const struct key_import *import, const char *name)
{
	cleanup_free char *line =
		xasprintf("keys already exist for prefix \"%s\", not fetching again", name);

	if (import->review_no_https && import->info)
		import->info(import->priv, line);
	else if (import->debug)
		import->debug(import->priv, line);
	return 0;
}

int key_import_missing(const struct key_import *import, const char *name, struct error *err)
{
	cleanup_keyring struct keyring *keys = NULL;
	int r = keyring_load(import->dirs, name, &keys, err);

	if (r < 0)
		return r;
	if (keyring_has_prefix_of(keys, name))
		return tell_existing(import, name);
	return key_import_discovered(import, name, err);
}

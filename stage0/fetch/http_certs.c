/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Certificates by host, where other registry clients look for them (spec/images.md 13.9): in
 * DIR/HOST or DIR/HOST:PORT every *.crt is one more CA, and NAME.cert with NAME.key is who we are.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/file.h"
#include "common/util.h"
#include "stage0/fetch/http_priv.h"

static int add_ca(int dirfd, const char *dir, const char *name, struct http_certs *certs,
		  struct error *err)
{
	cleanup_free char *text = NULL;
	size_t len;
	int r = file_read(dirfd, name, HTTP_CERTS_MAX - MIN(certs->ca.len, (size_t)HTTP_CERTS_MAX),
			  &text, &len, err);

	if (r < 0)
		return error_wrap(err, "%s", dir);
	str_addn(&certs->ca, text, len);
	str_add(&certs->ca, "\n");
	return 0;
}

static int add_client(int dirfd, const char *dir, const char *name, struct http_certs *certs,
		      struct error *err)
{
	size_t len = strlen(name) - strlen(".cert");
	cleanup_free char *key = xasprintf("%.*s.key", (int)len, name);

	if (faccessat(dirfd, key, R_OK, 0) < 0)
		return error_errno(err, "%s/%s", dir, key);
	free(certs->cert);
	free(certs->key);
	certs->cert = xasprintf("%s/%s", dir, name);
	certs->key = xasprintf("%s/%s", dir, key);
	return 0;
}

static int read_dir(const char *path, struct http_certs *certs, struct error *err)
{
	DIR *dir = opendir(path);
	struct dirent *entry;
	int r = 0;

	if (!dir)
		return errno == ENOENT || errno == ENOTDIR ? 0 : error_errno(err, "%s", path);
	while (r == 0 && (entry = readdir(dir))) {
		if (str_ends_with(entry->d_name, ".crt"))
			r = add_ca(dirfd(dir), path, entry->d_name, certs, err);
		else if (str_ends_with(entry->d_name, ".cert"))
			r = add_client(dirfd(dir), path, entry->d_name, certs, err);
	}
	closedir(dir);
	return r;
}

int http_certs_find(const struct http *http, const struct url *url, struct http_certs *ret,
		    struct error *err)
{
	int r = 0;

	/* libcurl let it through as a host, but this makes a path of it */
	if (strchr(url->host, '/') || url->host[0] == '.')
		return 0;
	for (size_t i = 0; r == 0 && i < http->cert_dirs.n; i++) {
		cleanup_free char *port =
			xasprintf("%s/%s:%u", http->cert_dirs.v[i], url->host, url->port);
		cleanup_free char *host = xasprintf("%s/%s", http->cert_dirs.v[i], url->host);

		r = read_dir(port, ret, err);
		if (r == 0 && url->port == 443)
			r = read_dir(host, ret, err);
	}
	if (r < 0)
		http_certs_free(ret);
	return r;
}

void http_certs_free(struct http_certs *certs)
{
	str_free(&certs->ca);
	free(certs->cert);
	free(certs->key);
	*certs = (struct http_certs){.cert = NULL};
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * appc meta discovery (images.md 9.1).
 *
 * Theory of operation: the name itself is a URL without its scheme. Its page, or else the page of
 * the name without its last component, and so on down to the host, has meta tags that say for names
 * beginning with a prefix where images or keys are. The first page with something of use ends the
 * walk; images and keys are looked for separately. A page is a stranger's word: what it says decides
 * where we look, never what we trust.
 */
#include "stage0/fetch/discovery.h"

#include <errno.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "common/util.h"
#include "stage0/acname.h"
#include "stage0/fetch/html.h"
#include "stage0/fetch/url.h"
#include "stage0/fetch/web_auth.h"
#include "stage0/image_manifest.h"

#define TEMPLATE_MAX	      8192  /* bytes of a URL, before and after */
#define DISCOVERY_DEADLINE_MS 60000 /* for a page: 20 s to connect, and a megabyte at most */

void discovery_endpoints_free(struct discovery_endpoints *endpoints)
{
	for (size_t i = 0; i < endpoints->n; i++) {
		free(endpoints->v[i].image);
		free(endpoints->v[i].signature);
	}
	free(endpoints->v);
	*endpoints = (struct discovery_endpoints){.v = NULL};
}

static bool has_control(const char *s)
{
	for (; *s; s++)
		if ((unsigned char)*s < ' ' || *s == 0x7f)
			return true;
	return false;
}

/* Append the value of variable, false when there is none that could be written. */
static bool add_variable(struct str *str, const char *variable, const char *name,
			 struct json_object *labels, const char *ext)
{
	const char *value;

	if (strcmp(variable, "name") == 0 || strcmp(variable, "ext") == 0) {
		str_add(str, variable[0] == 'n' ? name : ext);
		return true;
	}
	value = namevals_get(labels, variable);
	if (strcmp(variable, "version") == 0 && (!value || !*value))
		value = "latest";
	if (!value || has_control(value))
		return false;
	url_encode(str, value);
	return true;
}

char *discovery_render(const char *tmpl, const char *name, struct json_object *labels,
		       const char *ext)
{
	cleanup_str struct str url = STR_INIT;

	while (*tmpl && url.len <= TEMPLATE_MAX) {
		const char *open = strchrnul(tmpl, '{'), *close = strchr(open, '}');
		cleanup_free char *variable = NULL;

		str_addn(&url, tmpl, (size_t)(open - tmpl));
		if (!*open)
			break;
		if (!close)
			return NULL;
		variable = xstrndup(open + 1, (size_t)(close - open - 1));
		if (!add_variable(&url, variable, name, labels, ext))
			return NULL;
		tmpl = close + 1;
	}
	return url.len <= TEMPLATE_MAX ? str_take(&url) : NULL;
}

/* What is looked for on a page. */
struct page {
	const char *name;
	struct json_object *labels;
	bool allow_http;
	struct discovery_endpoints *endpoints; /* or ... */
	struct strv *keys;
};

static bool is_web_url(const char *url, bool allow_http)
{
	return strncasecmp(url, "https://", 8) == 0 ||
	       (allow_http && strncasecmp(url, "http://", 7) == 0);
}

/* A URL as it will be asked for, or NULL when nobody could. */
static char *usable_url(char *url)
{
	cleanup_free char *owned = url;
	cleanup_url struct url parsed = {.text = NULL};
	struct error ignored = ERROR_INIT;

	return owned && url_parse(owned, &parsed, &ignored) == 0 ? take_ptr(owned) : NULL;
}

static void add_endpoint(const struct page *page, const char *tmpl)
{
	struct discovery_endpoints *found = page->endpoints;
	cleanup_free char *image = NULL, *signature = NULL;

	if (found->n >= DISCOVERY_RESULTS_MAX || !is_web_url(tmpl, page->allow_http))
		return;
	image = usable_url(discovery_render(tmpl, page->name, page->labels, "aci"));
	signature = usable_url(discovery_render(tmpl, page->name, page->labels, "aci.asc"));
	if (!image || !signature)
		return;
	found->v = xrealloc(found->v, found->n + 1, sizeof(*found->v));
	found->v[found->n].image = take_ptr(image);
	found->v[found->n++].signature = take_ptr(signature);
}

static int on_meta(void *ctx, const char *name, const char *content)
{
	const struct page *page = ctx;
	const char *wanted = page->endpoints ? "ac-discovery" : "ac-discovery-pubkeys", *rest;
	cleanup_free char *prefix = NULL, *tmpl = NULL;
	size_t len;

	content += strspn(content, " \t\r\n");
	len = strcspn(content, " \t\r\n");
	rest = content + len + strspn(content + len, " \t\r\n");
	prefix = xstrndup(content, len);
	tmpl = xstrndup(rest, strcspn(rest, " \t\r\n"));
	if (strcmp(name, wanted) != 0 || !*prefix || !*tmpl || !str_starts_with(page->name, prefix))
		return 0;
	if (page->endpoints) {
		add_endpoint(page, tmpl);
	} else if (page->keys->n < DISCOVERY_RESULTS_MAX) {
		char *url = usable_url(xstrdup(tmpl));

		if (url)
			strv_add_owned(page->keys, url);
	}
	return 0;
}

void discovery_page_endpoints(const char *page, size_t len, const char *name,
			      struct json_object *labels, bool allow_http,
			      struct discovery_endpoints *ret)
{
	struct page look = {name, labels, allow_http, ret, NULL};

	html_each_meta(page, len, on_meta, &look);
}

void discovery_page_keys(const char *page, size_t len, const char *name, struct strv *ret)
{
	struct page look = {.name = name, .keys = ret};

	html_each_meta(page, len, on_meta, &look);
}

static int load_page(const struct discovery *discovery, const char *url, struct str *ret,
		     struct error *err)
{
	cleanup_web_auth struct web_auth auth = WEB_AUTH_INIT;
	cleanup_http_response struct http_response response = HTTP_RESPONSE_INIT;
	struct http_request request = {
		.url = url,
		.body_max = DISCOVERY_PAGE_MAX,
		.deadline_ms = DISCOVERY_DEADLINE_MS,
		.tries = 1, /* there is another prefix, or plain http, to try instead */
	};
	int r = web_auth_for(discovery->config, url, "GET", time(NULL), &auth, err);

	if (r < 0)
		return r;
	request.authorization = auth.authorization;
	request.headers = (const char *const *)auth.headers.v;
	r = http_fetch(discovery->http, &request, &response, ret, err);
	if (r < 0)
		return r;
	return response.status == 200 ? 0 : http_status_error(&response, err);
}

static void tell(const struct discovery *discovery, const char *prefix, const char *why)
{
	cleanup_free char *line = xasprintf("discovery: nothing at %s: %s", prefix, why);

	if (discovery->debug)
		discovery->debug(discovery->priv, line);
}

/* Look at the page of one prefix. Whether there was something of use on it. */
static bool probe(const struct discovery *discovery, const char *prefix, const struct page *page)
{
	static const char *const schemes[] = {"https", "http"};

	for (size_t i = 0; i < ARRAY_SIZE(schemes); i++) {
		cleanup_free char *url = xasprintf("%s://%s?ac-discovery=1", schemes[i], prefix);
		cleanup_str struct str body = STR_INIT;
		struct error err = ERROR_INIT;

		if (i > 0 && !discovery->allow_http)
			break;
		if (load_page(discovery, url, &body, &err) < 0) {
			tell(discovery, prefix, err.msg);
			continue;
		}
		html_each_meta(str_get(&body), body.len, on_meta, (void *)page);
		if (page->endpoints ? page->endpoints->n > 0 : page->keys->n > 0)
			return true;
		tell(discovery, prefix, "the page has no tag for this name");
		break; /* there is a page, http would not have another one */
	}
	return false;
}

/* From the whole name down to its host. */
static int walk(const struct discovery *discovery, const struct page *page, struct error *err)
{
	cleanup_free char *prefix = xstrdup(page->name);

	if (!acident_is_valid(prefix))
		return error_set(err, -EINVAL, "\"%s\" is not the name of an image", prefix);
	for (;;) {
		char *slash;

		if (probe(discovery, prefix, page))
			return 0;
		slash = strrchr(prefix, '/');
		if (!slash)
			break;
		*slash = '\0';
	}
	return error_set(err, -ENOENT, "discovery: nobody says where %s of \"%s\" %s",
			 page->endpoints ? "an image" : "the keys", page->name,
			 page->endpoints ? "is" : "are");
}

int discovery_find(const struct discovery *discovery, const char *name, struct json_object *labels,
		   struct discovery_endpoints *ret, struct error *err)
{
	struct discovery_endpoints found = {.v = NULL};
	const struct page page = {name, labels, discovery->allow_http, &found, NULL};
	int r = walk(discovery, &page, err);

	if (r == 0)
		*ret = found;
	else
		discovery_endpoints_free(&found);
	return r;
}

int discovery_keys(const struct discovery *discovery, const char *name, struct strv *ret,
		   struct error *err)
{
	struct strv found = STRV_INIT;
	const struct page page = {.name = name, .keys = &found};
	int r = walk(discovery, &page, err);

	for (size_t i = 0; r == 0 && i < found.n; i++)
		strv_add(ret, found.v[i]);
	strv_free(&found);
	return r;
}

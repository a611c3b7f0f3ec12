/* SPDX-License-Identifier: Apache-2.0 */
#include "stage0/fetch/web_get.h"

#include <errno.h>
#include <strings.h>
#include <time.h>

#include "common/str.h"
#include "common/util.h"
#include "stage0/fetch/web_auth.h"

static bool is_https(const char *url)
{
	return url && strncasecmp(url, "https://", 8) == 0;
}

int trust_web_get(const struct trust_web *web, const char *url, size_t max, char **ret,
		  size_t *ret_len, bool *ret_secure, struct error *err)
{
	cleanup_http_response struct http_response response = HTTP_RESPONSE_INIT;
	cleanup_web_auth struct web_auth auth = WEB_AUTH_INIT;
	cleanup_str struct str body = STR_INIT;
	struct http_request request = {
		.url = url,
		.allow_http = web->allow_http,
		.body_max = max,
	};
	bool secure;
	int r;

	if (!is_https(url) && !web->allow_http)
		return error_set(err, -EPERM, "%s: plain http is not allowed", url);
	r = web_auth_for(web->config, url, "GET", time(NULL), &auth, err);
	if (r < 0)
		return r;
	request.authorization = auth.authorization;
	request.headers = (const char *const *)auth.headers.v;
	r = http_fetch(web->http, &request, &response, &body, err);
	if (r == 0 && response.status != 200)
		r = http_status_error(&response, err);
	if (r < 0)
		return r;
	secure = is_https(url) && is_https(response.final_url);
	if (!secure && !web->allow_http)
		return error_set(err, -EPERM, "%s: led to plain http, which is not allowed", url);
	if (ret_secure)
		*ret_secure = secure && !web->insecure_tls;
	*ret_len = body.len;
	*ret = str_take(&body);
	return 0;
}

int trust_web_download(void *ctx, const char *url, size_t max, char **ret, size_t *ret_len,
		       struct error *err)
{
	return trust_web_get(ctx, url, max, ret, ret_len, NULL, err);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Discovery pages and templates (images.md 9.1), and who we say we are to web servers. */
#include "tests/unit/unit.h"

#include <string.h>

#include "common/util.h"
#include "stage0/fetch/discovery.h"
#include "stage0/fetch/html.h"
#include "stage0/fetch/web_auth.h"

static int collect(void *ctx, const char *name, const char *content)
{
	str_addf(ctx, "%s=%s|", name, content);
	return 0;
}

static void meta_tags_are_found_wherever_they_are_tags(void **state)
{
	static const struct {
		const char *page, *metas;
	} rows[] = {
		{"", ""},
		{"<meta name=a content=b>", "a=b|"},
		{"<META NAME='a' CONTENT=\"b c\"/>", "a=b c|"},
		{"<meta\n\tcontent = b\n name = a >", "a=b|"},
		{"<meta name=a content=b><meta name=c content=d>", "a=b|c=d|"},
		{"<html><body><p><meta name=a content=b></p>", "a=b|"},
		{"<meta name=a content=http://x/y/>", "a=http://x/y/|"},
		{"<meta name=\"a\" content='x>y'>", "a=x>y|"},
		{"<meta name=a name=z content=b content=z>", "a=b|"},
		{"<meta name=a content='1 &amp; 2 &lt;&#65;&#x42;&quot;&apos;'>",
		 "a=1 & 2 <AB\"'|"},
		{"<meta name=a content='&;&x&amp&#;&#xg;&#0;&#xd800;&#1114112;'>",
		 "a=&;&x&amp&#;&#xg;&#0;&#xd800;&#1114112;|"},
		{"<meta name=a content='&#x20ac;&#128512;'>", "a=\xe2\x82\xac\xf0\x9f\x98\x80|"},
		{"<meta name=a>", ""},
		{"<meta content=b>", ""},
		{"<meta name content=b>", "=b|"},
		{"<metal name=a content=b>", ""},
		{"</meta name=a content=b>", ""},
		{"<!-- <meta name=a content=b> --><meta name=c content=d>", "c=d|"},
		{"<!-- <meta name=a content=b>", ""},
		{"<!doctype html><?x?><meta name=a content=b>", "a=b|"},
		{"<script>if (a<b) '<meta name=a content=b>'</script><meta name=c content=d>",
		 "c=d|"},
		{"<STYLE><meta name=a content=b></style ><meta name=c content=d>", "c=d|"},
		{"<title></titl><meta name=a content=b></title>", ""},
		{"<script><meta name=a content=b>", ""},
		{"<p title='<meta name=a content=b>'>", ""},
		{"<p title=\"unclosed><meta name=a content=b>", ""},
		{"1 < 2 <meta name=a content=b>", "a=b|"},
		{"<<meta name=a content=b>", "a=b|"},
		{"<meta name=a content=b", "a=b|"},
		{"<meta =x name=a content=b>", "a=b|"},
		{"<meta name=a/content=b>", ""}, /* an unquoted value takes the slash */
		{"<", ""},
		{"<meta", ""},
		{"<meta name='", ""},
		{"<meta name=a content=&", "a=&|"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		cleanup_str struct str got = STR_INIT;

		html_each_meta(rows[i].page, strlen(rows[i].page), collect, &got);
		if (strcmp(str_get(&got), rows[i].metas) != 0)
			fail_msg("%s: %s", rows[i].page, str_get(&got));
	}
}

static void a_page_of_many_tags_ends(void **state)
{
	cleanup_str struct str page = STR_INIT, got = STR_INIT;
	size_t n = 0;

	(void)state;
	for (size_t i = 0; i < 3 * HTML_META_MAX; i++)
		str_add(&page, "<meta name=a content=b>");
	html_each_meta(str_get(&page), page.len, collect, &got);
	for (const char *p = str_get(&got); (p = strchr(p, '|')); p++)
		n++;
	assert_int_equal(n, HTML_META_MAX);
}

static struct json_object *labels(const char *text)
{
	struct json_object *list = NULL;
	struct error err = ERROR_INIT;

	if (json_parse(text, strlen(text), "labels", &list, &err) < 0)
		fail_msg("%s", err.msg);
	return list;
}

static void templates_are_filled_in_or_skipped(void **state)
{
	static const struct {
		const char *tmpl, *url;
	} rows[] = {
		{"https://s/{name}-{version}-{os}-{arch}.{ext}",
		 "https://s/a.com/x-1.0%2Bg-linux-amd64.aci"},
		{"https://s/x.{ext}", "https://s/x.aci"},
		{"https://s/{flavour}", "https://s/a%2Fb%20c%3F"},
		{"https://s/{braces}", "https://s/%7Bname%7D"},
		{"https://s/{nothing}", NULL},
		{"https://s/{}", NULL},
		{"https://s/{name", NULL},
		{"https://s/name}", "https://s/name}"},
		{"https://s/{control}", NULL},
		{"https://s/{empty}", "https://s/"},
		{"https://s/{{name}}", NULL},
	};
	cleanup_json struct json_object *list =
		labels("[{\"name\": \"version\", \"value\": \"1.0+g\"},"
		       "{\"name\": \"os\", \"value\": \"linux\"},"
		       "{\"name\": \"arch\", \"value\": \"amd64\"},"
		       "{\"name\": \"flavour\", \"value\": \"a/b c?\"},"
		       "{\"name\": \"braces\", \"value\": \"{name}\"},"
		       "{\"name\": \"empty\", \"value\": \"\"},"
		       "{\"name\": \"control\", \"value\": \"a\\nb\"}]");
	char *url;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		url = discovery_render(rows[i].tmpl, "a.com/x", list, "aci");
		if (!url != !rows[i].url || (url && strcmp(url, rows[i].url) != 0))
			fail_msg("%s: %s", rows[i].tmpl, url ? url : "skipped");
		free(url);
	}
	url = discovery_render("{version}", "a.com/x", NULL, "aci");
	assert_string_equal(url, "latest");
	free(url);
}

static void tags_for_the_name_give_endpoints_in_order(void **state)
{
	static const char page[] =
		"<meta name=ac-discovery content='a.com/x https://one/{name}.{ext}'>"
		"<meta name=ac-discovery content='  a.com \n https://two/{version}.{ext} '>"
		"<meta name=ac-discovery content='a.com/xy https://other/x.{ext}'>"
		"<meta name=ac-discovery content='b.com https://other/x.{ext}'>"
		"<meta name=ac-discovery content='a.com hdfs://other/x.{ext}'>"
		"<meta name=ac-discovery content='a.com http://plain/x.{ext}'>"
		"<meta name=ac-discovery content='a.com https://user:pw@other/x.{ext}'>"
		"<meta name=ac-discovery content='a.com https://other/{nothing}'>"
		"<meta name=ac-discovery content='a.com'>"
		"<meta name=AC-discovery content='a.com https://other/{ext}'>"
		"<meta name=ac-discovery-pubkeys content='a.com https://keys/a.gpg'>"
		"<meta name=ac-discovery-pubkeys content='b.com https://keys/b.gpg'>";
	struct discovery_endpoints found = {.v = NULL};
	cleanup_strv struct strv keys = STRV_INIT;

	(void)state;
	discovery_page_endpoints(page, strlen(page), "a.com/x", NULL, false, &found);
	assert_int_equal(found.n, 2);
	assert_string_equal(found.v[0].image, "https://one/a.com/x.aci");
	assert_string_equal(found.v[0].signature, "https://one/a.com/x.aci.asc");
	assert_string_equal(found.v[1].image, "https://two/latest.aci");
	discovery_endpoints_free(&found);
	discovery_page_endpoints(page, strlen(page), "a.com/x", NULL, true, &found);
	assert_int_equal(found.n, 3);
	assert_string_equal(found.v[2].image, "http://plain/x.aci");
	discovery_endpoints_free(&found);
	discovery_page_keys(page, strlen(page), "a.com/x", &keys);
	assert_int_equal(keys.n, 1);
	assert_string_equal(keys.v[0], "https://keys/a.gpg");
}

static void a_page_can_not_make_us_hold_much(void **state)
{
	struct discovery_endpoints found = {.v = NULL};
	cleanup_str struct str page = STR_INIT;

	(void)state;
	for (size_t i = 0; i < 4 * DISCOVERY_RESULTS_MAX; i++)
		str_addf(&page, "<meta name=ac-discovery content='a https://s/%zu.{ext}'>", i);
	discovery_page_endpoints(str_get(&page), page.len, "a", NULL, false, &found);
	assert_int_equal(found.n, DISCOVERY_RESULTS_MAX);
	discovery_endpoints_free(&found);
}

/* The signatures are those of Amazon's own examples for S3. */
static void credentials_become_headers_for_their_host_alone(void **state)
{
	static const struct {
		const char *url, *authorization; /* NULL: none */
	} rows[] = {
		{"https://basic.com/x.aci", "Basic bWU6c2U6Y3JldA=="},
		{"https://BASIC.com:443/x.aci", "Basic bWU6c2U6Y3JldA=="},
		{"https://basic.com:8443/x.aci", NULL},
		{"http://basic.com/x.aci", NULL},
		{"https://sub.basic.com/x.aci", NULL},
		{"https://oauth.com:8443/x.aci", "Bearer tok"},
		{"https://oauth.com/x.aci", NULL},
		{"https://examplebucket.s3.amazonaws.com/?lifecycle",
		 "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/"
		 "aws4_request,SignedHeaders=host;x-amz-content-sha256;x-amz-date,Signature="
		 "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"},
		{"https://examplebucket.s3.amazonaws.com/?prefix=J&max-keys=2",
		 "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/"
		 "aws4_request,SignedHeaders=host;x-amz-content-sha256;x-amz-date,Signature="
		 "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"},
	};
	struct config_auth auth[] = {
		{"basic.com", CONFIG_BASIC, "me", "se:cret", NULL},
		{"examplebucket.s3.amazonaws.com", CONFIG_AWS, "AKIAIOSFODNN7EXAMPLE",
		 "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", NULL},
		{"oauth.com:8443", CONFIG_OAUTH, NULL, "tok", NULL},
		{"b.s3-eu-west-1.amazonaws.com", CONFIG_AWS, "id", "key", NULL},
		{"b.s3.eu-west-2.amazonaws.com", CONFIG_AWS, "id", "key", NULL},
		{"s3.dualstack.eu-west-3.amazonaws.com", CONFIG_AWS, "id", "key", NULL},
		{"s3.example.com", CONFIG_AWS, "id", "key", NULL},
		{"set.s3-eu-west-1.amazonaws.com", CONFIG_AWS, "id", "key", "mine-1"},
	};
	static const char *const regions[] = {"/eu-west-1/", "/eu-west-2/", "/eu-west-3/",
					      "/us-east-1/", "/mine-1/"};
	const struct config config = {.auth = auth, .nauth = ARRAY_SIZE(auth)};
	struct error err = ERROR_INIT;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		cleanup_web_auth struct web_auth got = WEB_AUTH_INIT;

		/* 2013-05-24T00:00:00Z */
		assert_int_equal(web_auth_for(&config, rows[i].url, "GET", 1369353600, &got, &err),
				 0);
		if (!got.authorization != !rows[i].authorization ||
		    (got.authorization && strcmp(got.authorization, rows[i].authorization) != 0))
			fail_msg("%s: %s", rows[i].url, got.authorization);
	}
	for (size_t i = 0; i < ARRAY_SIZE(regions); i++) {
		cleanup_web_auth struct web_auth got = WEB_AUTH_INIT;
		cleanup_free char *url = xasprintf("https://%s/x.aci", auth[3 + i].host);

		assert_int_equal(web_auth_for(&config, url, "GET", 1369353600, &got, &err), 0);
		if (!strstr(got.authorization, regions[i]))
			fail_msg("%s: %s", url, got.authorization);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(meta_tags_are_found_wherever_they_are_tags),
		cmocka_unit_test(a_page_of_many_tags_ends),
		cmocka_unit_test(templates_are_filled_in_or_skipped),
		cmocka_unit_test(tags_for_the_name_give_endpoints_in_order),
		cmocka_unit_test(a_page_can_not_make_us_hold_much),
		cmocka_unit_test(credentials_become_headers_for_their_host_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

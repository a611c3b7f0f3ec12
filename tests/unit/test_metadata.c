/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include <stdlib.h>
#include <string.h>

#include "common/str.h"
#include "common/util.h"
#include "vmm/metadata.h"

#define UUID  "01234567-89ab-cdef-0123-456789abcdef"
#define OTHER "11111111-2222-3333-4444-555555555555"
#define TOKEN "feedface"
#define V1    "/" TOKEN "/acMetadata/v1"
#define JSON  "application/json"
#define EXPECTED                                                                                   \
	"I%2BlGDJgCu6xouWlO%2F4qklkxA98WYBxUQ7Gl9eFG84kV3iXS4872S%2F2"                             \
	"bd%2BYRXYq7II9iUmb8qX56jfBPsTtsz3Q%3D%3D"
#define TEXT "text/plain; charset=us-ascii"

static const char pod_text[] =
	"{\"acKind\":\"PodManifest\", \"annotations\":[{\"name\":\"a/b\",\"value\":\"one\"}],"
	"\"apps\":[{\"name\":\"web\",\"image\":{\"id\":\"sha512-00ff\"},\"annotations\":["
	"{\"name\":\"color\",\"value\":\"red\"},{\"name\":\"new\",\"value\":\"3\"}]},"
	"{\"name\":\"db\",\"image\":{\"id\":\"sha512-11\"}}]}";
static const char image_text[] = "{\"acKind\":\"ImageManifest\",\n\"annotations\":["
				 "{\"name\":\"color\",\"value\":\"blue\"},"
				 "{\"name\":\"size\",\"value\":\"2\"}]}";

static struct metadata *make(const char *uuid, const char *pod)
{
	static const uint8_t key[METADATA_KEY_SIZE] = "a key";
	const struct metadata_image images[] = {{image_text, strlen(image_text)}, {NULL, 0}};
	const struct metadata_config config = {
		.uuid = uuid,
		.token = TOKEN,
		.key = key,
		.pod = pod,
		.pod_len = strlen(pod),
		.images = images,
		.nimages = ARRAY_SIZE(images),
	};
	struct metadata *md = NULL;
	struct error err = ERROR_INIT;

	assert_int_equal(metadata_new(&config, &md, &err), 0);
	return md;
}

static int setup(void **state)
{
	*state = make(UUID, pod_text);
	return 0;
}

static int teardown(void **state)
{
	metadata_free(*state);
	return 0;
}

struct answer {
	int status;
	char type[64];
	const char *body; /* within text */
	struct str text;
};

static void ask(const struct metadata *md, enum mdhttp_method method, const char *path,
		const char *form, struct answer *ret)
{
	const struct mdhttp_request request = {
		.method = method,
		.form = form != NULL,
		.path = path,
		.path_len = strlen(path),
		.body = form ? form : "",
		.body_len = form ? strlen(form) : 0,
	};
	const char *type;

	*ret = (struct answer){.type = ""};
	metadata_answer(md, &request, &ret->text);
	assert_true(str_starts_with(ret->text.s, "HTTP/1.1 "));
	ret->status = (int)strtol(ret->text.s + strlen("HTTP/1.1 "), NULL, 10);
	type = strstr(ret->text.s, "Content-Type: ");
	if (type)
		assert_int_equal(sscanf(type, "Content-Type: %63[^\r]", ret->type), 1);
	ret->body = strstr(ret->text.s, "\r\n\r\n");
	assert_non_null(ret->body);
	ret->body += 4;
}

static void assert_get(const struct metadata *md, const char *path, const char *type,
		       const char *body)
{
	cleanup_free char *whole = xasprintf(V1 "%s", path);
	struct answer answer;

	ask(md, MDHTTP_GET, whole, NULL, &answer);
	assert_int_equal(answer.status, 200);
	assert_string_equal(answer.type, type);
	assert_string_equal(answer.body, body);
	str_free(&answer.text);
	ask(md, MDHTTP_HEAD, whole, NULL, &answer);
	assert_int_equal(answer.status, 200);
	assert_string_equal(answer.body, "");
	str_free(&answer.text);
}

static void assert_status(const struct metadata *md, enum mdhttp_method method, const char *path,
			  const char *form, int status)
{
	struct answer answer;

	ask(md, method, path, form, &answer);
	assert_int_equal(answer.status, status);
	str_free(&answer.text);
}

static void every_endpoint_has_its_body_and_type(void **state)
{
	const struct metadata *md = *state;

	assert_get(md, "/pod/manifest", JSON, pod_text);
	assert_get(md, "/pod/uuid", TEXT, UUID);
	assert_get(md, "/pod/annotations", JSON, "[{\"name\":\"a/b\",\"value\":\"one\"}]");
	assert_get(md, "/pod/annotations/a/b", TEXT, "one");
	assert_get(md, "/pod/annotations/a%2Fb", TEXT, "one");
	assert_get(md, "/apps/web/image/manifest", JSON, image_text);
	assert_get(md, "/apps/web/image/id", TEXT, "sha512-00ff");
	assert_get(md, "/apps/db/image/id", TEXT, "sha512-11");
}

static void the_pods_annotations_of_an_app_are_over_the_images(void **state)
{
	assert_get(*state, "/apps/web/annotations", JSON,
		   "[{\"name\":\"color\",\"value\":\"red\"},{\"name\":\"size\",\"value\":\"2\"},"
		   "{\"name\":\"new\",\"value\":\"3\"}]");
	assert_get(*state, "/apps/web/annotations/color", TEXT, "red");
	assert_get(*state, "/apps/web/annotations/size", TEXT, "2");
	assert_get(*state, "/apps/db/annotations", JSON, "[]");
}

static void annotations_that_are_not_there_are_null(void **state)
{
	static const char *const pods[] = {"{\"annotations\":null}", "{}"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(pods); i++) {
		struct metadata *md = make(UUID, pods[i]);

		assert_get(md, "/pod/annotations", JSON, "null");
		metadata_free(md);
	}
}

static void what_is_asked_for_has_its_status(void **state)
{
	static const struct {
		int status;
		const char *paths[10];
	} rows[] = {
		{401,
		 {"/", "/acMetadata/v1/pod/uuid", "/feedfac/acMetadata/v1/pod/uuid",
		  "/feedfacf/acMetadata/v1/pod/uuid"}},
		{404,
		 {"/" TOKEN, "/" TOKEN "/", V1, "/" TOKEN "/acMetadata/v2/pod/uuid", V1 "/pod",
		  V1 "/pod/uuid/", V1 "/pod/annotations/none", V1 "/apps/cache/image/id",
		  V1 "/apps/db/image/manifest", V1 "/apps/db"}},
		{400,
		 {V1 "/apps/", V1 "/apps//image/id", V1 "/apps/Web/image/id",
		  V1 "/apps/-web/image/id", V1 "/apps/a%20b/image/id", V1 "/pod/uuid%00",
		  V1 "/pod/uuid%"}},
		{405, {V1 "/pod/hmac/sign"}},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		for (size_t k = 0; k < ARRAY_SIZE(rows[i].paths) && rows[i].paths[k]; k++)
			assert_status(*state, MDHTTP_GET, rows[i].paths[k], NULL, rows[i].status);
}

static void other_methods_have_their_status(void **state)
{
	assert_status(*state, MDHTTP_POST, V1 "/pod/uuid", "a=b", 405);
	assert_status(*state, MDHTTP_OTHER, V1 "/pod/uuid", NULL, 405);
	assert_status(*state, MDHTTP_OTHER, V1 "/pod/hmac/verify", NULL, 405);
	assert_status(*state, MDHTTP_POST, "/feedfacee/acMetadata/v1/pod/hmac/sign", "content=a",
		      401);
}

static void forms_have_their_status(void **state)
{
	static const char *const signs[] = {NULL, "", "content=", "content=%4"};
	static const char *const verifies[] = {
		"content=a&uuid=" UUID "&signature=AAA", "content=a&uuid=" UUID,
		"content=a&uuid=none&signature=AAAA",	 "content=a&signature=AAAA",
		"content=&uuid=" UUID "&signature=AAAA",
	};

	for (size_t i = 0; i < ARRAY_SIZE(signs); i++)
		assert_status(*state, MDHTTP_POST, V1 "/pod/hmac/sign", signs[i], 400);
	for (size_t i = 0; i < ARRAY_SIZE(verifies); i++)
		assert_status(*state, MDHTTP_POST, V1 "/pod/hmac/verify", verifies[i], 400);
	assert_status(*state, MDHTTP_POST, V1 "/pod/hmac/verify",
		      "content=a&uuid=" UUID "&signature=AAAA", 403);
}

/* What sign says of a content that needs no encoding, with '+' of base64 fit for a form. */
static char *sign(const struct metadata *md, const char *content)
{
	cleanup_free char *form = xasprintf("content=%s", content);
	cleanup_str struct str encoded = STR_INIT;
	struct answer answer;

	ask(md, MDHTTP_POST, V1 "/pod/hmac/sign", form, &answer);
	assert_int_equal(answer.status, 200);
	assert_string_equal(answer.type, TEXT);
	for (const char *p = answer.body; *p; p++)
		str_addf(&encoded, strchr("+/=", *p) ? "%%%02X" : "%c", *p);
	str_free(&answer.text);
	return str_take(&encoded);
}

static void assert_verdict(const struct metadata *md, const char *content, const char *uuid,
			   const char *signature, int status)
{
	cleanup_free char *form =
		xasprintf("content=%s&uuid=%s&signature=%s", content, uuid, signature);

	assert_status(md, MDHTTP_POST, V1 "/pod/hmac/verify", form, status);
}

static void a_signature_is_the_pods_and_the_contents(void **state)
{
	struct metadata *other = make(OTHER, pod_text);
	cleanup_free char *mine = sign(*state, "hello"), *theirs = sign(other, "hello");

	/* HMAC-SHA-512 over the UUID's 16 bytes and the content, as Python's hmac computes it */
	assert_string_equal(mine, EXPECTED);
	assert_string_not_equal(mine, theirs);
	assert_verdict(*state, "hello", UUID, mine, 200);
	assert_verdict(*state, "hello", "01234567-89AB-CDEF-0123-456789ABCDEF", mine, 200);
	assert_verdict(*state, "hellO", UUID, mine, 403);
	assert_verdict(*state, "hello", OTHER, mine, 403);
	/* who has the same key can tell whose it is */
	assert_verdict(other, "hello", UUID, mine, 200);
	assert_verdict(*state, "hello", OTHER, theirs, 200);
	metadata_free(other);
}

static void manifests_of_no_sense_are_refused(void **state)
{
	static const char *const pods[] = {
		"",
		"{",
		"{\"annotations\":{}}",
		"{\"annotations\":[1]}",
		"{\"apps\":[{}]}",
		"{\"apps\":[{\"name\":\"a\",\"image\":[]}]}",
	};
	static const uint8_t key[METADATA_KEY_SIZE];
	struct error err = ERROR_INIT;
	struct metadata *md = NULL;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(pods); i++) {
		const struct metadata_config config = {
			.uuid = UUID,
			.token = TOKEN,
			.key = key,
			.pod = pods[i],
			.pod_len = strlen(pods[i]),
		};

		assert_true(metadata_new(&config, &md, &err) < 0);
	}
}

static const char pod_with_cache[] =
	"{\"acKind\":\"PodManifest\",\"apps\":[{\"name\":\"web\"},{\"name\":\"cache\","
	"\"image\":{\"id\":\"sha512-22\"},\"annotations\":[{\"name\":\"size\",\"value\":\"4\"}]}]}";
static const struct metadata_image image = {image_text, sizeof(image_text) - 1};

static int add_app(struct metadata *md, const char *name, const char *pod)
{
	struct error err = ERROR_INIT;

	return metadata_add_app(md, name, pod, strlen(pod), &image, &err);
}

static void an_app_that_comes_has_its_paths_until_it_goes(void **state)
{
	struct metadata *md = *state;

	assert_int_equal(add_app(md, "cache", pod_with_cache), 0);
	assert_get(md, "/apps/cache/image/id", TEXT, "sha512-22");
	assert_get(md, "/apps/cache/image/manifest", JSON, image_text);
	assert_get(md, "/apps/cache/annotations/size", TEXT, "4");
	assert_get(md, "/apps/cache/annotations/color", TEXT, "blue");
	assert_get(md, "/pod/manifest", JSON, pod_with_cache);
	assert_get(md, "/apps/web/annotations/color", TEXT, "red"); /* as it came */
	metadata_remove_app(md, "cache");
	assert_status(md, MDHTTP_GET, "/" TOKEN "/acMetadata/v1/apps/cache/image/id", NULL, 404);
	assert_status(md, MDHTTP_GET, "/" TOKEN "/acMetadata/v1/apps/cache/annotations", NULL, 404);
	assert_get(md, "/apps/web/image/id", TEXT, "sha512-00ff");
	assert_get(md, "/pod/manifest", JSON,
		   "{\"acKind\":\"PodManifest\",\"apps\":[{\"name\":\"web\"}]}");
	metadata_remove_app(md, "cache");
	metadata_remove_app(md, "we");
	assert_get(md, "/apps/web/image/id", TEXT, "sha512-00ff");
}

static void an_app_that_comes_again_has_what_it_came_with_last(void **state)
{
	struct metadata *md = *state;

	assert_int_equal(add_app(md, "cache", pod_with_cache), 0);
	assert_int_equal(
		add_app(md, "cache",
			"{\"apps\":[{\"name\":\"cache\",\"image\":{\"id\":\"sha512-33\"}}]}"),
		0);
	assert_get(md, "/apps/cache/image/id", TEXT, "sha512-33");
	assert_get(md, "/apps/cache/annotations/size", TEXT, "2");
}

static void an_app_of_no_sense_changes_nothing(void **state)
{
	static const char *const pods[] = {
		"",
		"{\"apps\":{}}",
		pod_text, /* which does not have it */
		"{\"apps\":[{\"name\":\"cache\",\"image\":[]}]}",
		"{\"apps\":[{\"name\":\"cache\",\"image\":{\"id\":\"a\"},\"annotations\":[1]}]}",
	};
	const struct metadata_image bad = {"[", 1};
	struct metadata *md = *state;
	struct error err = ERROR_INIT;

	assert_int_equal(add_app(md, "cache", pod_with_cache), 0);
	for (size_t i = 0; i < ARRAY_SIZE(pods); i++)
		assert_true(add_app(md, "cache", pods[i]) < 0);
	assert_true(metadata_add_app(md, "cache", pod_with_cache, strlen(pod_with_cache), &bad,
				     &err) < 0);
	assert_get(md, "/apps/cache/image/id", TEXT, "sha512-22");
	assert_get(md, "/apps/cache/annotations/size", TEXT, "4");
	assert_get(md, "/pod/manifest", JSON, pod_with_cache);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(every_endpoint_has_its_body_and_type, setup,
						teardown),
		cmocka_unit_test_setup_teardown(the_pods_annotations_of_an_app_are_over_the_images,
						setup, teardown),
		cmocka_unit_test(annotations_that_are_not_there_are_null),
		cmocka_unit_test_setup_teardown(what_is_asked_for_has_its_status, setup, teardown),
		cmocka_unit_test_setup_teardown(other_methods_have_their_status, setup, teardown),
		cmocka_unit_test_setup_teardown(forms_have_their_status, setup, teardown),
		cmocka_unit_test_setup_teardown(a_signature_is_the_pods_and_the_contents, setup,
						teardown),
		cmocka_unit_test(manifests_of_no_sense_are_refused),
		cmocka_unit_test_setup_teardown(an_app_that_comes_has_its_paths_until_it_goes,
						setup, teardown),
		cmocka_unit_test_setup_teardown(an_app_that_comes_again_has_what_it_came_with_last,
						setup, teardown),
		cmocka_unit_test_setup_teardown(an_app_of_no_sense_changes_nothing, setup,
						teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

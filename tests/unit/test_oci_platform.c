/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include <errno.h>
#include <string.h>

#include "common/json.h"
#include "common/util.h"
#include "stage0/image/oci_doc.h"

#define DIGEST "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8"
#define IMAGE                                                                                      \
	"{\"mediaType\":\"application/"                                                            \
	"vnd.oci.image.manifest.v1+json\",\"size\":1,\"digest\":\"" DIGEST

static void platforms_are_read_as_users_write_them(void **state)
{
	static const struct {
		const char *text, *os, *arch, *variant;
	} cases[] = {
		{"linux/amd64", "linux", "amd64", ""},	 {"linux/arm/v7", "linux", "arm", "v7"},
		{"arm64", "linux", "arm64", ""},	 {"x86_64", "linux", "amd64", ""},
		{"linux/aarch64", "linux", "arm64", ""}, {"windows/amd64", "windows", "amd64", ""},
	};
	static const char *const wrong[] = {"",
					    "/",
					    "linux/",
					    "/amd64",
					    "a/b/c/d",
					    "linux/amd64/",
					    "Linux/amd64",
					    "linux/0123456789012345678901234567890123"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct oci_platform platform;
		struct error err = ERROR_INIT;

		assert_int_equal(oci_platform_parse(cases[i].text, &platform, &err), 0);
		assert_string_equal(platform.os, cases[i].os);
		assert_string_equal(platform.arch, cases[i].arch);
		assert_string_equal(platform.variant, cases[i].variant);
	}
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		struct oci_platform platform;
		struct error err = ERROR_INIT;

		if (oci_platform_parse(wrong[i], &platform, &err) != -EINVAL)
			fail_msg("\"%s\" was taken", wrong[i]);
	}
}

/* The entry (by the last digit of its digest) an index gives a platform; -1: none. */
static int choose(const char *entries, const char *platform_text, struct error *err)
{
	cleanup_free char *text = xasprintf("{\"schemaVersion\":2,\"manifests\":[%s]}", entries);
	cleanup_json struct json_object *doc = NULL;
	struct oci_platform platform;
	struct oci_wanted wanted = {.platform = &platform};
	struct oci_desc desc;

	assert_int_equal(oci_platform_parse(platform_text, &platform, err), 0);
	assert_int_equal(json_parse(text, strlen(text), "index", &doc, err), 0);
	if (oci_index_choose(doc, &wanted, &desc, err) < 0)
		return -1;
	return desc.digest.hex[63] - '0';
}

static void the_best_variant_of_the_platform_is_chosen(void **state)
{
	static const char arms[] = IMAGE
		"1\",\"platform\":{\"os\":\"linux\",\"architecture\":\"arm\",\"variant\":\"v5\"}}"
		"," IMAGE "2\",\"platform\":{\"os\":\"linux\",\"architecture\":\"arm\",\"variant\":"
		"\"v7\"}}," IMAGE "3\",\"platform\":{\"os\":\"linux\",\"architecture\":"
		"\"arm\",\"variant\":\"v6\"}}," IMAGE
		"4\",\"platform\":{\"os\":\"linux\",\"architecture\":\"arm64\",\"variant\":\"v8\"}}"
		"," IMAGE "5\",\"platform\":{\"os\":\"linux\",\"architecture\":\"amd64\"}}," IMAGE
		"6\",\"platform\":{\"os\":\"linux\",\"architecture\":\"amd64\"}}";
	static const struct {
		const char *platform;
		int entry;
	} cases[] = {
		{"linux/arm", 2}, {"linux/arm/v6", 3},	 {"linux/arm/v5", 1},
		{"arm64", 4},	  {"amd64", 5},		 {"amd64/v1", -1},
		{"386", -1},	  {"linux/amd64/v1", 5}, {"windows/amd64", -1},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct error err = ERROR_INIT;
		int entry = choose(arms, cases[i].platform, &err);

		if (entry != cases[i].entry)
			fail_msg("%s: %d", cases[i].platform, entry);
		if (entry < 0)
			assert_non_null(strstr(err.msg, "linux/arm/v7"));
	}
}

static void what_is_no_image_is_passed_over(void **state)
{
	static const char attested[] =
		IMAGE "1\",\"platform\":{\"os\":\"unknown\",\"architecture\":\"unknown\"},"
		      "\"annotations\":{\"vnd.docker.reference.type\":\"attestation-manifest\"}},"
		      "{\"mediaType\":\"application/x-new\",\"digest\":\"blake3:00\",\"size\":-5},"
		      "{\"mediaType\":\"application/"
		      "vnd.oci.image.manifest.v1+json\",\"artifactType\":\"x\","
		      "\"digest\":\"" DIGEST "2\",\"size\":1}," IMAGE "3\"}";
	static const char two[] = IMAGE "1\"}," IMAGE "2\"}";
	static const char one_of_two[] = IMAGE
		"1\"}," IMAGE "2\",\"platform\":{\"os\":\"linux\",\"architecture\":\"s390x\"}}";
	struct error err = ERROR_INIT;

	(void)state;
	assert_int_equal(choose(attested, "amd64", &err), 3);
	assert_int_equal(choose(two, "amd64", &err), -1);
	assert_int_equal(choose(one_of_two, "amd64", &err), -1);
	assert_int_equal(choose(one_of_two, "s390x", &err), 2);
}

static int kind_of(const char *text, const char *announced, enum oci_kind *ret, struct error *err)
{
	cleanup_json struct json_object *doc = NULL;

	assert_int_equal(json_parse(text, strlen(text), "doc", &doc, err), 0);
	return oci_document_kind(doc, announced, ret, err);
}

static void a_document_is_what_all_its_signs_say(void **state)
{
#define OCI_TYPE    "application/vnd.oci.image.manifest.v1+json"
#define DOCKER_TYPE "application/vnd.docker.distribution.manifest.v2+json"
	static const struct {
		const char *text, *announced;
		enum oci_kind kind; /* OCI_OTHER: refused */
	} cases[] = {
		{"{\"schemaVersion\":2,\"layers\":[]}", "", OCI_MANIFEST},
		{"{\"schemaVersion\":2,\"layers\":[]}", "text/plain", OCI_MANIFEST},
		{"{\"schemaVersion\":2,\"manifests\":[]}", "", OCI_INDEX},
		{"{\"schemaVersion\":2,\"manifests\":[]}", OCI_TYPE, OCI_OTHER},
		{"{\"schemaVersion\":2}", "", OCI_OTHER},
		{"{\"schemaVersion\":2,\"mediaType\":\"" OCI_TYPE "\"}", OCI_TYPE, OCI_MANIFEST},
		{"{\"schemaVersion\":2,\"mediaType\":\"" OCI_TYPE "\"}", DOCKER_TYPE, OCI_OTHER},
		{"{\"schemaVersion\":2,\"manifests\":[],\"layers\":[]}", "", OCI_OTHER},
		{"{\"schemaVersion\":2,\"layers\":[],\"fsLayers\":[]}", OCI_TYPE, OCI_OTHER},
		{"{\"schemaVersion\":2,\"layers\":[]}", "text/html", OCI_OTHER},
	};
	struct error err = ERROR_INIT;
	enum oci_kind kind;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		kind = OCI_OTHER;
		if (kind_of(cases[i].text, cases[i].announced, &kind, &err) < 0)
			kind = OCI_OTHER;
		if (kind != cases[i].kind)
			fail_msg("%s as %s", cases[i].text, cases[i].announced);
	}
	assert_int_equal(kind_of("{\"schemaVersion\":1,\"fsLayers\":[]}", "", &kind, &err),
			 -EBADMSG);
	assert_non_null(strstr(err.msg, "skopeo copy"));
}

static void what_can_not_run_is_refused_by_name(void **state)
{
#define DESC(type) "{\"mediaType\":\"" type "\",\"size\":1,\"digest\":\"" DIGEST "a\"}"
#define CONFIG	   DESC("application/vnd.oci.image.config.v1+json")
	static const struct {
		const char *config, *layer, *says;
	} cases[] = {
		{DESC("application/vnd.cncf.helm.config.v1+json"), "", "helm"},
		{CONFIG, DESC("application/vnd.oci.image.layer.v1.tar+gzip+encrypted"),
		 "encrypted"},
		{CONFIG, DESC("application/x-disk"), "x-disk"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		cleanup_free char *text =
			xasprintf("{\"schemaVersion\":2,\"config\":%s,\"layers\":[%s]}",
				  cases[i].config, cases[i].layer);
		cleanup_json struct json_object *doc = NULL;
		static struct oci_manifest manifest;
		struct error err = ERROR_INIT;

		assert_int_equal(json_parse(text, strlen(text), "manifest", &doc, &err), 0);
		assert_int_equal(oci_manifest_parse(doc, &manifest, &err), -EBADMSG);
		if (!strstr(err.msg, cases[i].says))
			fail_msg("%s", err.msg);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(platforms_are_read_as_users_write_them),
		cmocka_unit_test(the_best_variant_of_the_platform_is_chosen),
		cmocka_unit_test(what_is_no_image_is_passed_over),
		cmocka_unit_test(a_document_is_what_all_its_signs_say),
		cmocka_unit_test(what_can_not_run_is_refused_by_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

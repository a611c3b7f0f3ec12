/* SPDX-License-Identifier: Apache-2.0 */
/* --pod-manifest: a document of somebody else's, and the images it names. */
#include "tests/unit/unit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/file.h"
#include "common/util.h"
#include "stage0/image_manifest.h"
#include "stage0/pod_file.h"
#include "tests/unit/scratch.h"
#include "tests/unit/storemake.h"

#define POD(more)   "{\"acKind\":\"PodManifest\",\"acVersion\":\"0.8.11\"" more "}"
#define APPS(apps)  POD(",\"apps\":[" apps "]")
#define IMAGE	    "\"image\":{\"id\":\"sha512-ab\"}"
#define APP(more)   "{\"name\":\"a\"," IMAGE more "}"
#define PORT(ports) POD(",\"ports\":[" ports "]")

static int read_text(const struct scratch *scratch, const char *text, struct json_object **ret,
		     struct error *err)
{
	cleanup_free char *path = xasprintf("%s/pod.json", scratch->path);

	assert_int_equal(file_write(scratch->fd, "pod.json", text, strlen(text), 0600, err), 0);
	return pod_file_read(path, ret, err);
}

static void every_row_of_the_table_has_its_answer(void **state)
{
	static const struct {
		const char *text, *why; /* NULL: it is right */
	} rows[] = {
		{POD(""), NULL}, /* prepare takes a pod without apps */
		{APPS(""), NULL},
		{APPS(APP("")), NULL},
		{APPS("{\"name\":\"a\",\"image\":{\"name\":\"e.x/"
		      "a\",\"labels\":[{\"name\":\"version\","
		      "\"value\":\"1\"}]}}"),
		 NULL},
		{POD(",\"volumes\":null,\"isolators\":null,\"annotations\":null,\"ports\":null"),
		 NULL},
		{POD(",\"isolators\":[{\"name\":\"what/ever\",\"value\":1}]"), NULL},
		{POD(",\"annotations\":[{\"name\":\"x\",\"value\":\"y\"}],\"userLabels\":{\"A\":"
		     "\"b\"}"),
		 NULL},
		{PORT("{\"name\":\"p\",\"hostPort\":80,\"hostIP\":\"::1\"}"), NULL},
		{"", "pod.json"},
		{"[]", "not a JSON object"},
		{"{\"acKind\":\"ImageManifest\",\"acVersion\":\"0.8.11\"}", "acKind"},
		{"{\"acKind\":\"PodManifest\"}", "acVersion \"\" is not a version"},
		{"{\"acKind\":\"PodManifest\",\"acVersion\":\"1\"}", "acVersion \"1\""},
		{POD(",\"apps\":{}"), "apps"},
		{APPS("7"), "apps[0]: not an object"},
		{APPS("{" IMAGE "}"), "\"\" is not a valid name"},
		{APPS("{\"name\":\"../x\"," IMAGE "}"), "\"../x\" is not a valid name"},
		{APPS(APP("") "," APP("")), "\"a\" is given twice"},
		{APPS("{\"name\":\"a\"}"), "it has no image"},
		{APPS("{\"name\":\"a\",\"image\":{}}"), "neither id nor name"},
		{APPS("{\"name\":\"a\",\"image\":{\"id\":\"md5-1\"}}"),
		 "\"md5-1\" is not an image ID"},
		{APPS("{\"name\":\"a\",\"image\":{\"id\":\"sha512-../../x\"}}"),
		 "is not an image ID"},
		{APPS("{\"name\":\"a\",\"image\":{\"name\":\"A b\"}}"), "is not an image's name"},
		{APPS("{\"name\":\"a\",\"image\":{\"name\":\"x\",\"labels\":[{\"name\":\"version\"}"
		      "]}}"),
		 "it has no value"},
		{APPS(APP(",\"app\":[]")), "app"},
		{APPS(APP(",\"readOnlyRootFS\":1")), "readOnlyRootFS"},
		{APPS(APP(",\"annotations\":[{\"name\":\"x\",\"value\":\"1\"},{\"name\":\"x\","
			  "\"value\":\"2\"}]")),
		 "\"x\" is given twice"},
		{APPS(APP(",\"mounts\":[{\"volume\":\"v\",\"path\":\"/p\"}]")),
		 "there is no volume \"v\""},
		{POD(",\"volumes\":[{\"name\":\"v\",\"kind\":\"host\",\"source\":\"rel\"}]"),
		 "source \"rel\" is not absolute"},
		{PORT("{\"name\":\"p\",\"hostPort\":0}"), "hostPort"},
		{PORT("{\"name\":\"p\",\"hostPort\":70000}"), "hostPort"},
		{PORT("{\"name\":\"p\"}"), "it has no hostPort"},
		{PORT("{\"name\":\"p\",\"hostPort\":1,\"hostIP\":\"here\"}"), "hostIP \"here\""},
		{POD(",\"userLabels\":{\"x\":1}"), "userLabels: x is not a string"},
		{POD(",\"isolators\":[{\"value\":1}]"), "isolators[0]"},
	};
	const struct scratch *scratch = *state;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		cleanup_json struct json_object *doc = NULL;
		struct error err = ERROR_INIT;
		int r = read_text(scratch, rows[i].text, &doc, &err);

		if ((r == 0) != !rows[i].why)
			fail_msg("%s: %s", rows[i].text, r < 0 ? err.msg : "accepted");
		if (rows[i].why && !strstr(err.msg, rows[i].why))
			fail_msg("\"%s\" does not say \"%s\"", err.msg, rows[i].why);
	}
}

static void there_is_no_more_than_the_limit_of_apps(void **state)
{
	const struct scratch *scratch = *state;

	for (unsigned n = POD_APPS_MAX; n <= POD_APPS_MAX + 1; n++) {
		cleanup_json struct json_object *doc = NULL;
		cleanup_str struct str apps = STR_INIT;
		cleanup_free char *text = NULL;
		struct error err = ERROR_INIT;

		for (unsigned i = 0; i < n; i++)
			str_addf(&apps, "%s{\"name\":\"a%u\"," IMAGE "}", i ? "," : "", i);
		text = xasprintf(APPS("%s"), str_get(&apps));
		assert_int_equal(read_text(scratch, text, &doc, &err),
				 n > POD_APPS_MAX ? -E2BIG : 0);
	}
}

/* Find the image of the first app and complete it. The document's text, or NULL and why. */
static char *complete(const struct scratch *scratch, struct store *store, const char *text,
		      struct error *err)
{
	cleanup_json struct json_object *doc = NULL, *image = NULL;
	cleanup_strv struct strv warnings = STRV_INIT;
	struct pod_app app = {.request = NULL};
	char *ret = NULL;

	if (read_text(scratch, text, &doc, err) < 0)
		fail_msg("%s", err->msg);
	if (pod_file_image(doc, 0, store, &app, err) < 0)
		return NULL;
	if (store_manifest(store, app.key, &image, err) < 0 ||
	    image_manifest_check(image, &warnings, err) < 0)
		fail_msg("%s", err->msg);
	app.image = image;
	if (pod_file_complete(doc, 0, &app, &warnings, err) == 0)
		ret = xstrdup(json_text(doc));
	free((char *)app.key);
	free(app.name);
	return ret;
}

static void an_app_is_completed_by_its_image(void **state)
{
	const struct scratch *scratch = *state;
	struct store *store = storemake_open(scratch);
	cleanup_free char *by_id = NULL, *by_name = NULL, *got = NULL, *want = NULL, *own = NULL;
	char key[IMAGE_KEY_LEN + 1], bare[IMAGE_KEY_LEN + 1];
	struct error err = ERROR_INIT;

	storemake_image(
		store, "e.x/web",
		",\"labels\":[{\"name\":\"version\",\"value\":\"1\"}],\"annotations\":["
		"{\"name\":\"x\",\"value\":\"image\"},{\"name\":\"y\",\"value\":\"image\"}],"
		"\"app\":{\"exec\":[\"/web\"],\"user\":\"1\",\"group\":\"2\"}",
		"f:web", key);
	storemake_image(store, "e.x/bare", "", "f:bare", bare);

	/* by ID, with annotations of its own */
	by_id = xasprintf(APPS("{\"name\":\"a\",\"image\":{\"id\":\"%s\"},\"annotations\":["
			       "{\"name\":\"x\",\"value\":\"pod\"}]}"),
			  key);
	got = complete(scratch, store, by_id, &err);
	want = xasprintf(APPS("{\"name\":\"a\",\"image\":{\"id\":\"%s\",\"name\":\"e.x/web\"},"
			      "\"annotations\":[{\"name\":\"y\",\"value\":\"image\"},"
			      "{\"name\":\"x\",\"value\":\"pod\"}],"
			      "\"app\":{\"exec\":[\"/web\"],\"user\":\"1\",\"group\":\"2\"}}"),
			 key);
	if (!got)
		fail_msg("%s", err.msg);
	assert_string_equal(got, want);

	/* by name and labels, with a section of its own */
	by_name = complete(scratch, store,
			   APPS("{\"name\":\"a\",\"image\":{\"name\":\"e.x/bare\"},\"app\":"
				"{\"exec\":[\"/x\"],\"user\":\"0\",\"group\":\"0\"}}"),
			   &err);
	if (!by_name)
		fail_msg("%s", err.msg);
	own = xasprintf(APPS("{\"name\":\"a\",\"image\":{\"name\":\"e.x/bare\",\"id\":\"%s\"},"
			     "\"app\":{\"exec\":[\"/x\"],\"user\":\"0\",\"group\":\"0\"},"
			     "\"annotations\":[]}"),
			bare);
	assert_string_equal(by_name, own);
	store_close(store);
}

static void an_app_that_can_not_be_completed_is_refused(void **state)
{
	static const struct {
		const char *text, *why;
	} rows[] = {
		{APPS("{\"name\":\"a\",\"image\":{\"id\":\"sha512-00000000\"}}"),
		 "app a: image sha512-00000000 is not in the store"},
		{APPS("{\"name\":\"a\",\"image\":{\"name\":\"e.x/none\"}}"),
		 "app a: image e.x/none is not in the store"},
		{APPS("{\"name\":\"a\",\"image\":{\"name\":\"e.x/bare\",\"labels\":[{\"name\":"
		      "\"version\",\"value\":\"9\"}]}}"),
		 "is not in the store"},
		{APPS("{\"name\":\"a\",\"image\":{\"name\":\"e.x/bare\"}}"),
		 "neither the manifest nor the image has an app section"},
		{APPS("{\"name\":\"a\",\"image\":{\"name\":\"e.x/bare\"},\"app\":{\"exec\":[\"/"
		      "x\"]}}"),
		 "app a: user is required"},
	};
	const struct scratch *scratch = *state;
	struct store *store = storemake_open(scratch);
	char key[IMAGE_KEY_LEN + 1];

	storemake_image(store, "e.x/bare", "", "f:bare", key);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct error err = ERROR_INIT;
		cleanup_free char *got = complete(scratch, store, rows[i].text, &err);

		assert_null(got);
		if (!strstr(err.msg, rows[i].why))
			fail_msg("\"%s\" does not say \"%s\"", err.msg, rows[i].why);
	}
	store_close(store);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(every_row_of_the_table_has_its_answer,
						scratch_setup, scratch_teardown),
		cmocka_unit_test_setup_teardown(there_is_no_more_than_the_limit_of_apps,
						scratch_setup, scratch_teardown),
		cmocka_unit_test_setup_teardown(an_app_is_completed_by_its_image, scratch_setup,
						scratch_teardown),
		cmocka_unit_test_setup_teardown(an_app_that_can_not_be_completed_is_refused,
						scratch_setup, scratch_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

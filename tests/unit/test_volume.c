/* SPDX-License-Identifier: Apache-2.0 */
/* --volume and --mount, from the words to the pod manifest, and what status shows of it. */
#include "tests/unit/unit.h"

#include <errno.h>
#include <string.h>

#include "common/json.h"
#include "common/util.h"
#include "stage0/volume.h"

static void a_volume_is_written_as_an_object(void **state)
{
	static const struct {
		const char *text, *want;
	} rows[] = {
		{"v,kind=host,source=/a b",
		 "{\"source\":\"/a b\",\"name\":\"v\",\"kind\":\"host\"}"},
		{"v,kind=host,source=/a=b,readOnly=true,recursive=F",
		 "{\"source\":\"/"
		 "a=b\",\"readOnly\":true,\"recursive\":false,\"name\":\"v\",\"kind\":"
		 "\"host\"}"},
		{"v,readOnly=0,kind=host,source=/",
		 "{\"readOnly\":false,\"source\":\"/\",\"name\":\"v\",\"kind\":\"host\"}"},
		{"v-1,kind=empty",
		 "{\"name\":\"v-1\",\"kind\":\"empty\",\"mode\":\"0755\",\"uid\":0,"
		 "\"gid\":0}"},
		{"v,kind=empty,mode=1777,uid=4294967294,gid=7,readOnly=true",
		 "{\"mode\":\"1777\",\"uid\":4294967294,\"gid\":7,\"readOnly\":true,\"name\":\"v\","
		 "\"kind\":\"empty\"}"},
		{"v,kind=empty,recursive=true",
		 "{\"recursive\":true,\"name\":\"v\",\"kind\":\"empty\","
		 "\"mode\":\"0755\",\"uid\":0,\"gid\":0}"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		cleanup_json struct json_object *list = json_object_new_array();
		struct error err = ERROR_INIT;

		if (volume_add(list, rows[i].text, &err) < 0)
			fail_msg("%s", err.msg);
		assert_string_equal(json_text(json_object_array_get_idx(list, 0)), rows[i].want);
	}
}

static void what_is_no_volume_is_refused_with_a_reason(void **state)
{
	static const struct {
		const char *text, *why;
	} rows[] = {
		{"", "\"\" is not a volume's name"},
		{"A,kind=empty", "\"A\" is not a volume's name"},
		{"../x,kind=empty", "is not a volume's name"},
		{"kind=empty", "\"kind=empty\" is not a volume's name"},
		{"v", "kind is missing"},
		{"v,", "\"\" is not KEY=VALUE"},
		{"v,kind=", "kind \"\" is neither host nor empty"},
		{"v,kind=tmpfs", "kind \"tmpfs\" is neither host nor empty"},
		{"v,kind=empty,kind=host", "kind is given twice"},
		{"v,kind=host", "source is missing"},
		{"v,kind=host,source=", "source \"\" is not absolute"},
		{"v,kind=host,source=rel", "source \"rel\" is not absolute"},
		{"v,kind=host,source=/a,source=/b", "source is given twice"},
		{"v,kind=host,source=/a,mode=0755", "a volume of kind host has no mode"},
		{"v,kind=host,source=/a,uid=0", "a volume of kind host has no uid"},
		{"v,kind=empty,source=/a", "a volume of kind empty has no source"},
		{"v,kind=empty,readOnly", "\"readOnly\" is not KEY=VALUE"},
		{"v,kind=empty,readOnly=yes", "readOnly: \"yes\" is neither true nor false"},
		{"v,kind=empty,readonly=true", "unknown key \"readonly\""},
		{"v,kind=empty,target=/x", "unknown key \"target\""},
		{"v,kind=empty,mode=", "mode \"\" is no octal number"},
		{"v,kind=empty,mode=rwx", "mode \"rwx\" is no octal number"},
		{"v,kind=empty,mode=0788", "mode \"0788\" is no octal number"},
		{"v,kind=empty,mode=17777", "mode \"17777\" is no octal number up to 7777"},
		{"v,kind=empty,uid=-1", "uid: \"-1\" is no id"},
		{"v,kind=empty,gid=4294967295", "gid: \"4294967295\" is no id"},
		{"v,kind=empty,gid=", "gid: \"\" is no id"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		cleanup_json struct json_object *list = json_object_new_array();
		struct error err = ERROR_INIT;

		if (volume_add(list, rows[i].text, &err) == 0)
			fail_msg("accepted: %s", rows[i].text);
		if (!strstr(err.msg, rows[i].why))
			fail_msg("\"%s\" does not say \"%s\"", err.msg, rows[i].why);
	}
}

static struct json_object *volumes(const char *const *texts, size_t n)
{
	struct json_object *list = json_object_new_array();
	struct error err = ERROR_INIT;

	for (size_t i = 0; i < n; i++)
		assert_int_equal(volume_add(list, texts[i], &err), 0);
	return list;
}

static void two_volumes_of_one_name_are_refused(void **state)
{
	static const char *const texts[] = {"v,kind=empty"};
	cleanup_json struct json_object *list = volumes(texts, 1);
	struct error err = ERROR_INIT;

	(void)state;
	assert_int_equal(volume_add(list, "v,kind=host,source=/x", &err), -EEXIST);
	assert_string_equal(err.msg, "duplicate volume name \"v\""); /* others look for it */
	assert_int_equal(json_object_array_length(list), 1);
}

static void own_mounts_come_first_and_win_over_those_for_all(void **state)
{
	static const char *const texts[] = {"v,kind=empty", "w,kind=empty"};
	cleanup_json struct json_object *list = volumes(texts, 2), *mounts = NULL;
	char *own[] = {"volume=v,target=/a", "target=/b/,volume=v"};
	char *all[] = {"volume=w,target=//b", "volume=w,target=/c", "volume=v,target=/c"};
	const struct strv own_list = {.v = own, .n = 2}, all_list = {.v = all, .n = 3};
	struct error err = ERROR_INIT;

	(void)state;
	assert_int_equal(mounts_build(list, &own_list, &all_list, &mounts, &err), 0);
	assert_string_equal(json_text(mounts), "[{\"volume\":\"v\",\"path\":\"/a\"},"
					       "{\"volume\":\"v\",\"path\":\"/b/\"},"
					       "{\"volume\":\"w\",\"path\":\"/c\"}]");
}

static void what_is_no_mount_is_refused_with_a_reason(void **state)
{
	static const char *const texts[] = {"v,kind=empty"};
	static const struct {
		const char *text, *why;
	} rows[] = {
		{"", "\"\" is not KEY=VALUE"},
		{"volume=v", "target is missing"},
		{"target=/x", "volume is missing"},
		{"volume=v,target=x", "target \"x\" is not absolute"},
		{"volume=v,target=", "target \"\" is not absolute"},
		{"volume=V,target=/x", "\"V\" is not a volume's name"},
		{"volume=w,target=/x", "there is no volume \"w\" to mount at \"/x\""},
		{"volume=v,target=/x,target=/y", "target is given twice"},
		{"volume=v,target=/x,readOnly=true", "only volume and target go here"},
		{"volume=v,target=/x,what=ever", "unknown key \"what\""},
		{"volume=v,target=/twice", "another is mounted there"},
	};
	cleanup_json struct json_object *list = volumes(texts, 1);

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		char *own[] = {"volume=v,target=/twice/", (char *)rows[i].text};
		const struct strv own_list = {.v = own, .n = 2}, none = STRV_INIT;
		struct json_object *mounts = NULL;
		struct error err = ERROR_INIT;

		if (mounts_build(list, &own_list, &none, &mounts, &err) == 0)
			fail_msg("accepted: %s", rows[i].text);
		if (!strstr(err.msg, rows[i].why))
			fail_msg("\"%s\" does not say \"%s\"", err.msg, rows[i].why);
		assert_null(mounts);
	}
}

static void a_mount_that_brings_its_volume(void **state)
{
	static const struct {
		const char *text, *is;
	} rows[] = {
		{"name=v,kind=host,source=/s,target=/t,readOnly=true",
		 "{\"volume\":\"v\",\"path\":\"/t\",\"appVolume\":{\"source\":\"/s\",\"readOnly\":"
		 "true,\"name\":\"v\",\"kind\":\"host\"}}"},
		{"target=/t,name=v,kind=empty,mode=0700",
		 "{\"volume\":\"v\",\"path\":\"/"
		 "t\",\"appVolume\":{\"mode\":\"0700\",\"name\":\"v\","
		 "\"kind\":\"empty\",\"uid\":0,\"gid\":0}}"},
		{"kind=empty,target=/t", "\"\" is not a volume's name"},
		{"name=v,kind=empty", "target is missing"},
		{"name=v,kind=empty,target=t", "target \"t\" is not absolute"},
		{"name=v,target=/t", "kind is missing"},
		{"name=v,name=w,kind=empty,target=/t", "name is given twice"},
		{"v,kind=empty,target=/t", "\"v\" is not KEY=VALUE"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		cleanup_json struct json_object *mount = NULL;
		struct error err = ERROR_INIT;

		if (mount_volume_parse(rows[i].text, &mount, &err) == 0)
			assert_string_equal(json_text(mount), rows[i].is);
		else
			assert_non_null(strstr(err.msg, rows[i].is));
	}
}

static struct json_object *json(const char *text)
{
	struct json_object *doc = NULL;
	struct error err = ERROR_INIT;

	if (json_parse(text, strlen(text), "test", &doc, &err) < 0)
		fail_msg("%s", err.msg);
	return doc;
}

static void volumes_of_a_file_are_checked_as_hard(void **state)
{
	static const struct {
		const char *text, *why; /* NULL: it is right */
	} rows[] = {
		{"{}", NULL},
		{"{\"volumes\":null,\"apps\":null}", NULL},
		{"{\"volumes\":[{\"name\":\"v\",\"kind\":\"empty\",\"unknown\":1}],"
		 "\"apps\":[{\"name\":\"a\",\"mounts\":[{\"volume\":\"v\",\"path\":\"/p\"}]}]}",
		 NULL},
		{"{\"apps\":[{\"name\":\"a\",\"mounts\":[{\"volume\":\"v\",\"path\":\"/p\","
		 "\"appVolume\":{\"name\":\"v\",\"kind\":\"host\",\"source\":\"/\"}}]}]}",
		 NULL},
		{"{\"volumes\":{}}", "volumes"},
		{"{\"volumes\":[1]}", "volumes[0]: not an object"},
		{"{\"volumes\":[{\"kind\":\"empty\"}]}", "is not a volume's name"},
		{"{\"volumes\":[{\"name\":\"v\",\"kind\":\"empty\"},{\"name\":\"v\",\"kind\":"
		 "\"empty\"}]}",
		 "duplicate volume name \"v\""},
		{"{\"volumes\":[{\"name\":\"v\",\"kind\":\"host\"}]}",
		 "volume v: source is missing"},
		{"{\"volumes\":[{\"name\":\"v\",\"kind\":\"host\",\"source\":1}]}", "source"},
		{"{\"volumes\":[{\"name\":\"v\",\"kind\":\"empty\",\"mode\":493}]}", "mode"},
		{"{\"volumes\":[{\"name\":\"v\",\"kind\":\"empty\",\"uid\":\"0\"}]}", "uid"},
		{"{\"apps\":[{\"name\":\"a\",\"mounts\":[{\"volume\":\"v\",\"path\":\"/p\"}]}]}",
		 "app a: mounts[0]: there is no volume \"v\""},
		{"{\"apps\":[{\"name\":\"a\",\"mounts\":[{\"volume\":\"v\"}]}]}",
		 "path \"\" is not absolute"},
		{"{\"apps\":[{\"name\":\"a\",\"mounts\":[\"v\"]}]}", "not an object"},
		{"{\"apps\":[{\"name\":\"a\",\"mounts\":[{\"volume\":\"v\",\"path\":\"/p\","
		 "\"appVolume\":{\"name\":\"v\"}}]}]}",
		 "kind is missing"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		cleanup_json struct json_object *doc = json(rows[i].text);
		struct error err = ERROR_INIT;
		int r = volumes_check(doc, &err);

		if ((r == 0) != !rows[i].why)
			fail_msg("%s: %s", rows[i].text, err.msg);
		if (rows[i].why && !strstr(err.msg, rows[i].why))
			fail_msg("\"%s\" does not say \"%s\"", err.msg, rows[i].why);
	}
}

static void a_source_that_is_not_there_is_found_out(void **state)
{
	static const char *const there[] = {"v,kind=host,source=/", "w,kind=empty"};
	static const char *const missing[] = {"v,kind=host,source=/nonexistent/x"};
	cleanup_json struct json_object *doc = json_object_new_object();
	struct error err = ERROR_INIT;

	(void)state;
	assert_int_equal(volumes_check_sources(doc, &err), 0);
	json_add(doc, "volumes", volumes(there, 2));
	assert_int_equal(volumes_check_sources(doc, &err), 0);
	json_add(doc, "volumes", volumes(missing, 1));
	assert_int_equal(volumes_check_sources(doc, &err), -ENOENT);
	assert_non_null(
		strstr(err.msg, "Failed to stat /nonexistent/x: No such file or directory"));
}

static void status_shows_what_is_mounted_where(void **state)
{
	static const char manifest[] = "{\"volumes\":[{\"name\":\"h\",\"kind\":\"host\",\"source\":"
				       "\"/s\",\"readOnly\":true},"
				       "{\"name\":\"e\",\"kind\":\"empty\"},7,{\"name\":3}]}";
	static const struct {
		const char *app, *want;
	} rows[] = {
		{"{}", NULL},
		{"{\"mounts\":[],\"app\":{\"mountPoints\":[]}}", NULL},
		{"{\"mounts\":{}}", NULL},
		{"{\"name\":\"a\",\"mounts\":[{\"volume\":\"h\",\"path\":\"/"
		 "h\"},7,{\"volume\":\"x\"}]}",
		 "[{\"name\":\"h\",\"container_path\":\"/h\",\"host_path\":\"/"
		 "s\",\"read_only\":true}]"},
		{"{\"name\":\"a\",\"mounts\":[{\"volume\":\"e\",\"path\":\"/p/\"}],\"app\":"
		 "{\"mountPoints\":[{\"name\":\"x\",\"path\":\"/p\",\"readOnly\":true},"
		 "{\"name\":\"e\",\"path\":\"/q\"},{\"name\":\"made\",\"path\":\"/r\"}]}}",
		 "[{\"name\":\"e\",\"container_path\":\"/p/"
		 "\",\"host_path\":\"\",\"read_only\":true},"
		 "{\"name\":\"e\",\"container_path\":\"/"
		 "q\",\"host_path\":\"\",\"read_only\":false},"
		 "{\"name\":\"a-made\",\"container_path\":\"/r\",\"host_path\":\"\",\"read_only\":"
		 "false}]"},
		{"{\"name\":\"a\",\"mounts\":[{\"volume\":\"h\",\"path\":\"/o\",\"appVolume\":"
		 "{\"name\":\"h\",\"kind\":\"host\",\"source\":\"/own\"}}]}",
		 "[{\"name\":\"h\",\"container_path\":\"/o\",\"host_path\":\"/own\",\"read_only\":"
		 "false}]"},
	};
	cleanup_json struct json_object *doc = json(manifest);

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		cleanup_json struct json_object *app = json(rows[i].app);
		cleanup_json struct json_object *shown = mounts_show(doc, app);

		assert_int_equal(!shown, !rows[i].want);
		if (shown)
			assert_string_equal(json_text(shown), rows[i].want);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_volume_is_written_as_an_object),
		cmocka_unit_test(what_is_no_volume_is_refused_with_a_reason),
		cmocka_unit_test(two_volumes_of_one_name_are_refused),
		cmocka_unit_test(own_mounts_come_first_and_win_over_those_for_all),
		cmocka_unit_test(what_is_no_mount_is_refused_with_a_reason),
		cmocka_unit_test(a_mount_that_brings_its_volume),
		cmocka_unit_test(volumes_of_a_file_are_checked_as_hard),
		cmocka_unit_test(a_source_that_is_not_there_is_found_out),
		cmocka_unit_test(status_shows_what_is_mounted_where),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Volumes and mounts of a pod manifest as stage1 reads them, and as the plan has them. */
#include "tests/unit/unit.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/str.h"
#include "common/util.h"
#include "initrd/plan.h"
#include "tests/unit/podread.h"
#include "tests/unit/scratch.h"
#include "vmm/plan.h"
#include "vmm/pod.h"

/* A pod of apps "a" (made for Docker), "b" and maybe more. */
#define POD(apps, volumes)                                                                         \
	"{\"acKind\":\"PodManifest\",\"acVersion\":\"0.8.11\",\"apps\":[" apps                     \
	"],\"volumes\":[" volumes "]}"
#define APP(name, annotations, mounts, points)                                                     \
	"{\"name\":\"" name "\",\"image\":{\"id\":\"sha512-ab\"},\"annotations\":[" annotations    \
	"],\"mounts\":[" mounts "],\"app\":{\"exec\":[\"/x\"],\"user\":\"0\",\"group\":\"0\","     \
	"\"mountPoints\":[" points "]}}"
#define PLAIN(mounts, points) APP("a", "", mounts, points)
#define DOCKER(mounts, points)                                                                     \
	APP("a", "{\"name\":\"appc.io/docker/repository\",\"value\":\"x\"}", mounts, points)
#define MOUNT(volume, path)  "{\"volume\":\"" volume "\",\"path\":\"" path "\"}"
#define POINT(name, path)    "{\"name\":\"" name "\",\"path\":\"" path "\"}"
#define POINT_RO(name, path) "{\"name\":\"" name "\",\"path\":\"" path "\",\"readOnly\":true}"
#define EMPTY(name, more)    "{\"name\":\"" name "\",\"kind\":\"empty\"" more "}"
#define HOST(name, source)   "{\"name\":\"" name "\",\"kind\":\"host\",\"source\":\"" source "\"}"
#define HOST_IS(name, more)  "{\"name\":\"" name "\",\"kind\":\"host\",\"source\":\"/h\"" more "}"

static const struct pod_volume *at(const struct pod_spec *pod, unsigned app, unsigned mount,
				   const char *path)
{
	assert_true(mount < pod->apps[app].nmounts);
	assert_string_equal(pod->apps[app].mounts[mount].path, path);
	return &pod->volumes[pod->apps[app].mounts[mount].volume];
}

static void mounts_find_their_volumes_and_parents_come_first(void **state)
{
	const struct pod_volume *volume;
	struct pod_spec pod;

	(void)state;
	podread_accept(
		POD(PLAIN(MOUNT("two", "/a/b/c") "," MOUNT("one", "//a/./b/") "," MOUNT("two",
											"/a"),
			  ""),
		    EMPTY("one", "") "," EMPTY(
			    "two", ",\"mode\":\"1750\",\"uid\":7,\"gid\":8") "," EMPTY("unused",
										       "")),
		&pod);
	assert_int_equal(pod.nvolumes, 2);
	assert_int_equal(pod.apps[0].nmounts, 3);
	volume = at(&pod, 0, 0, "/a");
	assert_string_equal(volume->name, "two");
	assert_int_equal(volume->mode, 01750);
	assert_int_equal(volume->uid, 7);
	assert_int_equal(volume->gid, 8);
	volume = at(&pod, 0, 1, "/a/b");
	assert_string_equal(volume->name, "one");
	assert_int_equal(volume->mode, 0755);
	assert_int_equal(volume->uid, 0);
	assert_false(volume->seeded);
	assert_ptr_equal(at(&pod, 0, 2, "/a/b/c"), at(&pod, 0, 0, "/a"));
	assert_int_equal(pod.notes.n, 0);
	pod_free(&pod);
}

static void volumes_of_the_host_have_tags_in_their_order(void **state)
{
	struct pod_spec pod;

	(void)state;
	podread_accept(
		POD(PLAIN(MOUNT("h2", "/2") "," MOUNT("e", "/e") "," MOUNT("h1", "/1"), ""),
		    HOST("h0", "/nobody/wants/it") "," HOST("h1", "/h1") "," EMPTY(
			    "e", "") "," HOST_IS("h2", ",\"recursive\":false,\"readOnly\":true")),
		&pod);
	assert_int_equal(pod.nvolumes, 3);
	assert_string_equal(pod.volumes[0].tag, "v0");
	assert_string_equal(pod.volumes[0].source, "/h1");
	assert_true(pod.volumes[0].recursive);
	assert_false(pod.volumes[0].read_only);
	assert_string_equal(pod.volumes[1].tag, "");
	assert_int_equal(pod.volumes[1].kind, POD_VOLUME_EMPTY);
	assert_string_equal(pod.volumes[2].tag, "v1");
	assert_false(pod.volumes[2].recursive);
	assert_true(pod.volumes[2].read_only);
	pod_free(&pod);
}

static void a_mount_point_is_served_by_a_mount_at_its_path_or_a_volume_of_its_name(void **state)
{
	struct pod_spec pod;

	(void)state;
	podread_accept(
		POD(PLAIN(MOUNT("other", "/one/"), POINT("one", "/one") "," POINT("two", "/two")),
		    EMPTY("one", "") "," EMPTY("two", "") "," EMPTY("other", "")),
		&pod);
	assert_int_equal(pod.nvolumes, 2);
	assert_string_equal(at(&pod, 0, 0, "/one")->name, "other");
	assert_string_equal(at(&pod, 0, 1, "/two")->name, "two");
	assert_int_equal(pod.notes.n, 0);
	pod_free(&pod);
}

static void a_mount_point_without_a_volume_gets_an_empty_one_of_its_own(void **state)
{
	struct pod_spec pod;

	(void)state;
	podread_accept(
		POD(DOCKER("", POINT("data", "/d")) "," APP("b", "", "", POINT_RO("data", "/e")),
		    ""),
		&pod);
	assert_int_equal(pod.nvolumes, 2);
	assert_string_equal(at(&pod, 0, 0, "/d")->name, "a-data");
	assert_true(pod.volumes[0].seeded); /* Docker's rule */
	assert_string_equal(at(&pod, 1, 0, "/e")->name, "b-data");
	assert_false(pod.volumes[1].seeded);
	assert_int_equal(pod.volumes[1].mode, 0755);
	assert_true(pod.apps[1].mounts[0].read_only);
	assert_int_equal(pod.notes.n, 2);
	assert_string_equal(pod.notes.v[0], "app a: no volume for mount point \"data\", an empty "
					    "one \"a-data\" is made");
	pod_free(&pod);
	/* ... that nobody else can mount */
	podread_refuse(
		POD(DOCKER("", POINT("data", "/d")) "," APP("b", "", MOUNT("a-data", "/x"), ""),
		    ""),
		"app b: mounts[0]: /x: there is no volume \"a-data\"");
}

static void the_volume_says_whether_it_is_read_only_or_else_the_mount_point(void **state)
{
	static const struct {
		const char *volume;
		bool point, mount, host;
	} rows[] = {
		{HOST_IS("v", ""), false, false, false},
		{HOST_IS("v", ""), true, true, true}, /* all its mounts are: the host can say so */
		{HOST_IS("v", ",\"readOnly\":true"), false, true, true},
		{HOST_IS("v", ",\"readOnly\":false"), true, false, false},
		{EMPTY("v", ",\"readOnly\":true"), false, true, true},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		/* by name, and by path */
		for (unsigned explicit = 0; explicit < 2; explicit ++) {
			cleanup_free char *text = xasprintf(
				POD(APP("a", "", "%s",
					"{\"name\":\"%s\",\"path\":\"/p\",\"readOnly\":%s}"),
				    "%s"),
				explicit ? MOUNT("v", "/p") : "", explicit ? "w" : "v",
				rows[i].point ? "true" : "false", rows[i].volume);
			struct pod_spec pod;

			podread_accept(text, &pod);
			assert_int_equal(pod.apps[0].nmounts, 1);
			assert_int_equal(pod.apps[0].mounts[0].read_only, rows[i].mount);
			assert_int_equal(pod.volumes[0].read_only, rows[i].host);
			pod_free(&pod);
		}
	}
}

static void a_volume_one_app_writes_to_is_not_read_only_for_the_host(void **state)
{
	struct pod_spec pod;

	(void)state;
	podread_accept(
		POD(APP("a", "", "", POINT_RO("v", "/p")) "," APP("b", "", "", POINT("v", "/p")),
		    HOST("v", "/h")),
		&pod);
	assert_int_equal(pod.nvolumes, 1);
	assert_true(pod.apps[0].mounts[0].read_only);
	assert_false(pod.apps[1].mounts[0].read_only);
	assert_false(pod.volumes[0].read_only);
	pod_free(&pod);
}

static void a_mount_may_bring_its_volume(void **state)
{
	struct pod_spec pod;

	(void)state;
	podread_accept(
		POD(PLAIN("{\"volume\":\"v\",\"path\":\"/p\",\"appVolume\":" HOST("v", "/own") "}",
			  "") "," APP("b", "", MOUNT("v", "/p"), ""),
		    HOST("v", "/pods")),
		&pod);
	assert_int_equal(pod.nvolumes, 2);
	assert_string_equal(at(&pod, 0, 0, "/p")->source, "/own");
	assert_string_equal(at(&pod, 1, 0, "/p")->source, "/pods");
	pod_free(&pod);
}

static void hostile_volumes_are_refused_with_a_reason(void **state)
{
	static const struct {
		const char *text, *why;
	} rows[] = {
		{POD(PLAIN("", ""), "1"), "a volume is not an object"},
		{POD(PLAIN("", ""), "{\"kind\":\"empty\"}"), "bad volume name \"\""},
		{POD(PLAIN("", ""), EMPTY("../x", "")), "bad volume name \"../x\""},
		{POD(PLAIN("", ""), EMPTY("v", "") "," HOST("v", "/h")),
		 "duplicate volume name \"v\""},
		{POD(PLAIN("", ""), "{\"name\":\"v\"}"), "volume v: of no known kind"},
		{POD(PLAIN("", ""), "{\"name\":\"v\",\"kind\":\"tmpfs\"}"), "of no known kind"},
		{POD(PLAIN("", ""), "{\"name\":\"v\",\"kind\":1}"), "kind"},
		{POD(PLAIN("", ""), HOST("v", "rel")), "the source is not absolute"},
		{POD(PLAIN("", ""), "{\"name\":\"v\",\"kind\":\"host\"}"), "is not absolute"},
		{POD(PLAIN("", ""), HOST_IS("v", ",\"uid\":0")), "of the host, with uid"},
		{POD(PLAIN("", ""), HOST_IS("v", ",\"recursive\":1")), "recursive"},
		{POD(PLAIN("", ""), EMPTY("v", ",\"source\":\"/x\"")), "empty, with a source"},
		{POD(PLAIN("", ""), EMPTY("v", ",\"mode\":755")), "mode"},
		{POD(PLAIN("", ""), EMPTY("v", ",\"mode\":\"0799\"")), "is no octal number"},
		{POD(PLAIN("", ""), EMPTY("v", ",\"mode\":\"17777\"")), "over 7777"},
		{POD(PLAIN("", ""), EMPTY("v", ",\"mode\":\"\"")), "is no octal number"},
		{POD(PLAIN("", ""), EMPTY("v", ",\"uid\":-1")), "uid"},
		{POD(PLAIN("", ""), EMPTY("v", ",\"gid\":4294967295")), "gid"},
		{POD(PLAIN("", ""), EMPTY("v", ",\"readOnly\":\"yes\"")), "readOnly"},
		{POD(PLAIN(MOUNT("v", "/p"), ""), ""), "there is no volume \"v\""},
		{POD(PLAIN("{\"path\":\"/p\"}", ""), ""), "there is no volume \"\""},
		{POD(PLAIN(MOUNT("v", "p"), ""), EMPTY("v", "")), "is not absolute"},
		{POD(PLAIN(MOUNT("v", "//./"), ""), EMPTY("v", "")), "path is the root"},
		{POD(PLAIN(MOUNT("v", "//proc/./sys"), ""), EMPTY("v", "")), "is in /proc"},
		{POD(PLAIN(MOUNT("v", "/p") "," MOUNT("v", "/./p"), ""), EMPTY("v", "")),
		 "/p is mounted twice"},
		{POD(PLAIN("", POINT("a", "/p") "," POINT("b", "/p")), ""),
		 "mountPoints[1]: /p is a mount point twice"},
		{POD(PLAIN("", POINT("a", "/proc")), ""), "is in /proc"},
		{POD(PLAIN("", POINT("A", "/p")), ""), "bad mount point name \"A\""},
		{POD(PLAIN("", "{\"name\":\"x\"}"), ""), "is not absolute"},
		{POD(PLAIN("{\"volume\":\"v\",\"path\":\"/p\",\"appVolume\":1}", ""), ""),
		 "appVolume"},
		{POD(PLAIN("{\"volume\":\"v\",\"path\":\"/p\",\"appVolume\":{\"name\":\"v\"}}", ""),
		     ""),
		 "of no known kind"},
		{POD(PLAIN("7", ""), ""), "a mount is not an object"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		podread_refuse(rows[i].text, rows[i].why);
}

/* A pod of one app with n volumes, mounted at a path each. */
static char *many(unsigned n, const char *volume)
{
	cleanup_str struct str volumes = STR_INIT, mounts = STR_INIT;

	for (unsigned i = 0; i < n; i++) {
		str_addf(&volumes, "%s{\"name\":\"v%u\",%s}", i ? "," : "", i, volume);
		str_addf(&mounts, "%s{\"volume\":\"v%u\",\"path\":\"/p%u\"}", i ? "," : "", i, i);
	}
	return xasprintf(POD(PLAIN("%s", ""), "%s"), str_get(&mounts), str_get(&volumes));
}

static void there_are_so_many_and_no_more(void **state)
{
	static const struct {
		unsigned max;
		const char *volume, *why;
	} rows[] = {
		{POD_VOLUMES_MAX, "\"kind\":\"empty\"", "more than 256 volumes"},
		{POD_SHARES_MAX, "\"kind\":\"host\",\"source\":\"/\"", "more than 32 volumes"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		cleanup_free char *most = many(rows[i].max, rows[i].volume);
		cleanup_free char *over = many(rows[i].max + 1, rows[i].volume);
		struct pod_spec pod;

		podread_accept(most, &pod);
		assert_int_equal(pod.nvolumes, rows[i].max);
		pod_free(&pod);
		podread_refuse(over, rows[i].why);
	}
}

static void what_the_plan_says_init_reads(void **state)
{
	const struct plan_args args = {.hostname = "pod", .net = &(struct podnet)PODNET_INIT};
	static char *pool[INIT_POOL_MAX];
	static struct init_plan plan;
	cleanup_free uint8_t *bytes = NULL;
	struct error err = ERROR_INIT;
	struct plan_volume volume;
	struct init_text why;
	struct pod_spec pod;
	size_t len;

	(void)state;
	podread_accept(POD(DOCKER(MOUNT("h", "/z") "," MOUNT("f", "/f"),
				  POINT("data", "/d")) "," APP("b", "", MOUNT("e", "/e"), ""),
			   EMPTY("e", ",\"mode\":\"0700\",\"uid\":9,\"readOnly\":true") "," HOST(
				   "h", "/h") "," HOST("f", "/f")),
		       &pod);
	pod.volumes[2].is_file = true;
	assert_int_equal(plan_build(&pod, &args, &bytes, &len, &err), 0);
	if (init_plan_decode(bytes, len, pool, &plan, &why) < 0)
		fail_msg("%s", init_text_str(&why));
	assert_int_equal(plan.nvolumes, 4);
	volume = init_plan_volume(&plan, 0);
	assert_int_equal(volume.mode, 0700);
	assert_int_equal(volume.uid, 9);
	assert_int_equal(volume.flags, 0);
	volume = init_plan_volume(&plan, 2);
	assert_int_equal(volume.flags, PLAN_VOLUME_HOST | PLAN_VOLUME_FILE);
	assert_int_equal(volume.share, 1);
	assert_int_equal(init_plan_volume(&plan, 1).share, 0);
	assert_int_equal(init_plan_volume(&plan, 3).flags, PLAN_VOLUME_SEEDED);
	assert_int_equal(plan.app[0].nmounts, 3);
	assert_string_equal(plan.app[0].mounts[0], "/d");
	assert_string_equal(plan.app[0].mounts[2], "/z");
	assert_int_equal(init_plan_mount(&plan.app[0], 0).volume, 3);
	assert_int_equal(init_plan_mount(&plan.app[0], 1).volume, 2);
	assert_int_equal(init_plan_mount(&plan.app[0], 2).flags, 0);
	assert_int_equal(plan.app[1].nmounts, 1);
	assert_string_equal(plan.app[1].mounts[0], "/e");
	assert_int_equal(init_plan_mount(&plan.app[1], 0).flags, PLAN_MOUNT_READ_ONLY);
	pod_free(&pod);
}

static void sources_are_looked_at_when_the_pod_starts(void **state)
{
	const struct scratch *scratch = *state;
	cleanup_free char *fifo = xasprintf("%s/fifo", scratch->path);
	const struct {
		const char *source;
		int r;
		bool is_file;
		const char *why;
	} rows[] = {
		{scratch->path, 0, false, ""},
		{"/proc/self/exe", 0, true, ""},
		{"/nonexistent/x", -ENOENT, false,
		 "volume v: Failed to stat /nonexistent/x: No such file or directory"},
		{fifo, -ENOTSUP, false, "neither a directory nor a file"},
		{"/dev/null", -ENOTSUP, false, "neither a directory nor a file"},
	};

	assert_int_equal(mkfifo(fifo, 0600), 0);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		cleanup_free char *text =
			xasprintf(POD(PLAIN(MOUNT("e", "/e") "," MOUNT("v", "/v"), ""),
				      EMPTY("e", "") "," HOST("v", "%s")),
				  rows[i].source);
		struct error err = ERROR_INIT;
		struct pod_spec pod;

		podread_accept(text, &pod);
		assert_int_equal(pod_volumes_look(&pod, &err), rows[i].r);
		assert_non_null(strstr(err.msg, rows[i].why));
		assert_int_equal(pod.volumes[1].is_file, rows[i].is_file);
		pod_free(&pod);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(mounts_find_their_volumes_and_parents_come_first),
		cmocka_unit_test(volumes_of_the_host_have_tags_in_their_order),
		cmocka_unit_test(
			a_mount_point_is_served_by_a_mount_at_its_path_or_a_volume_of_its_name),
		cmocka_unit_test(a_mount_point_without_a_volume_gets_an_empty_one_of_its_own),
		cmocka_unit_test(the_volume_says_whether_it_is_read_only_or_else_the_mount_point),
		cmocka_unit_test(a_volume_one_app_writes_to_is_not_read_only_for_the_host),
		cmocka_unit_test(a_mount_may_bring_its_volume),
		cmocka_unit_test(hostile_volumes_are_refused_with_a_reason),
		cmocka_unit_test(there_are_so_many_and_no_more),
		cmocka_unit_test(what_the_plan_says_init_reads),
		cmocka_unit_test_setup_teardown(sources_are_looked_at_when_the_pod_starts,
						scratch_setup, scratch_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pods on disk. The crash tests run a whole life in a child under ptrace and kill it before its
 * n-th system call, for every n: whatever is left must be a state the specification knows, hold what
 * that state promises, and be gone after a collection.
 */
#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/file.h"
#include "common/util.h"
#include "stage0/command.h"
#include "stage0/pod.h"
#include "stage0/pod_info.h"

struct fixture {
	char dir[64];
	struct pods pods;
};

static int setup(void **state)
{
	struct fixture *f = xcalloc(1, sizeof(*f));
	struct error err = ERROR_INIT;

	snprintf(f->dir, sizeof(f->dir), "/tmp/tripod-unit-pod.XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	assert_int_equal(pods_open(f->dir, &f->pods, &err), 0);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	struct error err = ERROR_INIT;

	pods_close(&f->pods);
	assert_int_equal(remove_tree(AT_FDCWD, f->dir, &err), 0);
	free(f);
	return 0;
}

static size_t count(const struct fixture *f, enum pod_where where)
{
	cleanup_strv struct strv uuids = STRV_INIT;
	struct error err = ERROR_INIT;

	assert_int_equal(pods_list(&f->pods, where, &uuids, &err), 0);
	return uuids.n;
}

static void a_new_pod_is_preparing_until_its_creator_ends(void **state)
{
	struct fixture *f = *state;
	struct pod pod = POD_INIT, seen = POD_INIT;
	struct error err = ERROR_INIT;

	assert_int_equal(pod_create(&f->pods, &pod, &err), 0);
	assert_true(uuid_is_valid(pod.uuid));
	assert_int_equal(pod.where, POD_PREPARE);
	assert_int_equal(count(f, POD_EMBRYO), 0);
	assert_int_equal(faccessat(pod.fd, "pod-created", F_OK, 0), 0);
	assert_int_equal(pod_open(&f->pods, POD_PREPARE, pod.uuid, &seen, &err), 0);
	assert_true(pod_is_locked(&seen));
	assert_int_equal(pod_try_lock(&f->pods, &seen, &err), -EWOULDBLOCK);
	pod_close(&pod);
	assert_false(pod_is_locked(&seen));
	assert_int_equal(pod_try_lock(&f->pods, &seen, &err), 0);
	pod_close(&seen);
}

static void a_pod_runs_while_any_process_holds_its_lock(void **state)
{
	struct fixture *f = *state;
	struct pod pod = POD_INIT, seen = POD_INIT;
	struct error err = ERROR_INIT;
	int go[2], status;
	pid_t child;
	char c;

	assert_int_equal(pipe(go), 0);
	assert_int_equal(pod_create(&f->pods, &pod, &err), 0);
	assert_int_equal(pod_move(&f->pods, &pod, POD_RUN, &err), 0);
	child = fork();
	if (child == 0) {
		close(go[1]);
		(void)!read(go[0], &c, 1);
		_exit(0);
	}
	assert_int_equal(pod_open(&f->pods, POD_RUN, pod.uuid, &seen, &err), 0);
	pod_close(&pod); /* ours; the child still has it */
	assert_true(pod_is_locked(&seen));
	close(go[1]);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_false(pod_is_locked(&seen));
	pod_close(&seen);
	close(go[0]);
}

static void states_have_the_words_of_the_specification(void **state)
{
	static const struct {
		enum pod_where where;
		bool locked;
		const char *word;
	} rows[] = {
		{POD_EMBRYO, true, "embryo"},
		{POD_EMBRYO, false, "embryo"},
		{POD_PREPARE, true, "preparing"},
		{POD_PREPARE, false, "aborted prepare"},
		{POD_PREPARED, true, "prepared"},
		{POD_PREPARED, false, "prepared"},
		{POD_RUN, true, "running"},
		{POD_RUN, false, "exited"},
		{POD_EXITED_GARBAGE, true, "exited deleting"},
		{POD_EXITED_GARBAGE, false, "exited garbage"},
		{POD_GARBAGE, true, "deleting"},
		{POD_GARBAGE, false, "garbage"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		assert_string_equal(pod_state(rows[i].where, rows[i].locked), rows[i].word);
}

static void a_pod_that_moved_is_not_locked_by_its_old_place(void **state)
{
	struct fixture *f = *state;
	struct pod pod = POD_INIT, late = POD_INIT;
	struct error err = ERROR_INIT;

	assert_int_equal(pod_create(&f->pods, &pod, &err), 0);
	assert_int_equal(pod_open(&f->pods, POD_PREPARE, pod.uuid, &late, &err), 0);
	assert_int_equal(pod_move(&f->pods, &pod, POD_GARBAGE, &err), 0);
	pod_close(&pod);
	assert_int_equal(pod_try_lock(&f->pods, &late, &err), -ENOENT);
	assert_false(pod_is_locked(&late));
	pod_close(&late);
}

static void who_only_looks_does_not_keep_a_pod_from_being_locked(void **state)
{
	struct fixture *f = *state;
	struct pod pod = POD_INIT, seen = POD_INIT;
	struct error err = ERROR_INIT;
	pid_t child;
	int status;

	assert_int_equal(pod_create(&f->pods, &pod, &err), 0);
	pod_close(&pod);
	child = fork();
	if (child == 0) {
		if (pod_open(&f->pods, POD_PREPARE, pod.uuid, &seen, &err) < 0)
			_exit(1);
		for (;;)
			pod_is_locked(&seen);
	}
	for (int i = 0; i < 500; i++) {
		assert_int_equal(pod_open(&f->pods, POD_PREPARE, pod.uuid, &seen, &err), 0);
		if (pod_try_lock(&f->pods, &seen, &err) < 0)
			fail_msg("%s", err.msg);
		pod_close(&seen);
	}
	kill(child, SIGKILL);
	waitpid(child, &status, 0);
	assert_true(WIFSIGNALED(status));
}

static void make_pod(const struct fixture *f, const char *where, const char *uuid)
{
	cleanup_free char *path = xasprintf("%s/pods/%s/%s", f->dir, where, uuid);

	assert_int_equal(mkdir(path, 0750), 0);
}

static void a_uuid_may_be_shortened_while_unambiguous(void **state)
{
	static const struct {
		const char *text;
		int r;
		const char *message; /* or the UUID found */
	} rows[] = {
		{"", -EINVAL, "UUID cannot be empty"},
		{"a", -EINVAL, "2 matches"},
		{"aa", 0, "aa000000-0000-4000-8000-000000000001"},
		{"AB", 0, "ab000000-0000-4000-8000-000000000002"},
		{"ab000000-0000-4000-8000-000000000002", 0, "ab000000-0000-4000-8000-000000000002"},
		{"ab000000-0000-4000-8000-0000000000023", -ENOENT, "no matches found for"},
		{"c", 0, "cc000000-0000-4000-8000-000000000003"},
		{"d", -ENOENT, "no matches found for \"d\""}, /* garbage is not looked at */
		{"e", -ENOENT, "no matches found for"},	      /* nor are embryos */
		{"n", -ENOENT, "no matches found for"},	      /* not a UUID */
		{"../run", -ENOENT, "no matches found for"},
		{"%s", -ENOENT, "no matches found for"},
	};
	struct fixture *f = *state;

	make_pod(f, "run", "aa000000-0000-4000-8000-000000000001");
	make_pod(f, "prepared", "ab000000-0000-4000-8000-000000000002");
	make_pod(f, "exited-garbage", "cc000000-0000-4000-8000-000000000003");
	make_pod(f, "garbage", "dd000000-0000-4000-8000-000000000004");
	make_pod(f, "embryo", "ee000000-0000-4000-8000-000000000005");
	make_pod(f, "run", "nothing");
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct pod pod = POD_INIT;
		struct error err = ERROR_INIT;
		int r = pod_find(&f->pods, rows[i].text, &pod, &err);

		if (r != rows[i].r || (r == 0 && strcmp(pod.uuid, rows[i].message) != 0) ||
		    (r < 0 && !strstr(err.msg, rows[i].message)))
			fail_msg("\"%s\": %d, %s", rows[i].text, r, r < 0 ? err.msg : pod.uuid);
		pod_close(&pod);
	}
}

static void a_uuid_file_may_have_white_space_around(void **state)
{
	struct fixture *f = *state;
	cleanup_free char *path = xasprintf("%s/file", f->dir), *uuid = NULL;
	struct error err = ERROR_INIT;

	assert_int_equal(file_write(AT_FDCWD, path, " abc\n\n", 6, 0644, &err), 0);
	assert_int_equal(pod_read_uuid_file(path, &uuid, &err), 0);
	assert_string_equal(uuid, "abc");
}

static void deleting_takes_unwritable_directories_too(void **state)
{
	struct fixture *f = *state;
	struct pod pod = POD_INIT;
	struct error err = ERROR_INIT;

	assert_int_equal(pod_create(&f->pods, &pod, &err), 0);
	assert_int_equal(mkdir_path(pod.fd, "stage1/rootfs/a/b", 0755, &err), 0);
	assert_int_equal(pod_write(&pod, "stage1/rootfs/a/b/file", "x", &err), 0);
	assert_int_equal(fchmodat(pod.fd, "stage1/rootfs/a/b", 0500, 0), 0);
	assert_int_equal(fchmodat(pod.fd, "stage1/rootfs/a", 0, 0), 0);
	assert_int_equal(pod_move(&f->pods, &pod, POD_GARBAGE, &err), 0);
	assert_int_equal(pod_delete(&f->pods, &pod, &err), 0);
	pod_close(&pod);
	assert_int_equal(count(f, POD_GARBAGE), 0);
}

/* What the pod's tree says is the guest's word: links and odd files in it lead nowhere. */
static void status_files_are_read_without_following_links(void **state)
{
	struct fixture *f = *state;
	struct pod pod = POD_INIT;
	struct pod_info info = {.state = NULL};
	struct error err = ERROR_INIT;
	static const char manifest[] =
		"{\"apps\":[{\"name\":\"a\"},{\"name\":\"b\"},{\"name\":\"c\"},{\"name\":\"d\"}]}";

	assert_int_equal(pod_create(&f->pods, &pod, &err), 0);
	assert_int_equal(pod_write(&pod, "pod", manifest, &err), 0);
	assert_int_equal(pod_write(&pod, "secret", "7\n", &err), 0);
	assert_int_equal(mkdir_path(pod.fd, "stage1/rootfs/rkt/status", 0755, &err), 0);
	assert_int_equal(pod_write(&pod, "stage1/rootfs/rkt/status/a", "5\n", &err), 0);
	assert_int_equal(symlinkat("../../../../secret", pod.fd, "stage1/rootfs/rkt/status/b"), 0);
	assert_int_equal(mkfifoat(pod.fd, "stage1/rootfs/rkt/status/c", 0600), 0);
	assert_int_equal(pod_write(&pod, "stage1/rootfs/rkt/status/d", "99999999999", &err), 0);
	assert_int_equal(pod_move(&f->pods, &pod, POD_RUN, &err), 0);
	assert_int_equal(pod_info_read(&pod, &info, &err), 0);
	assert_int_equal(info.napps, 4);
	assert_true(info.apps[0].has_exit_code);
	assert_int_equal(info.apps[0].exit_code, 5);
	for (size_t i = 1; i < 4; i++)
		assert_false(info.apps[i].has_exit_code);
	pod_info_free(&info);
	pod_close(&pod);
}

/* What there is to know of a new pod in run that has this manifest. */
static int read_info(struct fixture *f, const char *manifest, struct pod *pod, struct pod_info *ret,
		     struct error *err)
{
	assert_int_equal(pod_create(&f->pods, pod, err), 0);
	assert_int_equal(pod_write(pod, "pod", manifest, err), 0);
	assert_int_equal(pod_move(&f->pods, pod, POD_RUN, err), 0);
	return pod_info_read(pod, ret, err);
}

static void a_hostile_pod_manifest_is_an_error(void **state)
{
	static const char *const texts[] = {
		"[]",
		"{\"apps\":{}}",
		"{\"apps\":[1]}",
		"{\"apps\":[{\"name\":\"../x\"}]}",
		"{\"apps\":[{}]}",
		"{",
		"{\"apps\":[{\"name\":\"a\",\"image\":7}]}",
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		struct pod pod = POD_INIT;
		struct pod_info info = {.state = NULL};
		struct error err = ERROR_INIT;

		assert_true(read_info(f, texts[i], &pod, &info, &err) < 0);
		assert_non_null(strstr(err.msg, pod.uuid));
		pod_close(&pod);
	}
}

/* Of what no reader needs anything may be there. */
static void a_pod_manifest_may_have_labels_and_annotations_that_are_none(void **state)
{
	static const char *const pairs[] = {
		"null",
		"1",
		"{}",
		"{\"name\":null,\"value\":\"x\"}",
		"{\"name\":{},\"value\":\"x\"}",
		"{\"name\":\"version\",\"value\":null}",
		"{\"name\":\"coreos.com/rkt/stage1/mutable\",\"value\":null}",
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(pairs); i++) {
		cleanup_free char *text = xasprintf(
			"{\"apps\":[{\"name\":\"a\",\"image\":{\"name\":\"i\",\"labels\":[%s]}}],"
			"\"annotations\":[%s]}",
			pairs[i], pairs[i]);
		cleanup_pod_info struct pod_info info = {.state = NULL};
		cleanup_pod struct pod pod = POD_INIT;
		struct error err = ERROR_INIT;

		assert_int_equal(read_info(f, text, &pod, &info, &err), 0);
		assert_string_equal(info.apps[0].image_name, "i");
		assert_false(info.is_mutable);
	}
}

/* tripod gc, quietly, in this process. */
static int collect(const char *data_dir)
{
	cleanup_free char *dir = xasprintf("--dir=%s", data_dir);
	char *argv[] = {"tripod", dir, "gc", "--grace-period=0s", "--expire-prepared=0s", NULL};
	int null = open("/dev/null", O_WRONLY | O_CLOEXEC);

	dup2(null, STDOUT_FILENO);
	dup2(null, STDERR_FILENO);
	close(null);
	return command_main(ARRAY_SIZE(argv) - 1, argv);
}

/* Do it in a process of its own, whose descriptors and locks end with it. */
static void run(int (*what)(const char *data_dir), const struct fixture *f)
{
	pid_t child = fork();
	int status = -1;

	if (child == 0)
		_exit(what(f->dir));
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

static int make_life(const char *data_dir)
{
	struct pods pods;
	struct pod pod = POD_INIT;
	struct error err = ERROR_INIT;

	if (pods_open(data_dir, &pods, &err) < 0 || pod_create(&pods, &pod, &err) < 0 ||
	    mkdir_path(pod.fd, "stage1/rootfs/rkt/status", 0755, &err) < 0 ||
	    pod_write(&pod, "stage1/manifest", "{}", &err) < 0 ||
	    pod_write(&pod, "pod", "{\"apps\":[]}", &err) < 0 ||
	    pod_move(&pods, &pod, POD_PREPARED, &err) < 0 ||
	    pod_move(&pods, &pod, POD_RUN, &err) < 0 || pod_write(&pod, "pid", "1\n", &err) < 0)
		return 1;
	return 0;
}

/* Run what(data_dir) in a child that is killed before its n-th system call. False: it came to its end. */
static bool killed_at(int (*what)(const char *data_dir), const char *data_dir, unsigned n)
{
	pid_t child = fork();
	int status = 0;

	if (child == 0) {
		ptrace(PTRACE_TRACEME, 0, NULL, NULL);
		raise(SIGSTOP);
		_exit(what(data_dir));
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSTOPPED(status));
	for (unsigned stops = 0; stops < 2 * n - 1; stops++) { /* entry and exit of each call */
		assert_int_equal(ptrace(PTRACE_SYSCALL, child, NULL, NULL), 0);
		assert_int_equal(waitpid(child, &status, 0), child);
		if (WIFEXITED(status)) {
			assert_int_equal(WEXITSTATUS(status), 0);
			return false;
		}
		assert_true(WIFSTOPPED(status));
	}
	kill(child, SIGKILL);
	assert_int_equal(waitpid(child, &status, 0), child);
	return true;
}

static void check_no_half_truth(const struct fixture *f)
{
	static const enum pod_where wheres[] = {POD_PREPARED, POD_RUN};

	for (size_t i = 0; i < ARRAY_SIZE(wheres); i++) {
		cleanup_strv struct strv uuids = STRV_INIT;
		struct error err = ERROR_INIT;

		assert_int_equal(pods_list(&f->pods, wheres[i], &uuids, &err), 0);
		for (size_t k = 0; k < uuids.n; k++) {
			struct pod pod = POD_INIT;
			struct pod_info info = {.state = NULL};

			assert_int_equal(pod_open(&f->pods, wheres[i], uuids.v[k], &pod, &err), 0);
			assert_false(pod_is_locked(&pod));
			assert_int_equal(pod_info_read(&pod, &info, &err), 0);
			assert_non_null(info.manifest);
			assert_true(info.created > 0);
			pod_info_free(&info);
			pod_close(&pod);
		}
	}
}

static void check_nothing_left(const struct fixture *f)
{
	for (int where = 0; where < POD_WHERES; where++)
		assert_int_equal(count(f, where), 0);
}

static void a_creator_killed_anywhere_leaves_only_garbage(void **state)
{
	struct fixture *f = *state;
	unsigned n = 1;

	for (; killed_at(make_life, f->dir, n); n++) {
		check_no_half_truth(f);
		run(collect, f);
		check_nothing_left(f);
	}
	assert_true(n > 20); /* it does take that many calls */
	assert_int_equal(count(f, POD_RUN), 1);
}

static void a_collector_killed_anywhere_is_made_good_by_the_next(void **state)
{
	struct fixture *f = *state;
	unsigned n = 1;

	for (;; n++) {
		run(make_life, f);
		if (!killed_at(collect, f->dir, n))
			break;
		check_no_half_truth(f);
		run(collect, f);
		check_nothing_left(f);
	}
	assert_true(n > 40);
	check_nothing_left(f);
}

/* A collector takes embryos without a lock for dead ones; creators must not mind. */
static void creators_and_collectors_do_not_disturb_each_other(void **state)
{
	struct fixture *f = *state;
	pid_t child = fork();
	int status;

	if (child == 0) {
		for (;;)
			collect(f->dir);
	}
	for (int i = 0; i < 200; i++) {
		struct pod pod = POD_INIT;
		struct error err = ERROR_INIT;

		if (pod_create(&f->pods, &pod, &err) < 0)
			fail_msg("%s", err.msg);
		assert_int_equal(pod_write(&pod, "pod", "{\"apps\":[]}", &err), 0);
		assert_int_equal(pod_move(&f->pods, &pod, POD_RUN, &err), 0);
		assert_int_equal(faccessat(pod.fd, "pod-created", F_OK, 0), 0);
		pod_close(&pod);
	}
	kill(child, SIGKILL);
	waitpid(child, &status, 0);
	run(collect, f);
	check_nothing_left(f);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_new_pod_is_preparing_until_its_creator_ends),
		TEST(a_pod_runs_while_any_process_holds_its_lock),
		TEST(states_have_the_words_of_the_specification),
		TEST(a_pod_that_moved_is_not_locked_by_its_old_place),
		TEST(who_only_looks_does_not_keep_a_pod_from_being_locked),
		TEST(a_uuid_may_be_shortened_while_unambiguous),
		TEST(a_uuid_file_may_have_white_space_around),
		TEST(deleting_takes_unwritable_directories_too),
		TEST(status_files_are_read_without_following_links),
		TEST(a_hostile_pod_manifest_is_an_error),
		TEST(a_pod_manifest_may_have_labels_and_annotations_that_are_none),
		TEST(a_creator_killed_anywhere_leaves_only_garbage),
		TEST(a_collector_killed_anywhere_is_made_good_by_the_next),
		TEST(creators_and_collectors_do_not_disturb_each_other),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

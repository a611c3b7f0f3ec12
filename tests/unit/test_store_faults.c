/* SPDX-License-Identifier: Apache-2.0 */
/* Imports side by side, killed, and with every call failing in its turn. */
#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <seccomp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/file.h"
#include "common/util.h"
#include "stage0/image/store.h"
#include "stage0/image/store_priv.h"
#include "tests/unit/scratch.h"
#include "tests/unit/storemake.h"
#include "tests/unit/tarmake.h"

static void assert_nothing_visible(struct store *store)
{
	assert_int_equal(storemake_count(store, "layer"), 0);
	assert_int_equal(storemake_count(store, "imageManifest/sha512"), 0);
	assert_int_equal(storemake_count(store, "files"), 0);
}

/* In a child: import and place, with 0 for success. */
static int import_and_place(const struct scratch *scratch, const struct tarmake *tar,
			    const char *place)
{
	cleanup_free char *path = xasprintf("%s/data", scratch->path);
	struct error err = ERROR_INIT;
	char key[IMAGE_KEY_LEN + 1];
	struct store *store = NULL;
	int r = store_open(path, &store, &err);

	if (r == 0)
		r = storemake_try_import(store, tar, key, &err);
	if (r == 0)
		r = store_place_disk(store, key, scratch->fd, place, NULL, &err);
	store_close(store);
	return r < 0;
}

static void many_processes_may_import_the_same_image(void **state)
{
	const struct scratch *scratch = *state;
	struct store *store = storemake_open(scratch);
	struct tarmake tar = storemake_aci(2000000);
	pid_t pids[6];

	for (int i = 0; i < 6; i++) {
		pids[i] = fork();
		if (pids[i] == 0) {
			char place[16];

			snprintf(place, sizeof(place), "disk%d", i);
			_exit(import_and_place(scratch, &tar, place));
		}
	}
	for (int i = 0; i < 6; i++) {
		int status;

		assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
		assert_int_equal(status, 0);
	}
	assert_int_equal(storemake_count(store, "layer"), 1);
	assert_int_equal(storemake_count(store, "tree"), 1);
	assert_int_equal(storemake_count(store, "tmp"), 0);
	tar_free(&tar);
	store_close(store);
}

static void a_killed_import_leaves_garbage_only(void **state)
{
	const struct scratch *scratch = *state;
	struct store *store = storemake_open(scratch);
	struct tarmake tar = storemake_aci(4000000);
	struct error err = ERROR_INIT;
	char key[IMAGE_KEY_LEN + 1];

	for (unsigned i = 0; i < 40; i++) {
		struct timespec delay = {.tv_nsec = i * 700000L};
		pid_t pid = fork();

		if (pid == 0) {
			setpgid(0, 0);
			_exit(import_and_place(scratch, &tar, "killed"));
		}
		nanosleep(&delay, NULL);
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		/* whatever is visible is whole */
		storemake_key_of(&tar, key);
		if (store_has_image(store, key)) {
			int null = open("/dev/null", O_WRONLY | O_CLOEXEC);

			assert_int_equal(store_export_aci(store, key, null, &err), 0);
			close(null);
			assert_int_equal(remove_tree(store->cas, "layer", &err), 0);
			assert_int_equal(remove_tree(store->cas, "tree", &err), 0);
			assert_int_equal(remove_tree(store->cas, "imageManifest", &err), 0);
			store_close(store);
			store = storemake_open(scratch);
		}
		assert_int_equal(remove_tree(scratch->fd, "killed", &err), 0);
	}
	storemake_import(store, &tar, key);
	/* the confined children die with their parents, but take their time */
	for (unsigned i = 0; i < 1000 && storemake_count(store, "tmp") > 0; i++) {
		struct timespec ms = {.tv_nsec = 1000000};

		assert_int_equal(store_sweep(store, &err), 0);
		nanosleep(&ms, NULL);
	}
	assert_int_equal(storemake_count(store, "tmp"), 0);
	tar_free(&tar);
	store_close(store);
}

static void a_sweep_leaves_work_in_progress_alone(void **state)
{
	struct store *store = storemake_open(*state);
	struct store_tmp mine = STORE_TMP_INIT;
	struct error err = ERROR_INIT;

	assert_int_equal(store_tmp_new(store, &mine, &err), 0);
	assert_int_equal(mkdirat(store->cas, "tmp/dead", 0700), 0);
	assert_int_equal(mkdirat(store->cas, "tmp/dead/layer", 0700), 0);
	assert_int_equal(store_sweep(store, &err), 0);
	assert_int_equal(storemake_count(store, "tmp"), 1);
	assert_int_equal(faccessat(store->cas, mine.path, F_OK, 0), 0);
	store_tmp_end(store, &mine);
	assert_int_equal(storemake_count(store, "tmp"), 0);
	store_close(store);
}

/* Make a system call fail from now on, in this process and its children. */
static void break_syscall(int nr)
{
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ALLOW);

	if (!ctx || seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EIO), nr, 0) < 0 || seccomp_load(ctx) < 0)
		_exit(3);
}

static void a_failing_system_call_leaves_nothing_visible(void **state)
{
	static const int calls[] = {
		SCMP_SYS(renameat), SCMP_SYS(fsync),	 SCMP_SYS(fdatasync), SCMP_SYS(mkdirat),
		SCMP_SYS(write),    SCMP_SYS(ftruncate), SCMP_SYS(pwrite64),  SCMP_SYS(pread64),
		SCMP_SYS(flock),    SCMP_SYS(pipe2),	 SCMP_SYS(lseek),
	};
	const struct scratch *scratch = *state;
	struct store *store = storemake_open(scratch);
	struct tarmake tar = storemake_aci(100000);
	int status;

	for (size_t i = 0; i < ARRAY_SIZE(calls); i++) {
		int fd = tar_fd(&tar);
		pid_t pid = fork();

		if (pid == 0) {
			struct error err = ERROR_INIT;
			char key[IMAGE_KEY_LEN + 1];

			break_syscall(calls[i]);
			/* lseek failing makes it a pipe, which is fine until the data is written */
			_exit(store_import_aci(store, fd, "x", key, &err) < 0 && err.code < 0 ? 0
											      : 1);
		}
		close(fd);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		if (calls[i] != SCMP_SYS(lseek) && status != 0)
			fail_msg("system call %d: status %x", calls[i], status);
		if (calls[i] != SCMP_SYS(lseek) && calls[i] != SCMP_SYS(renameat))
			assert_int_equal(storemake_count(store, "imageManifest/sha512"), 0);
	}
	assert_true(import_and_place(scratch, &tar, "disk") == 0);
	tar_free(&tar);
	store_close(store);
}

static void a_full_disk_is_an_error_and_leaves_nothing(void **state)
{
	const struct scratch *scratch = *state;
	struct store *store = storemake_open(scratch);
	struct tarmake tar = storemake_aci(1000000);
	int status;

	for (rlim_t limit = 0; limit < 1000000; limit += 99999) {
		pid_t pid = fork();

		if (pid == 0) {
			struct error err = ERROR_INIT;
			char key[IMAGE_KEY_LEN + 1];
			const struct rlimit rl = {limit, limit};
			int fd = tar_fd(&tar);

			signal(SIGXFSZ, SIG_IGN);
			setrlimit(RLIMIT_FSIZE, &rl);
			_exit(store_import_aci(store, fd, "x", key, &err) == -EFBIG ? 0 : 1);
		}
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_int_equal(status, 0);
	}
	assert_nothing_visible(store);
	assert_int_equal(storemake_count(store, "tmp"), 0);
	tar_free(&tar);
	store_close(store);
}

int main(void)
{
#define WITH_SCRATCH(test) cmocka_unit_test_setup_teardown(test, scratch_setup, scratch_teardown)
	const struct CMUnitTest tests[] = {
		WITH_SCRATCH(many_processes_may_import_the_same_image),
		WITH_SCRATCH(a_killed_import_leaves_garbage_only),
		WITH_SCRATCH(a_sweep_leaves_work_in_progress_alone),
		WITH_SCRATCH(a_failing_system_call_leaves_nothing_visible),
		WITH_SCRATCH(a_full_disk_is_an_error_and_leaves_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

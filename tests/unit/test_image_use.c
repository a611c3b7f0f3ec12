/* SPDX-License-Identifier: Apache-2.0 */
/* What pods use of the store, which decides what image gc leaves. */
#include "tests/unit/unit.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/file.h"
#include "common/util.h"
#include "stage0/image_use.h"
#include "stage0/prepare.h"
#include "tests/unit/scratch.h"
#include "tests/unit/storemake.h"

struct fixture {
	struct store *store;
	struct pods pods;
	char app[IMAGE_KEY_LEN + 1], stage1[IMAGE_KEY_LEN + 1], named[IMAGE_KEY_LEN + 1];
	char *app_tree, *stage1_tree;
};

static void begin(struct fixture *f, const struct scratch *scratch)
{
	cleanup_free char *data = xasprintf("%s/data", scratch->path);
	struct error err = ERROR_INIT;

	f->store = storemake_open(scratch);
	assert_int_equal(pods_open(data, &f->pods, &err), 0);
	storemake_image(f->store, "e.x/app", "", "f:a", f->app);
	storemake_image(f->store, "e.x/stage1", "", "f:b", f->stage1);
	storemake_image(f->store, "e.x/named", "", "f:c", f->named);
	assert_int_equal(store_place_disk(f->store, f->app, scratch->fd, "a", &f->app_tree, &err),
			 0);
	assert_int_equal(store_place_tree(f->store, f->stage1, scratch->fd, "b", STORE_LINK,
					  &f->stage1_tree, &err),
			 0);
}

static void end(struct fixture *f)
{
	free(f->app_tree);
	free(f->stage1_tree);
	pods_close(&f->pods);
	store_close(f->store);
}

/* A pod of the app, with a manifest that names another image too. It stays locked. */
static void make_pod(struct fixture *f, struct pod *pod)
{
	cleanup_free char *manifest = xasprintf(
		"{\"acKind\":\"PodManifest\",\"acVersion\":\"0.8.11\",\"apps\":[{\"name\":\"a\","
		"\"image\":{\"name\":\"e.x/named\",\"id\":\"%s\"},\"app\":{\"exec\":[\"/x\"],"
		"\"user\":\"0\",\"group\":\"0\"}}]}",
		f->named);
	struct error err = ERROR_INIT;

	assert_int_equal(pod_create(&f->pods, pod, &err), 0);
	assert_int_equal(mkdir_path(pod->fd, "appsinfo/a", 0755, &err), 0);
	assert_int_equal(pod_write(pod, "appsinfo/a/treeStoreID", f->app_tree, &err), 0);
	assert_int_equal(pod_write(pod, "stage1TreeStoreID", f->stage1_tree, &err), 0);
	assert_int_equal(pod_write(pod, "pod", manifest, &err), 0);
}

static void assert_use(struct fixture *f, const char *what, bool trees, bool images)
{
	cleanup_image_use struct image_use use = IMAGE_USE_INIT;
	struct error err = ERROR_INIT;

	assert_int_equal(image_use_read(&f->pods, f->store, &use, &err), 0);
	if (strv_contains(&use.trees, f->app_tree) != trees ||
	    strv_contains(&use.trees, f->stage1_tree) != trees)
		fail_msg("the trees of a pod that is %s", what);
	if (strv_contains(&use.images, f->app) != images ||
	    strv_contains(&use.images, f->stage1) != images ||
	    strv_contains(&use.images, f->named) != images)
		fail_msg("the images of a pod that is %s", what);
}

static void a_pod_keeps_its_images_until_it_has_ended_and_its_trees_until_it_is_gone(void **state)
{
	struct fixture f = {.store = NULL};
	struct pod pod = POD_INIT;
	struct error err = ERROR_INIT;

	begin(&f, *state);
	assert_use(&f, "not there", false, false);
	make_pod(&f, &pod);
	assert_use(&f, "being prepared", true, true);
	assert_int_equal(pod_move(&f.pods, &pod, POD_PREPARED, &err), 0);
	assert_use(&f, "prepared", true, true);
	assert_int_equal(pod_move(&f.pods, &pod, POD_RUN, &err), 0);
	assert_use(&f, "running", true, true);
	close_fd(&pod.fd);
	assert_use(&f, "ended", true, false);
	assert_int_equal(pod_open(&f.pods, POD_RUN, pod.uuid, &pod, &err), 0);
	assert_int_equal(pod_try_lock(&f.pods, &pod, &err), 0);
	assert_int_equal(pod_move(&f.pods, &pod, POD_EXITED_GARBAGE, &err), 0);
	assert_use(&f, "marked", true, false);
	assert_int_equal(pod_delete(&f.pods, &pod, &err), 0);
	pod_close(&pod);
	assert_use(&f, "deleted", false, false);
	end(&f);
}

static void a_pod_half_written_is_no_trouble(void **state)
{
	struct fixture f = {.store = NULL};
	cleanup_image_use struct image_use use = IMAGE_USE_INIT;
	struct pod pod = POD_INIT;
	struct error err = ERROR_INIT;

	begin(&f, *state);
	assert_int_equal(pod_create(&f.pods, &pod, &err), 0);
	assert_int_equal(mkdirat(pod.fd, "appsinfo", 0755), 0);
	/* links are not followed, directories are not read as files */
	assert_int_equal(symlinkat("/etc", pod.fd, "appsinfo/l"), 0);
	assert_int_equal(mkdir_path(pod.fd, "appsinfo/d/treeStoreID", 0755, &err), 0);
	assert_int_equal(symlinkat("/etc/passwd", pod.fd, "stage1TreeStoreID"), 0);
	assert_int_equal(pod_write(&pod, "pod", "{", &err), 0);
	assert_int_equal(image_use_read(&f.pods, f.store, &use, &err), 0);
	assert_int_equal(use.trees.n, 0);
	assert_int_equal(use.images.n, 0);
	pod_close(&pod);
	end(&f);
}

static void nobody_prepares_while_somebody_has_to_know_all_pods(void **state)
{
	struct fixture f = {.store = NULL};
	int one = -1, two = -1, alone = -1, status = 0;
	struct error err = ERROR_INIT;
	pid_t pid;

	begin(&f, *state);
	assert_int_equal(prepare_lock(&f.pods, false, &one, &err), 0);
	assert_int_equal(prepare_lock(&f.pods, false, &two, &err), 0);
	close_fd(&one);
	pid = fork();
	if (pid == 0) {
		/* ends by the alarm while the other has its lock */
		alarm(1);
		prepare_lock(&f.pods, true, &alone, &err);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM);
	close_fd(&two);
	assert_int_equal(prepare_lock(&f.pods, true, &alone, &err), 0);
	close_fd(&alone);
	end(&f);
}

int main(void)
{
#define WITH_SCRATCH(test) cmocka_unit_test_setup_teardown(test, scratch_setup, scratch_teardown)
	const struct CMUnitTest tests[] = {
		WITH_SCRATCH(
			a_pod_keeps_its_images_until_it_has_ended_and_its_trees_until_it_is_gone),
		WITH_SCRATCH(a_pod_half_written_is_no_trouble),
		WITH_SCRATCH(nobody_prepares_while_somebody_has_to_know_all_pods),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/file.h"
#include "common/json.h"
#include "common/util.h"
#include "stage0/image/layer.h"
#include "stage0/image/oci_origin.h"
#include "stage0/image/store.h"
#include "stage0/image/store_priv.h"
#include "tests/unit/ocimake.h"
#include "tests/unit/scratch.h"
#include "tests/unit/tarmake.h"

/* Layers of one image, several at a time, and of several processes. */

static const struct oci_source source = {.name = "example.com/layers"};

/* A layout whose blobs are sent by other means than their files. */
struct sender {
	struct oci_origin origin;
	struct oci_origin *layout;
	_Atomic unsigned *opened;   /* blobs, over all processes; or NULL */
	char silent[HASH_HEX_MAX];  /* of this blob nothing ever comes */
	char endless[HASH_HEX_MAX]; /* this one never ends */
	int silent_pipe;	    /* its other end */
};

static int send_document(struct oci_origin *origin, const struct oci_desc *desc, struct str *ret,
			 char ret_media_type[OCI_MEDIA_TYPE_MAX], struct error *err)
{
	struct sender *sender = container_of(origin, struct sender, origin);

	return sender->layout->ops->document(sender->layout, desc, ret, ret_media_type, err);
}

static int send_blob(struct oci_origin *origin, const struct oci_desc *desc, struct oci_stream *ret,
		     struct error *err)
{
	struct sender *sender = container_of(origin, struct sender, origin);
	int fds[2];

	if (sender->opened)
		atomic_fetch_add(sender->opened, 1);
	if (strcmp(desc->digest.hex, sender->silent) == 0) {
		assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
		sender->silent_pipe = fds[1];
		*ret = (struct oci_stream){.fd = fds[0]};
		return 0;
	}
	if (strcmp(desc->digest.hex, sender->endless) == 0) {
		*ret = (struct oci_stream){.fd = open("/dev/zero", O_RDONLY | O_CLOEXEC)};
		return 0;
	}
	return sender->layout->ops->open_blob(sender->layout, desc, ret, err);
}

static int close_blob(struct oci_origin *origin, struct oci_stream *stream, bool complete,
		      struct error *err)
{
	(void)origin;
	(void)complete;
	(void)err;
	close_fd(&stream->fd);
	return 0;
}

static void no_free(struct oci_origin *origin)
{
	(void)origin;
}

static const struct oci_origin_ops sender_ops = {send_document, send_blob, close_blob, no_free};

/* The digest of layer i of the layout. */
static void layer_digest(const struct layout *layout, unsigned i, char ret[HASH_HEX_MAX])
{
	const char *at = layout->layers;

	for (unsigned n = 0; n <= i; n++)
		at = strstr(at, "sha256:") + 7;
	snprintf(ret, HASH_HEX_MAX, "%.64s", at);
}

static struct layout make_layout(const struct scratch *scratch)
{
	static const char *const files[][2] = {{"a", NULL}, {"b", NULL}, {"c", NULL}, {"d", NULL}};
	struct layout layout = new_layout(scratch);
	cleanup_free char *desc = NULL;

	for (size_t i = 0; i < ARRAY_SIZE(files); i++)
		add_layer(&layout, files[i]);
	/* the first once more: one layer of the store */
	add_layer(&layout, files[0]);
	desc = finish(&layout, "x");
	put_index(&layout, desc);
	return layout;
}

static struct store *open_store(const struct scratch *scratch)
{
	cleanup_free char *path = xasprintf("%s/data", scratch->path);
	struct error err = ERROR_INIT;
	struct store *store;

	if (store_open(path, &store, &err) < 0)
		fail_msg("%s", err.msg);
	return store;
}

static int import(const struct scratch *scratch, const struct layout *layout, struct sender *sender,
		  unsigned jobs, struct error *err)
{
	const struct oci_import_options options = {.jobs = jobs};
	struct store *store = open_store(scratch);
	cleanup_strv struct strv warnings = STRV_INIT;
	char key[IMAGE_KEY_LEN + 1];
	int r;

	sender->origin.ops = &sender_ops;
	assert_int_equal(oci_layout_open(layout->path, NULL, &sender->layout, err), 0);
	r = store_import_origin(store, &sender->origin, &source, &options, key, &warnings, err);
	oci_origin_free(sender->layout);
	store_close(store);
	return r;
}

/* Nothing is left of unfinished work: no directory, no lock. */
static void assert_swept(const struct scratch *scratch)
{
	static const char *const dirs[] = {"data/cas/tmp", "data/cas/layerlocks"};
	struct store *store = open_store(scratch);
	struct error err = ERROR_INIT;

	assert_int_equal(store_sweep(store, &err), 0);
	store_close(store);
	for (size_t i = 0; i < ARRAY_SIZE(dirs); i++) {
		assert_int_equal(unlinkat(scratch->fd, dirs[i], AT_REMOVEDIR), 0);
		assert_int_equal(mkdirat(scratch->fd, dirs[i], 0750), 0);
	}
}

static _Atomic unsigned *shared_count(void)
{
	void *page = mmap(NULL, sizeof(unsigned), PROT_READ | PROT_WRITE,
			  MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	assert_ptr_not_equal(page, MAP_FAILED);
	return page;
}

static void processes_that_import_one_image_load_each_layer_once(void **state)
{
	const struct scratch *scratch = *state;
	struct layout layout = make_layout(scratch);
	struct sender sender = {.opened = shared_count()};
	struct error err = ERROR_INIT;
	pid_t pid[4];

	for (size_t i = 0; i < ARRAY_SIZE(pid); i++) {
		pid[i] = fork();
		if (pid[i] == 0)
			_exit(import(scratch, &layout, &sender, 1 + (unsigned)i, &err) < 0);
	}
	for (size_t i = 0; i < ARRAY_SIZE(pid); i++) {
		int status;

		assert_int_equal(waitpid(pid[i], &status, 0), pid[i]);
		assert_int_equal(status, 0);
	}
	assert_int_equal(*sender.opened, 4);
	assert_int_equal(import(scratch, &layout, &sender, 0, &err), 0);
	assert_int_equal(*sender.opened, 4);
	assert_swept(scratch);
	munmap((void *)sender.opened, sizeof(unsigned));
	close(layout.fd);
}

static void a_killed_import_frees_its_layers_for_those_that_wait(void **state)
{
	const struct scratch *scratch = *state;
	struct layout layout = make_layout(scratch);
	struct sender hangs = {.opened = shared_count()}, works = {.opened = hangs.opened};
	struct error err = ERROR_INIT;
	pid_t killed, waits;
	int status;

	layer_digest(&layout, 0, hangs.silent);
	killed = fork();
	if (killed == 0)
		_exit(import(scratch, &layout, &hangs, 1, &err) < 0);
	/* it holds the lock once it asks for the blob */
	while (atomic_load(hangs.opened) == 0)
		usleep(1000);
	waits = fork();
	if (waits == 0)
		_exit(import(scratch, &layout, &works, 1, &err) < 0);
	usleep(100000);
	assert_int_equal(waitpid(waits, &status, WNOHANG), 0);
	assert_int_equal(atomic_load(hangs.opened), 1);
	assert_int_equal(kill(killed, SIGKILL), 0);
	assert_int_equal(waitpid(killed, &status, 0), killed);
	assert_int_equal(waitpid(waits, &status, 0), waits);
	assert_int_equal(status, 0);
	assert_swept(scratch);
	munmap((void *)hangs.opened, sizeof(unsigned));
	close(layout.fd);
}

static void the_first_failure_ends_what_else_is_loaded(void **state)
{
	const struct scratch *scratch = *state;
	struct layout layout = make_layout(scratch);
	struct sender sender = {.silent_pipe = -1};
	struct error err = ERROR_INIT;

	/* one layer never comes, and another one is not what it should be */
	layer_digest(&layout, 0, sender.silent);
	layer_digest(&layout, 1, sender.endless);
	assert_int_equal(import(scratch, &layout, &sender, 3, &err), -EFBIG);
	assert_non_null(strstr(err.msg, "layer 1"));
	close(sender.silent_pipe);
	assert_swept(scratch);
	/* undisturbed, the rest is loaded */
	sender = (struct sender){.silent_pipe = -1};
	err = (struct error)ERROR_INIT;
	assert_int_equal(import(scratch, &layout, &sender, 3, &err), 0);
	close(layout.fd);
}

static int make_layer(const struct scratch *scratch, struct layer_job *job,
		      struct layer_result *ret, struct error *err)
{
	int r;

	assert_int_equal(mkdirat(scratch->fd, "layer", 0700), 0);
	job->dir = openat(scratch->fd, "layer", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	r = layer_make(job, ret, err);
	close(job->dir);
	assert_int_equal(remove_tree(scratch->fd, "layer", &(struct error)ERROR_INIT), 0);
	return r;
}

static void the_layers_of_an_image_are_limited_together(void **state)
{
	const struct scratch *scratch = *state;
	_Atomic uint64_t *total = (_Atomic uint64_t *)(void *)mmap(
		NULL, sizeof(*total), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct tarmake tar = {.p = NULL};
	struct layer_job job = {.kind = LAYER_OCI,
				.alg = HASH_SHA256,
				.limits = {20000, 1000, 1 << 20},
				.total = total};
	struct layer_result result;
	struct error err = ERROR_INIT;

	tar_add(&tar, &(struct tarent){.name = "f", .size = 8000});
	tar_end(&tar);
	for (unsigned i = 0; i < 3; i++) {
		job.in = tar_fd(&tar);
		assert_int_equal(make_layer(scratch, &job, &result, &err), i < 2 ? 0 : -EFBIG);
		close(job.in);
	}
	tar_free(&tar);
	munmap((void *)total, sizeof(*total));
}

static void a_layer_is_refused_at_the_first_byte_beyond_its_size(void **state)
{
	const struct scratch *scratch = *state;
	struct tarmake tar = {.p = NULL};
	struct layer_job job = {
		.kind = LAYER_OCI, .alg = HASH_SHA256, .limits = {1 << 20, 1000, 1 << 20}};
	struct layer_result result;
	struct error err = ERROR_INIT;

	tar_add_file(&tar, "f", "content");
	tar_end(&tar);
	job.in = tar_fd(&tar);
	job.in_max = tar.len - 1;
	assert_int_equal(make_layer(scratch, &job, &result, &err), -EFBIG);
	close(job.in);
	/* and one within a file is read where it is */
	tar_raw(&tar, "garbage", 7);
	job.in = tar_fd(&tar);
	job.length = job.in_max = tar.len - 7;
	assert_int_equal(make_layer(scratch, &job, &result, &err), 0);
	assert_int_equal(result.in_size, tar.len - 7);
	close(job.in);
	tar_free(&tar);
}

int main(void)
{
#define WITH_SCRATCH(test) cmocka_unit_test_setup_teardown(test, scratch_setup, scratch_teardown)
	const struct CMUnitTest tests[] = {
		WITH_SCRATCH(processes_that_import_one_image_load_each_layer_once),
		WITH_SCRATCH(a_killed_import_frees_its_layers_for_those_that_wait),
		WITH_SCRATCH(the_first_failure_ends_what_else_is_loaded),
		WITH_SCRATCH(the_layers_of_an_image_are_limited_together),
		WITH_SCRATCH(a_layer_is_refused_at_the_first_byte_beyond_its_size),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

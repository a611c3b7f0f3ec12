/* SPDX-License-Identifier: Apache-2.0 */
/* How things leave the store, and what stays. */
#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/file.h"
#include "common/util.h"
#include "stage0/image/store.h"
#include "stage0/image/store_priv.h"
#include "tests/unit/scratch.h"
#include "tests/unit/storemake.h"

static bool has_layer(struct store *store, char letter)
{
	char key[IMAGE_KEY_LEN + 1], path[STORE_PATH_MAX];

	storemake_layer_key(letter, key);
	snprintf(path, sizeof(path), "layer/%s", key);
	return storemake_has(store, path);
}

/* As another tripod: holds are given back. */
static struct store *reopen(const struct scratch *scratch, struct store *store)
{
	store_close(store);
	return storemake_open(scratch);
}

static void put(struct store *store, const char *path, const char *text)
{
	struct error err = ERROR_INIT;

	if (file_write(store->cas, path, text, strlen(text), 0640, &err) < 0)
		fail_msg("%s", err.msg);
}

static void a_removed_image_leaves_nothing(void **state)
{
	struct store *store = storemake_open(*state);
	char key[IMAGE_KEY_LEN + 1], other[IMAGE_KEY_LEN + 1];
	struct json_object *manifest;
	struct error err = ERROR_INIT;

	storemake_image(store, "e.x/a", "", "f:a", key);
	storemake_image(store, "e.x/b", "", "f:b", other);
	assert_int_equal(store_remove(store, key, &err), 0);
	assert_int_equal(store_manifest(store, key, &manifest, &err), -ENOENT);
	assert_int_equal(storemake_count(store, "layer"), 1);
	assert_int_equal(storemake_count(store, "imageInfo"), 1);
	assert_int_equal(storemake_count(store, "tmp"), 0);
	assert_int_equal(store_remove(store, key, &err), -ENOENT);
	assert_int_equal(store_remove(store, "sha512-../../x", &err), -ENOENT);
	assert_true(store_has_image(store, other));
	store_close(store);
}

static void layers_another_image_has_stay(void **state)
{
	struct store *store = storemake_open(*state);
	char one[IMAGE_KEY_LEN + 1], two[IMAGE_KEY_LEN + 1];
	struct error err = ERROR_INIT;

	storemake_layered(store, "one", "abc", one);
	storemake_layered(store, "two", "bcd", two);
	assert_int_equal(store_remove(store, one, &err), 0);
	assert_false(has_layer(store, 'a'));
	assert_true(has_layer(store, 'b') && has_layer(store, 'c') && has_layer(store, 'd'));
	assert_int_equal(store_remove(store, two, &err), 0);
	assert_int_equal(storemake_count(store, "layer"), 0);
	assert_int_equal(storemake_count(store, "tmp"), 0);
	store_close(store);
}

static void what_somebody_holds_is_not_removed(void **state)
{
	struct store *store = storemake_open(*state), *user;
	char one[IMAGE_KEY_LEN + 1], two[IMAGE_KEY_LEN + 1], layer[IMAGE_KEY_LEN + 1];
	struct error err = ERROR_INIT;

	storemake_layered(store, "one", "ab", one);
	storemake_image(store, "e.x/two", "", "f:a", two);
	store = reopen(*state, store);
	user = storemake_open(*state);
	assert_int_equal(store_find_id(user, one, layer, &err), 0);
	assert_int_equal(store_find(user, "e.x/two", NULL, layer, &err), 0);
	assert_int_equal(store_remove(store, one, &err), -EBUSY);
	assert_int_equal(store_remove(store, two, &err), -EBUSY);
	assert_true(store_has_image(store, one) && store_has_image(store, two));
	/* what is about to become part of an image is held too */
	store_close(user);
	user = storemake_open(*state);
	storemake_layer_key('b', layer);
	assert_int_equal(store_hold(user, layer, &err), 0);
	assert_int_equal(store_remove(store, one, &err), 0);
	assert_false(has_layer(store, 'a'));
	assert_true(has_layer(store, 'b'));
	assert_int_equal(store_collect(store, 0, &err), 0);
	assert_true(has_layer(store, 'b'));
	store_close(user);
	assert_int_equal(store_collect(store, 0, &err), 0);
	assert_false(has_layer(store, 'b'));
	assert_true(store_has_image(store, two));
	store_close(store);
}

static void many_may_hold_an_image_at_once(void **state)
{
	struct store *store = storemake_open(*state), *users[3];
	char key[IMAGE_KEY_LEN + 1];
	struct error err = ERROR_INIT;

	storemake_image(store, "e.x/a", "", "f:a", key);
	store = reopen(*state, store);
	for (int i = 0; i < 3; i++) {
		users[i] = storemake_open(*state);
		assert_int_equal(store_hold(users[i], key, &err), 0);
		assert_int_equal(store_hold(users[i], key, &err), 0);
	}
	for (int i = 0; i < 3; i++) {
		assert_int_equal(store_remove(store, key, &err), -EBUSY);
		store_close(users[i]);
	}
	assert_int_equal(store_remove(store, key, &err), 0);
	store_close(store);
}

static void old_layers_of_no_image_are_collected(void **state)
{
	struct store *store = storemake_open(*state);
	char key[IMAGE_KEY_LEN + 1], path[STORE_PATH_MAX];
	struct error err = ERROR_INIT;

	storemake_layered(store, "one", "ab", key);
	store_manifest_path(key, path);
	assert_int_equal(unlinkat(store->cas, path, 0), 0); /* a removal that died */
	storemake_image(store, "e.x/two", "", "f:a", key);
	store_manifest_path(key, path);
	assert_int_equal(unlinkat(store->cas, path, 0), 0); /* an import that died */
	store = reopen(*state, store);
	assert_int_equal(store_collect(store, INT64_C(3600) * 1000000000, &err), 0);
	assert_int_equal(storemake_count(store, "layer"), 4);
	assert_int_equal(store_collect(store, 0, &err), 0);
	assert_int_equal(storemake_count(store, "layer"), 0);
	assert_int_equal(storemake_count(store, "imageInfo"), 0);
	assert_int_equal(storemake_count(store, STORE_HOLDS), 0);
	store_close(store);
}

static void what_is_remembered_of_lost_images_is_forgotten(void **state)
{
	struct store *store = storemake_open(*state);
	struct store_remote remote = {.time = 1};
	char key[IMAGE_KEY_LEN + 1], lost[IMAGE_KEY_LEN + 1];
	struct error err = ERROR_INIT;

	storemake_image(store, "e.x/a", "", "f:a", key);
	storemake_image(store, "e.x/b", "", "f:b", lost);
	memcpy(remote.key, key, sizeof(key));
	assert_int_equal(store_remote_put(store, "https://e.x/a", &remote, &err), 0);
	memcpy(remote.key, lost, sizeof(lost));
	assert_int_equal(store_remote_put(store, "https://e.x/b", &remote, &err), 0);
	put(store, "files/x", key);
	put(store, "files/y", lost);
	put(store, "files/z", "nonsense");
	assert_int_equal(store_remove(store, lost, &err), 0);
	assert_int_equal(store_collect(store, 0, &err), 0);
	assert_int_equal(storemake_count(store, "remote"), 1);
	assert_int_equal(storemake_count(store, "files"), 1);
	assert_int_equal(store_remote_get(store, "https://e.x/a", &remote, &err), 0);
	store_remote_free(&remote);
	store_close(store);
}

/* Times can not be set back (ctime), so only the young side of the limit shows here. */
static void young_downloads_and_files_being_written_stay(void **state)
{
	struct store *store = storemake_open(*state);
	struct error err = ERROR_INIT;

	put(store, "partial/blob-sha256-00.part", "x");
	put(store, "imageInfo/x.tmp-1", "x");
	put(store, "remote/x.tmp-1", "x");
	assert_int_equal(store_collect(store, 0, &err), 0);
	assert_int_equal(storemake_count(store, "partial"), 1);
	assert_int_equal(storemake_count(store, "imageInfo"), 1);
	assert_int_equal(storemake_count(store, "remote"), 1);
	store_close(store);
}

static void a_tree_is_removed_unless_it_is_being_used(void **state)
{
	const struct scratch *scratch = *state;
	struct store *store = storemake_open(scratch);
	cleanup_strv struct strv trees = STRV_INIT;
	cleanup_free char *id = NULL;
	char key[IMAGE_KEY_LEN + 1];
	struct error err = ERROR_INIT;
	int lock;

	storemake_image(store, "e.x/a", "", "f:a", key);
	assert_int_equal(store_place_disk(store, key, scratch->fd, "one", &id, &err), 0);
	store_trees(store, &trees);
	assert_int_equal(trees.n, 1);
	assert_string_equal(trees.v[0], id);
	lock = store_lock(store, "treestorelocks", id, false, &err);
	assert_int_equal(store_tree_remove(store, id, &err), -EBUSY);
	close(lock);
	assert_int_equal(store_tree_remove(store, id, &err), 0);
	assert_int_equal(storemake_count(store, "tree"), 0);
	assert_int_equal(store_tree_remove(store, "../layer", &err), -ENOENT);
	/* what was placed lives on, and the image can be rendered again */
	assert_int_equal(faccessat(scratch->fd, "one/1", R_OK, 0), 0);
	assert_int_equal(store_place_disk(store, key, scratch->fd, "two", NULL, &err), 0);
	store_close(store);
}

/* A child that removes and collects, or places, an image again and again. */
static pid_t start(const struct scratch *scratch, const char *key, int kind)
{
	pid_t pid = fork();

	if (pid != 0)
		return pid;
	for (int i = 0; i < 40; i++) {
		struct store *store = storemake_open(scratch);
		char made[IMAGE_KEY_LEN + 1], place[32];
		struct error err = ERROR_INIT;
		int r;

		snprintf(place, sizeof(place), "place-%d-%d", kind, i);
		if (kind == 0) {
			r = store_remove(store, key, &err);
			if (r == 0 || r == -EBUSY || r == -ENOENT)
				r = store_collect(store, 0, &err);
		} else {
			/* the image is there from here on, whatever the remover does */
			storemake_image(store, "e.x/a", "", "f:a", made);
			r = store_place_disk(store, made, scratch->fd, place, NULL, &err);
			snprintf(place, sizeof(place), "place-%d-%d/1", kind, i);
			if (r == 0)
				r = faccessat(scratch->fd, place, R_OK, 0);
		}
		if (r < 0) {
			print_message("%d: %s\n", kind, err.msg);
			_exit(1);
		}
		store_close(store);
	}
	_exit(0);
}

static void imports_and_uses_are_right_beside_removals(void **state)
{
	const struct scratch *scratch = *state;
	struct store *store = storemake_open(scratch);
	char key[IMAGE_KEY_LEN + 1];
	pid_t pid[4];

	storemake_image(store, "e.x/a", "", "f:a", key);
	store = reopen(scratch, store);
	for (int i = 0; i < 4; i++)
		pid[i] = start(scratch, key, i);
	for (int i = 0; i < 4; i++) {
		int status = -1;

		assert_int_equal(waitpid(pid[i], &status, 0), pid[i]);
		assert_int_equal(status, 0);
	}
	store_close(store);
}

/* Removals are killed at many points; afterwards the image is whole or gone, and gc tidies up. */
static void a_killed_removal_leaves_only_what_gc_removes(void **state)
{
	const struct scratch *scratch = *state;

	for (long delay = 0; delay < 3000000; delay += 100000) {
		struct store *store = storemake_open(scratch);
		const struct timespec pause = {.tv_nsec = delay};
		char key[IMAGE_KEY_LEN + 1], place[32];
		struct error err = ERROR_INIT;
		pid_t pid;

		storemake_image(store, "e.x/a", "", "f:a f:b f:c", key);
		store = reopen(scratch, store);
		pid = fork();
		if (pid == 0) {
			store_remove(store, key, &err);
			_exit(0);
		}
		nanosleep(&pause, NULL);
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		snprintf(place, sizeof(place), "place-%ld", delay);
		if (store_has_image(store, key))
			assert_int_equal(
				store_place_disk(store, key, scratch->fd, place, NULL, &err), 0);
		store = reopen(scratch, store);
		if (store_has_image(store, key))
			assert_int_equal(store_remove(store, key, &err), 0);
		assert_int_equal(store_collect(store, 0, &err), 0);
		assert_int_equal(storemake_count(store, "layer"), 0);
		assert_int_equal(storemake_count(store, "imageInfo"), 0);
		assert_int_equal(storemake_count(store, "tmp"), 0);
		assert_int_equal(storemake_count(store, STORE_HOLDS), 0);
		store_close(store);
	}
}

int main(void)
{
#define WITH_SCRATCH(test) cmocka_unit_test_setup_teardown(test, scratch_setup, scratch_teardown)
	const struct CMUnitTest tests[] = {
		WITH_SCRATCH(a_removed_image_leaves_nothing),
		WITH_SCRATCH(layers_another_image_has_stay),
		WITH_SCRATCH(what_somebody_holds_is_not_removed),
		WITH_SCRATCH(many_may_hold_an_image_at_once),
		WITH_SCRATCH(old_layers_of_no_image_are_collected),
		WITH_SCRATCH(what_is_remembered_of_lost_images_is_forgotten),
		WITH_SCRATCH(young_downloads_and_files_being_written_stay),
		WITH_SCRATCH(a_tree_is_removed_unless_it_is_being_used),
		WITH_SCRATCH(imports_and_uses_are_right_beside_removals),
		WITH_SCRATCH(a_killed_removal_leaves_only_what_gc_removes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

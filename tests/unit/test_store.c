/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <zstd.h>

#include "common/file.h"
#include "common/json.h"
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

static void an_image_has_the_id_of_its_uncompressed_bytes(void **state)
{
	struct store *store = storemake_open(*state);
	struct tarmake tar = storemake_aci(300000), packed = {.p = NULL};
	char key[IMAGE_KEY_LEN + 1], expect[IMAGE_KEY_LEN + 1];
	struct json_object *manifest;
	struct error err = ERROR_INIT;
	const char *name = NULL;

	storemake_key_of(&tar, expect);
	storemake_import(store, &tar, key);
	assert_string_equal(key, expect);
	assert_int_equal(store_manifest(store, key, &manifest, &err), 0);
	assert_int_equal(json_get_string(manifest, "name", &name, &err), 0);
	assert_string_equal(name, "example.com/test");
	json_object_put(manifest);

	packed.p = xcalloc(1, ZSTD_compressBound(tar.len));
	packed.len = ZSTD_compress(packed.p, ZSTD_compressBound(tar.len), tar.p, tar.len, 1);
	storemake_import(store, &packed, key);
	assert_string_equal(key, expect);
	assert_int_equal(storemake_count(store, "layer"), 1);
	assert_int_equal(storemake_count(store, "tmp"), 0);
	assert_int_equal(storemake_count(store, "filelocks"), 0);
	tar_free(&packed);

	/* what follows the archive's end belongs to the ID */
	tar_raw(&tar, "trailer", 7);
	storemake_key_of(&tar, expect);
	storemake_import(store, &tar, key);
	assert_string_equal(key, expect);
	assert_int_equal(storemake_count(store, "layer"), 2);
	tar_free(&tar);
	store_close(store);
}

static void an_exported_image_is_the_archive_byte_for_byte(void **state)
{
	static const size_t sizes[] = {0, 1, 512, 5000, 9000000};
	struct store *store = storemake_open(*state);

	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		struct tarmake tar = storemake_aci(sizes[i]);
		char key[IMAGE_KEY_LEN + 1];
		struct error err = ERROR_INIT;
		struct stat st, skeleton;
		char path[STORE_PATH_MAX];
		uint8_t *back;
		int fd;

		tar_raw(&tar, "after the end", 13);
		storemake_import(store, &tar, key);
		fd = memfd_create("export", MFD_CLOEXEC);
		if (store_export_aci(store, key, fd, &err) < 0)
			fail_msg("%s", err.msg);
		assert_int_equal(fstat(fd, &st), 0);
		assert_int_equal(st.st_size, tar.len);
		back = mmap(NULL, tar.len, PROT_READ, MAP_PRIVATE, fd, 0);
		assert_memory_equal(back, tar.p, tar.len);
		munmap(back, tar.len);
		close(fd);
		/* and the content is kept once */
		snprintf(path, sizeof(path), "layer/%s/skeleton", key);
		assert_int_equal(fstatat(store->cas, path, &skeleton, 0), 0);
		assert_true(skeleton.st_size < 2000);
		tar_free(&tar);
	}
	store_close(store);
}

static void a_damaged_layer_is_not_exported(void **state)
{
	struct store *store = storemake_open(*state);
	struct tarmake tar = storemake_aci(5000);
	char key[IMAGE_KEY_LEN + 1], path[STORE_PATH_MAX];
	struct error err = ERROR_INIT;
	int fd;

	storemake_import(store, &tar, key);
	snprintf(path, sizeof(path), "layer/%s/data", key);
	assert_int_equal(fchmodat(store->cas, path, 0600, 0), 0);
	fd = openat(store->cas, path, O_WRONLY | O_CLOEXEC);
	assert_int_equal(pwrite(fd, "!", 1, 4096), 1);
	close(fd);
	fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
	assert_int_equal(store_export_aci(store, key, fd, &err), -EBADMSG);
	close(fd);
	tar_free(&tar);
	store_close(store);
}

struct aci_case {
	const char *what;
	bool good;
	struct tarent entry[5]; /* in this order; a NULL name ends */
};

#define DIR_(n)                                                                                    \
	{                                                                                          \
		.name = (n), .type = '5'                                                           \
	}
#define FILE_(n)                                                                                   \
	{                                                                                          \
		.name = (n)                                                                        \
	}
#define MANIFEST_                                                                                  \
	{                                                                                          \
		.name = "manifest", .data = TAR_MANIFEST, .size = sizeof(TAR_MANIFEST) - 1         \
	}

static const struct aci_case aci_cases[] = {
	{"manifest first", true, {MANIFEST_, DIR_("rootfs")}},
	{"manifest last", true, {DIR_("rootfs"), FILE_("rootfs/a"), MANIFEST_}},
	{"./ spellings",
	 true,
	 {{.name = "./", .type = '5'},
	  {.name = "./manifest", .data = TAR_MANIFEST, .size = sizeof(TAR_MANIFEST) - 1},
	  DIR_("./rootfs/"),
	  FILE_("./rootfs/a")}},
	{"rootfs after its content", true, {FILE_("rootfs/a"), DIR_("rootfs"), MANIFEST_}},
	{"no rootfs entry", false, {FILE_("rootfs/a"), MANIFEST_}},
	{"no manifest", false, {DIR_("rootfs")}},
	{"two manifests", false, {MANIFEST_, MANIFEST_, DIR_("rootfs")}},
	{"two spellings of the manifest",
	 false,
	 {MANIFEST_, {.name = "./manifest", .data = "{}", .size = 2}, DIR_("rootfs")}},
	{"a manifest that is a link",
	 false,
	 {{.name = "manifest", .type = '2', .link = "rootfs/x"}, DIR_("rootfs")}},
	{"a rootfs that is a file", false, {FILE_("rootfs"), MANIFEST_}},
	{"a rootfs that is a link",
	 false,
	 {{.name = "rootfs", .type = '2', .link = "/"}, MANIFEST_}},
	{"something else", false, {MANIFEST_, DIR_("rootfs"), FILE_("extra")}},
	{"a name that begins like rootfs", false, {MANIFEST_, DIR_("rootfs"), FILE_("rootfsX/a")}},
	{"a file twice", false, {MANIFEST_, DIR_("rootfs"), FILE_("rootfs/a"), FILE_("rootfs//a")}},
	{"a hard link to the manifest",
	 false,
	 {MANIFEST_, DIR_("rootfs"), {.name = "rootfs/m", .type = '1', .link = "manifest"}}},
	{"a hard link to nothing",
	 false,
	 {MANIFEST_, DIR_("rootfs"), {.name = "rootfs/m", .type = '1', .link = "rootfs/x"}}},
	{"a file as /dev", false, {MANIFEST_, DIR_("rootfs"), FILE_("rootfs/dev")}},
	{"a manifest of bad JSON",
	 false,
	 {{.name = "manifest", .data = "{\"acKind\":", .size = 10}, DIR_("rootfs")}},
	{"a manifest of another kind",
	 false,
	 {{.name = "manifest", .data = "{\"acKind\":\"PodManifest\"}", .size = 24},
	  DIR_("rootfs")}},
	{"an empty archive", false, {{.name = NULL}}},
};

static void only_an_aci_gets_in(void **state)
{
	struct store *store = storemake_open(*state);

	for (size_t i = 0; i < ARRAY_SIZE(aci_cases); i++) {
		struct tarmake tar = {.p = NULL};
		char key[IMAGE_KEY_LEN + 1];
		struct error err = ERROR_INIT;
		int r;

		for (size_t e = 0; e < 5 && aci_cases[i].entry[e].name; e++)
			tar_add(&tar, &aci_cases[i].entry[e]);
		tar_end(&tar);
		r = storemake_try_import(store, &tar, key, &err);
		if ((r == 0) != aci_cases[i].good)
			fail_msg("%s: %s", aci_cases[i].what, r ? err.msg : "taken");
		if (r < 0)
			assert_ptr_equal(strstr(err.msg, "test.aci: "), err.msg);
		tar_free(&tar);
	}
	assert_int_equal(storemake_count(store, "layer"), 4);
	assert_int_equal(storemake_count(store, "tmp"), 0);
	store_close(store);
}

static void an_image_cut_anywhere_leaves_nothing(void **state)
{
	struct store *store = storemake_open(*state);
	struct tarmake tar = storemake_aci(3000), part = tar;
	char key[IMAGE_KEY_LEN + 1];

	for (part.len = 0; part.len < tar.len - 1024; part.len += 333) {
		struct error err = ERROR_INIT;

		assert_true(storemake_try_import(store, &part, key, &err) < 0);
	}
	assert_nothing_visible(store);
	assert_int_equal(storemake_count(store, "tmp"), 0);
	tar_free(&tar);
	store_close(store);
}

/* A file that nobody changed for so long that its time stamps tell whether somebody does. */
static int settled_file(const struct scratch *scratch)
{
	int fd = openat(scratch->fd, "settled", O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	struct timespec now, tick = {.tv_nsec = 100000000};
	struct stat st;

	assert_int_equal(fstat(fd, &st), 0);
	for (int i = 0; i < 100; i++) {
		clock_gettime(CLOCK_REALTIME, &now);
		if (now.tv_sec - st.st_ctim.tv_sec > 2)
			return fd;
		nanosleep(&tick, NULL);
	}
	fail_msg("the clock stands still");
	return -1;
}

static void a_file_that_did_not_change_is_not_read_again(void **state)
{
	struct store *store = storemake_open(*state);
	struct tarmake tar = storemake_aci(100);
	char key[IMAGE_KEY_LEN + 1], got[IMAGE_KEY_LEN + 1];
	struct stat st, changed;
	int fd = settled_file(*state), young; /* in the place of an ACI */

	storemake_import(store, &tar, key);
	assert_int_equal(fstat(fd, &st), 0);
	assert_false(store_file_known(store, &st, got));
	store_file_learn(store, fd, &st, key);
	assert_true(store_file_known(store, &st, got));
	assert_string_equal(got, key);

	for (int i = 0; i < 6; i++) {
		changed = st;
		changed.st_ino += i == 0;
		changed.st_size += i == 1;
		changed.st_mtim.tv_nsec ^= i == 2;
		changed.st_ctim.tv_nsec ^= i == 3;
		changed.st_dev += i == 4;
		changed.st_mode |= i == 5 ? S_IWOTH : 0;
		assert_false(store_file_known(store, &changed, got));
	}
	/* not when the file changed while it was read, nor when it is too young to tell */
	changed = st;
	changed.st_size++;
	store_file_learn(store, fd, &changed, key);
	assert_int_equal(storemake_count(store, "files"), 1);
	young = openat(((struct scratch *)*state)->fd, "young", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	assert_int_equal(fstat(young, &changed), 0);
	store_file_learn(store, young, &changed, key);
	assert_int_equal(storemake_count(store, "files"), 1);
	close(young);
	close(fd);

	/* and not when the image is gone */
	snprintf(got, sizeof(got), "layer/%.60s", key);
	remove_tree(store->cas, "imageManifest/sha512", &(struct error)ERROR_INIT);
	assert_false(store_file_known(store, &st, got));
	tar_free(&tar);
	store_close(store);
}

static void images_from_a_pipe_are_taken(void **state)
{
	struct store *store = storemake_open(*state);
	struct tarmake tar = storemake_aci(200000);
	char key[IMAGE_KEY_LEN + 1], expect[IMAGE_KEY_LEN + 1];
	struct error err = ERROR_INIT;
	int fds[2];
	pid_t pid;

	assert_int_equal(pipe(fds), 0);
	pid = fork();
	if (pid == 0) {
		close(fds[0]);
		_exit(write_all(fds[1], tar.p, tar.len) < 0);
	}
	close(fds[1]);
	if (store_import_aci(store, fds[0], "pipe", key, &err) < 0)
		fail_msg("%s", err.msg);
	close(fds[0]);
	waitpid(pid, NULL, 0);
	storemake_key_of(&tar, expect);
	assert_string_equal(key, expect);
	tar_free(&tar);
	store_close(store);
}

static void what_is_not_there_is_said(void **state)
{
	struct store *store = storemake_open(*state);
	struct error err = ERROR_INIT;
	struct json_object *manifest;
	char key[IMAGE_KEY_LEN + 1];

	memset(key, 'a', sizeof(key));
	memcpy(key, "sha512-", 7);
	key[IMAGE_KEY_LEN] = '\0';
	assert_int_equal(store_manifest(store, key, &manifest, &err), -ENOENT);
	assert_int_equal(store_manifest(store, "sha512-../../../etc/passwd", &manifest, &err),
			 -ENOENT);
	assert_int_equal(store_place_disk(store, key, AT_FDCWD, "/nowhere", NULL, &err), -ENOENT);
	assert_int_equal(store_export_aci(store, key, 1, &err), -ENOENT);
	store_close(store);
}

int main(void)
{
#define WITH_SCRATCH(test) cmocka_unit_test_setup_teardown(test, scratch_setup, scratch_teardown)
	const struct CMUnitTest tests[] = {
		WITH_SCRATCH(an_image_has_the_id_of_its_uncompressed_bytes),
		WITH_SCRATCH(an_exported_image_is_the_archive_byte_for_byte),
		WITH_SCRATCH(a_damaged_layer_is_not_exported),
		WITH_SCRATCH(only_an_aci_gets_in),
		WITH_SCRATCH(an_image_cut_anywhere_leaves_nothing),
		WITH_SCRATCH(a_file_that_did_not_change_is_not_read_again),
		WITH_SCRATCH(images_from_a_pipe_are_taken),
		WITH_SCRATCH(what_is_not_there_is_said),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

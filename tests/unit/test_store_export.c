/* SPDX-License-Identifier: Apache-2.0 */
/* Images leave the store as ACIs, as loose files, and are checked for damage. */
#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/file.h"
#include "common/util.h"
#include "stage0/image/store.h"
#include "stage0/image/store_priv.h"
#include "tests/unit/scratch.h"
#include "tests/unit/storemake.h"
#include "tests/unit/tarmake.h"
#include "tests/unit/treelist.h"

#define LONG_NAME                                                                                  \
	"long-long-long-long-long-long-long-long-long-long-long-long-long-long-long-long-long-"    \
	"long-long-long-long-long-long-long"

/* A layer with everything a tar of the ustar kind has no room for. */
static struct tarmake rich_layer(void)
{
	static const uint8_t cap[20] = {1, 0, 0, 2, 0, 4};
	struct tarmake tar = {.p = NULL}, pax = {.p = NULL}, sparse = {.p = NULL};
	uint8_t *bytes = xcalloc(1, 300000);

	pax_add(&pax, "SCHILY.xattr.user.note", "kept\0also", 9);
	pax_add(&pax, "SCHILY.xattr.security.capability", cap, 20);
	pax_add(&pax, "mtime", "1600000000.987654321", 20);
	pax_add(&pax, "uid", "4000000000", 10);
	pax_add(&pax, "gid", "3000000", 7);
	tar_add_dir(&tar, "d");
	tar_add(&tar, &(struct tarent){.name = "d/tool",
				       .mode = 04755,
				       .data = "#!",
				       .size = 2,
				       .pax = (char *)pax.p,
				       .pax_len = pax.len});
	tar_add(&tar, &(struct tarent){.name = "d/again", .type = '1', .link = "d/tool"});
	tar_add(&tar, &(struct tarent){.name = "d/link", .type = '2', .link = "../../" LONG_NAME});
	tar_add_file(&tar, "d/" LONG_NAME, "text");
	tar_add_file(&tar, "d/\xc3\xbc \xff\n", "odd");
	tar_add(&tar, &(struct tarent){.name = "d/fifo", .type = '6', .mode = 0640});
	tar_add(&tar, &(struct tarent){
			      .name = "d/null", .type = '3', .mode = 0666, .major = 1, .minor = 3});
	tar_add_file(&tar, "d/empty", "");
	memset(bytes, 'x', 300000);
	tar_add(&tar, &(struct tarent){.name = "d/whole", .data = bytes, .size = 300000});
	/* pieces at 1 MiB and 3 MiB of 4 MiB, and a file that is one hole */
	pax_add(&sparse, "GNU.sparse.size", "4194304", 7);
	pax_add(&sparse, "GNU.sparse.numblocks", "2", 1);
	pax_add(&sparse, "GNU.sparse.map", "1048576,4096,3145728,5000", 25);
	tar_add(&tar, &(struct tarent){.name = "d/sparse",
				       .data = bytes,
				       .size = 9096,
				       .pax = (char *)sparse.p,
				       .pax_len = sparse.len});
	tar_free(&sparse);
	pax_add(&sparse, "GNU.sparse.size", "1048576", 7);
	pax_add(&sparse, "GNU.sparse.numblocks", "1", 1);
	pax_add(&sparse, "GNU.sparse.map", "1048576,0", 9);
	tar_add(&tar,
		&(struct tarent){.name = "d/hole", .pax = (char *)sparse.p, .pax_len = sparse.len});
	tar_end(&tar);
	tar_free(&sparse);
	tar_free(&pax);
	free(bytes);
	return tar;
}

static void rich_image(struct store *store, char key[IMAGE_KEY_LEN + 1])
{
	struct tarmake layers[2] = {rich_layer(), {.p = NULL}};

	tar_add_file(&layers[1], ".wh.none", "");
	tar_add_file(&layers[1], "d/.wh.empty", "");
	tar_add_file(&layers[1], "top", "upper");
	tar_end(&layers[1]);
	storemake_oci(store, "e.x/rich", layers, 2, key);
	tar_free(&layers[0]);
	tar_free(&layers[1]);
}

static int export(struct store *store, const char *key)
{
	int fd = memfd_create("export", MFD_CLOEXEC);
	struct error err = ERROR_INIT;

	if (store_export_aci(store, key, fd, &err) < 0)
		fail_msg("%s", err.msg);
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	return fd;
}

static void an_image_of_layers_becomes_an_aci_of_the_same_tree(void **state)
{
	const struct scratch *scratch = *state;
	struct store *store = storemake_open(scratch);
	char key[IMAGE_KEY_LEN + 1], aci[IMAGE_KEY_LEN + 1], again[IMAGE_KEY_LEN + 1];
	cleanup_free char *before = NULL, *after = NULL;
	struct json_object *a, *b;
	struct error err = ERROR_INIT;
	struct stat st;
	int fd;

	rich_image(store, key);
	fd = export(store, key);
	if (store_import_aci(store, fd, "exported", aci, &err) < 0)
		fail_msg("%s", err.msg);
	/* holes are not written */
	assert_int_equal(fstat(fd, &st), 0);
	assert_true(st.st_size < 400000);
	close(fd);
	fd = export(store, key);
	assert_int_equal(store_import_aci(store, fd, "exported", again, &err), 0);
	assert_string_equal(aci, again);
	close(fd);

	assert_int_equal(store_place_tree(store, key, scratch->fd, "a", STORE_COPY, NULL, &err), 0);
	assert_int_equal(store_place_tree(store, aci, scratch->fd, "b", STORE_COPY, NULL, &err), 0);
	before = treelist(scratch->fd, "a");
	after = treelist(scratch->fd, "b");
	assert_string_equal(before, after);
	assert_non_null(strstr(before, LONG_NAME));
	assert_int_equal(fstatat(scratch->fd, "b/d/sparse", &st, 0), 0);
	assert_int_equal(st.st_size, 4 << 20);
	assert_true(st.st_blocks < 2000);
	assert_int_equal(store_manifest(store, key, &a, &err), 0);
	assert_int_equal(store_manifest(store, aci, &b, &err), 0);
	assert_true(json_object_equal(a, b));
	json_object_put(a);
	json_object_put(b);
	store_close(store);
}

static void what_needs_no_header_of_its_own_has_none(void **state)
{
	struct tarmake layers[2] = {{.p = NULL}, {.p = NULL}}, pax = {.p = NULL};
	struct store *store = storemake_open(*state);
	char key[IMAGE_KEY_LEN + 1], aci[IMAGE_KEY_LEN + 1];
	const struct scratch *scratch = *state;
	struct error err = ERROR_INIT;
	cleanup_free char *bytes = NULL;
	struct stat st;
	int fd;

	pax_add(&pax, "mtime", "1600000000.987654321", 20);
	tar_add(&layers[0], &(struct tarent){.name = "file",
					     .data = "text",
					     .size = 4,
					     .pax = (char *)pax.p,
					     .pax_len = pax.len});
	tar_end(&layers[0]);
	tar_add_file(&layers[1], "other", "text");
	tar_end(&layers[1]);
	storemake_oci(store, "e.x/plain", layers, 2, key);
	fd = export(store, key);
	assert_int_equal(fstat(fd, &st), 0);
	bytes = xcalloc(1, (size_t)st.st_size);
	assert_int_equal(pread_all(fd, bytes, (size_t)st.st_size, 0), 0);
	assert_null(memmem(bytes, (size_t)st.st_size, "hdrcharset", strlen("hdrcharset")));

	assert_int_equal(store_import_aci(store, fd, "exported", aci, &err), 0);
	assert_int_equal(store_place_tree(store, aci, scratch->fd, "a", STORE_COPY, NULL, &err), 0);
	assert_int_equal(fstatat(scratch->fd, "a/file", &st, 0), 0);
	assert_int_equal(st.st_mtim.tv_sec, 1600000000);
	assert_int_equal(st.st_mtim.tv_nsec, 987654321);
	close(fd);
	store_close(store);
	tar_free(&layers[0]);
	tar_free(&layers[1]);
	tar_free(&pax);
}

/* Flip a byte of a file below cas. */
static void damage(struct store *store, const char *path, off_t at)
{
	int fd;
	char c;

	assert_int_equal(fchmodat(store->cas, path, 0600, 0), 0);
	fd = openat(store->cas, path, O_RDWR | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(pread(fd, &c, 1, at), 1);
	c ^= 1;
	assert_int_equal(pwrite(fd, &c, 1, at), 1);
	close(fd);
}

static void every_kind_of_damage_is_found(void **state)
{
	static const struct {
		const char *file; /* of the layer, or of the tree */
		bool tree;
		off_t at;
	} cases[] = {
		{"data", false, 4096}, {"index", false, 60},	    {"index", false, 8},
		{"disk/0", true, 40},  {"disk/0", true, 1024 + 80}, {"rootfs/one", true, 2},
	};
	const struct scratch *scratch = *state;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct store *store = storemake_open(scratch);
		cleanup_free char *id = NULL, *path = NULL, *place = xasprintf("place%zu", i);
		char key[IMAGE_KEY_LEN + 1];
		struct error err = ERROR_INIT;

		storemake_image(store, "e.x/a", "", "d:d f:one f:d/two h:three>one l:l>one", key);
		assert_int_equal(
			store_place_tree(store, key, scratch->fd, place, STORE_LINK, &id, &err), 0);
		if (store_verify(store, key, &err) < 0)
			fail_msg("%s", err.msg);
		path = xasprintf("%s/%s/%s", cases[i].tree ? "tree" : "layer",
				 cases[i].tree ? id : key, cases[i].file);
		damage(store, path, cases[i].at);
		if (store_verify(store, key, &err) != -EBADMSG)
			fail_msg("%s at %ld: not found: %s", cases[i].file, (long)cases[i].at,
				 err.msg);
		assert_int_equal(store_tree_remove(store, id, &(struct error)ERROR_INIT), 0);
		assert_int_equal(store_remove(store, key, &(struct error)ERROR_INIT), 0);
		store_close(store);
	}
}

/* Every attribute, name and file of a loose tree is looked at. */
static void every_change_of_a_loose_tree_is_found(void **state)
{
	const struct scratch *scratch = *state;
	struct store *store = storemake_open(scratch);
	cleanup_free char *id = NULL, *root = NULL;
	char key[IMAGE_KEY_LEN + 1];
	struct error err = ERROR_INIT;
	const struct timespec now[2] = {{.tv_nsec = UTIME_NOW}, {.tv_nsec = UTIME_NOW}};

	storemake_image(store, "e.x/a", "", "d:d f:one f:d/two h:three>one l:l>one", key);
	for (int i = 0; i < 9; i++) {
		cleanup_free char *place = xasprintf("place%d", i);
		int dir, fd;

		free(take_ptr(id));
		free(take_ptr(root));
		assert_int_equal(
			store_place_tree(store, key, scratch->fd, place, STORE_LINK, &id, &err), 0);
		root = xasprintf("tree/%s/rootfs", id);
		dir = openat(store->cas, root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		assert_int_equal(store_verify(store, key, &err), 0);
		switch (i) {
		case 0:
			assert_int_equal(fchmodat(dir, "d", 0777, 0), 0);
			break;
		case 1:
			assert_int_equal(unlinkat(dir, "d/two", 0), 0);
			break;
		case 2:
			fd = openat(dir, "more", O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
			assert_true(fd >= 0);
			close(fd);
			break;
		case 3:
			assert_int_equal(utimensat(dir, "d/two", now, 0), 0);
			break;
		case 4:
			assert_int_equal(unlinkat(dir, "l", 0), 0);
			assert_int_equal(symlinkat("two", dir, "l"), 0);
			break;
		case 5:
			assert_int_equal(fchmodat(dir, "one", 0600, 0), 0);
			break;
		case 6:
			fd = openat(dir, "d/two", O_WRONLY | O_CLOEXEC);
			assert_int_equal(ftruncate(fd, 3), 0);
			close(fd);
			break;
		case 7:
			assert_int_equal(renameat(dir, "d/two", dir, "d/too"), 0);
			break;
		default:
			assert_int_equal(unlinkat(dir, "three", 0), 0);
			assert_int_equal(mkfifoat(dir, "three", 0600), 0);
			break;
		}
		close(dir);
		if (store_verify(store, key, &err) != -EBADMSG)
			fail_msg("change %d is not found: %s", i, err.msg);
		assert_int_equal(store_tree_remove(store, id, &(struct error)ERROR_INIT), 0);
	}
	store_close(store);
}

static void unpacked_images_have_what_was_asked_for(void **state)
{
	const struct scratch *scratch = *state;
	struct store *store = storemake_open(scratch);
	char low[IMAGE_KEY_LEN + 1], top[IMAGE_KEY_LEN + 1];
	cleanup_strv struct strv warnings = STRV_INIT;
	struct error err = ERROR_INIT;
	struct store_unpack how = {.dependencies = false};

	storemake_image(store, "e.x/low", "", "f:low f:both", low);
	storemake_image(store, "e.x/top",
			",\"dependencies\":[{\"imageName\":\"e.x/low\"}],"
			"\"pathWhitelist\":[\"/low\",\"/top\",\"/both\"]",
			"f:top f:both f:unlisted", top);
	assert_int_equal(store_unpack(store, top, &how, scratch->fd, "alone", &warnings, &err), 0);
	assert_int_equal(faccessat(scratch->fd, "alone/manifest", R_OK, 0), 0);
	assert_int_equal(faccessat(scratch->fd, "alone/rootfs/top", R_OK, 0), 0);
	assert_int_equal(faccessat(scratch->fd, "alone/rootfs/unlisted", R_OK, 0), 0);
	assert_int_equal(faccessat(scratch->fd, "alone/rootfs/low", R_OK, 0), -1);
	how.rootfs_only = true;
	assert_int_equal(store_unpack(store, top, &how, scratch->fd, "flat", &warnings, &err), 0);
	assert_int_equal(faccessat(scratch->fd, "flat/top", R_OK, 0), 0);
	assert_int_equal(faccessat(scratch->fd, "flat/manifest", R_OK, 0), -1);
	how.dependencies = true;
	assert_int_equal(store_unpack(store, top, &how, scratch->fd, "all", &warnings, &err), 0);
	assert_int_equal(faccessat(scratch->fd, "all/low", R_OK, 0), 0);
	assert_int_equal(faccessat(scratch->fd, "all/top", R_OK, 0), 0);
	assert_int_equal(faccessat(scratch->fd, "all/unlisted", R_OK, 0), -1);
	/* what is there is not touched */
	assert_int_equal(store_unpack(store, low, &how, scratch->fd, "all", &warnings, &err),
			 -EEXIST);
	assert_int_equal(faccessat(scratch->fd, "all/top", R_OK, 0), 0);
	if (geteuid() == 0)
		assert_int_equal(warnings.n, 0);
	store_close(store);
}

static void devices_are_unpacked_as_empty_files_and_that_is_said(void **state)
{
	const struct scratch *scratch = *state;
	struct store *store = storemake_open(scratch);
	cleanup_strv struct strv warnings = STRV_INIT;
	const struct store_unpack how = {.rootfs_only = true};
	char key[IMAGE_KEY_LEN + 1];
	struct error err = ERROR_INIT;
	struct stat st;

	rich_image(store, key);
	if (store_unpack(store, key, &how, scratch->fd, "x", &warnings, &err) < 0)
		fail_msg("%s", err.msg);
	assert_true(warnings.n >= 1);
	assert_string_equal(warnings.v[0], "1 device(s) were made as empty files");
	assert_int_equal(fstatat(scratch->fd, "x/d/null", &st, 0), 0);
	assert_true(S_ISREG(st.st_mode) && st.st_size == 0);
	assert_int_equal(fstatat(scratch->fd, "x/d/tool", &st, 0), 0);
	assert_int_equal(st.st_mode & 07777, geteuid() ? 0755 : 04755);
	store_close(store);
}

int main(void)
{
#define WITH_SCRATCH(test) cmocka_unit_test_setup_teardown(test, scratch_setup, scratch_teardown)
	const struct CMUnitTest tests[] = {
		WITH_SCRATCH(an_image_of_layers_becomes_an_aci_of_the_same_tree),
		WITH_SCRATCH(what_needs_no_header_of_its_own_has_none),
		WITH_SCRATCH(every_kind_of_damage_is_found),
		WITH_SCRATCH(every_change_of_a_loose_tree_is_found),
		WITH_SCRATCH(unpacked_images_have_what_was_asked_for),
		WITH_SCRATCH(devices_are_unpacked_as_empty_files_and_that_is_said),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

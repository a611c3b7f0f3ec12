/* SPDX-License-Identifier: Apache-2.0 */
/* The oracle of images.md 11 on the way into the store: what is refused is not stored. */
#include "tests/unit/unit.h"

#include <string.h>
#include <unistd.h>

#include "common/util.h"
#include "stage0/image/store.h"
#include "stage0/image/store_priv.h"
#include "tests/unit/oracle.h"
#include "tests/unit/scratch.h"
#include "tests/unit/storemake.h"
#include "tests/unit/tarmake.h"

static int import(struct store *store, const char *manifest, char key[IMAGE_KEY_LEN + 1],
		  struct error *err)
{
	struct tarmake tar = {.p = NULL};
	int fd, r;

	tar_add_file(&tar, "manifest", manifest);
	tar_add_dir(&tar, "rootfs");
	tar_end(&tar);
	fd = tar_fd(&tar);
	r = store_import_aci(store, fd, "row.aci", key, err);
	close(fd);
	tar_free(&tar);
	return r;
}

static void every_row_is_stored_or_refused_as_the_table_says(void **state)
{
	struct store *store = storemake_open(*state);
	unsigned stored = 0, of_the_table = 0;

	for (size_t i = 0; i < oracle_nrows; i++) {
		const struct oracle_row *row = &oracle_rows[i];
		char key[IMAGE_KEY_LEN + 1];
		struct error err = ERROR_INIT;
		struct json_object *manifest;
		int r = import(store, row->text, key, &err);

		of_the_table += row->row != NULL;
		if ((r < 0) != (row->want == REJECT))
			fail_msg("%s: %s: %s", row->row ? row->row : "-", row->text,
				 r < 0 ? err.msg : "stored");
		if (r < 0) {
			assert_ptr_equal(strstr(err.msg, "row.aci: "), err.msg);
		} else {
			stored++;
			assert_int_equal(store_manifest(store, key, &manifest, &err), 0);
			json_object_put(manifest);
		}
		assert_int_equal(storemake_count(store, "layer"), stored);
		assert_int_equal(storemake_count(store, "imageInfo"), stored);
		assert_int_equal(storemake_count(store, "tmp"), 0);
	}
	assert_int_equal(of_the_table, 44);
	store_close(store);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(every_row_is_stored_or_refused_as_the_table_says,
						scratch_setup, scratch_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

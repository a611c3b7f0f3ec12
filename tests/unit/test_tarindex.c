/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "common/util.h"
#include "stage0/image/tarindex.h"
#include "tests/unit/tarmake.h"

static struct tarindex *must_index(struct tarmake *tar)
{
	struct error err = ERROR_INIT;
	struct tarindex *index;
	int fd;

	tar_end(tar);
	fd = tar_fd(tar);
	if (tarindex_read(fd, &index, &err) < 0)
		fail_msg("%s", err.msg);
	close(fd);
	return index;
}

static void names_are_found_however_they_are_spelled(void **state)
{
	struct tarmake tar = {.p = NULL}, pax = {.p = NULL};
	const struct tarindex_member *member;
	struct error err = ERROR_INIT;
	struct tarindex *index;
	char name[300];

	(void)state;
	memset(name, 'n', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	tar_add_file(&tar, "./first", "1");
	tar_add(&tar,
		&(struct tarent){
			.name = "././@LongLink", .type = 'L', .data = name, .size = sizeof(name)});
	tar_add_file(&tar, "short", "22");
	/* the pax size counts, not the header's */
	pax_add(&pax, "path", "/by/pax", 7);
	pax_add(&pax, "size", "3", 1);
	tar_add(&tar, &(struct tarent){.name = "x",
				       .data = "333",
				       .size = 3,
				       .pax = (const char *)pax.p,
				       .pax_len = pax.len});
	tar_add_file(&tar, "last", "4444");
	index = must_index(&tar);
	assert_int_equal(tarindex_find(index, "first", &member, &err), 0);
	assert_int_equal(member->size, 1);
	assert_int_equal(member->offset, 512);
	assert_int_equal(tarindex_find(index, name, &member, &err), 0);
	assert_int_equal(member->size, 2);
	assert_int_equal(tarindex_find(index, "by/pax", &member, &err), 0);
	assert_int_equal(member->size, 3);
	assert_int_equal(tarindex_find(index, "last", &member, &err), 0);
	assert_int_equal(tarindex_find(index, "x", &member, &err), -ENOENT);
	tarindex_free(index);
	tar_free(&tar);
	tar_free(&pax);
}

static void links_are_followed_within_the_archive_only(void **state)
{
	static const struct {
		const char *name;
		int result;
	} cases[] = {{"d/up", 0},	 {"hard", 0},	  {"absolute", 0},   {"d/out", -EBADMSG},
		     {"loop", -EBADMSG}, {"a", -EBADMSG}, {"none", -ENOENT}, {"d", -EBADMSG}};
	struct tarmake tar = {.p = NULL};
	struct tarindex *index;

	(void)state;
	tar_add_file(&tar, "file", "content");
	tar_add_dir(&tar, "d");
	tar_add(&tar, &(struct tarent){.name = "d/up", .type = '2', .link = "../file"});
	tar_add(&tar, &(struct tarent){.name = "d/out", .type = '2', .link = "../../file"});
	tar_add(&tar, &(struct tarent){.name = "hard", .type = '1', .link = "./d/up"});
	tar_add(&tar, &(struct tarent){.name = "absolute", .type = '2', .link = "/d/./up"});
	tar_add(&tar, &(struct tarent){.name = "loop", .type = '2', .link = "loop"});
	tar_add(&tar, &(struct tarent){.name = "a", .type = '2', .link = "b"});
	tar_add(&tar, &(struct tarent){.name = "b", .type = '1', .link = "a"});
	tar_add(&tar, &(struct tarent){.name = "none", .type = '2', .link = "nowhere"});
	index = must_index(&tar);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const struct tarindex_member *member = NULL;
		struct error err = ERROR_INIT;
		int r = tarindex_find(index, cases[i].name, &member, &err);

		if (r != cases[i].result)
			fail_msg("%s: %d", cases[i].name, r);
		if (r == 0)
			assert_string_equal(member->name, "file");
	}
	tarindex_free(index);
	tar_free(&tar);
}

static void a_damaged_archive_is_refused(void **state)
{
	(void)state;
	for (unsigned what = 0; what < 4; what++) {
		struct tarmake tar = {.p = NULL}, pax = {.p = NULL};
		struct error err = ERROR_INIT;
		struct tarindex *index = NULL;
		struct tarent entry = {.name = "f", .data = "x", .size = 1};
		int fd;

		if (what == 0)
			entry.bad_sum = true;
		if (what == 1) {
			entry.size = 1 << 20;
			entry.no_data = true;
		}
		if (what == 2)
			pax_add(&pax, "size", "9223372036854775807", 19);
		if (what == 3)
			tar_raw(&pax, "7 no end", 8);
		entry.pax = (const char *)pax.p;
		entry.pax_len = pax.len;
		tar_add(&tar, &entry);
		tar_end(&tar);
		fd = tar_fd(&tar);
		assert_int_equal(tarindex_read(fd, &index, &err), -EBADMSG);
		close(fd);
		tar_free(&tar);
		tar_free(&pax);
	}
}

static void an_archive_of_too_many_members_is_refused(void **state)
{
	struct tarmake tar = {.p = NULL};
	struct error err = ERROR_INIT;
	struct tarindex *index;
	int fd;

	(void)state;
	for (unsigned i = 0; i < 16385; i++)
		tar_add(&tar, &(struct tarent){.name = "f"});
	fd = tar_fd(&tar);
	assert_int_equal(tarindex_read(fd, &index, &err), -EFBIG);
	close(fd);
	tar_free(&tar);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_are_found_however_they_are_spelled),
		cmocka_unit_test(links_are_followed_within_the_archive_only),
		cmocka_unit_test(a_damaged_archive_is_refused),
		cmocka_unit_test(an_archive_of_too_many_members_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/file.h"
#include "common/util.h"
#include "stage0/image/index.h"
#include "tests/unit/tarmake.h"

static const struct entry_xattr attrs[] = {
	{.name = "user.a", .value = "v\0w", .len = 3},
	{.name = "user.empty", .value = "", .len = 0},
};

static const struct entry entries[] = {
	{.type = ENTRY_DIR, .perm = 0755, .path = "", .link = ""},
	{.type = ENTRY_REG,
	 .perm = 06755,
	 .uid = 4294967294,
	 .gid = 7,
	 .mtime = 1700000000,
	 .mtime_ns = 999999999,
	 .size = 5000,
	 .data = 4096,
	 .path = "a/b",
	 .link = "",
	 .xattr = attrs,
	 .nxattr = 2},
	{.type = ENTRY_SYMLINK, .perm = 0777, .path = "s", .link = "/../x"},
	{.type = ENTRY_HARDLINK, .path = "h", .link = "a/b"},
	{.type = ENTRY_BLK,
	 .perm = 0600,
	 .path = "dev",
	 .link = "",
	 .major = 4095,
	 .minor = 1048575},
	{.type = ENTRY_FIFO, .perm = 0600, .path = "f", .link = ""},
};

static int memory_file(void)
{
	return memfd_create("index", MFD_CLOEXEC);
}

static int write_index(const struct entry *list, size_t n, uint64_t data_size)
{
	struct error err = ERROR_INIT;
	struct index_writer *writer;
	int fd = memory_file();

	writer = index_writer_new(fd);
	for (size_t i = 0; i < n; i++)
		if (index_writer_add(writer, &list[i], &err) < 0)
			fail_msg("%s", err.msg);
	assert_int_equal(index_writer_finish(writer, data_size, &err), 0);
	index_writer_free(writer);
	lseek(fd, 0, SEEK_SET);
	return fd;
}

/* Read to the end. Returns what the last call did and how many entries there were. */
static int read_index(int fd, size_t *n, struct error *err)
{
	struct index_reader *reader = NULL;
	struct entry entry;
	int r;

	*n = 0;
	lseek(fd, 0, SEEK_SET);
	r = index_reader_new(fd, &reader, err);
	while (r >= 0 && (r = index_reader_next(reader, &entry, err)) > 0)
		++*n;
	index_reader_free(reader);
	return r;
}

static void entries_come_back_as_they_were(void **state)
{
	int fd = write_index(entries, ARRAY_SIZE(entries), 12288);
	struct index_reader *reader;
	struct error err = ERROR_INIT;
	struct entry e;

	(void)state;
	assert_int_equal(index_reader_new(fd, &reader, &err), 0);
	assert_int_equal(index_reader_data_size(reader), 12288);
	for (size_t i = 0; i < ARRAY_SIZE(entries); i++) {
		const struct entry *o = &entries[i];

		assert_int_equal(index_reader_next(reader, &e, &err), 1);
		assert_int_equal(e.type, o->type);
		assert_int_equal(e.perm, o->perm);
		assert_int_equal(e.uid, o->uid);
		assert_int_equal(e.gid, o->gid);
		assert_int_equal(e.mtime, o->mtime);
		assert_int_equal(e.mtime_ns, o->mtime_ns);
		assert_int_equal(e.size, o->size);
		assert_int_equal(e.data, o->data);
		assert_int_equal(e.major, o->major);
		assert_int_equal(e.minor, o->minor);
		assert_string_equal(e.path, o->path);
		assert_string_equal(e.link, o->link);
		assert_int_equal(e.nxattr, o->nxattr);
		for (unsigned x = 0; x < e.nxattr; x++) {
			assert_string_equal(e.xattr[x].name, o->xattr[x].name);
			assert_int_equal(e.xattr[x].len, o->xattr[x].len);
			assert_memory_equal(e.xattr[x].value, o->xattr[x].value, e.xattr[x].len);
		}
	}
	assert_int_equal(index_reader_next(reader, &e, &err), 0);
	index_reader_free(reader);
	close(fd);
}

static void many_entries_pass_through_the_buffers(void **state)
{
	struct error err = ERROR_INIT;
	struct index_writer *writer;
	int fd = memory_file();
	char name[300];
	size_t n;

	(void)state;
	writer = index_writer_new(fd);
	for (unsigned i = 0; i < 20000; i++) {
		struct entry entry = {.type = ENTRY_REG, .path = name, .link = ""};

		memset(name, 'n', 200);
		snprintf(name + i % 200, 20, "%u", i);
		assert_int_equal(index_writer_add(writer, &entry, &err), 0);
	}
	assert_int_equal(index_writer_finish(writer, 0, &err), 0);
	index_writer_free(writer);
	assert_int_equal(read_index(fd, &n, &err), 0);
	assert_int_equal(n, 20000);
	close(fd);
}

static void an_index_cut_anywhere_is_refused(void **state)
{
	int fd = write_index(entries, ARRAY_SIZE(entries), 12288);
	off_t size = lseek(fd, 0, SEEK_END);

	(void)state;
	while (size-- > 0) {
		struct error err = ERROR_INIT;
		size_t n;

		assert_int_equal(ftruncate(fd, size), 0);
		assert_int_equal(read_index(fd, &n, &err), -EBADMSG);
	}
	close(fd);
}

static void an_index_that_was_not_finished_is_refused(void **state)
{
	struct index_writer *writer;
	struct error err = ERROR_INIT;
	uint8_t zeroes[64] = {0};
	int fd = memory_file();
	size_t n;

	(void)state;
	assert_int_equal(write_all(fd, zeroes, sizeof(zeroes)), 0);
	assert_int_equal(read_index(fd, &n, &err), -EBADMSG);
	writer = index_writer_new(fd);
	assert_int_equal(index_writer_add(writer, &entries[0], &err), 0);
	index_writer_free(writer);
	close(fd);
}

static void content_beyond_the_data_is_refused(void **state)
{
	static const struct {
		uint64_t data, size;
		bool good;
	} cases[] = {
		{8192, 4096, true},
		{0, 12288, true},
		{8192, 4097, false},
		{12288, 1, false},
		{4095, 1, false},
		{UINT64_MAX - 4095, 8192, false},
		{0, UINT64_C(1) << 40, false},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct entry entry = entries[1];
		struct error err = ERROR_INIT;
		size_t n;
		int fd;

		entry.data = cases[i].data;
		entry.size = cases[i].size;
		fd = write_index(&entry, 1, 12288);
		assert_int_equal(read_index(fd, &n, &err), cases[i].good ? 0 : -EBADMSG);
		close(fd);
	}
}

static void what_breaks_the_promises_is_not_written(void **state)
{
	static const struct entry_xattr bad_attr[] = {{"trusted.overlay.opaque", "y", 1}};
	const struct entry bad[] = {
		{.type = ENTRY_REG, .path = "/abs", .link = ""},
		{.type = ENTRY_REG, .path = "a//b", .link = ""},
		{.type = ENTRY_REG, .path = "a/../b", .link = ""},
		{.type = ENTRY_REG, .path = "", .link = ""},
		{.type = ENTRY_REG, .path = "a", .link = "", .perm = 010000},
		{.type = ENTRY_REG, .path = "a", .link = "", .uid = UINT32_MAX},
		{.type = ENTRY_REG, .path = "a", .link = "", .mtime = -1},
		{.type = ENTRY_REG, .path = "a", .link = "", .mtime_ns = 1000000000},
		{.type = ENTRY_REG, .path = "a", .link = "", .xattr = bad_attr, .nxattr = 1},
		{.type = ENTRY_DIR, .path = "a", .link = "", .size = 1},
		{.type = ENTRY_SYMLINK, .path = "a", .link = ""},
		{.type = ENTRY_HARDLINK, .path = "a", .link = "../b"},
		{.type = ENTRY_HARDLINK, .path = "a", .link = ""},
		{.type = ENTRY_CHR, .path = "a", .link = ""},
		{.type = 0, .path = "a", .link = ""},
		{.type = 99, .path = "a", .link = ""},
	};
	int fd = memory_file();
	struct index_writer *writer = index_writer_new(fd);

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct error err = ERROR_INIT;

		if (index_writer_add(writer, &bad[i], &err) != -EINVAL)
			fail_msg("entry %zu was written", i);
	}
	index_writer_free(writer);
	close(fd);
}

/* What a damaged byte makes of an index is an error or entries that keep every promise. */
static void a_damaged_byte_does_no_harm(void **state)
{
	int fd = write_index(entries, ARRAY_SIZE(entries), 12288);
	off_t size = lseek(fd, 0, SEEK_END);

	(void)state;
	for (off_t i = 0; i < size; i++) {
		static const uint8_t values[] = {0, 1, 0x2f, 0x7f, 0x80, 0xff};
		uint8_t old;

		assert_int_equal(pread(fd, &old, 1, i), 1);
		for (size_t v = 0; v < sizeof(values); v++) {
			struct error err = ERROR_INIT;
			size_t n;
			int r;

			assert_int_equal(pwrite(fd, &values[v], 1, i), 1);
			r = read_index(fd, &n, &err);
			assert_true(r == 0 || r == -EBADMSG || r == -EINVAL);
			assert_true(n <= ARRAY_SIZE(entries));
		}
		assert_int_equal(pwrite(fd, &old, 1, i), 1);
	}
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(entries_come_back_as_they_were),
		cmocka_unit_test(many_entries_pass_through_the_buffers),
		cmocka_unit_test(an_index_cut_anywhere_is_refused),
		cmocka_unit_test(an_index_that_was_not_finished_is_refused),
		cmocka_unit_test(content_beyond_the_data_is_refused),
		cmocka_unit_test(what_breaks_the_promises_is_not_written),
		cmocka_unit_test(a_damaged_byte_does_no_harm),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

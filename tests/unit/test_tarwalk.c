/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include <errno.h>
#include <string.h>

#include "common/util.h"
#include "stage0/image/tarwalk.h"
#include "tests/unit/tarmake.h"

/* What a walk saw: the last entry, and all the content. */
struct seen {
	const struct tarmake *tar;
	size_t pos, step;
	unsigned entries;
	struct entry last;
	char path[ENTRY_PATH_MAX + 1], link[ENTRY_PATH_MAX + 1];
	char xattr_name[ENTRY_XATTRS_MAX][256];
	uint8_t xattr_value[ENTRY_XATTRS_MAX][256];
	uint32_t xattr_len[ENTRY_XATTRS_MAX];
	uint64_t content, holes;
	bool misplaced;
};

static int on_read(void *ctx, const void **ret, size_t *ret_len, struct error *err)
{
	struct seen *seen = ctx;

	(void)err;
	*ret = seen->tar->p + seen->pos;
	*ret_len = MIN(seen->step, seen->tar->len - seen->pos);
	seen->pos += *ret_len;
	return 0;
}

static int on_entry(void *ctx, const struct entry *entry, struct error *err)
{
	struct seen *seen = ctx;

	(void)err;
	seen->entries++;
	seen->last = *entry;
	strcpy(seen->path, entry->path); /* NOLINT: normalised paths fit */
	strcpy(seen->link, entry->link); /* NOLINT */
	for (unsigned i = 0; i < entry->nxattr; i++) {
		snprintf(seen->xattr_name[i], 256, "%s", entry->xattr[i].name);
		seen->xattr_len[i] = entry->xattr[i].len;
		memcpy(seen->xattr_value[i], entry->xattr[i].value, MIN(entry->xattr[i].len, 256U));
	}
	seen->content = seen->holes = 0;
	return 0;
}

static int on_data(void *ctx, uint64_t offset, const void *bytes, size_t len, uint64_t stream_pos,
		   struct error *err)
{
	struct seen *seen = ctx;

	(void)err;
	seen->holes += offset - seen->holes - seen->content;
	seen->content += len;
	/* the position promised for the skeleton is where the bytes are */
	seen->misplaced |= stream_pos + len > seen->tar->len ||
			   memcmp(seen->tar->p + stream_pos, bytes, len) != 0;
	return 0;
}

static const struct tarwalk_ops ops = {on_read, on_entry, on_data};

static int walk_by(const struct tarmake *tar, size_t step, struct seen *seen, struct error *err)
{
	*seen = (struct seen){.tar = tar, .step = step};
	return tarwalk(&ops, seen, err);
}

static int walk_one(const struct tarent *entry, struct seen *seen, struct error *err)
{
	struct tarmake tar = {.p = NULL};
	int r;

	tar_add(&tar, entry);
	tar_end(&tar);
	r = walk_by(&tar, 700, seen, err);
	tar_free(&tar);
	return r;
}

static struct seen seen;

static void names_are_brought_to_one_form(void **state)
{
	static const struct {
		const char *name, *path;
		char type;
	} cases[] = {
		{"a", "a", '0'},
		{"/a", "a", '0'},
		{"///a//b/", "a/b", '5'},
		{"./a/./b/.", "a/b", '5'},
		{"./", "", '5'},
		{"a..b/...", "a..b/...", '0'},
		{"new\nline\x1b[31m", "new\nline\x1b[31m", '0'},
		{"caf\xe9", "caf\xe9", '0'},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct error err = ERROR_INIT;

		if (walk_one(&(struct tarent){.name = cases[i].name, .type = cases[i].type}, &seen,
			     &err) < 0)
			fail_msg("%s: %s", cases[i].name, err.msg);
		assert_string_equal(seen.path, cases[i].path);
	}
}

static void entries_no_image_may_hold_end_the_walk(void **state)
{
	char component[300], deep[2 * 300 + 1], longest[4200];
	const struct {
		const char *what;
		struct tarent entry;
	} cases[] = {
		{"..", {.name = "../y"}},
		{".. inside", {.name = "a/../../z"}},
		{".. at the end", {.name = "a/..", .type = '5'}},
		{"empty name", {.name = ""}},
		{"root as a file", {.name = "."}},
		{"root as a link", {.name = ".", .type = '2', .link = "/etc"}},
		{"component of 256", {.name = component}},
		{"too deep", {.name = deep}},
		{"too long", {.name = longest}},
		{"hard link with ..", {.name = "h", .type = '1', .link = "../../etc/passwd"}},
		{"hard link to nothing", {.name = "h", .type = '1', .link = "./"}},
		{"hard link with content",
		 {.name = "h", .type = '1', .link = "a", .data = "data", .size = 4}},
		{"empty symlink", {.name = "s", .type = '2', .link = ""}},
		{"symlink too long", {.name = "s", .type = '2', .link = longest}},
		{"overlay whiteout", {.name = "d", .type = '3'}},
		{"huge major", {.name = "d", .type = '4', .major = 4096}},
		{"bad checksum", {.name = "a", .bad_sum = true}},
		{"truncated", {.name = "a", .size = 100000, .no_data = true}},
	};

	(void)state;
	memset(component, 'c', 256);
	component[256] = '\0';
	for (size_t i = 0; i < 257; i++)
		memcpy(deep + 2 * i, "d/", 2);
	memcpy(deep + 2 * 257, "x", 2);
	for (size_t i = 0; i < 4199; i++)
		longest[i] = i % 100 == 99 ? '/' : 'l';
	longest[4199] = '\0';
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct error err = ERROR_INIT;

		if (walk_one(&cases[i].entry, &seen, &err) == 0)
			fail_msg("%s was taken", cases[i].what);
		assert_true(err.code == -EBADMSG || err.code == -EINVAL);
		assert_true(err.msg[0]);
	}
}

static void the_longest_names_pass(void **state)
{
	struct error err = ERROR_INIT;
	char name[4097], target[4096];

	(void)state;
	for (size_t i = 0; i < 4096; i++)
		name[i] = i % 250 == 249 ? '/' : 'n';
	name[4096] = '\0';
	memset(target, 't', 4095);
	target[4095] = '\0';
	assert_int_equal(
		walk_one(&(struct tarent){.name = name, .type = '2', .link = target}, &seen, &err),
		0);
	assert_string_equal(seen.path, name);
	assert_string_equal(seen.link, target);
}

/* Walk one entry with these PAX records before it. */
static int walk_pax(struct tarent entry, struct tarmake *pax, struct error *err)
{
	int r;

	entry.pax = (const char *)pax->p;
	entry.pax_len = pax->len;
	r = walk_one(&entry, &seen, err);
	tar_free(pax);
	return r;
}

static void pax_records_are_taken_exactly(void **state)
{
	struct tarmake pax = {.p = NULL};
	struct error err = ERROR_INIT;

	(void)state;
	/* e and a combining accent: a reader that normalises makes it another name */
	pax_add(&pax, "path", "e\xcc\x81/x", 5);
	pax_add(&pax, "mtime", "1700000000.123456789", 20);
	pax_add(&pax, "uid", "4294967294", 10);
	assert_int_equal(walk_pax((struct tarent){.name = "short", .mode = 04755}, &pax, &err), 0);
	assert_string_equal(seen.path, "e\xcc\x81/x");
	assert_int_equal(seen.last.mtime, 1700000000);
	assert_int_equal(seen.last.mtime_ns, 123456789);
	assert_int_equal(seen.last.uid, 4294967294);
	assert_int_equal(seen.last.perm, 04755);

	pax_add(&pax, "uid", "4294967295", 10);
	assert_int_equal(walk_pax((struct tarent){.name = "x"}, &pax, &err), -EBADMSG);

	pax_add(&pax, "mtime", "-5", 2);
	assert_int_equal(walk_pax((struct tarent){.name = "x"}, &pax, &err), 0);
	assert_int_equal(seen.last.mtime, 0);
}

static void a_pax_size_moves_the_next_header_for_everybody(void **state)
{
	struct tarmake tar = {.p = NULL}, pax = {.p = NULL}, inner = {.p = NULL};
	struct error err = ERROR_INIT;

	(void)state;
	/* the header says 0 bytes, PAX says 1024: what looks like an entry is content */
	tar_add_file(&inner, "smuggled", "");
	tar_raw(&inner, NULL, 512);
	pax_add(&pax, "size", "1024", 4);
	tar_add(&tar,
		&(struct tarent){.name = "outer", .pax = (const char *)pax.p, .pax_len = pax.len});
	tar_raw(&tar, inner.p, 1024);
	tar_end(&tar);
	assert_int_equal(walk_by(&tar, 512, &seen, &err), 0);
	assert_int_equal(seen.entries, 1);
	assert_int_equal(seen.content, 1024);
	assert_false(seen.misplaced);
	tar_free(&tar);
	tar_free(&pax);
	tar_free(&inner);
}

static void only_attributes_images_may_have_are_kept(void **state)
{
	static const uint8_t cap_v2[20] = {1, 0, 0, 2, 0, 4}, cap_v3[24] = {1, 0, 0, 3, 0, 4};
	uint8_t rootid[24];
	struct tarmake pax = {.p = NULL};
	struct error err = ERROR_INIT;

	(void)state;
	pax_add(&pax, "SCHILY.xattr.user.note", "a\0b", 3);
	pax_add(&pax, "SCHILY.xattr.user.overlay.opaque", "y", 1);
	pax_add(&pax, "SCHILY.xattr.trusted.overlay.opaque", "y", 1);
	pax_add(&pax, "SCHILY.xattr.security.selinux", "x", 1);
	pax_add(&pax, "SCHILY.xattr.security.capability", cap_v3, 24);
	assert_int_equal(walk_pax((struct tarent){.name = "x"}, &pax, &err), 0);
	assert_int_equal(seen.last.nxattr, 2);
	for (unsigned i = 0; i < 2; i++) {
		if (strcmp(seen.xattr_name[i], "user.note") == 0) {
			assert_int_equal(seen.xattr_len[i], 3);
			assert_memory_equal(seen.xattr_value[i], "a\0b", 3);
		} else {
			assert_string_equal(seen.xattr_name[i], "security.capability");
			assert_int_equal(seen.xattr_len[i], 20);
			assert_memory_equal(seen.xattr_value[i], cap_v2, 20);
		}
	}
	/* a capability of another user namespace's root means nothing here */
	memcpy(rootid, cap_v3, 24);
	rootid[20] = 1;
	pax_add(&pax, "SCHILY.xattr.security.capability", rootid, 24);
	assert_int_equal(walk_pax((struct tarent){.name = "x"}, &pax, &err), 0);
	assert_int_equal(seen.last.nxattr, 0);
}

static void too_many_attributes_are_refused(void **state)
{
	struct tarmake pax = {.p = NULL};
	struct error err = ERROR_INIT;
	char name[64], *big = xcalloc(1, 40000);

	(void)state;
	for (int i = 0; i < 65; i++) {
		snprintf(name, sizeof(name), "SCHILY.xattr.user.n%d", i);
		pax_add(&pax, name, "v", 1);
	}
	assert_int_equal(walk_pax((struct tarent){.name = "x"}, &pax, &err), -EBADMSG);
	memset(big, 'b', 40000);
	pax_add(&pax, "SCHILY.xattr.user.a", big, 40000);
	pax_add(&pax, "SCHILY.xattr.user.b", big, 40000);
	assert_int_equal(walk_pax((struct tarent){.name = "x"}, &pax, &err), -EBADMSG);
	free(big);
}

static void a_textual_acl_becomes_the_kernels(void **state)
{
	static const char text[] = "user::rw-,user:bin:r--:2,group::r--,mask::r--,other::---";
	static const uint8_t expect[4 + 5 * 8] = {
		2, 0, 0,    0,	  0x01, 0,    6,    0, 0xff, 0xff, 0xff, 0xff, 0x02, 0,	   4,
		0, 2, 0,    0,	  0,	0x04, 0,    4, 0,    0xff, 0xff, 0xff, 0xff, 0x10, 0,
		4, 0, 0xff, 0xff, 0xff, 0xff, 0x20, 0, 0,    0,	   0xff, 0xff, 0xff, 0xff};
	struct tarmake pax = {.p = NULL};
	struct error err = ERROR_INIT;

	(void)state;
	pax_add(&pax, "SCHILY.acl.access", text, strlen(text));
	assert_int_equal(walk_pax((struct tarent){.name = "x", .mode = 0640}, &pax, &err), 0);
	assert_int_equal(seen.last.nxattr, 1);
	assert_string_equal(seen.xattr_name[0], "system.posix_acl_access");
	assert_int_equal(seen.xattr_len[0], sizeof(expect));
	assert_memory_equal(seen.xattr_value[0], expect, sizeof(expect));
}

static void a_sparse_file_has_its_logical_size_and_holes(void **state)
{
	static const char map[] = "2\n1048576\n512\n2097152\n512\n";
	struct tarmake pax = {.p = NULL};
	struct error err = ERROR_INIT;
	char body[512 + 1024] = {0};

	(void)state;
	memcpy(body, map, strlen(map));
	memset(body + 512, 'd', 1024);
	pax_add(&pax, "GNU.sparse.major", "1", 1);
	pax_add(&pax, "GNU.sparse.minor", "0", 1);
	pax_add(&pax, "GNU.sparse.name", "sparse", 6);
	pax_add(&pax, "GNU.sparse.realsize", "3145728", 7);
	assert_int_equal(walk_pax((struct tarent){.name = "x", .data = body, .size = sizeof(body)},
				  &pax, &err),
			 0);
	assert_string_equal(seen.path, "sparse");
	assert_int_equal(seen.last.size, 3145728);
	assert_int_equal(seen.content, 1024);
	assert_false(seen.misplaced);

	/* one that claims two tebibytes is over the limit, whatever it stores */
	pax_add(&pax, "GNU.sparse.major", "1", 1);
	pax_add(&pax, "GNU.sparse.minor", "0", 1);
	pax_add(&pax, "GNU.sparse.name", "sparse", 6);
	pax_add(&pax, "GNU.sparse.realsize", "2199023255552", 13);
	assert_int_equal(walk_pax((struct tarent){.name = "x", .data = body, .size = sizeof(body)},
				  &pax, &err),
			 -EBADMSG);
}

static void a_monstrous_pax_header_is_refused(void **state)
{
	struct tarmake pax = {.p = NULL};
	struct error err = ERROR_INIT;
	char *big = xcalloc(1, 8 << 20);

	(void)state;
	memset(big, 'b', 8 << 20);
	pax_add(&pax, "comment", big, 8 << 20);
	assert_int_equal(walk_pax((struct tarent){.name = "x"}, &pax, &err), -EBADMSG);
	free(big);
}

static void the_stream_may_come_in_any_pieces(void **state)
{
	static const size_t steps[] = {1, 511, 512, 513, 4096, 1 << 20};
	struct tarmake tar = {.p = NULL};
	char *big = xcalloc(1, 100000);

	(void)state;
	for (size_t i = 0; i < 100000; i++)
		big[i] = (char)(i * 7 + i / 251);
	tar_add_dir(&tar, "d");
	tar_add(&tar, &(struct tarent){.name = "d/big", .data = big, .size = 100000});
	tar_end(&tar);
	for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
		struct error err = ERROR_INIT;

		assert_int_equal(walk_by(&tar, steps[i], &seen, &err), 0);
		assert_int_equal(seen.entries, 2);
		assert_int_equal(seen.content, 100000);
		assert_false(seen.misplaced);
	}
	tar_free(&tar);
	free(big);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_are_brought_to_one_form),
		cmocka_unit_test(entries_no_image_may_hold_end_the_walk),
		cmocka_unit_test(the_longest_names_pass),
		cmocka_unit_test(pax_records_are_taken_exactly),
		cmocka_unit_test(a_pax_size_moves_the_next_header_for_everybody),
		cmocka_unit_test(only_attributes_images_may_have_are_kept),
		cmocka_unit_test(too_many_attributes_are_refused),
		cmocka_unit_test(a_textual_acl_becomes_the_kernels),
		cmocka_unit_test(a_sparse_file_has_its_logical_size_and_holes),
		cmocka_unit_test(a_monstrous_pax_header_is_refused),
		cmocka_unit_test(the_stream_may_come_in_any_pieces),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

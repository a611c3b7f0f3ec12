/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/digestcache.h"
#include "common/util.h"
#include "tests/unit/scratch.h"

/* A file of the scratch directory, modified long ago. */
static void make_file(const struct scratch *scratch, const char *name, const char *text)
{
	const struct timespec times[2] = {{.tv_sec = 1000}, {.tv_sec = 1000}};
	cleanup_fd int fd = openat(scratch->fd, name, O_WRONLY | O_CREAT | O_EXCL, 0644);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	assert_int_equal(futimens(fd, times), 0);
}

/* Write over its first byte and give it its old modification time back. */
static void change_stealthily(const struct scratch *scratch, const char *name)
{
	const struct timespec times[2] = {{.tv_sec = 1000}, {.tv_sec = 1000}};
	cleanup_fd int fd = openat(scratch->fd, name, O_WRONLY);

	usleep(20000); /* past the tick in which the entry was made */
	assert_int_equal(pwrite(fd, "X", 1, 0), 1);
	assert_int_equal(futimens(fd, times), 0);
}

static struct digestcache open_cache(const struct scratch *scratch)
{
	struct digestcache cache = DIGESTCACHE_NONE;
	struct error err = ERROR_INIT;

	assert_int_equal(digestcache_open(scratch->fd, "cache", true, &cache, &err), 0);
	return cache;
}

static void digest(const struct scratch *scratch, const struct digestcache *cache, const char *name,
		   struct digests *ret)
{
	cleanup_fd int fd = openat(scratch->fd, name, O_RDONLY);
	struct error err = ERROR_INIT;

	assert_int_equal(digestcache_file(cache, fd, ret, &err), 0);
}

/* A descriptor that can not be read: the digests can come from the cache only. */
static bool is_cached(const struct scratch *scratch, const struct digestcache *cache,
		      const char *name, struct digests *ret)
{
	cleanup_fd int fd = openat(scratch->fd, name, O_PATH);
	struct error err = ERROR_INIT;

	return digestcache_file(cache, fd, ret, &err) == 0;
}

static void an_unchanged_file_is_not_read_again(void **state)
{
	const struct scratch *scratch = *state;
	cleanup_digestcache struct digestcache cache = open_cache(scratch);
	struct digests first, again, want;

	make_file(scratch, "file", "content");
	assert_false(is_cached(scratch, &cache, "file", &again));
	digest(scratch, &cache, "file", &first);
	assert_true(is_cached(scratch, &cache, "file", &again));
	digests_of("content", 7, &want);
	assert_memory_equal(&first, &want, sizeof(want));
	assert_memory_equal(&again, &want, sizeof(want));
}

static void a_changed_file_is_read_again_whatever_its_modification_time(void **state)
{
	const struct scratch *scratch = *state;
	cleanup_digestcache struct digestcache cache = open_cache(scratch);
	struct digests digests, want;

	make_file(scratch, "file", "content");
	digest(scratch, &cache, "file", &digests);
	change_stealthily(scratch, "file");
	assert_false(is_cached(scratch, &cache, "file", &digests));
	digest(scratch, &cache, "file", &digests);
	digests_of("Xontent", 7, &want);
	assert_memory_equal(&digests, &want, sizeof(want));
	assert_true(is_cached(scratch, &cache, "file", &digests));
}

static void a_link_made_through_the_cache_keeps_the_entry(void **state)
{
	const struct scratch *scratch = *state;
	cleanup_digestcache struct digestcache cache = open_cache(scratch);
	struct digests digests;

	make_file(scratch, "file", "content");
	digest(scratch, &cache, "file", &digests);
	usleep(20000);
	assert_int_equal(digestcache_link(&cache, scratch->fd, "file", scratch->fd, "link"), 0);
	assert_true(is_cached(scratch, &cache, "link", &digests));
	assert_true(is_cached(scratch, &cache, "file", &digests));
	assert_int_equal(digestcache_link(&cache, scratch->fd, "file", scratch->fd, "link"),
			 -EEXIST);
	assert_int_equal(digestcache_link(&cache, scratch->fd, "none", scratch->fd, "link2"),
			 -ENOENT);
	usleep(20000);
	assert_int_equal(linkat(scratch->fd, "file", scratch->fd, "other", 0), 0);
	assert_false(is_cached(scratch, &cache, "file", &digests));
}

static void a_link_does_not_bless_a_change_made_before(void **state)
{
	const struct scratch *scratch = *state;
	cleanup_digestcache struct digestcache cache = open_cache(scratch);
	struct digests digests;

	make_file(scratch, "file", "content");
	digest(scratch, &cache, "file", &digests);
	change_stealthily(scratch, "file");
	assert_int_equal(digestcache_link(&cache, scratch->fd, "file", scratch->fd, "link"), 0);
	assert_false(is_cached(scratch, &cache, "link", &digests));
}

static void entries_are_kept_while_links_go(void **state)
{
	const struct scratch *scratch = *state;
	cleanup_digestcache struct digestcache cache = open_cache(scratch);
	struct digestcache_held held;
	struct digests digests;

	make_file(scratch, "file", "content");
	make_file(scratch, "changed", "content");
	assert_int_equal(linkat(scratch->fd, "file", scratch->fd, "link", 0), 0);
	assert_int_equal(linkat(scratch->fd, "changed", scratch->fd, "link2", 0), 0);
	digest(scratch, &cache, "file", &digests);
	digest(scratch, &cache, "changed", &digests);
	change_stealthily(scratch, "changed");
	digestcache_hold(&cache, &held);
	digestcache_hold_file(&held, scratch->fd, "link");
	digestcache_hold_file(&held, scratch->fd, "link2");
	digestcache_hold_file(&held, scratch->fd, "none");
	assert_int_equal(unlinkat(scratch->fd, "link", 0), 0);
	assert_int_equal(unlinkat(scratch->fd, "link2", 0), 0);
	digestcache_release(&held);
	assert_true(is_cached(scratch, &cache, "file", &digests));
	assert_false(is_cached(scratch, &cache, "changed", &digests));
}

static void a_file_others_may_write_is_not_kept(void **state)
{
	const struct scratch *scratch = *state;
	cleanup_digestcache struct digestcache cache = open_cache(scratch);
	struct digests digests;

	make_file(scratch, "file", "content");
	assert_int_equal(fchmodat(scratch->fd, "file", 0664, 0), 0);
	digest(scratch, &cache, "file", &digests);
	assert_false(is_cached(scratch, &cache, "file", &digests));
}

static void a_file_just_modified_is_not_kept(void **state)
{
	const struct scratch *scratch = *state;
	cleanup_digestcache struct digestcache cache = open_cache(scratch);
	struct digests digests;

	make_file(scratch, "file", "content");
	assert_int_equal(utimensat(scratch->fd, "file", NULL, 0), 0);
	digest(scratch, &cache, "file", &digests);
	assert_false(is_cached(scratch, &cache, "file", &digests));
}

static void damage_is_no_entry(void **state)
{
	const struct scratch *scratch = *state;
	cleanup_digestcache struct digestcache cache = open_cache(scratch);
	struct digests digests;
	struct stat st;
	uint8_t byte;

	make_file(scratch, "file", "content");
	digest(scratch, &cache, "file", &digests);
	assert_int_equal(fstat(cache.fd, &st), 0);
	/* the entry ends where the file does: in the digest, then cut */
	assert_int_equal(pread(cache.fd, &byte, 1, st.st_size - 40), 1);
	byte ^= 1;
	assert_int_equal(pwrite(cache.fd, &byte, 1, st.st_size - 40), 1);
	assert_false(is_cached(scratch, &cache, "file", &digests));
	digest(scratch, &cache, "file", &digests);
	assert_true(is_cached(scratch, &cache, "file", &digests));
	assert_int_equal(ftruncate(cache.fd, st.st_size - 1), 0);
	assert_false(is_cached(scratch, &cache, "file", &digests));
}

static void a_cache_others_could_write_is_refused(void **state)
{
	const struct scratch *scratch = *state;
	struct digestcache cache = open_cache(scratch);
	struct error err = ERROR_INIT;

	digestcache_close(&cache);
	assert_int_equal(fchmodat(scratch->fd, "cache", 0666, 0), 0);
	assert_int_equal(digestcache_open(scratch->fd, "cache", true, &cache, &err), -EPERM);
	assert_int_equal(digestcache_open(scratch->fd, "none", false, &cache, &err), -ENOENT);
}

static void without_a_cache_files_are_read(void **state)
{
	const struct scratch *scratch = *state;
	const struct digestcache none = DIGESTCACHE_NONE;
	struct digestcache_held held;
	struct digests digests, want;

	make_file(scratch, "file", "content");
	digest(scratch, &none, "file", &digests);
	digests_of("content", 7, &want);
	assert_memory_equal(&digests, &want, sizeof(want));
	assert_int_equal(digestcache_link(&none, scratch->fd, "file", scratch->fd, "link"), 0);
	digestcache_hold(&none, &held);
	digestcache_hold_file(&held, scratch->fd, "link");
	digestcache_release(&held);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, scratch_setup, scratch_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(an_unchanged_file_is_not_read_again),
		TEST(a_changed_file_is_read_again_whatever_its_modification_time),
		TEST(a_link_made_through_the_cache_keeps_the_entry),
		TEST(a_link_does_not_bless_a_change_made_before),
		TEST(entries_are_kept_while_links_go),
		TEST(a_file_others_may_write_is_not_kept),
		TEST(a_file_just_modified_is_not_kept),
		TEST(damage_is_no_entry),
		TEST(a_cache_others_could_write_is_refused),
		TEST(without_a_cache_files_are_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

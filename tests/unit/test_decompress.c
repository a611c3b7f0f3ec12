/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include <bzlib.h>
#include <errno.h>
#include <lzma.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#include "common/util.h"
#include "stage0/image/decompress.h"
#include "tests/unit/tarmake.h"

#define TEXT_SIZE (300 * 1024) /* more than the input and output buffers */

static const struct decomp_limits wide = {1 << 30, 1000, 1 << 30};

/* A tar header and then bytes that compress a little. */
static uint8_t *sample(void)
{
	struct tarmake tar = {.p = NULL};
	uint32_t x = 1;

	tar_add(&tar, &(struct tarent){.name = "a", .size = TEXT_SIZE - 512});
	for (size_t i = 512; i < TEXT_SIZE; i++) {
		x = x * 1103515245 + 12345;
		tar.p[i] = (uint8_t)(x >> 16 & 0x3f);
	}
	return tar.p;
}

typedef size_t (*pack_fn)(const uint8_t *src, size_t len, uint8_t *dst, size_t cap);

static size_t pack_gzip(const uint8_t *src, size_t len, uint8_t *dst, size_t cap)
{
	z_stream z = {.next_in = (Bytef *)src,
		      .avail_in = (uInt)len,
		      .next_out = dst,
		      .avail_out = (uInt)cap};

	assert_int_equal(deflateInit2(&z, 1, Z_DEFLATED, 31, 8, Z_DEFAULT_STRATEGY), Z_OK);
	assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
	deflateEnd(&z);
	return z.total_out;
}

static size_t pack_bzip2(const uint8_t *src, size_t len, uint8_t *dst, size_t cap)
{
	unsigned n = (unsigned)cap;

	assert_int_equal(
		BZ2_bzBuffToBuffCompress((char *)dst, &n, (char *)src, (unsigned)len, 1, 0, 0),
		BZ_OK);
	return n;
}

static size_t pack_xz(const uint8_t *src, size_t len, uint8_t *dst, size_t cap)
{
	size_t n = 0;

	assert_int_equal(lzma_easy_buffer_encode(0, LZMA_CHECK_CRC64, NULL, src, len, dst, &n, cap),
			 LZMA_OK);
	return n;
}

static size_t pack_zstd(const uint8_t *src, size_t len, uint8_t *dst, size_t cap)
{
	size_t n = ZSTD_compress(dst, cap, src, len, 1);

	assert_false(ZSTD_isError(n));
	return n;
}

static size_t pack_none(const uint8_t *src, size_t len, uint8_t *dst, size_t cap)
{
	assert_true(len <= cap);
	memcpy(dst, src, len);
	return len;
}

static const struct {
	const char *name;
	pack_fn pack;
} formats[] = {
	{"gzip", pack_gzip}, {"bzip2", pack_bzip2}, {"xz", pack_xz},
	{"zstd", pack_zstd}, {"tar", pack_none},
};

/* Decompress packed bytes in reads of an odd size. Returns what decomp_read() said last. */
static int unpack(const uint8_t *packed, size_t len, const struct decomp_limits *limits,
		  struct tarmake *out, const char *format, struct error *err)
{
	struct tarmake in = {.p = (uint8_t *)packed, .len = len};
	cleanup_fd int fd = tar_fd(&in);
	cleanup_decomp struct decomp *decomp = NULL;
	static uint8_t block[77777];
	size_t n;
	int r = decomp_new(&(struct decomp_input){.fd = fd}, limits, NULL, &decomp, err);

	if (r < 0)
		return r;
	if (format)
		assert_string_equal(decomp_format(decomp), format);
	do {
		r = decomp_read(decomp, block, sizeof(block), &n, err);
		if (r == 0)
			tar_raw(out, block, n);
	} while (r == 0 && n > 0);
	return r;
}

static void every_format_is_told_by_content_and_comes_back_whole(void **state)
{
	uint8_t *text = sample();
	static uint8_t packed[2 * TEXT_SIZE];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(formats); i++) {
		struct error err = ERROR_INIT;
		struct tarmake out = {.p = NULL};
		size_t n = formats[i].pack(text, TEXT_SIZE, packed, sizeof(packed));

		if (unpack(packed, n, &wide, &out, formats[i].name, &err) < 0)
			fail_msg("%s: %s", formats[i].name, err.msg);
		assert_int_equal(out.len, TEXT_SIZE);
		assert_memory_equal(out.p, text, TEXT_SIZE);
		tar_free(&out);
	}
	free(text);
}

static void members_one_after_the_other_are_one_stream(void **state)
{
	uint8_t *text = sample();
	static uint8_t packed[3 * TEXT_SIZE];

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		struct error err = ERROR_INIT;
		struct tarmake out = {.p = NULL};
		size_t n = formats[i].pack(text, 100000, packed, sizeof(packed));

		n += formats[i].pack(text + 100000, TEXT_SIZE - 100000, packed + n,
				     sizeof(packed) - n);
		memset(packed + n, 0, 512); /* padding to a tape block is no garbage */
		if (unpack(packed, n + 512, &wide, &out, NULL, &err) < 0)
			fail_msg("%s: %s", formats[i].name, err.msg);
		assert_int_equal(out.len, TEXT_SIZE);
		assert_memory_equal(out.p, text, TEXT_SIZE);
		tar_free(&out);
	}
	free(text);
}

static void what_is_cut_or_followed_by_garbage_is_refused(void **state)
{
	uint8_t *text = sample();
	static uint8_t packed[2 * TEXT_SIZE];

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		size_t n = formats[i].pack(text, TEXT_SIZE, packed, sizeof(packed));
		static const size_t cuts[] = {1, 2, 5, 9, 1000, 50000};

		for (size_t c = 0; c < ARRAY_SIZE(cuts); c++) {
			struct error err = ERROR_INIT;
			struct tarmake out = {.p = NULL};

			assert_int_equal(unpack(packed, n - cuts[c], &wide, &out, NULL, &err),
					 -EBADMSG);
			tar_free(&out);
		}
		for (size_t g = 0; g < 2; g++) {
			struct error err = ERROR_INIT;
			struct tarmake out = {.p = NULL};

			memcpy(packed + n, g ? "\0\0\0garbage" : "garbagegarb", 10);
			assert_int_equal(unpack(packed, n + 10, &wide, &out, NULL, &err), -EBADMSG);
			assert_non_null(strstr(err.msg, "garbage follows"));
			tar_free(&out);
		}
	}
	free(text);
}

static void a_changed_byte_is_noticed(void **state)
{
	uint8_t *text = sample();
	static uint8_t packed[2 * TEXT_SIZE];

	(void)state;
	for (size_t i = 0; i < 3; i++) { /* zstd's checksum is optional and off by default */
		size_t n = formats[i].pack(text, TEXT_SIZE, packed, sizeof(packed));
		struct error err = ERROR_INIT;
		struct tarmake out = {.p = NULL};

		packed[n / 2] ^= 0x10;
		assert_int_equal(unpack(packed, n, &wide, &out, NULL, &err), -EBADMSG);
		tar_free(&out);
	}
	free(text);
}

static void a_bomb_stops_at_the_ratio_and_at_the_size(void **state)
{
	static const struct decomp_limits ratio = {1 << 30, 50, 64 * 1024};
	static const struct decomp_limits size = {1 << 20, 100000, 64 * 1024};
	static uint8_t packed[1 << 20];
	uint8_t *zeroes = xcalloc(1, 64 << 20);

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		size_t n = formats[i].pack(zeroes, 64 << 20, packed, sizeof(packed));
		struct error err = ERROR_INIT;
		struct tarmake out = {.p = NULL};

		assert_int_equal(unpack(packed, n, &ratio, &out, NULL, &err), -EFBIG);
		assert_non_null(strstr(err.msg, "50 times"));
		assert_true(out.len < 50 * n + (1 << 20));
		tar_free(&out);
		assert_int_equal(unpack(packed, n, &size, &out, NULL, &err), -EFBIG);
		assert_true(out.len <= 1 << 20);
		tar_free(&out);
	}
	free(zeroes);
}

static void a_frame_that_wants_too_much_memory_is_refused(void **state)
{
	/* a zstd frame header that asks for a window of 256 MiB, and the start of a raw block */
	static const uint8_t zstd[] = {0x28,	       0xb5, 0x2f, 0xfd, 0x00,
				       (28 - 10) << 3, 0x09, 0,	   0,	 'x'};
	struct error err = ERROR_INIT;
	struct tarmake out = {.p = NULL};

	(void)state;
	assert_int_equal(unpack(zstd, sizeof(zstd), &wide, &out, NULL, &err), -EFBIG);
	tar_free(&out);
}

static void what_is_no_archive_is_named(void **state)
{
	static const struct {
		const char *bytes, *says;
	} cases[] = {
		{"{\"acKind\": \"ImageManifest\"}", "not an archive"},
		{"\x85\x01\x0c\x03 encrypted", "OpenPGP"},
		{"PK\x03\x04 zip", "not an archive"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct error err = ERROR_INIT;
		struct tarmake out = {.p = NULL};

		assert_int_equal(unpack((const uint8_t *)cases[i].bytes, strlen(cases[i].bytes),
					&wide, &out, NULL, &err),
				 -EBADMSG);
		assert_non_null(strstr(err.msg, cases[i].says));
	}
}

static void the_digest_of_the_input_covers_every_byte(void **state)
{
	uint8_t *text = sample(), digest[HASH_MAX_SIZE], expect[HASH_MAX_SIZE];
	static uint8_t packed[2 * TEXT_SIZE], block[4096];
	size_t n = pack_gzip(text, TEXT_SIZE, packed, sizeof(packed)), got;
	struct hash *raw = hash_new(HASH_SHA256), *whole = hash_new(HASH_SHA256);
	struct tarmake in = {.p = packed, .len = n};
	struct error err = ERROR_INIT;
	struct decomp *decomp;
	int fd;

	(void)state;
	memset(packed + n, 0, 100);
	in.len += 100;
	fd = tar_fd(&in);
	assert_int_equal(decomp_new(&(struct decomp_input){.fd = fd}, &wide, raw, &decomp, &err),
			 0);
	do
		assert_int_equal(decomp_read(decomp, block, sizeof(block), &got, &err), 0);
	while (got > 0);
	assert_int_equal(decomp_in(decomp), in.len);
	hash_update(whole, packed, in.len);
	hash_final(whole, expect);
	hash_final(raw, digest);
	assert_memory_equal(digest, expect, hash_size(HASH_SHA256));
	decomp_free(decomp);
	hash_free(raw);
	hash_free(whole);
	close(fd);
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_format_is_told_by_content_and_comes_back_whole),
		cmocka_unit_test(members_one_after_the_other_are_one_stream),
		cmocka_unit_test(what_is_cut_or_followed_by_garbage_is_refused),
		cmocka_unit_test(a_changed_byte_is_noticed),
		cmocka_unit_test(a_bomb_stops_at_the_ratio_and_at_the_size),
		cmocka_unit_test(a_frame_that_wants_too_much_memory_is_refused),
		cmocka_unit_test(what_is_no_archive_is_named),
		cmocka_unit_test(the_digest_of_the_input_covers_every_byte),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

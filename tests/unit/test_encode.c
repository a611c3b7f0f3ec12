/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/encode.h"
#include "common/util.h"

static void base64_is_that_of_the_standard(void **state)
{
	static const char *const vectors[][2] = {
		{"", ""},
		{"f", "Zg=="},
		{"fo", "Zm8="},
		{"foo", "Zm9v"},
		{"foob", "Zm9vYg=="},
		{"fooba", "Zm9vYmE="},
		{"foobar", "Zm9vYmFy"},
		{"\xff\xef\xbe", "/+++"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(vectors); i++) {
		cleanup_free char *text = base64_encode(vectors[i][0], strlen(vectors[i][0]));
		cleanup_free uint8_t *bytes = NULL;
		struct error err = ERROR_INIT;
		size_t len;

		assert_string_equal(text, vectors[i][1]);
		assert_int_equal(base64_decode(text, 6, &bytes, &len, &err), 0);
		assert_int_equal(len, strlen(vectors[i][0]));
		assert_memory_equal(bytes, vectors[i][0], len);
	}
}

static void base64_is_read_to_the_letter(void **state)
{
	static const char *const bad[] = {
		"Zg",	 "Zg=",	  "Zh==", "Zm9=",     "Z===", "====", "Zg==Zg==",	  "Zm9v\n",
		"Zm9v ", " Zm9v", "Zm-v", "Zm9v====", "=Zm9", "Zm=v", "\xff\xff\xff\xff",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct error err = ERROR_INIT;
		uint8_t *bytes;
		size_t len;

		assert_int_equal(base64_decode(bad[i], 100, &bytes, &len, &err), -EINVAL);
	}
}

static void what_is_too_long_is_refused(void **state)
{
	struct error err = ERROR_INIT;
	uint8_t *bytes, four[4];
	size_t len;

	(void)state;
	assert_int_equal(base64_decode("Zm9vYg==", 3, &bytes, &len, &err), -EFBIG);
	assert_int_equal(hex_decode("0011223344", four, sizeof(four), &len, &err), -EFBIG);
	assert_int_equal(hex_decode("00112233", four, sizeof(four), &len, &err), 0);
	assert_int_equal(len, 4);
}

static void hexadecimal_has_two_digits_a_byte(void **state)
{
	static const char *const bad[] = {"0", "0g", "g0", " 0", "0x", "000", "-1"};
	struct error err = ERROR_INIT;
	uint8_t bytes[4];
	size_t len;

	(void)state;
	assert_int_equal(hex_decode("00aFFa", bytes, sizeof(bytes), &len, &err), 0);
	assert_int_equal(len, 3);
	assert_memory_equal(bytes, "\x00\xaf\xfa", 3);
	assert_int_equal(hex_decode("", bytes, sizeof(bytes), &len, &err), 0);
	assert_int_equal(len, 0);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(hex_decode(bad[i], bytes, sizeof(bytes), &len, &err), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(base64_is_that_of_the_standard),
		cmocka_unit_test(base64_is_read_to_the_letter),
		cmocka_unit_test(what_is_too_long_is_refused),
		cmocka_unit_test(hexadecimal_has_two_digits_a_byte),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

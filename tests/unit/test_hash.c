/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include <string.h>

#include "common/hash.h"
#include "common/util.h"

/* FIPS 180-2, appendices B and C: "abc". */
static const struct {
	enum hash_alg alg;
	size_t size;
	const char *hex;
} abc[] = {
	{HASH_SHA256, 32, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
	{HASH_SHA384, 48,
	 "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed"
	 "8086072ba1e7cc2358baeca134c825a7"},
	{HASH_SHA512, 64,
	 "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
	 "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f"},
};

static void digests_are_the_standards(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(abc); i++) {
		cleanup_hash struct hash *hash = hash_new(abc[i].alg);
		uint8_t digest[HASH_MAX_SIZE];
		char hex[HASH_HEX_MAX];

		assert_int_equal(hash_size(abc[i].alg), abc[i].size);
		hash_update(hash, "a", 1);
		hash_update(hash, NULL, 0);
		hash_update(hash, "bc", 2);
		hash_final(hash, digest);
		hash_hex(digest, abc[i].size, hex);
		assert_string_equal(hex, abc[i].hex);
	}
}

static void nothing_has_a_digest_and_hex_ends(void **state)
{
	cleanup_hash struct hash *hash = hash_new(HASH_SHA256);
	uint8_t digest[HASH_MAX_SIZE];
	char hex[HASH_HEX_MAX];

	(void)state;
	hash_final(hash, digest);
	hash_hex(digest, 4, hex);
	assert_string_equal(hex, "e3b0c442");
	hash_hex(digest, 0, hex);
	assert_string_equal(hex, "");
	hash_free(NULL);
}

/* RFC 4231: cases 1, 2 and 6, whose key is longer than a block. */
static void hmacs_are_the_standards(void **state)
{
	static const struct {
		int byte;
		size_t key_len;
		const char *key, *data, *hex;
	} cases[] = {
		{0x0b, 20, NULL, "Hi There",
		 "87aa7cdea5ef619d4ff0b4241a1d6cb02379f4e2ce4ec2787ad0b30545e17cde"
		 "daa833b7d6b8a702038b274eaea3f4e4be9d914eeb61f1702e696c203a126854"},
		{0, 4, "Jefe", "what do ya want for nothing?",
		 "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea250554"
		 "9758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737"},
		{0xaa, 131, NULL, "Test Using Larger Than Block-Size Key - Hash Key First",
		 "80b24263c7c1a3ebb71493c1dd7be8b49b46d1f41b4aeec1121b013783f8f352"
		 "6b56d037e05f2598bd0fd2215d6a1e5295e64f73f63f0aec8b915a985d786598"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		size_t len = strlen(cases[i].data);
		const struct hash_part parts[] = {
			{cases[i].data, 3}, {"", 0}, {cases[i].data + 3, len - 3}};
		uint8_t key[131], mac[HASH_MAX_SIZE];
		char hex[HASH_HEX_MAX];

		memset(key, cases[i].byte, sizeof(key));
		if (cases[i].key)
			memcpy(key, cases[i].key, cases[i].key_len);
		hash_hmac_sha512(key, cases[i].key_len, parts, ARRAY_SIZE(parts), mac);
		hash_hex(mac, sizeof(mac), hex);
		assert_string_equal(hex, cases[i].hex);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(digests_are_the_standards),
		cmocka_unit_test(hmacs_are_the_standards),
		cmocka_unit_test(nothing_has_a_digest_and_hex_ends),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Which keys count for which names, and what is a key file. */
#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/file.h"
#include "common/util.h"
#include "stage0/trust/keystore.h"
#include "tests/unit/trustmake.h"

static void test_a_key_counts_for_whole_path_components(void **state)
{
	static const struct {
		const char *name;
		int code;
	} cases[] = {
		{"example.com/ap", 0},
		{"example.com/ap/x", 0},
		{"example.com/app", -ENOKEY},
		{"example.com", -ENOKEY},
		{"example.com/a", -ENOKEY},
		{"example.community/ap", -ENOKEY},
		{"example.com/../example.com/ap", -EINVAL},
		{"example.com//ap", -EINVAL},
	};
	struct trust_world world;

	trust_world_init(&world, state);
	trust_key(&world.dirs, "example.com/ap", "good.key.asc");
	for (size_t i = 0; i < ARRAY_SIZE(cases) * 2; i++) {
		const typeof(cases[0]) *c = &cases[i / 2];
		struct error err = ERROR_INIT;
		int r = trust_check(&world, "good.aci.asc", "image.aci", c->name, i % 2, NULL,
				    &err);

		if (r != c->code)
			fail_msg("%s: %d, %s", c->name, r, err.msg);
		if (r == -ENOKEY && i % 2)
			assert_non_null(strstr(err.msg, "not trusted for"));
	}
}

static void test_an_empty_local_file_masks_the_vendors_key(void **state)
{
	struct error err = ERROR_INIT;
	struct trust_world world;

	trust_world_init(&world, state);
	trust_put_key(&world, "usr/trustedkeys/root.d", "good.key.asc", "good.key.asc");
	for (int whole = 0; whole < 2; whole++)
		assert_int_equal(trust_check(&world, "good.aci.asc", "image.aci", "example.com/app",
					     whole, NULL, &err),
				 0);
	/* for a part of all names, then for all */
	trust_put_key(&world, "etc/trustedkeys/prefix.d/example.com", "good.key.asc", NULL);
	for (int whole = 0; whole < 2; whole++) {
		assert_int_equal(trust_check(&world, "good.aci.asc", "image.aci", "example.com/app",
					     whole, NULL, &err),
				 -ENOKEY);
		assert_int_equal(trust_check(&world, "good.aci.asc", "image.aci", "example.org/app",
					     whole, NULL, &err),
				 0);
	}
	trust_put_key(&world, "etc/trustedkeys/root.d", "good.key.asc", NULL);
	assert_int_equal(trust_check(&world, "good.aci.asc", "image.aci", "example.org/app", true,
				     NULL, &err),
			 -ENOKEY);
	/* what comes later on the way to a name gives it back */
	trust_put_key(&world, "etc/trustedkeys/prefix.d/example.org/app", "good.key.asc",
		      "good.key.gpg");
	assert_int_equal(trust_check(&world, "good.aci.asc", "image.aci", "example.org/app", true,
				     NULL, &err),
			 0);
}

static void test_a_key_file_must_be_what_its_name_says(void **state)
{
	static const struct {
		const char *content;
		const char *says;
	} cases[] = {
		{"other.key.asc", "holds the key "},
		{"two.key.asc", "holds 2 keys"},
		{"blocks.key.asc", "holds several blocks"},
		{"secret.key.asc", "holds a private key"},
		{"secret.key.gpg", "holds a private key"},
		{"good.aci.asc", "is not an OpenPGP public key"},
		{"image.aci", "is not an OpenPGP public key"},
	};
	struct trust_world world;

	trust_world_init(&world, state);
	trust_key(&world.dirs, "example.org", "good.key.asc");
	for (size_t i = 0; i < ARRAY_SIZE(cases) * 2; i++) {
		const typeof(cases[0]) *c = &cases[i / 2];
		struct error err = ERROR_INIT;

		trust_put_key(&world, "etc/trustedkeys/prefix.d/example.com", "good.key.asc",
			      c->content);
		assert_int_equal(trust_check(&world, "good.aci.asc", "image.aci", "example.com/app",
					     i % 2, NULL, &err),
				 -EBADMSG);
		if (!strstr(err.msg, c->says) || !strstr(err.msg, "prefix.d/example.com/"))
			fail_msg("%s: %s", c->content, err.msg);
		/* names it would not count for are as they were */
		if (trust_check(&world, "good.aci.asc", "image.aci", "example.org/app", true, NULL,
				&err) < 0)
			fail_msg("%s: %s", c->content, err.msg);
	}
}

static void test_a_misnamed_or_huge_key_file_or_a_link_is_an_error(void **state)
{
	struct error err = ERROR_INIT;
	cleanup_free char *path = NULL;
	struct trust_world world;

	trust_world_init(&world, state);
	trust_key(&world.dirs, "example.com", "good.key.asc");
	trust_put(&world, "etc/trustedkeys/prefix.d/example.com/README", "good.key.asc");
	assert_int_equal(trust_check(&world, "good.aci.asc", "image.aci", "example.com/app", false,
				     NULL, &err),
			 -EBADMSG);
	assert_non_null(strstr(err.msg, "README: the file's name is not a key's fingerprint"));
	path = xasprintf("%s/prefix.d/example.com/README", "etc/trustedkeys");
	assert_int_equal(unlinkat(world.scratch->fd, path, 0), 0);

	trust_put_key(&world, "etc/trustedkeys/root.d", "other.key.asc", "other.key.asc");
	free(path);
	path = xasprintf("%s/etc/trustedkeys/root.d/%040d", world.scratch->path, 0);
	assert_int_equal(symlink("/dev/zero", path), 0);
	assert_int_equal(trust_check(&world, "good.aci.asc", "image.aci", "example.com/app", true,
				     NULL, &err),
			 -EBADMSG);
	assert_non_null(strstr(err.msg, "is not a regular file"));
	unlink(path);
	close(open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644));
	assert_int_equal(truncate(path, KEY_FILE_MAX + 1), 0);
	assert_int_equal(trust_check(&world, "good.aci.asc", "image.aci", "example.com/app", true,
				     NULL, &err),
			 -EBADMSG);
	assert_non_null(strstr(err.msg, "is larger than 1 MiB"));
}

static void test_adding_a_key_makes_a_readable_armoured_file(void **state)
{
	cleanup_public_key struct public_key key = PUBLIC_KEY_INIT;
	cleanup_free char *bytes = NULL, *path = NULL, *armoured = NULL, *dir = NULL;
	struct error err = ERROR_INIT;
	mode_t mask = umask(077);
	struct trust_world world;
	struct stat st;
	size_t len;

	trust_world_init(&world, state);
	bytes = trust_fixture("good.key.gpg", &len);
	assert_int_equal(public_key_parse(bytes, len, "good.key.gpg", &key, &err), 0);
	assert_int_equal(keystore_add(&world.dirs, "example.com:5000/a/b", &key, &path, &err), 0);
	umask(mask);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0644);
	assert_int_equal(file_read(AT_FDCWD, path, KEY_FILE_MAX, &armoured, &len, &err), 0);
	assert_true(str_starts_with(armoured, "-----BEGIN PGP PUBLIC KEY BLOCK-----"));
	assert_true(str_ends_with(path, key.fingerprint));
	dir = xasprintf("%s/etc/trustedkeys/prefix.d/example.com:5000", world.scratch->path);
	assert_int_equal(stat(dir, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0755);
	assert_int_equal(trust_check(&world, "good.aci.asc", "image.aci", "example.com:5000/a/b/c",
				     false, NULL, &err),
			 0);
	/* what is not a prefix makes no file */
	assert_int_equal(keystore_add(&world.dirs, "../../x", &key, &path, &err), -EINVAL);
	assert_int_equal(keystore_add(&world.dirs, "a.com/x/*", &key, &path, &err), -EINVAL);
	assert_int_equal(keystore_add(&world.dirs, "https://a.com", &key, &path, &err), -EINVAL);
}

static void test_a_strict_host_takes_no_expired_keys(void **state)
{
	static const struct {
		const char *text;
		int code;
	} cases[] = {
		{"{\"rktKind\": \"signaturePolicy\", \"rktVersion\": \"v1\", "
		 "\"expiredKeys\": \"reject\"}",
		 -EKEYEXPIRED},
		{"{\"rktKind\": \"signaturePolicy\", \"rktVersion\": \"v1\", "
		 "\"expiredKeys\": \"accept\"}",
		 0},
		{"{\"rktKind\": \"signaturePolicy\", \"rktVersion\": \"v1\", "
		 "\"expiredKeys\": \"rejekt\"}",
		 -EINVAL},
		{"{\"rktKind\": \"signaturePolicy\", \"rktVersion\": \"v1\"}", -EINVAL},
		{"{\"rktKind\": \"policy\", \"rktVersion\": \"v1\"}", -EINVAL},
	};
	struct trust_world world;

	trust_world_init(&world, state);
	trust_key(&world.dirs, NULL, "expired.key.asc");
	trust_key(&world.dirs, NULL, "good.key.asc");
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		cleanup_free char *dir = xasprintf("%s/policy.d", world.local), *path = NULL;
		struct error err = ERROR_INIT;

		path = xasprintf("%s/strict.json", dir);
		if (mkdir_path(AT_FDCWD, dir, 0755, &err) < 0 ||
		    file_write(AT_FDCWD, path, cases[i].text, strlen(cases[i].text), 0644, &err) <
			    0)
			fail_msg("%s", err.msg);
		assert_int_equal(trust_check(&world, "expired-key.aci.asc", "image.aci",
					     "example.com/x", true, NULL, &err),
				 cases[i].code);
		/* others are as they were */
		if (cases[i].code != -EINVAL)
			assert_int_equal(trust_check(&world, "good.aci.asc", "image.aci",
						     "example.com/x", true, NULL, &err),
					 0);
	}
}

static void test_a_key_of_too_many_parts_is_refused_at_once(void **state)
{
	/* the fixture's packets: key, user ID, their signature */
	enum { KEY = 53, ID = 29, SIGNATURE = 146 };
	static const struct {
		const char *name;
		size_t from, len;
		unsigned limit;
	} parts[] = {
		{"subkeys", 0, KEY, 64},
		{"user IDs", KEY, ID, 256},
		{"signatures", KEY + ID, SIGNATURE, 4096},
		{"keys", 0, KEY, 1},
	};
	cleanup_free char *key = NULL;
	size_t len;

	(void)state;
	key = trust_fixture("good.key.gpg", &len);
	assert_int_equal(len, KEY + ID + SIGNATURE);
	for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
		cleanup_public_key struct public_key parsed = PUBLIC_KEY_INIT;
		struct trust_bytes bytes = {NULL, 0};
		struct error err = ERROR_INIT;
		int r;

		trust_add(&bytes, key, len);
		/* the fixture has one of each but subkeys */
		for (unsigned n = 0; n < parts[i].limit + (i == 0); n++) {
			trust_add(&bytes, key + parts[i].from, parts[i].len);
			if (i == 0)
				bytes.p[bytes.len - KEY] = 0xb8;
		}
		r = public_key_parse(bytes.p, bytes.len, "key", &parsed, &err);
		if (r != (i == 3 ? -EBADMSG : -E2BIG) ||
		    !strstr(err.msg, i == 3 ? "holds 2 keys" : "is a key with more than"))
			fail_msg("too many %s: %d, %s", parts[i].name, r, err.msg);
		free(bytes.p);
	}
}

static void test_a_key_that_does_not_end_or_hides_is_refused(void **state)
{
	static const struct {
		const char *bytes;
		size_t len;
	} keys[] = {
		{"\x99\xff\xff\x04", 4},		 /* cut short */
		{"\x9b\x04\x00", 3},			 /* to the end of the file */
		{"\xc6\xe1\x00\x00", 4},		 /* in parts */
		{"\xc6\xff\xff\xff\xff\xff", 6},	 /* 4 GiB */
		{"\xa3\x01\x03\x00", 4},		 /* compressed */
		{"\xc8\x02\x01\x00", 4},		 /* compressed, new format */
		{"\xc6\x01\x04", 3},			 /* a key of one byte */
		{"\xc6\x06\x06\x00\x00\x00\x00\x16", 8}, /* version 6 */
		{"\x40\x00", 2},			 /* no packet */
		{"-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nAAAA", 43},
		{"-----BEGIN PGP PUBLIC KEY BLOCK-----\n\n\0AAA", 43},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		cleanup_public_key struct public_key parsed = PUBLIC_KEY_INIT;
		struct error err = ERROR_INIT;
		int r = public_key_parse(keys[i].bytes, keys[i].len, "key", &parsed, &err);

		if (r != -EBADMSG)
			fail_msg("key %zu: %d, %s", i, r, err.msg);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, scratch_setup, scratch_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_a_key_counts_for_whole_path_components),
		TEST(test_an_empty_local_file_masks_the_vendors_key),
		TEST(test_a_key_file_must_be_what_its_name_says),
		TEST(test_a_misnamed_or_huge_key_file_or_a_link_is_an_error),
		TEST(test_adding_a_key_makes_a_readable_armoured_file),
		TEST(test_a_strict_host_takes_no_expired_keys),
		TEST(test_a_key_of_too_many_parts_is_refused_at_once),
		TEST(test_a_key_that_does_not_end_or_hides_is_refused),
	};

	return cmocka_run_group_tests_name("keystore", tests, NULL, NULL);
}

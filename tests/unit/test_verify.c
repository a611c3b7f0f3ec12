/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Verdicts about signatures, against keys and signatures of fixed dates (tests/trust).
 */
#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/file.h"
#include "common/util.h"
#include "stage0/image/confine.h"
#include "stage0/trust/verify.h"
#include "stage0/trust/verify_priv.h"
#include "tests/unit/scratch.h"

#define FIXTURES "tests/trust/"

static char *fixture(const char *name, size_t *ret_len)
{
	cleanup_free char *path = xasprintf(FIXTURES "%s", name);
	struct error err = ERROR_INIT;
	char *bytes;

	if (file_read(AT_FDCWD, path, KEY_FILE_MAX, &bytes, ret_len, &err) < 0)
		fail_msg("%s", err.msg);
	return bytes;
}

/* Trust the key of a fixture. */
static void trust(const struct config_dirs *dirs, const char *prefix, const char *key_file)
{
	cleanup_public_key struct public_key key = PUBLIC_KEY_INIT;
	cleanup_free char *path = NULL, *bytes = NULL;
	struct error err = ERROR_INIT;
	size_t len;

	bytes = fixture(key_file, &len);
	if (public_key_parse(bytes, len, key_file, &key, &err) < 0 ||
	    keystore_add(dirs, prefix, &key, &path, &err) < 0)
		fail_msg("%s", err.msg);
}

struct world {
	struct scratch *scratch;
	struct config_dirs dirs;
	char system[80], local[80];
};

static void world_init(struct world *world, void **state)
{
	world->scratch = *state;
	snprintf(world->system, sizeof(world->system), "%s/usr", world->scratch->path);
	snprintf(world->local, sizeof(world->local), "%s/etc", world->scratch->path);
	world->dirs = (struct config_dirs){.system = world->system, .local = world->local};
}

/* The whole way of a file image. *ret_signer is the fingerprint of who made it trusted. */
static int check(const struct world *world, const char *signature_file, const char *data_file,
		 const char *name, bool whole_store, char **ret_warning, struct error *err)
{
	cleanup_keyring struct keyring *keys = NULL;
	cleanup_free struct signers *signers = xcalloc(1, sizeof(*signers));
	cleanup_free char *signature = NULL, *data = NULL;
	const struct signer *signer;
	size_t signature_len, len;
	int r;

	signature = fixture(signature_file, &signature_len);
	data = fixture(data_file, &len);
	r = keyring_load(&world->dirs, whole_store ? NULL : name, &keys, err);
	if (r == 0)
		r = verify_bytes(keys, signature, signature_len, data, len, signers, err);
	if (r == 0)
		r = signers_decide(signers, keys, name, &signer, ret_warning, err);
	return r;
}

static void test_each_kind_of_signature_gets_its_verdict(void **state)
{
	static const struct {
		const char *signature, *data;
		int code;
		const char *says;
	} cases[] = {
		{"good.aci.asc", "image.aci", 0, NULL},
		{"good.aci.sig", "image.aci", 0, NULL},
		{"subkey.aci.asc", "image.aci", 0, NULL},
		{"expired-key.aci.asc", "image.aci", 0, "it expired on 2021-01-01"},
		{"both.aci.asc", "image.aci", 0, NULL},
		{"blocks.aci.asc", "image.aci", 0, NULL},
		{"old-sha1.aci.asc", "image.aci", 0, NULL},
		{"other.aci.asc", "image.aci", -ENOKEY, "signature made by unknown entity"},
		{"good.aci.asc", "image.tar", -EKEYREJECTED, "bad signature"},
		{"tar.aci.asc", "image.aci", -EKEYREJECTED, "other bytes than the image's file"},
		{"revoked.aci.asc", "image.aci", -EKEYREVOKED, "which is revoked"},
		{"expired.aci.asc", "image.aci", -EKEYEXPIRED, "expired on 2020-03-01"},
		{"late.aci.asc", "image.aci", -EKEYEXPIRED, "had expired on 2021-01-01"},
		{"future.aci.asc", "image.aci", -EKEYREJECTED, "a day to come, 2099-02-01"},
		{"sha1.aci.asc", "image.aci", -EKEYREJECTED, "uses SHA1"},
		{"md5.aci.asc", "image.aci", -EKEYREJECTED, "uses MD5"},
		{"ripemd.aci.asc", "image.aci", -EKEYREJECTED, "uses RIPEMD160"},
		{"weak-key.aci.asc", "image.aci", -EKEYREJECTED, "nothing valid allows"},
		{"text.aci.asc", "image.aci", -EKEYREJECTED, "not of the kind that signs files"},
		{"message.aci.asc", "image.aci", -EBADMSG, "not a detached OpenPGP signature"},
		{"clear.aci.asc", "image.aci", -EBADMSG, "not a detached OpenPGP signature"},
		{"good.key.asc", "image.aci", -EBADMSG, "not a detached OpenPGP signature"},
		{"good.key.gpg", "image.aci", -EBADMSG, "not a detached OpenPGP signature"},
		{"image.aci", "image.aci", -EBADMSG, "not a detached OpenPGP signature"},
	};
	static const char *const keys[] = {"good", "subkey", "expired", "revoked", "old", "weak"};
	struct world world;

	world_init(&world, state);
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		cleanup_free char *file = xasprintf("%s.key.asc", keys[i]);

		trust(&world.dirs, "example.com", file);
	}
	for (size_t i = 0; i < ARRAY_SIZE(cases) * 2; i++) {
		const typeof(cases[0]) *c = &cases[i / 2];
		cleanup_free char *warning = NULL;
		struct error err = ERROR_INIT;
		int r = check(&world, c->signature, c->data, "example.com/app", i % 2, &warning,
			      &err);
		const char *said = r == 0 ? warning : err.msg;

		if (r != c->code || (said == NULL) != (c->says == NULL) ||
		    (said && !strstr(said, c->says)))
			fail_msg("%s of %s: %d, %s", c->signature, c->data, r, said);
		if (said && strchr(said, '\n'))
			fail_msg("%s: more than a line: %s", c->signature, said);
	}
}

static void test_tampered_bytes_never_pass(void **state)
{
	cleanup_free char *signature = NULL, *data = NULL;
	cleanup_keyring struct keyring *keys = NULL;
	size_t signature_len, len;
	struct error err = ERROR_INIT;
	struct world world;

	world_init(&world, state);
	trust(&world.dirs, NULL, "good.key.asc");
	assert_int_equal(keyring_load(&world.dirs, "example.com/app", &keys, &err), 0);
	signature = fixture("good.aci.sig", &signature_len);
	data = fixture("image.aci", &len);
	/* one bit of the image, then one of the signature, at places all over */
	for (size_t i = 0; i < 48; i++) {
		bool of_signature = i % 2;
		size_t size = of_signature ? signature_len : len, at = i * 7919 % size;
		char *p = of_signature ? signature : data;
		cleanup_free struct signers *signers = xcalloc(1, sizeof(*signers));
		const struct signer *signer;
		struct error why = ERROR_INIT;
		int r;

		p[at] ^= (char)(1 << i % 8);
		r = verify_bytes(keys, signature, signature_len, data, len, signers, &why);
		if (r == 0)
			r = signers_decide(signers, keys, "example.com/app", &signer, NULL, &why);
		/* the unhashed part of a signature is a hint that may be wrong */
		if (r == 0 && !of_signature)
			fail_msg("bit of byte %zu changed, and accepted", at);
		if (!of_signature)
			assert_int_equal(r, -EKEYREJECTED);
		p[at] ^= (char)(1 << i % 8);
	}
	/* less and more of the image */
	for (size_t i = 0; i < 3; i++) {
		static const long lengths[] = {0, -1, 1};
		size_t n = lengths[i] == 0 ? 0 : len + (size_t)lengths[i];
		cleanup_free struct signers *signers = xcalloc(1, sizeof(*signers));
		struct error why = ERROR_INIT;

		assert_int_equal(
			verify_bytes(keys, signature, signature_len, data, n, signers, &why), 0);
		assert_int_equal(signers->signer[0].verdict, SIGNATURE_BAD);
	}
}

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
	struct world world;

	world_init(&world, state);
	trust(&world.dirs, "example.com/ap", "good.key.asc");
	for (size_t i = 0; i < ARRAY_SIZE(cases) * 2; i++) {
		const typeof(cases[0]) *c = &cases[i / 2];
		struct error err = ERROR_INIT;
		int r = check(&world, "good.aci.asc", "image.aci", c->name, i % 2, NULL, &err);

		if (r != c->code)
			fail_msg("%s: %d, %s", c->name, r, err.msg);
		if (r == -ENOKEY && i % 2)
			assert_non_null(strstr(err.msg, "not trusted for"));
	}
}

static void put(const struct world *world, const char *path, const char *fixture_name)
{
	cleanup_free char *full = xasprintf("%s/%s", world->scratch->path, path);
	cleanup_free char *dir = xstrndup(full, (size_t)(strrchr(full, '/') - full));
	cleanup_free char *bytes = NULL;
	struct error err = ERROR_INIT;
	size_t len = 0;

	bytes = fixture_name ? fixture(fixture_name, &len) : xstrdup("");
	if (mkdir_path(AT_FDCWD, dir, 0755, &err) < 0 ||
	    file_write(AT_FDCWD, full, bytes, len, 0644, &err) < 0)
		fail_msg("%s", err.msg);
}

static void fingerprint_of(const char *key_file, char ret[FINGERPRINT_HEX + 1])
{
	cleanup_public_key struct public_key key = PUBLIC_KEY_INIT;
	cleanup_free char *bytes = NULL;
	struct error err = ERROR_INIT;
	size_t len;

	bytes = fixture(key_file, &len);
	if (public_key_parse(bytes, len, key_file, &key, &err) < 0)
		fail_msg("%s", err.msg);
	memcpy(ret, key.fingerprint, FINGERPRINT_HEX + 1);
}

/* Put a file (a fixture, or an empty one) under a key's fingerprint. */
static void put_key(const struct world *world, const char *dir, const char *of, const char *content)
{
	char fingerprint[FINGERPRINT_HEX + 1];
	cleanup_free char *path = NULL;

	fingerprint_of(of, fingerprint);
	path = xasprintf("%s/%s", dir, fingerprint);
	put(world, path, content);
}

static void test_an_empty_local_file_masks_the_vendors_key(void **state)
{
	struct error err = ERROR_INIT;
	struct world world;

	world_init(&world, state);
	put_key(&world, "usr/trustedkeys/root.d", "good.key.asc", "good.key.asc");
	for (int whole = 0; whole < 2; whole++)
		assert_int_equal(check(&world, "good.aci.asc", "image.aci", "example.com/app",
				       whole, NULL, &err),
				 0);
	/* for a part of all names, then for all */
	put_key(&world, "etc/trustedkeys/prefix.d/example.com", "good.key.asc", NULL);
	for (int whole = 0; whole < 2; whole++) {
		assert_int_equal(check(&world, "good.aci.asc", "image.aci", "example.com/app",
				       whole, NULL, &err),
				 -ENOKEY);
		assert_int_equal(check(&world, "good.aci.asc", "image.aci", "example.org/app",
				       whole, NULL, &err),
				 0);
	}
	put_key(&world, "etc/trustedkeys/root.d", "good.key.asc", NULL);
	assert_int_equal(
		check(&world, "good.aci.asc", "image.aci", "example.org/app", true, NULL, &err),
		-ENOKEY);
	/* what comes later on the way to a name gives it back */
	put_key(&world, "etc/trustedkeys/prefix.d/example.org/app", "good.key.asc", "good.key.gpg");
	assert_int_equal(
		check(&world, "good.aci.asc", "image.aci", "example.org/app", true, NULL, &err), 0);
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
	struct world world;

	world_init(&world, state);
	trust(&world.dirs, "example.org", "good.key.asc");
	for (size_t i = 0; i < ARRAY_SIZE(cases) * 2; i++) {
		const typeof(cases[0]) *c = &cases[i / 2];
		struct error err = ERROR_INIT;

		put_key(&world, "etc/trustedkeys/prefix.d/example.com", "good.key.asc", c->content);
		assert_int_equal(check(&world, "good.aci.asc", "image.aci", "example.com/app",
				       i % 2, NULL, &err),
				 -EBADMSG);
		if (!strstr(err.msg, c->says) || !strstr(err.msg, "prefix.d/example.com/"))
			fail_msg("%s: %s", c->content, err.msg);
		/* names it would not count for are as they were */
		if (check(&world, "good.aci.asc", "image.aci", "example.org/app", true, NULL,
			  &err) < 0)
			fail_msg("%s: %s", c->content, err.msg);
	}
}

static void test_a_misnamed_or_huge_key_file_or_a_link_is_an_error(void **state)
{
	struct error err = ERROR_INIT;
	cleanup_free char *path = NULL;
	struct world world;

	world_init(&world, state);
	trust(&world.dirs, "example.com", "good.key.asc");
	put(&world, "etc/trustedkeys/prefix.d/example.com/README", "good.key.asc");
	assert_int_equal(
		check(&world, "good.aci.asc", "image.aci", "example.com/app", false, NULL, &err),
		-EBADMSG);
	assert_non_null(strstr(err.msg, "README: the file's name is not a key's fingerprint"));
	path = xasprintf("%s/prefix.d/example.com/README", "etc/trustedkeys");
	assert_int_equal(unlinkat(world.scratch->fd, path, 0), 0);

	put_key(&world, "etc/trustedkeys/root.d", "other.key.asc", "other.key.asc");
	free(path);
	path = xasprintf("%s/etc/trustedkeys/root.d/%040d", world.scratch->path, 0);
	assert_int_equal(symlink("/dev/zero", path), 0);
	assert_int_equal(
		check(&world, "good.aci.asc", "image.aci", "example.com/app", true, NULL, &err),
		-EBADMSG);
	assert_non_null(strstr(err.msg, "is not a regular file"));
	unlink(path);
	close(open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644));
	assert_int_equal(truncate(path, KEY_FILE_MAX + 1), 0);
	assert_int_equal(
		check(&world, "good.aci.asc", "image.aci", "example.com/app", true, NULL, &err),
		-EBADMSG);
	assert_non_null(strstr(err.msg, "is larger than 1 MiB"));
}

static void test_adding_a_key_makes_a_readable_armoured_file(void **state)
{
	cleanup_public_key struct public_key key = PUBLIC_KEY_INIT;
	cleanup_free char *bytes = NULL, *path = NULL, *armoured = NULL, *dir = NULL;
	struct error err = ERROR_INIT;
	mode_t mask = umask(077);
	struct world world;
	struct stat st;
	size_t len;

	world_init(&world, state);
	bytes = fixture("good.key.gpg", &len);
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
	assert_int_equal(check(&world, "good.aci.asc", "image.aci", "example.com:5000/a/b/c", false,
			       NULL, &err),
			 0);
	/* what is not a prefix makes no file */
	assert_int_equal(keystore_add(&world.dirs, "../../x", &key, &path, &err), -EINVAL);
	assert_int_equal(keystore_add(&world.dirs, "a.com/x/*", &key, &path, &err), -EINVAL);
	assert_int_equal(keystore_add(&world.dirs, "https://a.com", &key, &path, &err), -EINVAL);
}

static void test_the_issuer_is_known_before_any_byte(void **state)
{
	cleanup_free char *good = NULL, *other = NULL;
	cleanup_keyring struct keyring *keys = NULL, *none = NULL;
	size_t good_len, other_len;
	struct error err = ERROR_INIT;
	struct world world;

	world_init(&world, state);
	assert_int_equal(keyring_load(&world.dirs, "example.com/app", &none, &err), 0);
	trust(&world.dirs, "example.com", "good.key.asc");
	good = fixture("good.aci.asc", &good_len);
	other = fixture("other.aci.asc", &other_len);
	assert_int_equal(keyring_load(&world.dirs, "example.com/app", &keys, &err), 0);
	assert_int_equal(verify_issuer(keys, "example.com/app", good, good_len, &err), 0);
	assert_int_equal(verify_issuer(keys, "example.com/app", other, other_len, &err), -ENOKEY);
	assert_non_null(strstr(err.msg, "openpgp: signature made by unknown entity"));
	assert_non_null(strstr(err.msg, "trust --prefix=example.com/app"));
	assert_int_equal(verify_issuer(none, "example.com/app", good, good_len, &err), -ENOKEY);
	assert_non_null(strstr(err.msg, "no key is trusted for example.com/app"));
	assert_int_equal(verify_issuer(keys, "example.com/app", "rubbish", 7, &err), -EBADMSG);
	assert_int_equal(verify_issuer(keys, "example.com/app", "", 0, &err), -EBADMSG);
}

static void test_too_much_of_a_signature_is_refused(void **state)
{
	cleanup_free char *good = NULL, *huge = NULL;
	cleanup_keyring struct keyring *keys = NULL;
	cleanup_free struct signers *signers = xcalloc(1, sizeof(*signers));
	struct error err = ERROR_INIT;
	struct world world;
	size_t len;

	world_init(&world, state);
	trust(&world.dirs, NULL, "good.key.asc");
	good = fixture("good.aci.sig", &len);
	assert_int_equal(keyring_load(&world.dirs, NULL, &keys, &err), 0);
	huge = xcalloc(1, SIGNATURE_FILE_MAX + 1);
	for (size_t i = 0; i <= SIGNATURES_MAX; i++)
		memcpy(huge + i * len, good, len);
	assert_int_equal(verify_bytes(keys, huge, len * SIGNATURES_MAX, "", 0, signers, &err), 0);
	assert_int_equal(signers->n, SIGNATURES_MAX);
	assert_int_equal(verify_bytes(keys, huge, len * (SIGNATURES_MAX + 1), "", 0, signers, &err),
			 -E2BIG);
	assert_int_equal(verify_bytes(keys, huge, SIGNATURE_FILE_MAX + 1, "", 0, signers, &err),
			 -EFBIG);
	assert_int_equal(verify_bytes(keys, huge, len * 2 - 1, "", 0, signers, &err), -EBADMSG);
}

static void test_a_stream_may_come_in_any_pieces_and_may_be_given_up(void **state)
{
	cleanup_free char *signature = NULL, *data = NULL, *much = xcalloc(1, 1 << 20);
	cleanup_keyring struct keyring *keys = NULL;
	struct error err = ERROR_INIT;
	size_t signature_len, len;
	struct world world;

	world_init(&world, state);
	trust(&world.dirs, NULL, "good.key.asc");
	signature = fixture("good.aci.asc", &signature_len);
	data = fixture("image.aci", &len);
	assert_int_equal(keyring_load(&world.dirs, NULL, &keys, &err), 0);
	for (size_t piece = 1; piece < 200; piece += 66) {
		cleanup_free struct signers *signers = xcalloc(1, sizeof(*signers));
		cleanup_verify struct verify *verify = NULL;

		assert_int_equal(verify_start(keys, signature, signature_len, &verify, &err), 0);
		for (size_t at = 0; at < len; at += piece)
			assert_int_equal(
				verify_write(verify, data + at, MIN(piece, len - at), &err), 0);
		assert_int_equal(verify_finish(verify, signers, &err), 0);
		assert_int_equal(signers->signer[0].verdict, SIGNATURE_VALID);
		assert_string_equal(signers->signer[0].user_ids[0], "good key <good@example.com>");
	}
	/* garbage for a signature: all is taken all the same, and refused in the end */
	for (int finish = 0; finish < 2; finish++) {
		cleanup_free struct signers *signers = xcalloc(1, sizeof(*signers));
		cleanup_verify struct verify *verify = NULL;

		assert_int_equal(verify_start(keys, "rubbish", 7, &verify, &err), 0);
		for (int i = 0; i < 4; i++)
			assert_int_equal(verify_write(verify, much, 1 << 20, &err), 0);
		if (finish)
			assert_int_equal(verify_finish(verify, signers, &err), -EBADMSG);
	}
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
	struct world world;

	world_init(&world, state);
	trust(&world.dirs, NULL, "expired.key.asc");
	trust(&world.dirs, NULL, "good.key.asc");
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		cleanup_free char *dir = xasprintf("%s/policy.d", world.local), *path = NULL;
		struct error err = ERROR_INIT;

		path = xasprintf("%s/strict.json", dir);
		if (mkdir_path(AT_FDCWD, dir, 0755, &err) < 0 ||
		    file_write(AT_FDCWD, path, cases[i].text, strlen(cases[i].text), 0644, &err) <
			    0)
			fail_msg("%s", err.msg);
		assert_int_equal(check(&world, "expired-key.aci.asc", "image.aci", "example.com/x",
				       true, NULL, &err),
				 cases[i].code);
		/* others are as they were */
		if (cases[i].code != -EINVAL)
			assert_int_equal(check(&world, "good.aci.asc", "image.aci", "example.com/x",
					       true, NULL, &err),
					 0);
	}
}

/* A growing piece of OpenPGP. */
struct bytes {
	uint8_t *p;
	size_t len;
};

static void add(struct bytes *bytes, const void *p, size_t len)
{
	assert_true(len <= KEY_FILE_MAX - bytes->len);
	if (!bytes->p)
		bytes->p = xcalloc(1, KEY_FILE_MAX);
	memcpy(bytes->p + bytes->len, p, len);
	bytes->len += len;
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
	key = fixture("good.key.gpg", &len);
	assert_int_equal(len, KEY + ID + SIGNATURE);
	for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
		cleanup_public_key struct public_key parsed = PUBLIC_KEY_INIT;
		struct bytes bytes = {NULL, 0};
		struct error err = ERROR_INIT;
		int r;

		add(&bytes, key, len);
		/* the fixture has one of each but subkeys */
		for (unsigned n = 0; n < parts[i].limit + (i == 0); n++) {
			add(&bytes, key + parts[i].from, parts[i].len);
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

/* A signature packet's body: version 4, RSA, SHA-256, these hashed subpackets, and a number. */
static void add_signature(struct bytes *bytes, const struct bytes *hashed)
{
	const uint8_t head[] = {4, 0, 1, 8, (uint8_t)(hashed->len >> 8), (uint8_t)hashed->len};
	const uint8_t tail[] = {0, 0, 0xab, 0xcd, 0, 8, 0xff};

	add(bytes, head, sizeof(head));
	if (hashed->len)
		add(bytes, hashed->p, hashed->len);
	add(bytes, tail, sizeof(tail));
}

/* Signatures in signatures, as a subpacket of at most so many bytes. */
static struct bytes nest(size_t max)
{
	struct bytes nested = {NULL, 0};

	while (nested.len + 32 < max) {
		struct bytes body = {NULL, 0}, outer = {NULL, 0};
		uint8_t head[6] = {255};

		add_signature(&body, &nested);
		head[3] = (uint8_t)((body.len + 1) >> 8);
		head[4] = (uint8_t)(body.len + 1);
		head[5] = 32; /* embedded signature */
		add(&outer, head, sizeof(head));
		add(&outer, body.p, body.len);
		free(body.p);
		free(nested.p);
		nested = outer;
	}
	return nested;
}

static void refuse_signature(const struct keyring *keys, const struct bytes *body)
{
	cleanup_free struct signers *signers = xcalloc(1, sizeof(*signers));
	const uint8_t head[] = {0xc2,
				255,
				0,
				(uint8_t)(body->len >> 16),
				(uint8_t)(body->len >> 8),
				(uint8_t)body->len};
	struct error err = ERROR_INIT;
	struct bytes file = {NULL, 0};
	const struct signer *signer;
	int r;

	add(&file, head, sizeof(head));
	add(&file, body->p, body->len);
	r = verify_issuer(keys, "example.com/app", file.p, file.len, &err);
	if (r != -EBADMSG && r != -ENOKEY)
		fail_msg("before: %d, %s", r, err.msg);
	r = verify_bytes(keys, file.p, file.len, "x", 1, signers, &err);
	if (r == 0)
		r = signers_decide(signers, keys, "example.com/app", &signer, NULL, &err);
	if (r != -EBADMSG && r != -ENOKEY)
		fail_msg("%d, %s", r, err.msg);
	free(file.p);
}

static void test_hostile_signatures_end_in_a_refusal(void **state)
{
	static const size_t depths[] = {60000, 16000, 4000, 64};
	cleanup_keyring struct keyring *keys = NULL;
	cleanup_free uint8_t *nothing = xcalloc(1, 15000);
	struct bytes zeros = {NULL, 0}, body = {NULL, 0};
	struct error err = ERROR_INIT;
	struct world world;

	world_init(&world, state);
	trust(&world.dirs, NULL, "good.key.asc");
	assert_int_equal(keyring_load(&world.dirs, "example.com/app", &keys, &err), 0);
	for (size_t i = 0; i < ARRAY_SIZE(depths); i++) {
		struct bytes nested = nest(depths[i]);

		body.len = 0;
		add_signature(&body, &nested);
		refuse_signature(keys, &body);
		free(nested.p);
	}
	/* a number that is not there, and subpackets of no length */
	memset(body.p + body.len - 3, 0xff, 2);
	refuse_signature(keys, &body);
	add(&zeros, nothing, 15000);
	body.len = 0;
	add_signature(&body, &zeros);
	refuse_signature(keys, &body);
	free(zeros.p);
	free(body.p);
}

/* Kill the only child there is. */
static void kill_child(void)
{
	cleanup_free char *path = xasprintf("/proc/self/task/%d/children", getpid()), *text = NULL;
	struct error err = ERROR_INIT;
	size_t len;
	int pid;

	assert_int_equal(file_read(AT_FDCWD, path, 4096, &text, &len, &err), 0);
	pid = (int)strtol(text, NULL, 10);
	assert_true(pid > 1);
	assert_int_equal(kill(pid, SIGKILL), 0);
}

static void test_a_verifier_that_dies_fails_the_write_and_says_how(void **state)
{
	cleanup_free char *much = xcalloc(1, 1 << 20), *signature = NULL;
	cleanup_keyring struct keyring *keys = NULL;
	struct error err = ERROR_INIT;
	struct world world;
	size_t len;

	world_init(&world, state);
	trust(&world.dirs, NULL, "good.key.asc");
	signature = fixture("good.aci.asc", &len);
	assert_int_equal(keyring_load(&world.dirs, NULL, &keys, &err), 0);
	for (int finish = 0; finish < 2; finish++) {
		cleanup_free struct signers *signers = xcalloc(1, sizeof(*signers));
		cleanup_verify struct verify *verify = NULL;
		int r = 0;

		assert_int_equal(verify_start(keys, signature, len, &verify, &err), 0);
		kill_child();
		for (int i = 0; !finish && r == 0 && i < 64; i++)
			r = verify_write(verify, much, 1 << 20, &err);
		if (finish)
			r = verify_finish(verify, signers, &err);
		assert_int_equal(r, -EPROTO);
		assert_non_null(strstr(err.msg, "killed by signal 9"));
	}
}

/* What the verifier's child tries when it was taken over. */
static int break_out(void *arg, void *result, struct error *err)
{
	struct verify_job *job = arg;
	int *ret = result;

	*ret = open("/etc/passwd", O_RDONLY | O_CLOEXEC) < 0 && errno == EACCES &&
	       open("/tmp/x", O_WRONLY | O_CREAT | O_CLOEXEC, 0600) < 0 && errno == EACCES;
	if (job->fd == 1)
		socket(AF_INET, SOCK_STREAM, 0);
	if (job->fd == 2)
		execl("/bin/true", "true", (char *)NULL);
	if (job->fd == 3)
		kill(getppid(), 0);
	(void)err;
	return 0;
}

static void test_the_verifier_can_open_nothing_and_reach_nobody(void **state)
{
	(void)state;
	for (int what = 0; what < 4; what++) {
		struct verify_job job = {.fd = what};
		const struct confined_job child = {
			.what = "verifier",
			.prepare = verify_child_prepare,
			.run = break_out,
			.arg = &job,
			.result_len = sizeof(int),
		};
		struct confined confined = CONFINED_INIT;
		struct error err = ERROR_INIT;
		int refused = 0;

		assert_int_equal(confined_start(&child, &confined, &err), 0);
		assert_int_equal(confined_finish(&confined, &refused, 60000, &err),
				 what == 0 ? 0 : -EPROTO);
		assert_int_equal(refused, what == 0);
		if (what > 0)
			assert_non_null(strstr(err.msg, "killed by signal 31"));
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, scratch_setup, scratch_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_each_kind_of_signature_gets_its_verdict),
		TEST(test_tampered_bytes_never_pass),
		TEST(test_a_key_counts_for_whole_path_components),
		TEST(test_an_empty_local_file_masks_the_vendors_key),
		TEST(test_a_key_file_must_be_what_its_name_says),
		TEST(test_a_misnamed_or_huge_key_file_or_a_link_is_an_error),
		TEST(test_adding_a_key_makes_a_readable_armoured_file),
		TEST(test_the_issuer_is_known_before_any_byte),
		TEST(test_too_much_of_a_signature_is_refused),
		TEST(test_a_stream_may_come_in_any_pieces_and_may_be_given_up),
		TEST(test_a_key_of_too_many_parts_is_refused_at_once),
		TEST(test_a_key_that_does_not_end_or_hides_is_refused),
		TEST(test_hostile_signatures_end_in_a_refusal),
		TEST(test_a_verifier_that_dies_fails_the_write_and_says_how),
		TEST(test_a_strict_host_takes_no_expired_keys),
		TEST(test_the_verifier_can_open_nothing_and_reach_nobody),
	};

	return cmocka_run_group_tests_name("verify", tests, NULL, NULL);
}

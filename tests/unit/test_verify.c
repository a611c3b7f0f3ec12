/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Verdicts about signatures, against keys and signatures of fixed dates (tests/trust).
 */
#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_each_kind_of_signature_gets_its_verdict,
						scratch_setup, scratch_teardown),
	};

	return cmocka_run_group_tests_name("verify", tests, NULL, NULL);
}
